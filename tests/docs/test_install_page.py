"""docs/install.md: its targets, extras and files exist, and its tools take its options."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_targets_extras_and_files_exist() -> None:
    targets = set(re.findall(r"\bmake ([a-z][\w-]*)", PAGE))
    assert {"install", "search", "dist", "lock", "docs", "mpc"} <= targets
    assert all(re.search(rf"^{name}:", MAKEFILE, re.MULTILINE) for name in targets)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (listed,) = re.findall(r"An extra adds an optional part: ([^.]*)\.", PAGE)
    assert set(re.findall(r"`(\w+)`", listed)) < extras.keys()
    assert set(re.findall(r"\[([a-z,]+)\]'", PAGE.replace("hf,onnx", "hf"))) == {"hf"}
    assert all((ROOT / name).is_file() for name in ("constraints.txt", "constraints-mpc.txt", "Dockerfile"))


def test_a_release_is_checked_in_ci() -> None:
    assert re.search(r"^\t\.venv-release/bin/twine check --strict dist/\*", MAKEFILE, re.MULTILINE)
    assert re.search(r"^make dist$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_the_tools_take_these_options(tool: str) -> None:
    (line,) = re.findall(rf"^    ({tool} (?:tool )?install .*)$", PAGE, re.MULTILINE)
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"no {tool}")
    said = subprocess.run([program, *line.split("install")[0].split()[1:], "install", "--help"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert all(option in said for option in re.findall(r"--[\w-]+", line.partition("='")[0]))
