"""What logging to MLflow costs a candidate of the default proxy.

One training is listened to by several trackers at once, in turns: a SQLite store, a server on this machine, and a
server that is down (what it misses is kept on the disk). Each one's calls are timed by the wall clock, so that all
meet the same training and the same machine; the figure is a tracker's time over that of the training without any.
From the creation of the run to its end, artifacts included; making the store, once a study, is not a candidate's.

    OMP_NUM_THREADS=1 python benchmarks/tracking.py [--steps N] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.data import prepare
from aero_search.search.candidate import make_candidate
from aero_search.search.files import write_candidate
from aero_search.tracking.opening import open_tracker
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import CandidateRun, Tracker
from aero_search.training.result import RESULT_FILE, WEIGHTS_FILE, CurvePoint
from aero_search.training.run import train
from benchmarks.write_report import processor, say

GOAL = 0.02


class Timed:
    """A candidate's run whose calls are timed; seconds by name."""

    def __init__(self, tracker: Tracker, parent: str, costs: dict[str, float]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._run: CandidateRun = self._time(
            "create", tracker.start_candidate, parent, "SM + LN + G #0", {"norm": "layernorm"}, costs, {}
        )

    def step(self, step: int, loss: float) -> None:
        self._time("step", self._run.step, step, loss)

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self._time("validation", self._run.validated, point, entropy)

    def finish(self, *arguments: Any) -> None:
        self._time("end", self._run.finish, *arguments)

    def _time(self, name: str, call: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            self.seconds[name] += time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1200, help="1200: the proxy's recipe")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        request = read_request(compose("config"))
    every = request.recipe.validate_every * options.steps // request.recipe.steps
    recipe = replace(request.recipe, steps=options.steps, validate_every=every)
    corpus = prepare(request.data, request.architecture.vocab_size)
    candidate = make_candidate(request.architecture, recipe, corpus.fingerprint, config=request.portable())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri, server = _server(folder)
        try:
            down = f"http://127.0.0.1:{_free_port()}"
            costs = request.pricing.price(candidate.architecture).figures
            runs = {}
            for what, address in (("SQLite", None), ("server", uri), ("server down", down)):
                tracker = open_tracker(
                    TrackingSpec("mlflow", address, "benchmark"), folder / what.replace(" ", "-")
                )
                tracker.initialize()
                runs[what] = Timed(tracker, tracker.start_study("benchmark", "", {}), costs)
            files = write_candidate(candidate, folder)
            started = time.perf_counter()
            result = train(candidate.architecture, recipe, corpus, folder, tuple(runs.values()))
            seconds = time.perf_counter() - started
            # What was logged meanwhile is not the training's.
            seconds -= sum(run.seconds["step"] + run.seconds["validation"] for run in runs.values())
            for run in runs.values():
                run.finish(result, [*files, folder / WEIGHTS_FILE, folder / RESULT_FILE])
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    text = _table(seconds, runs, options.steps, len(result.curve))
    say(text, options.output, "OMP_NUM_THREADS=1 python benchmarks/tracking.py")


def _table(seconds: float, runs: dict[str, Timed], steps: int, validations: int) -> str:
    names = ("create", "step", "validation", "end")
    lines = [
        f"{platform.machine()}, {processor()}, Python {platform.python_version()}",
        f"the proxy, {steps} steps, {validations} validations: {seconds:.1f} s of training",
        f"seconds in each tracker's calls, and their sum over the training's seconds (goal: {GOAL:.1%})",
        "",
        f"{'store':<14}{''.join(f'{name:>12}' for name in names)}{'all':>10}{'share':>9}",
    ]
    for what, run in runs.items():
        total = sum(run.seconds.values())
        cells = "".join(f"{run.seconds[name]:>12.3f}" for name in names)
        lines.append(f"{what:<14}{cells}{total:>10.3f}{total / seconds:>9.2%}")
    return "\n".join(lines) + "\n"


def _server(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    port = _free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination", str(folder / "server"),
    ]  # fmt: skip
    server = subprocess.Popen(
        command,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    uri = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None:
        try:
            with opener.open(f"{uri}/health", timeout=2):
                return uri, server
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("the server ended at once")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
