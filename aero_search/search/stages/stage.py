"""One stage of a study: what becomes of a network at a larger size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aero_search.architecture import Architecture, ModelShape, retarget
from aero_search.schema import to_mapping
from aero_search.search.candidate import Candidate
from aero_search.space.allowed import ARCHITECTURE_GROUPS


@dataclass(frozen=True)
class Stage:
    """A size with its recipe.

    Attributes:
        shape: layers, heads, width and context are its own; family, vocabulary and tied embeddings those of what
            is carried over, so that every stage has the study's corpus.
        overrides: `recipe.FIELD=VALUE` of its trainings.
        networks: see `StageSpec`.
    """

    name: str
    shape: ModelShape
    overrides: tuple[str, ...]
    networks: int | float

    def architecture(self, a: Architecture) -> Architecture:
        """The same choices at this size, canonical.

        Raises:
            InvalidArchitectureError: they cannot be built at it.
        """
        own = replace(self.shape, family=a.family, vocab_size=a.vocab_size, tied_embeddings=a.tied_embeddings)
        return retarget(a, own)

    def candidate(self, compose: Callable[[Sequence[str]], Candidate], overrides: Sequence[str]) -> Candidate:
        """What trains a network here.

        Args:
            compose: from the study's overrides to a candidate.
            overrides: those of the network at the stages before; where this stage sets the same, it wins.
        """
        own = {_key(line) for line in self.overrides}
        proxy = compose([*(line for line in overrides if _key(line) not in own), *self.overrides])
        architecture = self.architecture(proxy.architecture)
        kept = {k: v for k, v in proxy.config.items() if k not in (*ARCHITECTURE_GROUPS, "architecture")}
        config = {**kept, "architecture": to_mapping(architecture)} if proxy.config else {}
        return replace(proxy, architecture=architecture, config=config)


def allowed(networks: int | float, before: int) -> int:
    """How many networks may go on, of those at the stage before: a number, or a share of them rounded up."""
    most = networks if isinstance(networks, int) else math.ceil(networks * before)
    return min(most, before)


def _key(line: str) -> str:
    return line.lstrip("+~").partition("=")[0]
