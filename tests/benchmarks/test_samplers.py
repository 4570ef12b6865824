"""The comparison: what its tables say of replays that are known, and how it goes on after a stop."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.front.pareto import Reference
from aero_search.search.spec import RungsSpec, SamplerSpec
from benchmarks.boxes import FrontBox
from benchmarks.comparison import Contender, Yardstick, by_training, needed, report, targets
from benchmarks.curves import draw
from benchmarks.mo_asha import MoAsha
from benchmarks.samplers import CONTENDERS, Budget, Kept, search, searches
from benchmarks.simulator import Replay, simulate
from benchmarks.tasks import Synthetic

TASK = Synthetic()
WHOLE = Yardstick("the whole box", 1.0)


def run(
    hypervolumes: list[float], seconds: float, trained: list[int] | None = None, missed: int = 0
) -> Replay:
    """A replay whose trainings take so long each, on one worker."""
    count = len(hypervolumes)
    times = tuple(seconds * (i + 1) for i in range(count))
    numbers = tuple(trained or range(1, count + 1))
    values = tuple(hypervolumes)
    return Replay(numbers, values, (), times, times, lost=0, stopped=missed, missed=missed, ask=0.1)


def test_one_that_goes_on_counts_once() -> None:
    done = run([0.1, 0.1, 0.4], 1.0, trained=[1, 2, 2])
    assert by_training([done, run([0.2, 0.3, 0.5], 1.0)], WHOLE).tolist() == [
        [0.1, 0.4, 0.4],
        [0.2, 0.3, 0.5],
    ]
    assert by_training([run([0.4], 1.0)], Yardstick("", 0.5)).tolist() == [[0.8]]


def test_what_it_took_to_reach_a_hypervolume() -> None:
    done = run([0.1, 0.3, 0.3, 0.6], 10.0)
    assert needed(done.hypervolumes, 0.3, done.trained) == 2
    assert needed(done.hypervolumes, 0.31, done.spent) == 40.0
    assert math.isinf(needed(done.hypervolumes, 0.7, done.spent))


def test_the_front_s_box_is_filled_by_the_front_and_by_nothing_far_from_it() -> None:
    scale = Reference(math.e**4, {"latency_s": 10.0})
    rows = [[math.exp(2.0), 3.0], [math.exp(1.0), 5.0], [math.exp(3.0), 8.0]]
    box = FrontBox.of(rows, scale)
    # Two points on the border of a box of 1.1 by 1.1, each with a tenth of the range to spare.
    assert box.hypervolume(rows) == pytest.approx((1.1 * 0.1 + 0.1) / 1.1**2)
    assert box.hypervolume(rows[2:]) == 0.0 == box.hypervolume([])
    assert box.hypervolume([*rows, [math.exp(1.0), 3.0]]) == pytest.approx(1.0)
    assert FrontBox.of(rows[:1], scale).hypervolume(rows[:1]) > 0


def test_the_targets_are_shares_of_the_best_other() -> None:
    contenders = [
        Contender("random", "random", SamplerSpec("random")),
        Contender("tpe", "TPE", SamplerSpec("tpe")),
        Contender("known_cost", "ours", SamplerSpec("known_cost")),
        Contender("known_cost+rungs", "ours, rungs", SamplerSpec("known_cost"), RungsSpec("dominance")),
    ]
    runs = {
        "random": [run([0.0] * 11 + [1.0], 10.0)],
        "tpe": [run([0.0] * 7 + [1.0], 10.0)],
        "known_cost": [run([0.0, 1.0], 10.0)],
        "known_cost+rungs": [run([0.0, 1.0], 6.0, missed=1)],
    }
    told = targets(contenders, runs, WHOLE)
    assert told[0].endswith("known_cost 2, best other TPE 8: a share of 0.25 (0.25 to 0.25) (target 0.50)")
    assert told[1].endswith(
        "known_cost+rungs 12, best other TPE 80: a share of 0.15 (0.15 to 0.15) (target 0.33)"
    )
    text = report(TASK, contenders, runs, 1)
    assert "ours, rungs                0.0      1.0    1.00           0%" in text
    assert ">80" not in text
    nowhere = targets(contenders, {**runs, "known_cost": [run([0.5], 1.0)]}, WHOLE)
    assert nowhere[0] == "trainings to 95 %: known_cost does not reach it (target 0.50)"


def test_a_share_s_interval_is_that_of_the_seeds() -> None:
    rng = np.random.default_rng(0)
    contenders = [
        Contender("random", "random", SamplerSpec("random")),
        Contender("known_cost", "ours", SamplerSpec("known_cost")),
    ]
    ends = {"random": rng.integers(30, 50, 200), "known_cost": rng.integers(10, 20, 200)}
    runs = {name: [run([0.0] * (n - 1) + [1.0], 1.0) for n in took] for name, took in ends.items()}
    share = np.median(ends["known_cost"]) / np.median(ends["random"])

    def interval(seeds: int) -> tuple[float, float]:
        few = {name: done[:seeds] for name, done in runs.items()}
        low, high = targets(contenders, few, WHOLE)[0].split("(")[1].strip(") ").split(" to ")
        return float(low), float(high)

    low, high = interval(200)
    assert low <= share <= high
    assert 0 < high - low < interval(10)[1] - interval(10)[0]


def test_kept_searches_survive_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    first, second = run([0.1], 1.0), run([0.2], 1.0)
    Kept(path).add("first", first)
    with path.open("a") as file:
        file.write('{"search": "torn", "trai')
    Kept(path).add("second", second)
    kept = Kept(path)
    assert (kept.get("first"), kept.get("second"), kept.get("torn")) == (first, second, None)


def test_a_comparison_goes_on_where_its_time_was_up(tmp_path: Path) -> None:
    contenders = [c for c in CONTENDERS if c.name in ("random", "tpe+rungs")]
    budget = Budget(trials=4, cheap_trials=6, seeds=2, slow_seeds=1, workers=2)
    path = tmp_path / "kept.jsonl"
    nothing = searches(TASK, contenders, budget, Kept(path), until=0.0)
    assert nothing == {"random": [], "tpe+rungs": []}
    done = searches(TASK, contenders, budget, Kept(path), until=math.inf)
    assert {name: len(found) for name, found in done.items()} == {"random": 2, "tpe+rungs": 2}
    assert searches(TASK, contenders, budget, Kept(path), until=0.0) == done
    draw(TASK, contenders, done, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_contenders_search_as_the_product_does() -> None:
    by_name = {contender.name: contender for contender in CONTENDERS}
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        for name in ("random", "nsga2", "tpe", "gp", "known_cost"):
            search = read_request(compose("config", overrides=[f"search/sampler={name}"])).search
            assert by_name[name].sampler == search.sampler
        for name in ("asha", "dominance"):
            search = read_request(compose("config", overrides=[f"search/rungs={name}"])).search
            assert by_name[f"known_cost+{name.replace('dominance', 'rungs')}"].rungs == search.rungs


def test_names_are_one_each_and_every_contender_searches() -> None:
    assert len({c.name for c in CONTENDERS}) == len(CONTENDERS)
    for contender in CONTENDERS:
        if contender.sampler is not None and not contender.slow:
            done = search(TASK, contender, seed=1, trials=7, workers=2)
            assert done.trained[-1] == 7
            assert list(done.hypervolumes) == sorted(done.hypervolumes)
            assert list(done.wall) == sorted(done.wall)


def test_mo_asha_halves_and_repeats_itself() -> None:
    pytest.importorskip("syne_tune")
    done = [simulate(TASK, MoAsha(TASK, 3, 40, 6), 3, 2) for _ in range(2)]
    assert done[0].hypervolumes == done[1].hypervolumes
    assert done[0].trained == tuple(range(1, 41))
    # The best third goes on at each of two rungs.
    assert 20 < done[0].stopped < 36
    assert np.all(np.diff(done[0].hypervolumes) >= 0)
