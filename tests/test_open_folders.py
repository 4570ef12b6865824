"""Nobody else writes into what is made, and a folder that everyone may write into is warned of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aero_search import integrity
from aero_search.config.paths import writable
from aero_search.data.preparation import prepare
from aero_search.data.spec import CorpusSpec
from aero_search.report.diagnostics import diagnose


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027])
def test_what_a_command_makes_only_its_user_or_group_writes(umask: int, tmp_path: Path) -> None:
    code = "import sys; sys.argv=['aero-search', 'cost']; import aero_search.cli as c, os\n"
    code += "c._run = lambda *_: os.mkdir('made') or 0\nsys.exit(c.main())"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, preexec_fn=lambda: os.umask(umask))
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777 & ~umask & ~0o002


@pytest.mark.parametrize(
    ("mode", "open_to_all"), [(0o777, True), (0o757, True), (0o775, False), (0o755, False), (0o1777, False)]
)
def test_a_folder_that_everyone_may_write_into_is_told_once(
    mode: int,
    open_to_all: bool,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(integrity, "_told_of", set())
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    spec = CorpusSpec(kind="text_folder", path=str(text_folder), cache_dir=str(folder))
    for _ in range(2):
        writable(folder)
        prepare(spec, 280)
    lines = [line for line in capsys.readouterr().err.splitlines() if "chmod o-w" in line]
    assert len(lines) == open_to_all
    checks = [check for check in diagnose(folder, folder) if check.mend == f"chmod o-w {folder}"]
    assert len(checks) == 2 * open_to_all


def test_a_folder_that_is_missing_is_open_to_nobody(tmp_path: Path) -> None:
    assert not integrity.open_to_all(tmp_path / "none")
