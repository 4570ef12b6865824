"""The shipped protocols and networks, read from their YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aero_search.architecture import Architecture
from aero_search.cost import Network, Protocol
from aero_search.schema import from_mapping

CONF = Path(__file__).parents[2] / "conf"


def shipped(group: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="session")
def mapping():
    return shipped


@pytest.fixture(scope="session")
def protocol():
    """protocol(name, **changed fields) -> Protocol"""
    return lambda name, **changes: from_mapping(Protocol, shipped("protocol", name) | changes, "protocol")


@pytest.fixture(scope="session")
def network():
    """network(name, **changed fields) -> Network"""
    return lambda name, **changes: from_mapping(Network, shipped("network", name) | changes, "network")


@pytest.fixture
def build():
    """build(layers, **changed fields) -> a tiny Architecture"""

    def make(layers, **changes):
        sizes = {"n_head": 4, "d_model": 64, "seq_len": 16, "vocab_size": 100}
        return Architecture(**(sizes | changes), layers=tuple(layers))

    return make
