"""An installed wheel works from an empty folder, without the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_wheel_runs_from_an_empty_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    # The dependencies of the environment that runs the tests, but nothing of its editable checkout: a folder
    # named in a .pth file is searched, the .pth files inside it are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(str(python), "-c", "import aero_search; print(aero_search.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    command = str(tmp_path / "venv" / "bin" / "aero-search")
    assert "aero-search COMMAND" in run(command, "--help")
    document = json.loads(run(command, "cost", "variant=sm_scfuffn", "format=json"))
    assert document["notation"] == "SM + ScFuFFN"
    assert "space: aero" in run(command, "search", "--cfg", "job")
    spaces = "from aero_search.config.paths import search_spaces_dir; print(search_spaces_dir())"
    assert Path(run(str(python), "-c", spaces).strip()).is_relative_to(site)
    assert list(empty.iterdir()) == []
