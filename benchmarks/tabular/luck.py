"""How much of the table is luck: what a second seed changes, beside what separates the better half of the networks.

python -m benchmarks.tabular.luck [--output FILE]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aero_search.front.pareto import nondominated
from benchmarks.table import FOLDER, Table
from benchmarks.tabular.rows import ROWS_FILE, Row, read_rows
from benchmarks.write_report import say


def report(rows: Sequence[Row], front: int) -> str:
    """The figures, as text; of trainings that finished.

    Args:
        front: how many networks are on the table's front.
    """
    seeds: dict[tuple[str, ...], dict[int, float]] = {}
    for row in rows:
        if row.verdict == "finished" and row.perplexity is not None:
            seeds.setdefault(row.overrides, {})[row.seed] = math.log(row.perplexity)
    pairs = np.array([(known[0], known[1]) for known in seeds.values() if {0, 1} <= known.keys()])
    first = np.sort([known[0] for known in seeds.values() if 0 in known])
    better = first[: len(first) // 2]
    below = pairs[:, 0] <= better[-1]
    return (
        f"{len(first)} networks, {front} on the front, {len(pairs)} with a second seed\n"
        f"{_half('better', pairs[below], better)}{_half('worse', pairs[~below], first[len(better) :])}"
        "scatter: standard deviation of log perplexity, of one seed around its network, and of the first seed\n"
        "over the networks, luck included; halves by the first seed\n"
    )


def _half(name: str, pairs: npt.NDArray[np.float64], first: npt.NDArray[np.float64]) -> str:
    apart = np.abs(pairs[:, 0] - pairs[:, 1])
    return (
        f"the {name} half, perplexity {math.exp(first[0]):.2f} to {math.exp(first[-1]):.2f}, {len(pairs)} pairs: "
        f"two seeds differ by {np.median(apart):.1%} (median), a seed scatters by "
        f"{math.sqrt(np.mean(apart**2) / 2):.1%}, the networks by {np.std(first):.1%}, "
        f"correlation of the two seeds {np.corrcoef(pairs.T)[0, 1]:.2f}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = Table()
    front = int(nondominated(table.reference.scaled(table.front_rows)).sum())
    say(report(read_rows(FOLDER / ROWS_FILE), front), options.output, "python -m benchmarks.tabular.luck")


if __name__ == "__main__":
    main()
