"""The next command is printed as this one was typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aero_search.invocation import typed


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
