"""How much of the table is luck: what a second seed changes, beside what separates the better half of the networks.

python -m benchmarks.tabular.luck [--output FILE]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aero_search.search.pareto import nondominated
from benchmarks.say import say
from benchmarks.table import FOLDER, Table
from benchmarks.tabular.rows import ROWS_FILE, Row, read_rows


def report(rows: Sequence[Row], front: int) -> str:
    """The figures, as text; of trainings that finished.

    Args:
        front: how many networks are on the table's front.
    """
    seeds: dict[tuple[str, ...], dict[int, float]] = {}
    for row in rows:
        if row.verdict == "finished" and row.perplexity is not None:
            seeds.setdefault(row.overrides, {})[row.seed] = math.log(row.perplexity)
    pairs = np.array([known[0] - known[1] for known in seeds.values() if {0, 1} <= known.keys()])
    first = np.sort([known[0] for known in seeds.values() if 0 in known])
    better = first[: len(first) // 2]
    return (
        f"{len(first)} networks, {front} on the front, {len(pairs)} with a second seed\n"
        f"two seeds of one network differ by {np.median(np.abs(pairs)):.1%} (median), "
        f"{np.quantile(np.abs(pairs), 0.9):.1%} (nine of ten are below)\n"
        f"one seed scatters by {math.sqrt(np.mean(pairs**2) / 2):.1%} (standard deviation of log perplexity)\n"
        f"the better half of the networks, {math.exp(better[0]):.2f} to {math.exp(better[-1]):.2f}, "
        f"scatters by {np.std(better):.1%}, luck included\n"
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
