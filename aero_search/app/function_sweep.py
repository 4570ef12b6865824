"""`hydra/sweeper=aero_search` in any Hydra application: its function called by asynchronous workers, as one study.

The function is the application's own task function; it returns a number for each direction. Every call is a Hydra
job like any other, with its own output folder, logging and configuration.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from aero_search.app.launch import launch_workers
from aero_search.config.sweep_grammar import swept_parameter
from aero_search.console import make_console
from aero_search.errors import AeroSearchError, RequestError
from aero_search.report.function_sweep import SweepView, print_best
from aero_search.schema import from_mapping
from aero_search.search.files import write_yaml
from aero_search.search.function_study import Call, Direction, FunctionPlan, FunctionStudy
from aero_search.search.spec import HEARTBEAT_SECONDS, SamplerSpec
from aero_search.search.study_runner import keep_going
from aero_search.space import Parameter, Real, Space
from aero_search.workers.launcher_errors import is_time_up
from aero_search.workers.parent_watchdog import stop_with_parent
from aero_search.workers.storage_address import read_address
from aero_search.workers.trial_queue import RETRIES
from aero_search.workers.worker_registry import new_launch_id

RESULTS_FILE = "optimization_results.yaml"
_SAMPLERS = Literal["tpe", "nsga2", "random", "gp"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FunctionSweepOptions:
    """hydra.sweeper of an application.

    Attributes:
        study_name: the same name goes on with the same study; None: the job's name.
        folder: holds optuna.db and the studies' folders; relative to where the application is started.
        directions: minimize or maximize, one a number that the function returns.
        n_trials: calls in all, failed ones included; raise it to go on.
        workers: processes that call at the same time.
        n_startup: random calls before a model's (tpe, gp).
        storage, heartbeat, retries: as search.storage and so on, see `SearchSpec`.
        params: what varies, by override; values in the grammar of the command line, such as interval(0, 1).
    """

    study_name: str | None = None
    folder: str = "outputs"
    directions: tuple[Direction, ...] = ("minimize",)
    n_trials: int = 20
    workers: int = 1
    sampler: _SAMPLERS = "tpe"
    n_startup: int = 10
    seed: int = 0
    storage: str | None = None
    heartbeat: float = HEARTBEAT_SECONDS
    retries: int = RETRIES
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n_trials", "workers", "n_startup"):
            if getattr(self, name) < 1:
                raise RequestError(f"hydra.sweeper.{name}={getattr(self, name)} must be at least 1")
        if not self.heartbeat > 0 or self.retries < 0:
            raise RequestError(
                f"hydra.sweeper.heartbeat={self.heartbeat} and retries={self.retries} must be seconds above 0, and "
                "0 or more"
            )
        if not self.directions:
            raise RequestError("hydra.sweeper.directions needs one of minimize and maximize for each number")
        if self.study_name is not None and not re.fullmatch(r"\w[\w.+-]*", self.study_name):
            raise RequestError(
                f"hydra.sweeper.study_name={self.study_name} must be letters, digits and . + - _"
            )


@dataclass
class FunctionWorker:
    """What the launcher runs: whatever the job's own config, it claims, calls and tells until nothing is left."""

    plan: FunctionPlan
    function: TaskFunction
    context: HydraContext
    master: DictConfig
    parent_process: int
    parent_host: str
    launch_id: str

    def __call__(self, cfg: DictConfig) -> Exception | None:
        """Returns what went wrong instead of raising it: Hydra would announce it with a job that means nothing."""
        try:
            stop_with_parent(self.parent_process, self.parent_host)
            study = self.plan.open()
            while not self._work(study):
                pass
        except Exception as problem:
            return problem
        return None

    def _work(self, study: FunctionStudy) -> bool:
        """Call under one name. Returns False where others have taken that for dead: another is needed."""
        with study.registry.enter(self.launch_id) as worker:
            while call := study.claim(worker):
                returned, problem = self._call(call)
                if problem is None:
                    study.tell(call.number, returned)
                else:
                    study.fail(call.number, f"{type(problem).__name__}: {problem}")
                if worker.lost:
                    return False
        return True

    def _call(self, call: Call) -> tuple[object, Exception | None]:
        """Run one Hydra job. Returns what the function returned, or what it raised.

        Raises:
            Exception: the time of the worker's job is up; the call has not failed.
        """
        loader = self.context.config_loader
        config = loader.load_sweep_config(self.master, [*self.plan.fixed, *call.overrides])
        with open_dict(config):
            # A study's numbers go on where they stopped, and so do the jobs' folders.
            config.hydra.job.num = call.number
            config.hydra.job.id = f"{config.hydra.job.name}_{call.number}"
        job = run_job(
            task_function=self.function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )
        if job.status is JobStatus.COMPLETED:
            return job.return_value, None
        problem = job._return_value  # the property would print and raise it
        assert isinstance(problem, Exception)
        if is_time_up(problem):
            raise problem
        _log.error("trial %d (%s) failed", call.number, " ".join(call.overrides), exc_info=problem)
        return None, problem


class FunctionSweep:
    """One sweep of another application; see the module's docstring.

    Raises:
        RequestError: an option makes no sense.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        context: HydraContext,
        function: TaskFunction,
        config: DictConfig,
    ) -> None:
        self.options = from_mapping(FunctionSweepOptions, options, "hydra.sweeper")
        self.context, self.function, self.config = context, function, config

    def sweep(self, arguments: list[str]) -> None:
        """Call the function until the study's budget is used, then say what was best.

        Raises:
            RequestError: the study was made with other parameters, or nothing varies.
            AeroSearchError: every call failed.
        """
        options = self.options
        space, fixed = self._space(arguments)
        plan = FunctionPlan(
            name=options.study_name or str(self.config.hydra.job.name),
            folder=Path(options.folder).resolve(),
            directions=options.directions,
            n_trials=options.n_trials,
            workers=options.workers,
            sampler=SamplerSpec(options.sampler, n_startup=options.n_startup),
            seed=options.seed,
            space=space,
            fixed=fixed,
            storage=read_address(options.storage),
            heartbeat=options.heartbeat,
            retries=options.retries,
        )
        study = plan.prepare()
        worker = FunctionWorker(
            plan, self.function, self.context, self.config, os.getpid(), socket.gethostname(), new_launch_id()
        )
        console = make_console()
        with SweepView(study, console):
            keep_going(
                study,
                study.left,
                plan.workers,
                lambda count: self._launch(worker, count),
                launch_id=worker.launch_id,
            )
        write_yaml(plan.study_folder / RESULTS_FILE, study.document(), f"study {plan.name}")
        failed = [trial for trial in study.finished() if not trial.values]
        if failed and len(failed) == len(study.finished()):
            raise AeroSearchError(
                f"all {len(failed)} calls failed, the first: {failed[0].user_attrs['reason']}"
            )
        print_best(study, console)
        console.print(f"results: {plan.study_folder / RESULTS_FILE}", soft_wrap=True)

    def _space(self, arguments: Sequence[str]) -> tuple[Space, tuple[str, ...]]:
        """What varies, and the overrides that all calls share; the command line goes before params."""
        parser = OverridesParser.create(self.context.config_loader)
        said = parser.parse_overrides(list(arguments))
        names = {o.key_or_group for o in said}
        lines = [
            f"{name}={_grammar(value)}" for name, value in self.options.params.items() if name not in names
        ]
        given = [*parser.parse_overrides(lines), *said]
        parameters = tuple(_precise(swept_parameter(o)) for o in given if o.is_sweep_override())
        if not parameters:
            raise RequestError(
                "nothing varies: give hydra.sweeper.params, or a sweep such as x=interval(0,1)"
            )
        fixed = tuple(str(o.input_line) for o in given if not o.is_sweep_override())
        return Space("sweep", "", parameters), fixed

    def _launch(self, worker: FunctionWorker, count: int) -> None:
        # A worker's own job leaves nothing behind: its folder lies beside those of the trials, and stays empty.
        own = [
            [*worker.plan.fixed, f"hydra.sweep.subdir=.workers/{i}", "hydra.output_subdir=null"]
            for i in range(count)
        ]
        launch_workers(self.context, self.config, worker, own)


def _precise(parameter: Parameter) -> Parameter:
    """A function of numbers may need all their digits."""
    return replace(parameter, digits=None) if isinstance(parameter, Real) else parameter


def _grammar(value: Any) -> str:
    """A value of `params` as the command line says it; a list is a choice."""
    if isinstance(value, list | tuple):
        return ",".join(_grammar(item) for item in value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
