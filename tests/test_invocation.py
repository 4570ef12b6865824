"""The next command is printed as this one was typed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from aero_search.invocation import install, install_mpc, output_option, typed


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
