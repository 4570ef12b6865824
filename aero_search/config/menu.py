"""What the groups of conf/ offer, read whole: every protocol, network and size that a page can choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from aero_search.architecture import ModelShape
from aero_search.architecture.spec import Family
from aero_search.config.target import load_shape
from aero_search.cost import Network, Protocol
from aero_search.errors import AeroSearchError
from aero_search.schema import from_mapping

T = TypeVar("T")


def offered_protocols() -> dict[str, Protocol]:
    """Every option of the group `protocol`, the user's own among them; what cannot be read is left out."""
    return _options("protocol", lambda data: from_mapping(Protocol, data, "protocol"))


def offered_networks() -> dict[str, Network]:
    """Every option of the group `network` that is whole: `custom` waits for its numbers."""
    return _options("network", lambda data: from_mapping(Network, data, "network"))


def offered_shapes(family: Family) -> list[ModelShape]:
    """The sizes of every option of the group `model` in a family, smallest first."""
    shapes = []
    for name in _names("model"):
        try:
            shapes.append(load_shape(name))
        except AeroSearchError:
            continue
    chosen = [shape for shape in shapes if shape.family == family]
    return sorted(chosen, key=lambda shape: (shape.d_model, shape.n_layer))


def _options(group: str, read: Callable[[Any], T]) -> dict[str, T]:
    found = {}
    for name in _names(group):
        try:
            cfg = compose("config", overrides=[f"{group}={name}"])[group]
            found[name] = read(OmegaConf.to_container(cfg, resolve=True))
        except AeroSearchError:
            continue
    return found


def _names(group: str) -> list[str]:
    return list(GlobalHydra.instance().config_loader().get_group_options(group))
