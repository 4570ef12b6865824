"""Imports point one way, the boundary is the only one to see OmegaConf, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

import aero_search

PACKAGE = Path(aero_search.__file__).parent
# A package may import from packages of a lower rank, and from itself.
RANK = {
    "errors": -1,
    "fail_points": -1,
    "passwords": 0,
    "unforeseen": -1,
    "integrity": 0,
    "disk": 0,
    "schema": 0,
    "version": -2,
    "quantity": 0,
    "plain_yaml": 0,
    "user_files": 1,
    "user_path": 0,
    "untrusted_files": 1,
    "console": 0,
    "printing": -1,
    "waiting": 0,
    "markdown": 0,
    "plugins": 0,
    "shipped": 0,
    "interrupts": 0,
    "invocation": 0,
    "architecture": 1,
    "space": 2,
    "cost": 2,
    "model": 3,
    "data": 3,
    "init": 3.5,
    "training": 4,
    "tracking": 5,
    "front": 5,
    "workers": 6,
    "search": 7,
    "measure": 7,
    "report": 8,
    "export": 8,
    "config": 9,
    "app": 10,
    "api": 11,
    "commands": 12,
    "cli": 13,
    "__main__": 14,
}
# Hydra calls these itself: its sweeper, its launchers.
HYDRAS_OWN = ("app/sweeper.py", "app/function_sweep.py", "app/launch.py")
MODULES = sorted(path for path in PACKAGE.glob("**/*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        if name.startswith("aero_search."):
            there = name.split(".")[1]
            assert there == here or RANK[there] < RANK[here], f"{here} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    names["aero_search"] = PACKAGE / "__init__.py"
    waiting = {name: set(imported_modules(path, names)) - {name} for name, path in names.items()}
    # What imports nothing that is left goes, until only circles, and what leads into them, remain.
    while free := {name for name, there in waiting.items() if not there}:
        waiting = {name: there - free for name, there in waiting.items() if name not in free}
    assert not waiting, f"modules in or above a circle: {sorted(waiting)}"


def imported_modules(path: Path, names: Container[str]) -> Iterator[str]:
    """The modules that a module imports, at its head or within a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (inner if inner in names else node.module for inner in members)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_boundary_sees_hydra(path: Path) -> None:
    if room(path) != "config" and path.relative_to(PACKAGE).as_posix() not in HYDRAS_OWN:
        assert not {name.split(".")[0] for name in imported(path)} & {"omegaconf", "hydra"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_can_be_unpickled_or_executed(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"pickle", "dill", "marshal", "shelve"}
    calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}
    assert not calls & {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("aero_search", ("aero_search.architecture", "hydra", "numpy", "torch", "rich", "yaml")),
        ("aero_search.cli", ("hydra", "numpy", "torch", "rich")),
        (
            "aero_search.commands.cost",
            ("torch", "lightning", "mlflow", "optuna", "matplotlib", "plotly", "pandas"),
        ),
        ("aero_search.commands.front", ("torch", "lightning", "mlflow", "matplotlib", "plotly")),
    ],
)
def test_light_commands_import_nothing_heavy(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_folder_says_what_lives_there() -> None:
    for folder in PACKAGE.iterdir():
        if folder.is_dir() and folder.name != "__pycache__" and any(folder.glob("*.py")):
            docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
            assert docstring, folder.name
