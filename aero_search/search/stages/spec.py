"""The sizes at which a search trains again what may be on its front: the group `search/stages`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aero_search.errors import RequestError

# The name of the size that the search itself trains at.
PROXY = "proxy"
_SETS = ("recipe.", "model.")
_MOST_NETWORKS = 10**6


@dataclass(frozen=True)
class StageSpec:
    """One size.

    Attributes:
        model: a file of conf/model/, whose sizes it has.
        networks: the most that go on to it beside the baseline: a number, or a share of those at the stage before.
        overrides: `recipe.FIELD=VALUE` of its trainings, `model.FIELD=VALUE` of its sizes.
        name: for people and `front stage=`; None is that of the model.
    """

    model: str
    networks: int | float
    overrides: tuple[str, ...] = ()
    name: str | None = None

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.model

    def violations(self, where: str) -> Iterator[str]:
        """What is wrong with it, each in a sentence.

        Args:
            where: its dotted name.
        """
        n = self.networks
        if isinstance(n, int) and not 1 <= n <= _MOST_NETWORKS:
            yield f"{where}.networks={n} must lie between 1 and {_MOST_NETWORKS:,}, or be a share such as 0.25"
        if isinstance(n, float) and not 0 < n <= 1:
            yield f"{where}.networks={n:g} is a share of the networks and must lie above 0 and at most at 1"
        for line in self.overrides:
            name, equals, _ = line.partition("=")
            if not name.startswith(_SETS) or not equals:
                yield f"{where}.overrides has {line}: write recipe.FIELD=VALUE or model.FIELD=VALUE"


@dataclass(frozen=True)
class StagesSpec:
    """conf/search/stages/*.yaml; see docs/stages.md.

    Attributes:
        name: of the list; `none` has no stages.
        sizes: from small to large.
    """

    name: str = "none"
    sizes: tuple[StageSpec, ...] = ()

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        for i, size in enumerate(self.sizes):
            yield from size.violations(f"search.stages.sizes[{i}]")
        names = Counter([PROXY, *(size.title for size in self.sizes)])
        for name, count in names.items():
            if count > 1:
                yield f"search.stages.sizes calls {count} sizes {name}: give each another name="
