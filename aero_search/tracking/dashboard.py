"""MLflow's dashboard on the local store, for this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from aero_search.errors import AeroSearchError, RequestError
from aero_search.invocation import typed
from aero_search.passwords import masked
from aero_search.tracking import store
from aero_search.tracking.spec import TrackingSpec

HOST = "127.0.0.1"


def dashboard(
    spec: TrackingSpec, output_dir: Path, port: int, timeout: float = 90.0
) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers, some 8 s.

    The server runs in a process group of its own; end it with `stop`.

    Args:
        port: on 127.0.0.1.
        timeout: seconds to wait.

    Raises:
        RequestError: there is no store, it lies on a server of its own, or the port is taken.
        AeroSearchError: the server ended or did not answer in time, with its last words.
    """
    _check(spec, output_dir, port)
    store.quiet()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
        "--default-artifact-root", (output_dir / "mlflow-artifacts").resolve().as_uri(),
    ]  # fmt: skip
    # Jobs are for features we do not use, and quadruple the time until the first page.
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Anybody on this machine can read a command line: an address may have a password.
        "MLFLOW_BACKEND_STORE_URI": spec.resolved_uri(output_dir),
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            _wait(process, port, timeout, log)
        except BaseException:
            stop(process)
            raise
    return process


def url(port: int) -> str:
    """Where the dashboard answers."""
    return f"http://{HOST}:{port}"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and the processes it started."""
    for ending, timeout in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, ending)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            continue


def _check(spec: TrackingSpec, output_dir: Path, port: int) -> None:
    if spec.kind == "none":
        raise RequestError("tracking=none keeps no store to show; say tracking=mlflow")
    uri = masked(spec.resolved_uri(output_dir))
    if uri.startswith(("http://", "https://")):
        raise RequestError(f"tracking.uri={uri} is a tracking server with a dashboard of its own: open {uri}")
    path = store.sqlite_path(spec.resolved_uri(output_dir))
    if path is not None and not path.is_file():
        raise RequestError(
            f"there is no MLflow store at {path}: run `{typed('search')}` first, "
            "or say output_dir= as that did"
        )
    if not 0 < port < 65536:
        raise RequestError(f"port={port} must lie between 1 and 65535")
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            raise RequestError(
                f"port={port} cannot be used on {HOST} ({problem.strerror}): another dashboard may run "
                f"there; open {url(port)} or say another, such as port={port + 1}"
            ) from problem


def _wait(process: subprocess.Popen[bytes], port: int, timeout: float, log: IO[bytes]) -> None:
    end = time.monotonic() + timeout
    # A proxy set for this machine must not be asked for its own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AeroSearchError(f"the dashboard ended at once: {_last_words(log)}")
        try:
            with opener.open(f"{url(port)}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AeroSearchError(f"the dashboard did not answer within {timeout:.0f} s: {_last_words(log)}")


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return masked(" | ".join(lines[-3:])) or "it said nothing"
