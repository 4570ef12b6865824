"""The next command is printed as this one was typed."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import aero_search
from aero_search.cli import COMMANDS
from aero_search.invocation import install, install_mpc, output_option, retyped, typed


def test_the_program_is_spelt_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "my env" / "aero-search"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert typed("ui", ["/x/python", ".venv/bin/aero-search", "front"]) == ".venv/bin/aero-search ui"
    assert typed("ui", ["/x/python", str(script), "front"]) == f"'{script}' ui"
    assert typed("ui", ["python", "-m", "aero_search", "search"]) == "python -m aero_search ui"
    monkeypatch.setenv("PATH", str(script.parent))
    assert typed("ui", ["/x/python", str(script), "front"]) == "aero-search ui"
    # Within another program, such as a notebook, the name is all there is to say.
    assert typed("ui", ["/usr/bin/jupyter", "lab"]) == "aero-search ui"


def test_what_is_printed_can_be_typed(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "aero_search", "front", "--help"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"{sys.executable} -m aero_search front --help=all" in done.stdout


@pytest.mark.parametrize("name", ["plain-1.0", "a,b", "a b", "it's", "a\\", "x=[1]", "${a}", "range(1,9)"])
def test_a_printed_folder_is_read_back_as_it_is(name: str, tmp_path: Path) -> None:
    (word,) = shlex.split(output_option(tmp_path / name))
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override()
    assert override.value() == str(tmp_path / name)


def test_the_advice_installs_from_this_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    monkeypatch.chdir(root)
    assert install("hf").endswith("-m pip install --constraint constraints.txt --editable '.[hf]'")
    assert install_mpc() == (
        "`make mpc` builds an environment of its own; then say measure.python=.venv-mpc/bin/python"
    )
    assert "\nmpc: " in (root / "Makefile").read_text()
    monkeypatch.chdir(tmp_path)
    assert f"{root}[hf]" in install("hf")
    assert f"make -C {root} mpc" in install_mpc()


def test_a_kept_line_is_printed_as_it_would_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/x/python", ".venv/bin/aero-search", "studies"])
    assert retyped("aero-search search study.name=a") == ".venv/bin/aero-search search study.name=a"


# A line to be typed; `calibrate` is named by the files that it has written.
_LINE = re.compile(rf"\baero-search ({'|'.join(COMMANDS.keys() - {'calibrate'})})\b")
# Cards, the page and MLflow's note, whose own tests look for the explanation.
_EXPLAINED = ("export/card.py", "export/resized.py", "commands/report.py", "app/study.py")


def test_a_bare_name_is_told_only_where_it_is_explained() -> None:
    """What is printed is spelt as it was typed; what is read elsewhere says what the bare name stands for."""
    package = Path(aero_search.__file__).parent
    for path in set(package.glob("**/*.py")) - {package / name for name in _EXPLAINED}:
        tree = ast.parse(path.read_text())
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                assert not _LINE.search(node.value), f"{path}:{node.lineno}: {node.value}"
