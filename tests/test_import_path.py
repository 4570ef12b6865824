"""Nothing in the current folder, such as a stranger's bundle, is imported by a command or by its children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("aero-search")
# Three kinds of children, each asked to import a plug-in that lies in the current folder.
CHILDREN = """
import importlib, multiprocessing, subprocess, sys
from joblib.externals.loky import get_reusable_executor
from aero_search.cli import main
name = "hydra_plugins.evil"
assert main() == 0
with multiprocessing.get_context("spawn").Pool(1) as pool:
    try:
        pool.apply(importlib.import_module, (name,))
    except ModuleNotFoundError:
        print("spawned: none")
if isinstance(get_reusable_executor(1).submit(importlib.import_module, name).exception(), ModuleNotFoundError):
    print("joblib: none")
if subprocess.run([sys.executable, "-m", name], stderr=subprocess.DEVNULL).returncode:
    print("started: none")
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with plug-ins, one of them under the name of a package that has some; each leaves a file."""
    for name in ("evil", "hydra_joblib_launcher"):
        plugin = tmp_path / "hydra_plugins" / name
        plugin.mkdir(parents=True)
        (plugin / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')")
    return tmp_path


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-m", "aero_search"),
        (sys.executable, "-c", "from aero_search.cli import main; raise SystemExit(main())"),
        (str(COMMAND),),
    ],
    ids=["module", "code", "script"],
)
def test_plug_ins_in_the_current_folder_are_not_imported(hostile: Path, command: tuple[str, ...]) -> None:
    done = run(hostile, *command, "cost", "format=json", PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)
    assert not (hostile / "ran").exists()


def test_children_do_not_import_them_either(hostile: Path) -> None:
    done = run(hostile, sys.executable, "-c", CHILDREN, "--version", PYTHONPATH=str(ROOT))
    assert done.stdout.splitlines()[1:] == ["spawned: none", "joblib: none", "started: none"], done.stderr
    assert not (hostile / "ran").exists()


def test_a_checkout_runs_without_being_installed() -> None:
    """From within, where the current folder is all that Python knows of it."""
    blocked = "import sys; sys.path.remove({root!r}) if {root!r} in sys.path[1:] else None; "
    code = (
        blocked.format(root=str(ROOT)) + "import runpy; runpy.run_module('aero_search', run_name='__main__')"
    )
    done = run(ROOT, sys.executable, "-c", code, "cost", "format=json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
