"""A search whose workers are Slurm's jobs, on a cluster of one host that the test itself starts; needs root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launchers.searching import Searching
from tests.workers.postgresql import PASSWORD, Server

pytestmark = pytest.mark.slow

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ReturnToService=2
KillWait=1
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

# submitit asks `sacct` which of its jobs have ended, and that wants a database; the controller knows for minutes.
SACCT = r"""#!/bin/sh
echo "JobID|State|NodeList"
scontrol show job -o | sed -nE \
  -e 's/^JobId=.* ArrayJobId=([0-9]+) ArrayTaskId=([0-9]+) .*JobState=([A-Z]+) .*/\1_\2|\3|/p; t' \
  -e 's/^JobId=([0-9]+) .*JobState=([A-Z]+) .*/\1|\2|/p'
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands find the cluster."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if _program(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)")
    if importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        pytest.skip("hydra-submitit-launcher is not installed (pip install 'aero-search[slurm]')")
    if os.geteuid() != 0:
        pytest.skip("slurmd runs jobs as root only")
    folder = Path(tempfile.mkdtemp(prefix="aero-slurm-"))
    folder.chmod(0o755)
    for name in ("bin", "spool", "state"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    controller, node = free_ports(2)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, folder=folder, controller=controller, node=node))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o600)
    sacct = folder / "bin" / "sacct"
    sacct.write_text(SACCT)
    sacct.chmod(0o755)
    environment = {"SLURM_CONF": str(config), "PATH": f"{sacct.parent}:{os.environ['PATH']}"}
    daemons = [
        [
            "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/seed",
        ],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config), "-N", host],
    ]  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            with (folder / f"{command[0]}.out").open("wb") as out:
                program = str(_program(command[0]))
                running.append(
                    subprocess.Popen(
                        [program, *command[1:]], stdout=out, stderr=out, env={**os.environ, **environment}
                    )
                )
            time.sleep(1)
        deadline = time.monotonic() + 600
        while "idle" not in _ask("sinfo", "-h", "-o", "%T", environment=environment):
            logs = "\n".join(path.read_text()[-800:] for path in folder.glob("*.out"))
            assert time.monotonic() < deadline, logs
            time.sleep(0.5)
        yield environment
    finally:
        _ask("scancel", "--partition=debug", environment=environment)
        for process in reversed(running):
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def _ask(*command: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_jobs_share_a_study_and_those_that_are_ended_lose_nothing(
    slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    overrides = [
        "hydra/launcher=submitit_slurm",
        "hydra.launcher.partition=debug",
        "hydra.launcher.cpus_per_task=1",
        # Below ten minutes submitit takes the signal for the end of a job's time whenever it comes, and not for a
        # preemption.
        "hydra.launcher.timeout_min=9",
        "seconds=8",
    ]
    with Server() as server, Searching(tmp_path, server, *overrides, environment=slurm) as search:
        search.wait_for(4)
        process = {job: int(process) for _, process, job, _ in search.begun()}
        first, second = sorted(process)
        _ask("scancel", first, environment=slurm)
        wait_for_end(process[first])
        # The other goes on, and beside it one that takes the place of the first.
        while len(jobs := {call[2] for call in search.begun()}) < 3:
            search.wait_for(len(search.begun()) + 1)
        # What Slurm sends shortly before a job's time is up.
        _ask("scancel", "--signal=USR2", second, environment=slurm)
        wait_for_end(process[second])
        trials = search.finish()
        assert sum("orphan" in t.user_attrs for t in trials) == 2
        assert {call[2] for call in search.begun()} == jobs


def wait_for_end(process: int) -> None:
    """Slurm kills a job some seconds after it was told to."""
    deadline = time.monotonic() + 600
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
