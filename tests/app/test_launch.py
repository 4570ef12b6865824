"""What becomes of workers: a death is told from a mistake, whichever launcher says it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from joblib.externals.loky.process_executor import TerminatedWorkerError
from omegaconf import OmegaConf

from aero_search.app import function_sweep
from aero_search.app.function_sweep import FunctionWorker
from aero_search.app.launch import launch_workers
from aero_search.search.function_study import FunctionPlan
from aero_search.search.spec import SamplerSpec
from aero_search.search.study_runner import WorkerDiedError
from aero_search.space import Real, Space


class UncompletedJobError(RuntimeError):
    """As submitit's."""


class FailedJobError(UncompletedJobError):
    """As submitit's."""


TIME_UP = UncompletedJobError("Job not requeued because: timed-out too many times.")


def launch(monkeypatch: pytest.MonkeyPatch, *outcomes: Exception | None, raised: Exception | None) -> None:
    def pretend(overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        if raised is not None:
            raise raised
        return [JobReturn(_return_value=outcome, status=JobStatus.COMPLETED) for outcome in outcomes]

    launcher = SimpleNamespace(launch=pretend)
    monkeypatch.setattr(Plugins.instance(), "instantiate_launcher", lambda **_: launcher)
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": "some.Launcher"}}})
    launch_workers(SimpleNamespace(), config, lambda _: None, [[], []])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("death", "by_itself"),
    [(TerminatedWorkerError("killed"), False), (UncompletedJobError("no output"), True)],
)
def test_a_death_says_whether_the_others_live_on(
    monkeypatch: pytest.MonkeyPatch, death: Exception, by_itself: bool
) -> None:
    with pytest.raises(WorkerDiedError, match=str(death)) as died:
        launch(monkeypatch, raised=death)
    assert died.value.by_itself is by_itself


def test_a_worker_whose_time_is_up_is_a_dead_one_and_a_mistake_goes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch(monkeypatch, None, None, raised=None)
    with pytest.raises(WorkerDiedError, match="timed-out") as died:
        launch(monkeypatch, None, TIME_UP, raised=None)
    assert died.value.by_itself
    with pytest.raises(ZeroDivisionError):
        launch(monkeypatch, TIME_UP, ZeroDivisionError(), raised=None)
    with pytest.raises(ZeroDivisionError):
        launch(monkeypatch, raised=ZeroDivisionError())


@pytest.mark.parametrize(
    ("problem", "failed"), [(TIME_UP, 0), (FailedJobError("a job of the function's own"), 3)]
)
def test_a_call_that_is_cut_off_with_its_job_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, failed: int
) -> None:
    space = Space("sweep", "", (Real("x", 0.0, 1.0, digits=None),))
    plan = FunctionPlan("f", tmp_path, ("minimize",), 3, 1, SamplerSpec("random"), 0, space, ())
    study = plan.prepare()
    monkeypatch.setattr(
        function_sweep, "run_job", lambda **_: JobReturn(_return_value=problem, status=JobStatus.FAILED)
    )
    config: Any = OmegaConf.create({"hydra": {"job": {"name": "f"}}})
    context: Any = SimpleNamespace(config_loader=SimpleNamespace(load_sweep_config=lambda *_: config))
    worker = FunctionWorker(plan, lambda _: None, context, config, 0, "another", "")
    assert worker(config) is (None if failed else problem)
    study.requeue_stale()
    assert len(study.finished()) == failed
    assert study.left() == 3 - failed
