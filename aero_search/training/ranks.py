"""Several processes that train one candidate together, behind Lightning's DDP on this machine.

Rank 0 is the process that was asked; it alone writes results and tells listeners. It starts the others as
`python -m aero_search.training.rank`, with their work as JSON on stdin: they repeat neither the command line nor
the tracking, and it makes no difference whether rank 0 is a command, a worker of a study or a notebook.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch.strategies import DDPStrategy

from aero_search.errors import AeroSearchError
from aero_search.schema import to_mapping
from aero_search.training.job import Job, Place

# A rank that hears nothing of the others for so long gives up; validations and checkpoints take seconds.
_TIMEOUT = timedelta(minutes=5)
# How long the others may take to end once rank 0 has.
_GRACE_SECONDS = 60.0


class RankEnvironment(ClusterEnvironment):
    """Tells Lightning which rank this process is; the others are started by `Ranks`."""

    def __init__(self, rank: int, devices: int, port: int) -> None:
        super().__init__()
        self._rank, self._devices, self._port = rank, devices, port

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._devices

    def set_world_size(self, size: int) -> None: ...

    def global_rank(self) -> int:
        return self._rank

    def set_global_rank(self, rank: int) -> None: ...

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0


def trainer_devices(job: Job) -> dict[str, Any]:
    """The devices as arguments of `lightning.Trainer`."""
    compute = job.compute
    if compute.devices == 1:
        return {"accelerator": compute.accelerator, "devices": 1}
    return {
        "accelerator": "cuda" if compute.on_cuda else "cpu",
        "devices": compute.devices,
        "strategy": DDPStrategy(timeout=_TIMEOUT),
    }


def environment_plugins(job: Job, place: Place) -> list[RankEnvironment]:
    """What tells `lightning.Trainer` its rank; nothing for a single process."""
    devices = job.compute.devices
    return [] if devices == 1 else [RankEnvironment(place.rank, devices, place.port)]


class Ranks:
    """Ranks 1 and up of a job while rank 0 trains inside this context; nothing for a single device.

    Raises:
        AeroSearchError: at the end of the context, where one of them failed, with its last line.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def __enter__(self) -> Place:
        job = self._job
        if job.compute.devices == 1:
            return Place(0, 0)
        port = find_free_network_port()
        environment = dict(os.environ)
        source = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (source, environment.get("PYTHONPATH"))))
        for rank in range(1, job.compute.devices):
            log = tempfile.TemporaryFile()
            process = subprocess.Popen(
                [sys.executable, "-m", "aero_search.training.rank"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
            self._processes.append(process)
            self._logs.append(log)
            assert process.stdin is not None
            process.stdin.write(_message(job, Place(rank, port)).encode())
            process.stdin.close()
        return Place(0, port)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            failed = self._end(error is None)
        finally:
            leave_group()
            for process in self._processes:
                process.kill()
                process.wait()
        # A wrong request is told by every process; any other error here follows from the one that failed.
        told = isinstance(error, AeroSearchError) or not isinstance(error, Exception | None)
        if failed and not told:
            raise AeroSearchError(failed) from error

    def _end(self, gently: bool) -> str:
        """Wait for the others, less long where rank 0 has failed; says what became of the first that failed."""
        until = time.monotonic() + (_GRACE_SECONDS if gently else 2.0)
        for rank, (process, log) in enumerate(zip(self._processes, self._logs, strict=True), start=1):
            try:
                code = process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                if gently:
                    return f"process {rank} of compute.devices={self._job.compute.devices} does not end"
                continue
            if code:
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                return (
                    f"process {rank} of compute.devices={self._job.compute.devices} failed: "
                    f"{lines[-1] if lines else f'exit status {code}'}"
                )
        return ""


def leave_group() -> None:
    """End the process group of a training, so that the next one in this process makes its own."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _message(job: Job, place: Place) -> str:
    return json.dumps(
        {
            "architecture": to_mapping(job.architecture),
            "recipe": to_mapping(job.recipe),
            "corpus": str(job.corpus.folder),
            "folder": str(job.folder),
            "compute": to_mapping(job.compute),
            "threads": job.threads,
            "recovery": None if job.recovery is None else job.recovery.message(),
            "rank": place.rank,
            "port": place.port,
            "parent": os.getpid(),
        }
    )
