"""When a training may be stopped before its end: the group `search/rungs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aero_search.errors import RequestError


@dataclass(frozen=True)
class RungsSpec:
    """A rule for stopping; see docs/rungs.md.

    Attributes:
        name: `none` trains every candidate to its end.
        first: share of a training's steps before which the rule stops nothing.
        chance: of `dominance`: the chance to end below a rival, under which a candidate stops.
        eta: of `asha`: one in so many goes on at a rung, and rungs lie this factor apart.
    """

    name: Literal["none", "asha", "dominance"] = "none"
    first: float = 1 / 3
    chance: float = 0.02
    eta: float = 2.0

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        if not 0 < self.first < 1:
            yield f"search.rungs.first={self.first:g} must lie above 0 and below 1: a share of the steps"
        if not 0 < self.chance < 0.5:
            yield f"search.rungs.chance={self.chance:g} must lie above 0 and below 0.5"
        if not self.eta > 1:
            yield f"search.rungs.eta={self.eta:g} must be above 1"
