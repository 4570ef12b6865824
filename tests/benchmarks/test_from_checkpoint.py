"""A search from a checkpoint against one from scratch, on fronts whose answers are known, and once for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from aero_search.api.training import train_request
from aero_search.config.compose import compose_request
from benchmarks import from_checkpoint as bench


def known() -> bench.Found:
    """One network a side at half of each cost; log perplexity 1/2 and 1/4 of log 100."""
    seeds = [str(seed) for seed in bench.FRESH]
    found = bench.Found(100.0, {"latency_s": 10.0, "flops": 1e8})
    found.sides[bench.SCRATCH].points = [
        bench.Point("SM + R", ("norm=none",), (5.5, 0.55e8), 10.0, dict.fromkeys(seeds, 10.0))
    ]
    found.sides[bench.CHECKPOINT].points = [
        bench.Point("SM + R", ("norm=none",), (5.5, 0.55e8), 3.2, dict.fromkeys(seeds, 10.0**0.5))
    ]
    return found


def test_ratios_in_closed_form() -> None:
    found = known()
    assert bench.ratios(found, own_box=False) == pytest.approx([1.5] * 3)
    assert bench.ratios(found, own_box=True) == pytest.approx([11.0] * 3)
    assert "1.500 (1.500 to 1.500, 3 seeds)" in bench.report(found)
    # A seed that not every network has is no comparison; one that diverged is a network less.
    del found.sides[bench.SCRATCH].points[0].fresh["102"]
    found.sides[bench.CHECKPOINT].points[0].fresh["101"] = None
    assert bench.ratios(found, own_box=False) == pytest.approx([0.0, 1.5])
    assert "diverged" in bench.report(found)


def test_what_was_found_is_read_back(tmp_path: Path) -> None:
    found = known()
    found.write(tmp_path / "found.json")
    assert bench.Found.read(tmp_path / "found.json") == found
    assert bench.Found.read(tmp_path / "nothing.json") == bench.Found()


@pytest.mark.slow
def test_both_sides_are_really_searched(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TRIALS": 1,
        "_STEP": 1,
        "RECOVERY": ("recipe.steps=4", "distill.weight=0.5"),
        "FRESH": (101,),
    }.items():
        monkeypatch.setattr(bench, name, value)
    base = tuple(o for o in tiny if not o.startswith("search.confirm"))
    said = [*base, "recipe.steps=20", "tracking=none", f"output_dir={tmp_path}"]
    teacher = train_request(compose_request("train", {}, said)).folder
    monkeypatch.setattr(bench, "train_teacher", lambda folder, base: teacher)
    found, path = bench.Found(), tmp_path / "found.json"
    bench.train(found, path, tmp_path, base, only=2)
    assert bench.Found.read(path).sides[bench.SCRATCH].trials == 1
    found = bench.Found.read(path)
    bench.train(found, path, tmp_path, base)
    scratch, checkpoint = (found.sides[name] for name in (bench.SCRATCH, bench.CHECKPOINT))
    assert scratch.trials == 1
    assert checkpoint.spent >= scratch.spent > 0
    assert scratch.points
    assert checkpoint.points
    assert all(p.fresh["101"] for side in found.sides.values() for p in side.points)
