"""The dashboard on a local store, and every reason not to start one."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from aero_search.errors import AeroSearchError, RequestError
from aero_search.tracking.dashboard import dashboard, stop, url
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker

SPEC = TrackingSpec(kind="mlflow", uri=None, experiment="tests")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_missing_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no MLflow store at .*mlflow\.db: run `aero-search search`"):
        dashboard(SPEC, tmp_path, 5000)


def test_no_tracking_and_a_remote_server_are_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="tracking=mlflow"):
        dashboard(TrackingSpec("none", None, "tests"), tmp_path, 5000)
    with pytest.raises(RequestError, match="open http://tracking:5000"):
        dashboard(TrackingSpec("mlflow", "http://tracking:5000", "tests"), tmp_path, 5000)


def test_a_taken_port_names_another(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=rf"port={port} cannot be used .* such as port={port + 1}"):
            dashboard(SPEC, tmp_path, port)
    with pytest.raises(RequestError, match="between 1 and 65535"):
        dashboard(SPEC, tmp_path, 70_000)


@pytest.mark.slow
def test_a_broken_store_gives_its_reason(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database" * 100)
    with pytest.raises(AeroSearchError, match=r"the dashboard ended at once: .*not a database"):
        dashboard(SPEC, tmp_path, free_port())


@pytest.mark.slow
def test_the_dashboard_serves_runs_and_pictures(tracker: Tracker, output_dir: Path, tmp_path: Path) -> None:
    picture = tmp_path / "front.png"
    picture.write_bytes(b"picture")
    parent = tracker.start_study("on the dashboard", "", {})
    tracker.update_study(parent, metrics={}, step=0, front_document={}, front_rows=[], pictures=[picture])
    port = free_port()
    process = dashboard(SPEC, output_dir, port)
    opener: Any = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url(port)}/api/2.0/mlflow/runs/get?run_id={parent}", timeout=30) as answer:
            assert json.load(answer)["run"]["info"]["run_name"] == "on the dashboard"
        with opener.open(f"{url(port)}/get-artifact?path=front.png&run_uuid={parent}", timeout=30) as answer:
            assert answer.read() == b"picture"
        with opener.open(url(port), timeout=30) as answer:
            assert b"MLflow" in answer.read()
    finally:
        stop(process)
    assert process.poll() is not None
    # Nothing is left behind that holds the port.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
