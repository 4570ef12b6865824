"""Runs in a PostgreSQL database without a server in front of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aero_search.tracking.opening import open_tracker
from aero_search.tracking.spec import TrackingSpec
from tests.workers.postgresql import PASSWORD, Server


@pytest.mark.slow
def test_a_study_s_run_is_in_the_database_and_its_files_under_the_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with Server() as server:
        spec = TrackingSpec("mlflow", server.address, "aero-search")
        tracker = open_tracker(spec, tmp_path)
        tracker.initialize()
        run = tracker.start_study("shared", "a study", {"norm": "none"})
        tracker.update_study(
            run, metrics={"trained": 3.0}, step=3, front_document={"front": []}, front_rows=[{"key": "a"}]
        )
        tracker.finish_study(run)
        client = MlflowClient(server.address)
        stored = client.get_run(run)
        assert stored.info.status == "FINISHED"
        assert stored.data.metrics["trained"] == 3.0
        assert stored.info.artifact_uri.startswith((tmp_path / "mlflow-artifacts").as_uri())
        assert "front.json" in {artifact.path for artifact in client.list_artifacts(run)}
        client._tracking_client.store.engine.dispose()
