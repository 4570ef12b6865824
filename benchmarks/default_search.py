"""The default search, really trained, with several samplers: the same budget, one after another on a quiet machine.

Each is `aero-search search` with its own settings; one that was stopped goes on, and what it took before counts.
Every front has its hypervolume in the study's box and in the box of all fronts together, and its time.

    python -m benchmarks.default_search [--folder outputs/benchmarks/default_search] [--trials 16] [--output FILE]
        [OVERRIDE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aero_search.front.pareto import Reference
from benchmarks.boxes import FrontBox
from benchmarks.write_report import say

SEARCHES = {
    "tpe": ("search/sampler=tpe", "search/rungs=none"),
    "known_cost": ("search/sampler=known_cost", "search/rungs=none"),
    "known_cost+rungs": ("search/sampler=known_cost", "search/rungs=dominance"),
}


@dataclass(frozen=True)
class Done:
    """A search that has used its budget.

    Attributes:
        wall: seconds, the stops left out.
        document: what `aero-search front format=json` says.
    """

    name: str
    wall: float
    document: dict[str, Any]

    @property
    def rows(self) -> list[list[float]]:
        """The metrics of the front."""
        return [[point[m] for m in self.document["metrics"]] for point in self.document["front"]]

    @property
    def candidates(self) -> list[dict[str, Any]]:
        kinds = ("front", "dominated", "stopped", "diverged")
        return [point for kind in kinds for point in self.document[kind]]

    @property
    def trained(self) -> float:
        """Training seconds of all candidates."""
        return sum(point["seconds"] or 0.0 for point in self.candidates)


def search(name: str, folder: Path, trials: int, overrides: Sequence[str]) -> Done:
    """Search, or go on, and read the front; one that has ended with the same settings is only read."""
    study = name.replace("+", "_")
    own = [f"study.name={study}", f"output_dir={folder}"]
    clock, found = folder / f"{study}.seconds", folder / f"{study}.json"
    asked = [trials, *overrides]
    if found.exists() and (said := json.loads(found.read_text()))["asked"] == asked:
        return Done(name, float(clock.read_text()), said["front"])
    before = float(clock.read_text()) if clock.exists() else 0.0
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "aero_search", "search", *own, f"search.n_trials={trials}"]
    try:
        subprocess.run([*command, *SEARCHES[name], *overrides], check=True)
    finally:
        clock.write_text(str(before + time.monotonic() - began))
    front = [sys.executable, "-m", "aero_search", "front", f"study={study}", own[1], "format=json"]
    told = json.loads(subprocess.run(front, check=True, capture_output=True, text=True).stdout)
    # Whole or not at all, and with what was asked, so that it is never taken for another search's.
    partial = found.with_suffix(".partial")
    partial.write_text(json.dumps({"asked": asked, "front": told}))
    partial.replace(found)
    return Done(name, float(clock.read_text()), told)


def report(searches: Sequence[Done]) -> str:
    """The tables."""
    said = searches[0].document["reference"]
    box = FrontBox.of(
        [row for done in searches for row in done.rows], Reference(said["perplexity"], said["costs"])
    )
    first = searches[0]
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "",
        f"{'':20}{'candidates':>11}{'stopped':>9}{'lost':>6}{'front':>7}{'hypervolume':>13}{'in fronts':>11}"
        f"{'training s':>12}{'wall s':>8}{'of first':>10}",
    ]
    for done in searches:
        document = done.document
        lines.append(
            f"{done.name:20}{len(done.candidates):>11}{len(document['stopped']):>9}"
            f"{len(document['diverged']):>6}{len(document['front']):>7}{document['hypervolume']:>13.4f}"
            f"{box.hypervolume(done.rows):>11.3f}{done.trained:>12.0f}{done.wall:>8.0f}"
            f"{done.wall / first.wall:>10.2f}"
        )
    lines += [
        "",
        "hypervolume: share of the study's box; in fronts: share of the box that all these fronts together span;",
        "lost: diverged; one seed each, so differences under 2 % of perplexity are ties",
    ]
    for done in searches:
        lines += ["", f"the front of {done.name}"]
        for point in sorted(done.document["front"], key=lambda p: p["latency_s"]):
            lines.append(
                f"  #{point['trial']:<4}{point['perplexity']:>7.2f}{point['latency_s']:>8.2f} s"
                f"{point['flops'] / 1e6:>7.1f} M  {point['notation']}, lr {point['lr']:g}"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmarks/default_search"))
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--output", type=Path)
    options, overrides = parser.parse_known_args()
    names = options.only.split(",") if options.only else list(SEARCHES)
    searches = [search(name, options.folder.resolve(), options.trials, overrides) for name in names]
    say(report(searches), options.output, "python -m benchmarks.default_search")


if __name__ == "__main__":
    main()
