"""The last net: what no code foresaw is one sentence, an exit code and a log file; so are signals."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aero_search import unforeseen
from aero_search.cli import COMMANDS, main
from aero_search.commands import cost

SECRET = "postgresql://me:hunter2@host/db"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def broken(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    """Make `cost` raise it while it works."""

    def estimate(*_: object) -> None:
        raise problem

    monkeypatch.setattr(cost, "estimate", estimate)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (ZeroDivisionError("division\nby zero"), "ZeroDivisionError: division by zero while running"),
        (MemoryError(), "MemoryError while running"),
        (RecursionError("x" * 1000), "RecursionError: x{200,300}"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "Read-only file system: /x while running"),
        (ValueError(SECRET), r"ValueError: postgresql://me:\*\*\*@host/db"),
    ],
)
def test_a_failure_is_one_sentence_and_a_log_file(
    problem: Exception,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "results").mkdir()
    broken(monkeypatch, problem)
    assert main(["cost", "output_dir=results"]) == 1
    err = capsys.readouterr().err
    assert re.match(f"aero-search: {says}", err)
    assert len(err.splitlines()) == 1
    path = Path(re.search(r"the traceback is in (\S+)", err)[1])  # type: ignore[index]  # or the test fails
    assert path.parent == Path("results")
    report = path.read_text()
    assert "Traceback (most recent call last)" in report
    assert "in estimate" in report
    assert "command: aero-search cost output_dir=results" in report
    assert "hunter2" not in report + err


def test_without_an_output_folder_the_log_is_in_the_temporary_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken(monkeypatch, KeyError("x"))
    assert main(["cost", "output_dir=none"]) == 1
    assert f"the traceback is in {tmp_path}/aero-search-error-" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_debugging_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(unforeseen.DEBUG, "1")
    broken(monkeypatch, KeyError("x"))
    assert main(["cost"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_fails_while_the_request_is_read_is_its_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def compose(*_: object, **__: object) -> None:
        raise AssertionError("inside Hydra")

    monkeypatch.setattr("hydra._internal.config_loader_impl.create_defaults_list", compose)
    assert main(["cost"]) == 2
    assert capsys.readouterr().err == (
        "aero-search: the configuration cannot be composed: AssertionError: inside Hydra\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (None, 130, "interrupted"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGUSR1, 138, "ended by SIGUSR1"),
    ],
)
def test_signals_end_with_a_sentence(
    number: signal.Signals | None,
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def estimate(*_: object) -> None:
        if number is None:
            raise KeyboardInterrupt
        # To this thread: another one might take the signal of a process a moment later.
        signal.raise_signal(number)

    monkeypatch.setattr(cost, "estimate", estimate)
    # Under nohup it is ignored, and stays so.
    outside = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert main(["cost"]) == code
        assert capsys.readouterr().err == f"aero-search: {says}; the same command resumes\n"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, outside)


def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell command with `$A` for aero-search."""
    environment = {**os.environ, "A": f"{sys.executable} -m aero_search", **environment}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )


def test_outputs_that_take_nothing() -> None:
    for command in ("$A --help > /dev/full", "$A cost > /dev/full"):
        done = run(command)
        assert done.returncode == 1, done.stderr
        assert re.fullmatch(r"aero-search: No space left on device[^\n]*\n", done.stderr)
    assert run("$A nonsense 2> /dev/full").returncode == 2
    closed = run("{ $A cost; echo $? >&2; } | true")
    assert re.fullmatch(
        r"(aero-search: the reader of the output has gone before its end\n1|0)\n", closed.stderr
    )


def test_an_ascii_terminal() -> None:
    done = run("$A cost", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    done = run(f"mkdir {gone} && cd {gone} && rmdir {gone} && $A cost")
    assert done.returncode == 1
    assert done.stderr == "aero-search: the current folder has been removed: cd into one that exists\n"


def test_every_command_has_the_net(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_command(*_: object) -> int:
        raise RuntimeError("early")

    monkeypatch.setattr("aero_search.config.hydra_main.run_command", run_command)
    for name in COMMANDS:
        assert main([name]) == 2
        assert capsys.readouterr().err == (
            "aero-search: RuntimeError: early; AERO_SEARCH_DEBUG=1 shows where it was raised\n"
        )
