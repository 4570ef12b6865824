"""A full disk, however a library puts it, is one sentence with the room that is left, and exit code 1."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors import SafetensorError

from aero_search import cli
from aero_search.disk import NoRoomError, full_sentence, is_full


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

    def fail(*_: object) -> int:
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own, of the size that is asked for; asked again it is larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root mounts a disk of its own")

    def sized(size: str) -> Path:
        again = ["-o", f"remount,size={size}"] if folder.is_mount() else ["-o", f"size={size}"]
        done = subprocess.run(
            [mount, "-t", "tmpfs", *again, "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
        return folder

    yield sized
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)


def test_what_cannot_fit_is_not_begun_and_the_sentence_says_how_much_is_missing(
    disk: Callable[[str], Path],
) -> None:
    import torch

    from aero_search.model import save_weights
    from aero_search.training.tensor_tree import save_tree

    folder, layer = disk("1m"), torch.nn.Linear(1000, 500, bias=False)
    for save in (
        lambda: save_weights(layer, folder / "weights.safetensors"),
        lambda: save_tree({"weight": layer.weight}, folder / "weights.safetensors"),
    ):
        with pytest.raises(NoRoomError) as told:
            save()
        assert is_full(told.value)
        said = full_sentence(told.value)
        assert "weights.safetensors needs 2.0 MB, 1.0 MB are free, 1.0 MB are missing" in said
        assert said.endswith("make room, and the same command goes on")
        assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "size",
    ["300k", *(pytest.param(size, marks=pytest.mark.slow) for size in ("64k", "200k", "400k", "800k"))],
)
def test_a_search_on_a_full_disk_goes_on_when_there_is_room(
    size: str,
    disk: Callable[[str], Path],
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["search", "space=tiny", f"output_dir={disk(size)}", "search.n_trials=2", "search.workers=1"]
    command += ["tracking=none", *tiny, "recipe.steps=4", "recipe.validate_every=4"]
    assert cli.main(command) == 1
    said = capfd.readouterr().err
    assert "make room" in said
    assert "Traceback" not in said
    disk("64m")
    assert cli.main(command) == 0
    assert "2 trained" in capfd.readouterr().out
