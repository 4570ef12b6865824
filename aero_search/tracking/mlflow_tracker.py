"""Studies and candidates as MLflow runs: explicit run ids, parents by tag, everything in batches."""

from __future__ import annotations

import getpass
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aero_search.tracking.operations import (
    Batch,
    Create,
    End,
    File,
    Point,
    Status,
    Text,
    Views,
    batches,
    new_run,
    now_ms,
)
from aero_search.tracking.sender import Sender
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import CandidateRun, StudyStatus, Tracker
from aero_search.tracking.views import KIND as EXPERIMENT_KIND
from aero_search.tracking.views import PRIMARY, VERDICT_TAG, view_tags
from aero_search.training.result import CurvePoint, Result

DESCRIPTION, TABLES = "mlflow.note.content", "mlflow.loggedArtifacts"
# `aero.kind` tells parents from children in MLflow's search box: tags."aero.kind" = "study".
KIND, VERDICT, REASON = "aero.kind", VERDICT_TAG, "aero.reason"
# Read by MLflow's charts and its run table.
COLOUR = "mlflow.runColor"
HEALTH, HEALTH_REASON = "aero.health", "aero.health_reason"
NORM_HEALTH, NORM_HEALTH_REASON = "aero.norm_health", "aero.norm_health_reason"
FRONT_FILE, TABLE_FILE = "front.json", "front_table.json"
# Training loss is logged every so many steps; its curve is no clearer with all of them.
LOSS_EVERY = 10
# Entropy by head is logged up to this many heads a model; by layer always.
MAX_HEADS = 64


class MlflowTracker(Tracker):
    """Logs to one experiment of an MLflow store."""

    def __init__(self, spec: TrackingSpec, output_dir: Path) -> None:
        self._sender = Sender(spec, output_dir)

    def initialize(self) -> None:
        self._sender.initialize()

    def start_study(
        self,
        name: str,
        description_markdown: str,
        params: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
    ) -> str:
        run = new_run()
        about = {**_source(), KIND: "study", DESCRIPTION: description_markdown, **(tags or {})}
        self._sender.send(Create(run, name, about), *batches(run, params=params))
        return self._sender.run_id(run)

    def present(
        self,
        study: str,
        metrics: Sequence[str],
        params: Sequence[str],
        always: Sequence[str],
        maximized: bool = False,
    ) -> None:
        keep = (*EXPERIMENT_KIND, *PRIMARY)
        self._sender.send(Views(view_tags(study, metrics, params, always, maximized), keep))

    def judge(self, run_id: str, verdict: str, colour: str) -> None:
        self._sender.send(*batches(run_id, tags={VERDICT: verdict, COLOUR: colour}))

    def resume_study(self, parent_run_id: str) -> bool:
        known = self._sender.exists(parent_run_id)
        if known:
            self._sender.send(End(parent_run_id, "RUNNING"))
        return known is not False

    def update_study(
        self,
        parent_run_id: str,
        *,
        metrics: Mapping[str, float],
        step: int,
        front_document: Mapping[str, Any],
        front_rows: Sequence[Mapping[str, Any]],
        pictures: Sequence[Path] = (),
        description: str | None = None,
    ) -> None:
        tags = {TABLES: json.dumps([{"path": TABLE_FILE, "type": "table"}])}
        if description is not None:
            tags[DESCRIPTION] = description
        # Not where a candidate trains: sending what an hour without the server has left takes its time.
        self._sender.flush()
        self._sender.send(
            *batches(parent_run_id, _points(metrics, step), tags=tags),
            Text(parent_run_id, json.dumps(front_document, indent=1, default=str) + "\n", FRONT_FILE),
            Text(parent_run_id, _table(front_rows), TABLE_FILE),
            *_files(parent_run_id, pictures),
        )

    def finish_study(self, parent_run_id: str, status: StudyStatus = "FINISHED") -> None:
        self._sender.send(End(parent_run_id, status))
        self._sender.flush(at_once=True)

    def start_candidate(
        self,
        parent_run_id: str | None,
        name: str,
        params: Mapping[str, object],
        costs: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
    ) -> CandidateRun:
        run = new_run()
        about = {**_source(), KIND: "candidate", **(tags or {})}
        self._sender.send(Create(run, name, about, parent_run_id), *batches(run, _points(costs, 0), params))
        return MlflowCandidate(self._sender, run, alone=parent_run_id is None)

    def record(
        self,
        parent_run_id: str | None,
        name: str,
        kind: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        artifacts: Sequence[Path] = (),
    ) -> None:
        run = new_run()
        self._sender.send(
            Create(run, name, {**_source(), KIND: kind}, parent_run_id or None),
            *batches(run, _points(metrics, 0), params),
            *_files(run, artifacts),
            End(run, "FINISHED"),
        )
        self._sender.flush(at_once=True)

    def abandon(self, run_id: str) -> None:
        self._sender.send(End(run_id, "KILLED"))


class MlflowCandidate(CandidateRun):
    """Keeps a candidate's values and sends them at each validation."""

    def __init__(self, sender: Sender, run: str, alone: bool) -> None:
        self._sender, self._run, self._alone = sender, run, alone
        self._waiting: list[Point] = []
        self._validated = 0

    @property
    def run_id(self) -> str:
        return self._sender.run_id(self._run)

    def step(self, step: int, loss: float) -> None:
        if step % LOSS_EVERY == 0:
            self._waiting += _points({"train_loss": loss}, step)

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self._validated = point.step
        self._waiting += _validation(point, entropy)
        self._send()

    def finish(self, result: Result, artifacts: Sequence[Path] = ()) -> None:
        for point in result.curve:
            # A candidate that was not listened to, or not to its end, still shows its whole curve.
            if point.step > self._validated:
                self._waiting += _validation(point, point.entropy)
        totals = {
            "seconds": result.seconds,
            "parameters": float(result.parameters),
            "tokens": float(result.tokens),
            "unigram_perplexity": result.unigram_perplexity,
        }
        self._waiting += _points(totals, result.steps)
        tags = {VERDICT: result.verdict, REASON: result.reason}
        if result.health is not None:
            tags |= {HEALTH: result.health.verdict, HEALTH_REASON: result.health.reason}
        if result.norms is not None:
            tags |= {NORM_HEALTH: result.norms.verdict, NORM_HEALTH_REASON: result.norms.reason}
        self._send({name: text for name, text in tags.items() if text})
        self._sender.send(*_files(self._run, artifacts), End(self._run, "FINISHED"))
        self._over()

    def fail(self, reason: str) -> None:
        self._end("FAILED", {VERDICT: "failed", REASON: reason})

    def abandon(self) -> None:
        self._end("KILLED", {VERDICT: "abandoned"})

    def _end(self, status: Status, tags: Mapping[str, str]) -> None:
        self._send(tags)
        self._sender.send(End(self._run, status))
        self._over()

    def _over(self) -> None:
        if self._alone:
            # No study will do it.
            self._sender.flush()

    def _send(self, tags: Mapping[str, str] | None = None) -> None:
        values, self._waiting = tuple(self._waiting), []
        cut: Iterator[Batch] = batches(self._run, values, tags=tags)
        self._sender.send(*cut)


def _points(metrics: Mapping[str, float], step: int) -> tuple[Point, ...]:
    """One point a finite value; a loss that is no number is said by the verdict, not drawn."""
    now = now_ms()
    return tuple(
        Point(name, _short(float(value)), step, now)
        for name, value in metrics.items()
        if math.isfinite(value)
    )


def _short(value: float) -> float:
    """Six digits, or all before the point: more do not fit MLflow's columns, and result.json has them."""
    if value == 0 or value.is_integer():
        return value
    return round(value, max(0, 5 - math.floor(math.log10(abs(value)))))


def _validation(point: CurvePoint, entropy: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    """Everything that is drawn of one validation."""
    values = {"validation_loss": point.validation_loss, "perplexity": point.perplexity, **_entropies(entropy)}
    told = {"accuracy": point.accuracy, "bits_per_byte": point.bits_per_byte}
    values |= {name: value for name, value in told.items() if value is not None}
    if point.health is not None:
        values |= {
            "health/overloaded_share": point.health.overloaded_share,
            "health/balanced_share": point.health.balanced,
            "health/lowest_quarter_share": point.health.quarters[0],
        }
    if point.norms is not None:
        values["health/norm_gap"] = point.norms.largest
    return _points(values, point.step)


def _entropies(entropy: Sequence[Sequence[float]]) -> dict[str, float]:
    """Mean attention entropy, nats, by layer and, for small models, by head."""
    values = {f"entropy/layer_{i}": sum(heads) / len(heads) for i, heads in enumerate(entropy) if heads}
    if sum(map(len, entropy)) <= MAX_HEADS:
        for i, heads in enumerate(entropy):
            values |= {f"entropy_by_head/layer_{i}_head_{j}": value for j, value in enumerate(heads)}
    return values


def _files(run: str, paths: Sequence[Path]) -> Iterator[File]:
    return (File(run, str(path.resolve())) for path in paths if path.is_file())


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as MLflow's table artifact (pandas' `split` orientation).

    MlflowClient.log_table would append to the table of the last update instead of replacing it.
    """
    columns = list(rows[0]) if rows else []
    data = [[row.get(column) for column in columns] for row in rows]
    return json.dumps({"columns": columns, "data": data}, default=str)


def _source() -> dict[str, str]:
    """What MLflow's columns Source and User show."""
    source = {"mlflow.source.name": "aero-search", "mlflow.source.type": "LOCAL"}
    try:
        return {**source, "mlflow.user": getpass.getuser()}
    except (KeyError, OSError):
        return source
