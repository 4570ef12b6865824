"""The default search with several samplers: what its table says, and a small one really run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.default_search import Done, report, search


def point(trial: int, perplexity: float, latency_s: float, flops: float) -> dict[str, Any]:
    return {
        "trial": trial,
        "perplexity": perplexity,
        "latency_s": latency_s,
        "flops": flops,
        "seconds": 60.0,
        "notation": f"network {trial}",
        "lr": 0.004,
    }


def done(name: str, wall: float, front: list[dict[str, Any]], stopped: int) -> Done:
    costs = {"latency_s": 10.0, "flops": 80e6}
    return Done(
        name,
        wall,
        {
            "metrics": ["perplexity", "latency_s", "flops"],
            "reference": {"perplexity": 400.0, "costs": costs},
            "hypervolume": 0.07,
            "front": front,
            "dominated": [],
            "stopped": [point(10 + i, 90.0, 9.0, 70e6) for i in range(stopped)],
            "diverged": [],
        },
    )


def test_the_table_has_each_search_s_time_as_a_share_of_the_first() -> None:
    best = [point(1, 42.0, 9.0, 70e6), point(2, 50.0, 6.0, 50e6)]
    text = report([done("tpe", 700.0, best[:1], 0), done("known_cost+rungs", 350.0, best, 2)])
    assert "known_cost+rungs              4        2     0      2       0.0700" in text
    assert "240     350      0.50" in text
    # The cheapest first.
    assert text.index("  #2     50.00    6.00 s   50.0 M  network 2, lr 0.004") < text.rindex("  #1  ")
    first, second = (line.split() for line in text.splitlines() if line.startswith(("tpe", "known_cost+")))
    assert float(first[6]) < float(second[6]), "the second front holds the first"


@pytest.mark.slow
def test_a_search_is_made_once(tmp_path: Path, tiny: Sequence[str]) -> None:
    overrides = [*tiny, "tracking=none"]
    first = search("known_cost+rungs", tmp_path, 3, overrides)
    assert len(first.candidates) == 3
    assert first.wall > first.trained / 2 > 0
    again = search("known_cost+rungs", tmp_path, 3, overrides)
    assert again == first
    more = search("known_cost+rungs", tmp_path, 4, overrides)
    assert len(more.candidates) == 4
    assert more.wall > first.wall
