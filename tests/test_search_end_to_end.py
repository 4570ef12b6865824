"""Real searches of tiny models: resumed, killed, repeated, swept, exported, re-priced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from aero_search.architecture import Architecture, notation
from aero_search.schema import from_mapping

pytestmark = pytest.mark.slow


def aero(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a command in a process of its own, in `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout


def front(folder: Path, study: str, *overrides: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(aero(folder, "front", f"study={study}", "format=json", *overrides))
    return document


def trained(document: dict[str, Any]) -> dict[str, Any]:
    """Every candidate of a study by identity."""
    return {entry["key"]: entry for kind in ("front", "dominated", "diverged") for entry in document[kind]}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A folder with a finished study `one` of five candidates, made by one worker."""
    folder = tmp_path_factory.mktemp("studied")
    aero(folder, "search", "study.name=one", "search.n_trials=5", "search.workers=1", *tiny)
    return folder


def test_a_search_leaves_a_front_and_its_pictures(studied: Path) -> None:
    document = front(studied, "one")
    assert len(trained(document)) == 5
    assert document["front"]
    assert 0 < document["hypervolume"] < 1
    study = studied / "outputs" / "studies" / "one"
    assert all((study / f"front.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))
    for entry in trained(document).values():
        files = {path.name for path in (studied / entry["folder"]).iterdir()}
        assert {"candidate.yaml", "architecture.yaml", "result.json", "weights.safetensors"} <= files
    assert not list((study / "workers").iterdir())


def test_the_same_command_again_trains_nothing_and_a_raised_budget_goes_on(
    studied: Path, tiny: list[str]
) -> None:
    before = trained(front(studied, "one"))
    results = {
        key: (studied / entry["folder"] / "result.json").stat().st_mtime_ns for key, entry in before.items()
    }
    out = aero(studied, "search", "study.name=one", "search.n_trials=5", "search.workers=1", *tiny)
    assert "5 trained" in out
    aero(studied, "search", "study.name=one", "search.n_trials=6", "search.workers=1", *tiny)
    after = trained(front(studied, "one"))
    assert len(after) == 6
    for key, written in results.items():
        assert (studied / after[key]["folder"] / "result.json").stat().st_mtime_ns == written


def test_the_same_seed_gives_the_same_perplexities_to_the_last_digit(
    studied: Path, tmp_path: Path, tiny: list[str]
) -> None:
    aero(tmp_path, "search", "study.name=two", "search.n_trials=5", "search.workers=1", *tiny)
    again, first = trained(front(tmp_path, "two")), trained(front(studied, "one"))
    assert len(again) == 5
    for key, entry in again.items():
        assert entry["perplexity"] == first[key]["perplexity"]


def test_other_settings_are_refused_by_name(studied: Path, tiny: list[str]) -> None:
    arguments = ["search", "study.name=one", *tiny, "model.n_layer=1"]
    done = subprocess.run(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=studied,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "study one was made with model.n_layer=2, not 1" in done.stderr


def test_repricing_trains_nothing_and_says_what_moves(studied: Path) -> None:
    told, other = front(studied, "one"), front(studied, "one", "network=wan", "protocol=spu_cheetah_0_9_5")
    assert (told["repriced"], other["repriced"]) == (False, True)
    assert other["network"] == "wan"
    assert other["moves"]
    pairs = [(trained(told)[key], entry) for key, entry in trained(other).items()]
    assert all(a["perplexity"] == b["perplexity"] for a, b in pairs)
    assert all(a["latency_s"] != b["latency_s"] for a, b in pairs)


def test_a_budget_chooses_and_the_steps_beside_the_choice_are_told(studied: Path) -> None:
    told = front(studied, "one")
    assert told["choice"]["trial"] == told["knee"]
    points = told["front"]
    cheapest = min(points, key=lambda entry: entry["latency_s"])
    limit = f"max_latency_s={cheapest['latency_s'] * 1.0000001}"
    chosen = front(studied, "one", limit)["choice"]
    assert chosen["trial"] == cheapest["trial"]
    assert all(step["direction"] == "better" for step in chosen["steps"] if "latency_s" in step["by"])
    assert aero(studied, "front", "study=one", limit).count("pick=trial:") == 1
    aero(studied, "front", "study=one", limit, "max_perplexity=1.01", code=2)


def test_a_report_is_one_page_with_the_front_s_own_data(studied: Path, tmp_path: Path) -> None:
    out = aero(studied, "report", "study=one")
    page = studied / "outputs" / "studies" / "one" / "report.html"
    assert f"written to {page.relative_to(studied)}" in out
    assert page.stat().st_size > 4_000_000
    logged = list((studied / "outputs" / "mlflow-artifacts").rglob("report.html"))
    assert [path.read_bytes() for path in logged] == [page.read_bytes()]
    document = json.loads(aero(studied, "report", "study=one", "format=json"))
    assert document["front"] == {k: v for k, v in front(studied, "one").items() if k != "choice"}
    assert {entry["name"] for entry in document["networks"]} >= {"lan", "wan", "paper"}
    assert {entry["name"] for entry in document["protocols"]} >= {"aero_paper", "spu_semi2k"}
    assert all(entry["entropy"] and entry["curve"] for entry in document["candidates"])
    aero(
        studied, "report", "study=one", f"to={tmp_path / 'deep' / 'page.html'}", "objective.target=gpt2_small"
    )
    assert "gpt2_small (12 layers" in (tmp_path / "deep" / "page.html").read_text()
    aero(studied, "report", "study=one", f"to={tmp_path}", code=2)


def test_what_was_trained_small_is_priced_at_the_size_that_will_be_deployed(
    studied: Path, tmp_path: Path
) -> None:
    told, large = front(studied, "one"), front(studied, "one", "objective.target=gpt2_small")
    assert (told["target"], large["target"]) == (None, "gpt2_small")
    for key, entry in trained(large).items():
        assert entry["perplexity"] == trained(told)[key]["perplexity"]
        assert entry["communication_bytes"] > 100 * trained(told)[key]["communication_bytes"]
    out = aero(studied, "front", "study=one", "objective.target=gpt2_small")
    assert "perplexity is that of the proxy" in " ".join(out.split())
    bundle = tmp_path / "bundle"
    aero(studied, "export", "study=one", "objective.target=gpt2_small", "pick=best", f"to={bundle}")
    metrics = json.loads((bundle / "metrics.json").read_text())
    deployed = from_mapping(
        Architecture, yaml.safe_load((bundle / "target_architecture.yaml").read_text()), "target"
    )
    assert (deployed.n_layer, deployed.d_model) == (12, 768)
    best = trained(large)[json.loads((bundle / "provenance.json").read_text())["candidate"]]
    assert metrics["cost"]["communication_bytes"]["total"] == best["communication_bytes"]
    assert metrics["cost"]["notation"] == notation(deployed) == best["target_notation"]
    assert metrics["cost_of_the_proxy"]["architecture"]["d_model"] == 16
    assert "perplexity, held-out split (proxy)" in (bundle / "README.md").read_text()


def test_a_limit_re_asked_of_a_finished_study_trains_nothing(studied: Path) -> None:
    document = front(studied, "one")
    cheapest = min(entry["latency_s"] for entry in trained(document).values())
    limit = f"objective.constraints.latency_s.max={1000 * cheapest * 1.001:.6f}ms"
    narrow = front(studied, "one", limit)
    assert all(entry["latency_s"] <= cheapest * 1.001 for entry in narrow["front"])
    assert len(narrow["above_limits"]) + len(narrow["front"]) + len(narrow["dominated"]) == len(
        trained(document)
    )
    assert not narrow["repriced"]


def test_export_trains_again_to_the_same_digit(studied: Path, tmp_path: Path) -> None:
    aero(studied, "export", "study=one", "pick=knee", f"to={tmp_path / 'bundle'}")
    bundle = tmp_path / "bundle"
    metrics = json.loads((bundle / "metrics.json").read_text())
    provenance = json.loads((bundle / "provenance.json").read_text())
    architecture = from_mapping(Architecture, yaml.safe_load((bundle / "architecture.yaml").read_text()))
    assert notation(architecture) == metrics["notation"]
    assert provenance["versions"]["torch"]
    assert provenance["trial"] == front(studied, "one")["knee"]
    out = aero(bundle, "train", "--config-dir", ".", "--config-name", "candidate", "tracking.kind=none")
    assert f"{metrics['perplexity']:.2f}" in out
    (result,) = bundle.glob("outputs/train/*/result.json")
    assert json.loads(result.read_text())["perplexity"] == metrics["perplexity"]


def test_export_by_budget_and_trial(studied: Path) -> None:
    document = front(studied, "one")
    dearest = max(document["front"], key=lambda entry: entry["latency_s"])
    out = aero(studied, "export", "study=one", f"max_latency_s={dearest['latency_s'] + 1}")
    assert (studied / "outputs/exports/one-budget/architecture.yaml").is_file()
    best = min(document["front"], key=lambda entry: entry["perplexity"])
    assert f"#{best['trial']}:" in out
    aero(studied, "export", "study=one", "pick=trial:0")
    assert (studied / "outputs/exports/one-trial-0/README.md").is_file()
    aero(studied, "export", "study=one", "max_latency_s=0.001", code=2)
    aero(studied, "export", "study=one", "pick=trial:99", code=2)


def test_an_export_replaces_a_bundle_s_files_and_nothing_else(studied: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    aero(studied, "export", "study=one", "pick=trial:0", f"to={bundle}")
    (bundle / "mine.txt").write_text("kept")
    aero(studied, "export", "study=one", "pick=trial:1", f"to={bundle}")
    assert (bundle / "mine.txt").read_text() == "kept"
    assert json.loads((bundle / "provenance.json").read_text())["trial"] == 1
    candidate = studied / front(studied, "one")["front"][0]["folder"]
    aero(studied, "export", "study=one", f"to={candidate}", code=2)
    assert (candidate / "result.json").is_file()


def test_ctrl_c_says_that_the_same_command_goes_on(tmp_path: Path, tiny: list[str]) -> None:
    slow = [o for o in tiny if not o.startswith("recipe.steps")] + ["recipe.steps=100000", "tracking=none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aero_search", "train", *slow],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("outputs/train/*/candidate.yaml")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "the same command resumes" in errors
    assert "Traceback" not in errors


def test_mlflow_has_the_parent_its_children_and_the_front(studied: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{studied / 'outputs' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "aero-search"]
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in runs if run not in children]
    assert len(children) == len(trained(front(studied, "one")))
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert all(run.info.status == "FINISHED" for run in runs)
    assert {"front.json", "front.png", "front_table.json"} <= {
        artifact.path for artifact in client.list_artifacts(parent.info.run_id)
    }
    verdicts = {run.data.tags["aero.verdict"] for run in children}
    assert "front" in verdicts <= {"front", "dominated", "stopped", "diverged"}
    child = next(run for run in children if run.data.tags["aero.verdict"] == "front")
    assert len(client.get_metric_history(child.info.run_id, "perplexity")) >= 2
    assert {"latency_s", "flops", "entropy/layer_0"} <= child.data.metrics.keys()
    assert "notation" in child.data.params
    assert "candidate.yaml" in {artifact.path for artifact in client.list_artifacts(child.info.run_id)}


def test_a_plain_sweep_trains_every_combination_with_its_front(tmp_path: Path, tiny: list[str]) -> None:
    sweep = ["norm=layernorm,none", "activation=gelu,relu", "study.name=sweep"]
    out = aero(tmp_path, "train", "--multirun", *sweep, *tiny)
    names = {entry["notation"] for entry in trained(front(tmp_path, "sweep")).values()}
    assert names == {"SM + LN + G", "SM + LN + R", "SM + G", "SM + R"}
    assert "4 trained" in out
    assert "aero_search export study=sweep" in out


def test_kill_dash_nine_loses_and_repeats_no_finished_candidate(tmp_path: Path, tiny: list[str]) -> None:
    slow = [o for o in tiny if not o.startswith("recipe.steps")] + ["recipe.steps=300"]
    arguments = [
        "search",
        "study.name=killed",
        "search.n_trials=6",
        "search.workers=2",
        "tracking=none",
        *slow,
    ]
    command = [sys.executable, "-m", "aero_search", *arguments]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    candidates = tmp_path / "outputs/studies/killed/candidates"
    deadline = time.monotonic() + 600
    while len(list(candidates.glob("*/result.json"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the search ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)  # the workers notice within a second that they are orphans
    assert not _descendants_of_session(process.pid)
    finished = {path: path.stat().st_mtime_ns for path in candidates.glob("*/result.json")}
    assert 2 <= len(finished) < 6
    aero(tmp_path, *arguments)
    after = trained(front(tmp_path, "killed"))
    assert len(after) == 6
    assert len(list(candidates.glob("*/result.json"))) == 6
    for path, written in finished.items():
        assert path.stat().st_mtime_ns == written
        assert path.parent.name in after


def _descendants_of_session(session: int) -> list[int]:
    """Processes of a session that still train; loky's resource tracker may live a moment longer."""
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            if os.getsid(int(entry.name)) == session and b"resource_tracker" not in command and command:
                alive.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return alive


def test_a_worker_that_is_killed_takes_only_its_candidate_with_it(tmp_path: Path, tiny: list[str]) -> None:
    slow = [o for o in tiny if not o.startswith("recipe.steps")] + ["recipe.steps=300"]
    arguments = ["search", "study.name=hurt", "search.n_trials=5", "search.workers=2", "tracking=none", *slow]
    process = subprocess.Popen(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    candidates = tmp_path / "outputs/studies/hurt/candidates"
    deadline = time.monotonic() + 600
    while not list(candidates.glob("*/progress.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victims = [pid for pid in _descendants_of_session(process.pid) if pid != process.pid]
    os.kill(victims[-1], signal.SIGKILL)
    assert process.wait(timeout=600) == 0
    assert len(trained(front(tmp_path, "hurt"))) == 5
