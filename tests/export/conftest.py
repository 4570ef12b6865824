"""Each variant is trained once a session, whatever number of tests takes it home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search.export.bundle import write_bundle
from tests.export.made import VARIANTS, Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Callable[[str], Made]:
    """From a name in VARIANTS to the trained candidate."""
    known: dict[str, Made] = {}

    def candidate(name: str) -> Made:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            # Sizes of `tiny` first, so that a variant's own win.
            known[name] = make(folder, [*_groups_first(VARIANTS[name]), *_without(tiny, VARIANTS[name])])
        return known[name]

    return candidate


@pytest.fixture
def bundle(made: Callable[[str], Made], tmp_path: Path) -> Path:
    """A fresh bundle of the fused variant."""
    one = made("fused")
    return write_bundle(one.choice, one.corpus, tmp_path / "bundle")


def _groups_first(overrides: list[str]) -> list[str]:
    return sorted(overrides, key=lambda override: "." in override.partition("=")[0])


def _without(base: list[str], overrides: list[str]) -> list[str]:
    names = {override.partition("=")[0] for override in overrides}
    return [override for override in base if override.partition("=")[0] not in names]
