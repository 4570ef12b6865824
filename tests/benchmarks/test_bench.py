"""What `make bench` runs and says, and the reading of import times."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import imports
from benchmarks.__main__ import BENCHES, Bench, main


def test_every_benchmark_is_a_module_that_knows_its_arguments() -> None:
    for bench in BENCHES:
        assert importlib.util.find_spec(f"benchmarks.{bench.name}") is not None
        command = [sys.executable, "-m", f"benchmarks.{bench.name}", "--help"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for argument in (*bench.full, *bench.quick):
            assert not argument.startswith("--") or argument in said, (bench.name, argument)


def test_the_page_lists_every_benchmark_and_names_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    benches = [
        Bench("imports", "nothing", ("--help",), ("--help",), "imports.md"),
        Bench("imports", "a peer", ("--wrong",), ("--wrong",), "none.md"),
    ]
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--output", str(tmp_path)])
    assert main(benches) == 1
    text = (tmp_path / "README.md").read_text()
    assert "| imports | nothing |" in text
    assert "[imports.md](imports.md)" in text
    assert "failed with exit status 2" in text
    monkeypatch.setattr(sys, "argv", ["bench", "--output", str(tmp_path)])
    assert main(benches[:1]) == 0
    assert "failed" not in (tmp_path / "README.md").read_text()


def test_imports_are_added_up_by_package() -> None:
    found = imports.imports_of("json.tool")
    assert found.seconds > 0
    assert {"json", "json.decoder", "json.tool"} <= set(found.own)
    totals = dict(imports.packages({"json": 100, "json.decoder": 300, "re": 200}))
    assert totals == {"json": pytest.approx(4e-4), "re": pytest.approx(2e-4)}
