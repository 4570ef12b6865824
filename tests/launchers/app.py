"""What the launchers' tests search: a function that takes a moment and leaves a line a call, by whom and where."""

from __future__ import annotations

import os
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

ConfigStore.instance().store("app", {"x": 0.0, "calls": "", "seconds": 1})


@hydra.main(version_base="1.3", config_path=None, config_name="app")
def app(cfg: DictConfig) -> float:
    calls = Path(cfg.calls)
    with (calls / "begun").open("a") as lines:
        lines.write(f"{cfg.x} {os.getpid()} {_slurm_job()} {_ray_node()}\n")
    time.sleep(float(cfg.seconds))
    with (calls / "ended").open("a") as lines:
        lines.write(f"{cfg.x}\n")
    return (float(cfg.x) - 0.3) ** 2


def _slurm_job() -> str:
    names = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
    array = "_".join(os.environ[name] for name in names if name in os.environ)
    return array or os.environ.get("SLURM_JOB_ID", "")


def _ray_node() -> str:
    try:
        import ray
    except ImportError:
        return ""
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""


if __name__ == "__main__":
    app()
