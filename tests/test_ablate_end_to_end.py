"""A real ladder of tiny models: killed, resumed, printed in every format."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LADDER = """
name: mine
description: Two variants, with and without temperatures.
source: nowhere
lr: [1e-2, 3e-2]
seeds: [0, 1]
rows:
  SM + LN + R: {overrides: [variant=sm_ln_r], published: 10}
  SM + ScFuFFN: {overrides: [variant=sm_scfuffn], published: diverged}
"""
CROSSED = (
    LADDER.replace("mine", "crossed").replace("lr: [1e-2, 3e-2]", "lr: [3e-2]")
    + """
confirm: best
cross:
  t:
    none: [attention.temperature=none]
    "0.1": [attention.temperature=learned]
  weight:
    "0": [regularizer.weight=0]
    "0.02": [regularizer.weight=0.02]
"""
)


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "aero_search", "ablate", "--config-dir", str(folder / "conf"), *arguments]


def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(folder, *arguments), cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablate")
    (folder / "conf" / "ladder").mkdir(parents=True)
    (folder / "conf" / "ladder" / "mine.yaml").write_text(LADDER)
    (folder / "conf" / "ladder" / "crossed.yaml").write_text(CROSSED)
    broken = LADDER.replace("[variant=sm_ln_r]", "[variant=sm_ln_r, ffn.layers=99]").replace(
        "SM + LN + R", "SM + R"
    )
    (folder / "conf" / "ladder" / "broken.yaml").write_text(broken)
    return folder


def results(folder: Path, study: str) -> list[Path]:
    return sorted((folder / "outputs" / "studies" / study).glob("candidates/*/result.json"))


def test_a_killed_ladder_goes_on_where_it_stopped(folder: Path, tiny: list[str]) -> None:
    first = subprocess.Popen(
        command(folder, "ladder=mine", *tiny),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while not results(folder, "ladder-mine") and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = {path: path.stat().st_mtime_ns for path in results(folder, "ladder-mine")}
    assert before
    said = run(folder, "ladder=mine", *tiny).stdout
    after = {path: path.stat().st_mtime_ns for path in results(folder, "ladder-mine")}
    # Two rows at two rates with the first seed, and each at its best rate with the second.
    assert len(after) == 6
    assert all(after[path] == written for path, written in before.items())
    assert "SM + ScFuFFN" in said
    study = folder / "outputs" / "studies" / "ladder-mine"
    assert {p.name for p in study.glob("ladder.*")} == {f"ladder.{k}" for k in ("csv", "json", "md", "tex")}
    for name in ("entropy_heads", "entropy_layers", "curves"):
        assert (study / f"{name}.png").stat().st_size > 1000
    rows = list(csv.DictReader((study / "ladder.csv").open()))
    document = json.loads((study / "ladder.json").read_text())
    assert [float(row["perplexity"]) for row in rows] == [row["perplexity"] for row in document["rows"]]
    for row in document["rows"]:
        runs = [t for t in document["trainings"][row["row"]] if t["lr"] == row["lr"]]
        assert row["perplexity"] == pytest.approx(sum(t["perplexity"] for t in runs) / 2)
        assert {t["seed"] for t in runs} == {0, 1}


def test_a_finished_ladder_is_printed_again_without_training(folder: Path, tiny: list[str]) -> None:
    before = results(folder, "ladder-mine")
    document = json.loads(run(folder, "ladder=mine", "format=json", *tiny).stdout)
    assert results(folder, "ladder-mine") == before
    assert len(document["rows"]) == 2


def test_a_ladder_may_grow_by_a_seed(folder: Path, tiny: list[str]) -> None:
    run(folder, "ladder=mine", "ladder.seeds=[0,1,2]", *tiny)
    assert len(results(folder, "ladder-mine")) == 8


def test_crossed_factors_tell_their_gains_apart(folder: Path, tiny: list[str]) -> None:
    said = " ".join(run(folder, "ladder=crossed", *tiny).stdout.split())
    assert "best t alone" in said
    assert "weight alone" in said
    assert "SM + ScFuFFN: perplexity" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["norm=none,layernorm"], "ablate takes no sweep such as norm=none,layernorm"),
        (["ladder.seeds=[]"], "ladder.seeds=[] must hold at least one value"),
        (["ladder=nonlinarity"], "nonlinearity"),
        (["ladder=broken"], "ladder row SM + R: ffn.layers=99"),
    ],
)
def test_wrong_requests_are_told_in_one_sentence(
    folder: Path, tiny: list[str], arguments: list[str], sentence: str
) -> None:
    done = run(folder, *tiny, *arguments, code=2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
