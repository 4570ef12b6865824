"""Workers behind any Hydra launcher: as many jobs as workers, launched once; what each does is the task's."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from aero_search.search.study_runner import WorkerDiedError
from aero_search.workers.launcher_errors import ends_all, is_death, is_time_up


def launch_workers(
    context: HydraContext, config: DictConfig, task: TaskFunction, overrides: Sequence[Sequence[str]]
) -> None:
    """Place one worker for each list of overrides, and wait for all.

    Args:
        task: returns what went wrong instead of raising it: Hydra would announce it with a job that means nothing.

    Raises:
        WorkerDiedError: a worker's process was killed, or its job's time is up.
        Exception: what a worker returned, or its launcher raised.
    """
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=_launcher_config(config, len(overrides))
    )
    try:
        returned = [job.return_value for job in launcher.launch(overrides, initial_job_idx=0)]
    except Exception as problem:
        if is_death(problem):
            raise _died(problem, by_itself=not ends_all(problem)) from problem
        raise
    wrong = [value for value in returned if isinstance(value, Exception)]
    # What is wrong with the work goes before what became of a worker.
    for first in sorted(wrong, key=is_time_up):
        raise _died(first, by_itself=True) if is_time_up(first) else first


def _died(problem: Exception, by_itself: bool) -> WorkerDiedError:
    return WorkerDiedError(" ".join(str(problem).split())[:200], by_itself)


def _launcher_config(config: DictConfig, count: int) -> DictConfig:
    """The configured launcher; joblib where that is Hydra's serial default and there are more workers."""
    config = config.copy()
    if count > 1 and config.hydra.launcher._target_.endswith("BasicLauncher"):
        node = ConfigStore.instance().load("hydra/launcher/joblib.yaml").node
        with open_dict(config.hydra):
            config.hydra.launcher = OmegaConf.merge(OmegaConf.structured(node), {"n_jobs": count})
    return config
