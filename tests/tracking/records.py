"""A store's record of a study in a form that two studies can be compared by, and a candidate to log."""

from __future__ import annotations

from typing import Any

from aero_search.training.result import Result

# What differs between two studies that did the same.
VOLATILE = {"aero.run", "mlflow.parentRunId", "mlflow.runName", "candidate"}


def listen(run: Any, result: Result, steps: int = 100) -> None:
    """Train without training: every step, and the result's validations."""
    points = {point.step: point for point in result.curve}
    for step in range(1, steps + 1):
        run.step(step, 7.0 - step / 50)
        if step in points:
            run.validated(points[step], [list(heads) for heads in points[step].entropy])


def record_of(client: Any, parent: str, volatile: frozenset[str] = frozenset()) -> dict[str, Any]:
    """By name, the parent's run and its children: all but ids and times, with repetitions.

    Args:
        parent: the store's id of the run, or our own name for it.
        volatile: metrics whose values are times.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    own = parent.removeprefix("unsent-")
    [root] = [
        run
        for run in client.search_runs(experiments, max_results=1000)
        if run.info.run_id == parent or run.data.tags.get("aero.run") == own
    ]
    children = client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{root.info.run_id}'")
    record: dict[str, Any] = {}
    for run in [root, *sorted(children, key=lambda run: str(run.info.run_name))]:
        assert run.info.run_name not in record, "a run is doubled"
        run_id = run.info.run_id
        record[run.info.run_name] = {
            "status": run.info.status,
            "ended": run.info.end_time is not None and run.info.end_time >= run.info.start_time,
            "params": run.data.params,
            "tags": {name: value for name, value in run.data.tags.items() if name not in VOLATILE},
            "metrics": {
                name: sorted(
                    (metric.step, 0.0 if name in volatile else metric.value)
                    for metric in client.get_metric_history(run_id, name)
                )
                for name in run.data.metrics
            },
            "artifacts": sorted((file.path, file.file_size) for file in client.list_artifacts(run_id)),
        }
    return record
