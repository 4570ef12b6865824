"""One trainable candidate: an architecture with its recipe and corpus, and the identity that they have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from aero_search.architecture import Architecture, canonical, key, notation
from aero_search.init.recovery import Recovery
from aero_search.training.recipe import Recipe

IDENTITY_LENGTH = 12


@dataclass(frozen=True)
class Candidate:
    """What a worker trains.

    Attributes:
        architecture: canonical.
        fingerprint: of the corpus.
        overrides: what makes it from the study's request.
        config: the composed configuration that trains it again, saved beside its result.
        corpus_folder: the packed corpus; None is the study's.
        recovery: how it starts from a trained network; None: from random weights.
    """

    architecture: Architecture
    recipe: Recipe
    fingerprint: str
    overrides: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    corpus_folder: Path | None = field(default=None, compare=False)
    recovery: Recovery | None = None

    @cached_property
    def identity(self) -> str:
        """Equal for two candidates exactly when their trainings are the same to the last bit on the same machine.

        Devices and threads do not enter: they change nothing but the order of summation.
        """
        said = {
            "architecture": key(self.architecture),
            "recipe": self.recipe.identifying(),
            "corpus": self.fingerprint,
        }
        if self.recovery is not None:
            said["start"] = self.recovery.identifying(self.recipe.seed)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:IDENTITY_LENGTH]

    @property
    def notation(self) -> str:
        """The architecture in the paper's notation."""
        return notation(self.architecture)


def make_candidate(
    architecture: Architecture,
    recipe: Recipe,
    fingerprint: str,
    overrides: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
    corpus_folder: Path | None = None,
    recovery: Recovery | None = None,
) -> Candidate:
    """A candidate of the canonical form of `architecture`."""
    return Candidate(
        canonical(architecture), recipe, fingerprint, overrides, config or {}, corpus_folder, recovery
    )


@runtime_checkable
class FastComposer(Protocol):
    """Composes overrides into a candidate, and can also do so thousands of times a second."""

    def __call__(self, overrides: Sequence[str]) -> Candidate:
        """The candidate with the config that trains it."""

    def quick(self) -> Callable[[Sequence[str]], Candidate]:
        """A composer of the same candidates without their configs; it may keep a cache, so hold on to it."""
