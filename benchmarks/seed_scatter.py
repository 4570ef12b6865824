"""How far a seed moves log perplexity under the default recipe, and how much of that all networks have in common.

    python -m benchmarks.seed_scatter [--output benchmarks/results/seed_scatter.txt]

Log perplexity of network i under seed s is m_i + b_s + e_is, with variance b of what a seed does to every network
and e of what it does to one: a two-way layout without repetitions, by analysis of variance (Searle, Casella and
McCulloch, Variance Components, 1992, chapter 4). With n networks and k seeds, MS_s the mean square of seeds (n
times the variance of their means) and MS_e that of what is left,

    e = MS_e,   b = max(0, (MS_s - MS_e) / n),   common share = b / (b + e),

and the pooled variance of n (k - 1) deviations from the networks' means has the effective degrees of freedom of
`effective_freedom`. The known scatter that every study starts from (aero_search/front/seed_scatter.py) is that of
the networks of both fronts of `against_aero` under three seeds that nothing had been chosen by, its degrees rounded
down. The pairs of `recipes` are shown beside it and are no part of it: their first seed has chosen the recipe, and
the default search has the same seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, fdtrc

from aero_search.front.seed_scatter import effective_freedom
from benchmarks import against_aero, recipes
from benchmarks.tabular.rows import Row, read_rows
from benchmarks.write_report import say

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoWay:
    """Networks under the same seeds.

    Attributes:
        logs: of perplexity, (networks, seeds).
        names: of the networks.
    """

    logs: Array
    names: tuple[str, ...]

    @property
    def deviations(self) -> Array:
        """From each network's mean."""
        return self.logs - self.logs.mean(axis=1, keepdims=True)

    @property
    def spread(self) -> float:
        """Standard deviation of one seed, pooled."""
        networks, seeds = self.logs.shape
        return math.sqrt(float((self.deviations**2).sum()) / (networks * (seeds - 1)))

    @property
    def squares(self) -> tuple[float, float]:
        """MS_s and MS_e."""
        networks, seeds = self.logs.shape
        shared = self.deviations.mean(axis=0)
        left = float(((self.deviations - shared) ** 2).sum()) / ((networks - 1) * (seeds - 1))
        return networks * float((shared**2).sum()) / (seeds - 1), left

    @property
    def common(self) -> float:
        """Share of a seed's variance that is the same for all networks."""
        of_seeds, left = self.squares
        shared = max(0.0, (of_seeds - left) / len(self.logs))
        return shared / (shared + left)

    @property
    def chance(self) -> float:
        """Of MS_s / MS_e as large as this where nothing is common (F test)."""
        networks, seeds = self.logs.shape
        of_seeds, left = self.squares
        return float(fdtrc(seeds - 1, (networks - 1) * (seeds - 1), of_seeds / left))

    @property
    def freedom(self) -> float:
        """Effective degrees of freedom of the pooled variance."""
        networks, seeds = self.logs.shape
        return effective_freedom([seeds] * networks, self.common)


def two_way(rows: Sequence[Row], seeds: Sequence[int]) -> TwoWay:
    """The networks that have all of these seeds."""
    found: dict[tuple[str, ...], dict[int, Row]] = {}
    for row in rows:
        if row.verdict == "finished":
            network = tuple(o for o in row.overrides if not o.startswith("recipe.seed="))
            found.setdefault(network, {})[row.seed] = row
    whole = [known for known in found.values() if set(seeds) <= known.keys()]
    return TwoWay(
        np.log([[known[seed].perplexity or math.nan for seed in seeds] for known in whole]),
        tuple(known[seeds[0]].notation for known in whole),
    )


def fresh() -> TwoWay:
    """Of both fronts under the seeds that neither side had seen, at the proxy's size."""
    rows = [row for row in read_rows(against_aero.ROWS) if row.overrides[0] not in against_aero.LARGER]
    return two_way(rows, against_aero.FRESH)


def measured() -> Mapping[str, TwoWay]:
    """By where they are from: what is known, and the pairs beside it."""
    batch = "recipe.batch_size=8"
    rows = [
        row
        for row in read_rows(recipes.ROWS)
        if batch in row.overrides and "recipe.lr=0.008" in row.overrides
    ]
    return {
        "both fronts of against_aero.py, three fresh seeds": fresh(),
        "recipes.py, default recipe and rate, seeds 0 and 1": two_way(rows, recipes.SEEDS),
    }


def report(tables: Mapping[str, TwoWay]) -> str:
    """Every deviation, and what is made of them."""
    parts = []
    for title, table in tables.items():
        networks, seeds = table.logs.shape
        pairs = networks * (seeds - 1)
        of_seeds, left = table.squares
        ends = [table.spread * math.sqrt(table.freedom / chdtri(table.freedom, p)) for p in (0.025, 0.975)]
        parts += [
            f"{title}: {networks} networks, deviations from each one's mean, %",
            *(
                f"  {name:28}" + "".join(f"{100 * value:+8.2f}" for value in row)
                for name, row in zip(table.names, table.deviations, strict=True)
            ),
            f"  {'mean':28}" + "".join(f"{100 * value:+8.2f}" for value in table.deviations.mean(axis=0)),
            f"  one seed scatters by {100 * table.spread:.2f} %, 95 % interval {100 * ends[0]:.2f} to "
            f"{100 * ends[1]:.2f} %; {pairs} deviations worth {table.freedom:.1f} degrees of freedom",
            f"  common to all networks: {table.common:.2f} of the variance (F = {of_seeds / left:.2f}, "
            f"chance {table.chance:.2f})",
            "",
        ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    say(report(measured()), parser.parse_args().output, "python -m benchmarks.seed_scatter")


if __name__ == "__main__":
    main()
