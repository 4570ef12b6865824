"""A full disk, however a library puts it, is one sentence with the room that is left, and exit code 1."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from safetensors import SafetensorError

from aero_search import cli
from aero_search.disk import is_full


def wrapped() -> Exception:
    problem = RuntimeError("the storage failed")
    problem.__cause__ = sqlite3.OperationalError("database or disk is full")
    return problem


FULL = [
    OSError(errno.ENOSPC, "No space left on device", "outputs/front.json"),
    OSError(errno.EDQUOT, "Disk quota exceeded", "outputs/front.json"),
    sqlite3.OperationalError("database or disk is full"),
    SafetensorError("I/O error: No space left on device (os error 28)"),
    wrapped(),
]


@pytest.mark.parametrize("problem", FULL, ids=lambda problem: f"{type(problem).__name__} {problem}"[:40])
def test_a_full_disk_is_one_sentence(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(arguments: list[str]) -> int:
        raise problem

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["search"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "make room" in line
    assert line.endswith("and the same command goes on")
    if isinstance(problem, OSError):
        assert line.startswith("aero-search: the disk is full: outputs/front.json could not be written (")
        assert "MB are free)" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_the_system_s_own_full_device_counts() -> None:
    with pytest.raises(OSError, match="No space") as told, Path("/dev/full").open("w") as file:
        file.write("x" * 100_000)
    assert is_full(told.value)


@pytest.mark.parametrize("problem", [OSError(errno.EACCES, "Permission denied"), ValueError("full"), None])
def test_what_is_no_full_disk_is_not_called_one(problem: Exception | None) -> None:
    assert not is_full(problem)
