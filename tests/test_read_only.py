"""A finished study on a disk that takes no writes: what only reads works, what writes says one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aero_search import cli
from tests.test_search_end_to_end import aero

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Iterator[Path]:
    """A folder whose `outputs`, with the study `mine`, is on a disk that is mounted without writing."""
    folder = tmp_path_factory.mktemp("read_only")
    outputs = folder / "outputs"
    outputs.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root mounts a disk of its own")

    def mounted(*options: str) -> None:
        done = subprocess.run(
            [mount, "-t", "tmpfs", "-o", ",".join(options), "tmpfs", outputs],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")

    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    mounted("size=64m")
    try:
        command = ["search", "space=tiny", "study.name=mine", "search.n_trials=2", "search.workers=1", *tiny]
        # In a process of its own: an open database would keep the disk busy.
        aero(folder, *command, "recipe.steps=4", "recipe.validate_every=4")
        mounted("remount", "ro")
        yield folder
    finally:
        subprocess.run(["umount", "-l", outputs], check=True)
        patch.undo()


@pytest.mark.parametrize(
    "command",
    [
        ["front", "study=mine"],
        ["studies"],
        ["report", "study=mine", "to=page.html"],
        ["export", "study=mine", "to=bundle"],
        ["verify", "bundle"],
    ],
    ids=" ".join,
)
def test_what_writes_elsewhere_or_nothing_works(
    command: list[str], read_only: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command) == 0, capfd.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["report", "study=mine"],
        ["export", "study=mine"],
        ["search", "study.name=mine", "space=tiny"],
        ["search", "study.name=new", "space=tiny"],
        ["train", "norm=none"],
        ["repair"],
        ["studies", "action=delete", "study=mine", "sure=true"],
        ["studies", "action=rename", "study=mine", "to=yours"],
    ],
    ids=" ".join,
)
def test_what_writes_there_says_one_sentence(
    command: list[str], read_only: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command) in (1, 2)
    (line,) = [said for said in capfd.readouterr().err.splitlines() if said.startswith("aero-search: ")]
    assert "outputs" in line
    assert "written" in line or "read-only" in line.lower()
