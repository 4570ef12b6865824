"""Commands of one study beside each other, and the signals that end one of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_search_end_to_end import aero, front, trained

pytestmark = pytest.mark.slow


def begun(folder: Path, arguments: list[str], results: int) -> subprocess.Popen[str]:
    """A search that has at least so many results."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 600
    while len(list(folder.glob("outputs/studies/*/candidates/*/result.json"))) < results:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    return process


@pytest.fixture
def search(tiny: list[str]) -> list[str]:
    kept = ["search.n_trials=5", "search.workers=1", "tracking=none", "study.name=shared"]
    return ["search", *kept, *tiny, "recipe.steps=300"]


def test_a_second_command_of_a_study_shares_its_work_and_others_are_refused(
    tmp_path: Path, search: list[str]
) -> None:
    first = begun(tmp_path, search, 1)
    aero(tmp_path, *search, "recipe.steps=200", code=2)
    second = begun(tmp_path, search, 1)
    ends = [process.communicate(timeout=600) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], ends
    assert len(trained(front(tmp_path, "shared"))) == 5
    said = "".join(out + err for out, err in ends)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGTERM], 143), ([signal.SIGHUP], 129), ([signal.SIGINT, signal.SIGINT], 130)],
    ids=["SIGTERM", "SIGHUP", "SIGINT twice"],
)
def test_a_search_that_is_told_to_end_says_so_and_loses_nothing(
    signals: list[signal.Signals], code: int, tmp_path: Path, search: list[str]
) -> None:
    process = begun(tmp_path, search, 2)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.2)
    _, errors = process.communicate(timeout=600)
    # A last signal that comes after the sentence ends the process itself, which a shell tells by the same number.
    assert process.returncode in (code, -signals[-1]), errors
    assert errors.count("the same command resumes") == 1
    assert "Traceback" not in errors
    kept = {path: path.read_bytes() for path in tmp_path.glob("outputs/studies/*/candidates/*/result.json")}
    aero(tmp_path, *search)
    assert len(trained(front(tmp_path, "shared"))) == 5
    assert all(path.read_bytes() == before for path, before in kept.items())
