"""Other Hydra applications under `hydra/sweeper=aero_search`: run, resumed with more trials, refused, failed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "branin"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, away from the checkout."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "app"))


def run(example: Path, script: str, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=example,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def trials(example: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{example}/outputs/optuna.db").trials


def test_one_worker_runs_and_goes_on_with_more_trials(example: Path) -> None:
    few = ["--multirun", "hydra.sweeper.workers=1", "hydra.sweeper.n_startup=3"]
    out = run(example, "branin.py", *few, "hydra.sweeper.n_trials=4")
    assert out.count("  ->  ") == 4
    before = trials(example, "branin")
    assert [t.number for t in before] == [0, 1, 2, 3]
    out = run(example, "branin.py", *few, "hydra.sweeper.n_trials=6")
    # Only the two new ones are called, in folders that go on with their numbers.
    assert out.count("  ->  ") == 2
    after = trials(example, "branin")
    assert len(after) == 6
    assert [(t.params, t.values, t.datetime_complete) for t in after[:4]] == [
        (t.params, t.values, t.datetime_complete) for t in before
    ]
    folders = {path.parent.parent.name for path in example.glob("multirun/**/.hydra/config.yaml")}
    assert folders == {"0", "1", "2", "3", "4", "5"}
    results = yaml.safe_load((example / "outputs/studies/branin/optimization_results.yaml").read_text())
    assert results["best_evaluated_value"] == min(t.values[0] for t in after)
    best = min(after, key=lambda t: t.values[0])
    assert {k: float(v) for k, v in results["best_evaluated_params"].items()} == best.params
    # The study keeps to what it was made with.
    out = run(example, "branin.py", *few, "x=interval(0,1)", code=1)
    assert "study branin was made with params.x=" in out


def test_a_failing_call_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import hydra\n"
        "@hydra.main(version_base='1.3', config_path='.', config_name='app')\n"
        "def app(cfg):\n"
        "    if cfg.x == 1:\n"
        "        raise ValueError('x is 1')\n"
        "    return float('nan') if cfg.x == 2 else cfg.x\n"
        "app()\n"
    )
    (tmp_path / "app.yaml").write_text(
        "defaults:\n  - override hydra/sweeper: aero_search\nx: 0\n"
        "hydra:\n  sweeper: {n_trials: 12, sampler: random, params: {x: [0, 1, 2, 3]}}\n"
    )
    out = run(tmp_path, "app.py", "--multirun")
    told = trials(tmp_path, "app")
    assert len(told) == 12
    reasons = {t.params["x"]: t.user_attrs.get("reason") for t in told}
    assert reasons[0] is None
    assert reasons[1] == "ValueError: x is 1"
    assert reasons[2] == "the function returned nan: not a number"
    assert all(t.values == [float(t.params["x"])] for t in told if t.params["x"] in (0, 3))
    assert "go on: the same command with a larger hydra.sweeper.n_trials" in out


@pytest.mark.slow
def test_two_workers_and_two_directions(example: Path) -> None:
    out = run(example, "branin_currin.py", "--multirun", "hydra.sweeper.n_trials=12")
    assert out.count("  ->  ") == 12
    told = trials(example, "branin_currin")
    assert len(told) == 12
    assert len({t.user_attrs["worker"] for t in told}) == 2
    results = yaml.safe_load(
        (example / "outputs/studies/branin_currin/optimization_results.yaml").read_text()
    )
    values = [s["values"] for s in results["solutions"]]
    assert values
    for branin, currin in values:
        assert not any(b < branin and c > currin for b, c in (t.values for t in told))
    run(example, "branin_currin.py", "--multirun", "hydra.sweeper.n_trials=15")
    assert [t.number for t in trials(example, "branin_currin")] == list(range(15))
