"""What lies in a real MLflow store after a study was logged."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from aero_search.tracking.opening import open_tracker
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker
from aero_search.training.result import CurvePoint, Result
from tests.tracking.records import listen

SPEC = TrackingSpec(kind="mlflow", uri=None, experiment="tests")
COSTS = {"latency_s": 1.25, "communication_bytes": 6.7e8, "flops": 7.3e7, "rounds": 900.0}


def test_a_candidate_is_a_child_with_params_curves_costs_and_files(
    tracker: Tracker, client: Any, result: Result, tmp_path: Path
) -> None:
    parent = tracker.start_study("study", "# What was searched", {"space": "aero"}, {"aero.study": "s"})
    run = tracker.start_candidate(parent, "SM + LN + R", {"norm": "layernorm", "recipe.lr": 0.0015}, COSTS)
    listen(run, result)
    config = tmp_path / "config.yaml"
    config.write_text("norm: layernorm\n")
    run.finish(result, [config, tmp_path / "missing.safetensors"])

    experiment = client.get_experiment_by_name("tests")
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert [child.info.run_id for child in found] == [run.run_id]
    child = found[0]
    assert (child.info.run_name, child.info.status) == ("SM + LN + R", "FINISHED")
    assert child.data.params == {"norm": "layernorm", "recipe.lr": "0.0015"}
    assert child.data.tags["aero.verdict"] == "finished"
    expected = {**COSTS, "perplexity": 62.0, "parameters": 266_000.0, "entropy/layer_1": 3.25}
    assert expected.items() <= child.data.metrics.items()
    history = client.get_metric_history(run.run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(10, 101, 10))
    assert [m.value for m in client.get_metric_history(run.run_id, "perplexity")] == [148.4, 62.0]
    for name, values in {
        "health/overloaded_share": [0.75, 0.5],
        "health/balanced_share": [0.25, 0.25],
        "health/lowest_quarter_share": [0.0, 0.25],
        "entropy/layer_0": [2.8, 1.25],
        "entropy_by_head/layer_1_head_0": [3.2, 3.0],
    }.items():
        assert [metric.value for metric in client.get_metric_history(run.run_id, name)] == values
    assert child.data.tags["aero.health"] == "entropic_overload"
    assert child.data.tags["aero.health_reason"].startswith("2 of 4 heads in the top quarter")
    assert [artifact.path for artifact in client.list_artifacts(run.run_id)] == ["config.yaml"]
    assert client.get_run(parent).data.tags["mlflow.note.content"] == "# What was searched"


def test_what_is_over_is_recorded_at_once_below_its_study(
    tracker: Tracker, client: Any, tmp_path: Path
) -> None:
    parent = tracker.start_study("study", "", {})
    document = tmp_path / "measurement.json"
    document.write_text("{}")
    tracker.record(
        parent,
        "measured",
        "measurement",
        params={"network": "lan"},
        metrics={"bytes": 3.0},
        artifacts=[document],
    )
    tracker.record(None, "alone", "measurement", params={}, metrics={})
    experiment = client.get_experiment_by_name("tests")
    found = client.search_runs([experiment.experiment_id], "tags.`aero.kind` = 'measurement'")
    runs = {run.info.run_name: run for run in found}
    child = runs["measured"]
    assert (child.info.status, child.data.tags["mlflow.parentRunId"]) == ("FINISHED", parent)
    assert (child.data.params, child.data.metrics) == ({"network": "lan"}, {"bytes": 3.0})
    assert [a.path for a in client.list_artifacts(child.info.run_id)] == ["measurement.json"]
    assert "mlflow.parentRunId" not in runs["alone"].data.tags


def test_a_study_shows_the_last_front_as_table_document_and_picture(
    tracker: Tracker, client: Any, output_dir: Path, tmp_path: Path
) -> None:
    parent = tracker.start_study("study", "", {})
    picture = tmp_path / "front.png"
    for step, rows in ((1, [{"trial": 1, "perplexity": 70.0}]), (2, [{"trial": 2, "perplexity": 62.0}])):
        picture.write_bytes(bytes([step]))
        tracker.update_study(
            parent,
            metrics={"hypervolume": 0.1 * step, "nothing": float("nan")},
            step=step,
            front_document={"front": rows},
            front_rows=rows,
            pictures=[picture],
            description=f"after {step}",
        )
    tracker.finish_study(parent)
    table = client.download_artifacts(parent, "front_table.json", str(tmp_path))
    assert json.loads(Path(table).read_text()) == {"columns": ["trial", "perplexity"], "data": [[2, 62.0]]}
    # As MlflowClient.load_table reads it.
    assert client._read_from_file(table).to_dict("records") == [{"trial": 2, "perplexity": 62.0}]
    run = client.get_run(parent)
    assert run.info.artifact_uri.startswith((output_dir / "mlflow-artifacts").resolve().as_uri())
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "front_table.json", "type": "table"}
    ]
    assert {a.path for a in client.list_artifacts(parent)} == {"front.json", "front_table.json", "front.png"}
    assert Path(client.download_artifacts(parent, "front.png", str(tmp_path))).read_bytes() == b"\2"
    assert [m.step for m in client.get_metric_history(parent, "hypervolume")] == [1, 2]
    assert (run.info.status, run.data.tags["mlflow.note.content"]) == ("FINISHED", "after 2")


@pytest.mark.parametrize(
    ("end", "status", "verdict"),
    [
        (lambda run, result: run.fail("out of memory"), "FAILED", "failed"),
        (lambda run, result: run.abandon(), "KILLED", "abandoned"),
        (
            lambda run, result: run.finish(
                replace(result, verdict="diverged", reason="diverged at step 7", perplexity=None, curve=())
            ),
            "FINISHED",
            "diverged",
        ),
    ],
)
def test_ends(tracker: Tracker, client: Any, result: Result, end: Any, status: str, verdict: str) -> None:
    run = tracker.start_candidate(None, "SM", {}, {})
    run.step(10, 6.0)
    end(run, result)
    found = client.get_run(run.run_id)
    assert (found.info.status, found.data.tags["aero.verdict"]) == (status, verdict)
    assert "mlflow.parentRunId" not in found.data.tags
    # What was heard before the end is kept.
    assert found.data.metrics["train_loss"] == 6.0


def test_a_candidate_that_nobody_listened_to_still_shows_its_health(
    tracker: Tracker, client: Any, result: Result
) -> None:
    run = tracker.start_candidate(None, "SM", {}, {})
    run.finish(result)
    for name, values in {"health/overloaded_share": [0.75, 0.5], "entropy/layer_0": [2.8, 1.25]}.items():
        assert [metric.value for metric in client.get_metric_history(run.run_id, name)] == values


def test_a_killed_process_leaves_a_run_that_another_ends(tracker: Tracker, client: Any) -> None:
    run = tracker.start_candidate(None, "SM", {}, {})
    tracker.abandon(run.run_id)
    assert client.get_run(run.run_id).info.status == "KILLED"


def test_a_study_is_taken_up_again_or_known_to_be_gone(tracker: Tracker, client: Any) -> None:
    parent = tracker.start_study("study", "", {})
    tracker.finish_study(parent, "KILLED")
    assert tracker.resume_study(parent)
    assert client.get_run(parent).info.status == "RUNNING"
    assert not tracker.resume_study("0" * 32)
    # A run that was never sent is not in any store.
    assert not tracker.resume_study("unsent-1")


def test_more_values_than_one_batch_takes(tracker: Tracker, client: Any, result: Result) -> None:
    params = {f"p{i}": "x" * 7000 for i in range(130)}
    run = tracker.start_candidate(None, "SM", params, {})
    for step in range(1, 25_001):
        run.step(step, 5.0)
    run.validated(CurvePoint(25_000, 5.0, 5.0, 148.4, 1.0), [[1.0]])
    found = client.get_run(run.run_id)
    assert len(found.data.params) == 130
    assert len(client.get_metric_history(run.run_id, "train_loss")) == 2500


CHILD = """
import sys
import threading
from pathlib import Path
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.opening import open_tracker
from aero_search.training.result import CurvePoint
tracker = open_tracker(TrackingSpec("mlflow", None, "tests"), Path(sys.argv[1]))
for i in range(3):
    run = tracker.start_candidate(sys.argv[2], f"SM {i}", {"i": i}, {"flops": 1.0})
    for step in range(1, 51):
        run.step(step, 5.0)
        if step % 10 == 0:
            run.validated(CurvePoint(step, 5.0, 5.0, 148.4, 1.0), [[1.0, 2.0]])
    run.fail("end of test")
"""


def test_four_processes_log_at_once(tracker: Tracker, client: Any, output_dir: Path) -> None:
    parent = tracker.start_study("four", "", {})
    processes = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(output_dir), parent], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    # Quiet also means: nothing on stderr, neither MLflow's hints nor alembic's log.
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    experiment = client.get_experiment_by_name("tests")
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert len(found) == 12
    assert {run.info.status for run in found} == {"FAILED"}
    for run in found:
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 5


def test_the_store_is_in_write_ahead_mode(output_dir: Path) -> None:
    import sqlite3

    with sqlite3.connect(output_dir / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Nothing listens on port 9; 192.0.2.1 is reserved for documentation and answers nobody.
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://x"])
def test_a_store_that_is_down_costs_little_and_is_said_once(
    uri: str,
    tmp_path: Path,
    result: Result,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    request = requests.Session.request

    def counted(session: requests.Session, method: str, url: str, **rest: Any) -> requests.Response:
        asked.append(url)
        return request(session, method, url, **rest)

    monkeypatch.setattr(requests.Session, "request", counted)
    tracker = open_tracker(TrackingSpec("mlflow", uri, "tests"), tmp_path)
    tracker.initialize()
    parent = tracker.start_study("study", "", {"a": 1})
    run = tracker.start_candidate(parent, "SM", {}, COSTS)
    listen(run, result)
    run.finish(result)
    tracker.update_study(parent, metrics={}, step=0, front_document={}, front_rows=[])
    assert tracker.resume_study("0" * 32)
    tracker.finish_study(parent)
    # A study asks at its beginning and at its end.
    assert len(asked) == 2 * uri.startswith("http")
    said = capsys.readouterr().err
    assert said.count("the work goes on without it") == 1
    assert len(said.splitlines()) == 1


def test_a_server_that_hangs_is_left_alone_after_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: Result
) -> None:
    import socket

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracker = open_tracker(TrackingSpec("mlflow", uri, "tests"), tmp_path)
        tracker.initialize()
        for _ in range(5):
            run = tracker.start_candidate(None, "SM", {}, COSTS)
            listen(run, result)
            run.finish(result)
        silent.settimeout(0)
        silent.accept()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize("status", [500, 503, 404])
def test_a_server_that_answers_with_errors_costs_no_training(
    status: int, tmp_path: Path, result: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(status)

        do_POST = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        tracker = open_tracker(TrackingSpec("mlflow", uri, "tests"), tmp_path)
        tracker.initialize()
        for _ in range(3):
            run = tracker.start_candidate(None, "SM", {}, COSTS)
            listen(run, result)
            run.finish(result)
        server.shutdown()
    assert 0 < len(asked) <= 3, "it is left alone after the first call and its retries"
    said = capsys.readouterr().err
    assert said.count("the work goes on without it") == 1
    assert len(said.splitlines()) == 1


def test_without_tracking_nothing_is_written(tmp_path: Path, result: Result) -> None:
    tracker = open_tracker(TrackingSpec("none", None, "tests"), tmp_path)
    assert type(tracker) is Tracker
    tracker.initialize()
    run = tracker.start_candidate(tracker.start_study("s", "", {}), "SM", {}, COSTS)
    listen(run, result)
    run.finish(result)
    assert list(tmp_path.iterdir()) == []
