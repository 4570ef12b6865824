"""A candidate's whole configuration put together from parts, against Hydra composing it: processor time of each.

Networks are drawn from the default space; both ways compose the same overrides, in turn. A worker composes once for
every candidate that it asks for, while it holds the study's lock.

    python -m benchmarks.composition [--rounds 20] [--output benchmarks/results/composition.txt]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.app.sweeper import Compose
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.search.known_cost.draws import draw
from benchmarks.interleaved import Loop, take_turns, times_as_fast
from benchmarks.write_report import processor, say

SPACE = "aero"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        master = compose("search", [f"space={SPACE}"], return_hydra_config=True)
        build = Compose(GlobalHydra.instance().config_loader(), master, (f"space={SPACE}",), "")
        space, rng = (
            read_request(compose("search", [f"space={SPACE}"])).load_space(),
            np.random.default_rng(0),
        )
        drawn = [space.overrides(draw(space, rng)) for _ in range(arguments.rounds)]
        build(drawn[0])
        parts, hydra = itertools.cycle(drawn), itertools.cycle(drawn)
        seconds = take_turns(
            {
                "from parts": Loop(lambda: build(next(parts)) and None),
                "by Hydra": Loop(lambda: build.by_hydra(next(hydra)) and None),
            },
            arguments.rounds,
            1,
        )
    lines = [f"{name:<10} {1e3 * statistics.median(taken):>8.1f} ms" for name, taken in seconds.items()]
    ratio = times_as_fast(seconds["from parts"], seconds["by Hydra"])
    head = (
        f"{processor()}; space={SPACE}, {arguments.rounds} rounds of one candidate, medians of processor time"
    )
    text = "\n".join([head, "", *lines, "", f"times as fast: {ratio}"])
    say(text + "\n", arguments.output, "python -m benchmarks.composition")


if __name__ == "__main__":
    main()
