"""The commands of the README and of the tutorial run in their order in one folder, and print what the page shows.

Trainings are shortened by further overrides; the tutorial runs as typed, in a shell, with AERO_SEARCH_WALK=full
(`AERO_SEARCH_WALK=full make test ARGS='tests/docs/test_walk.py -k tutorial'`, some ten minutes).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from aero_search.cli import main

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("AERO_SEARCH_WALK") == "full"
TRAINING = ("search", "train", "ablate")
# A server that stays up is asked for its settings alone.
SERVERS = ("ui",)


@dataclass(frozen=True)
class Step:
    """A command of a page, and the block below it that shows what it prints."""

    line: str
    shown: str = ""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)[1:]


def steps_of(page: str) -> list[Step]:
    """The commands of a page in their order; `make search` is the search that it runs."""
    found: list[Step] = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        lines = [re.split(r"\s+# ", line)[0] for line in block.splitlines()]
        said = [re.sub(r"^make search$", "aero-search search", line) for line in lines]
        commands = [line for line in said if re.match(r"(\.venv/bin/)?aero-search [a-z]", line)]
        if language in ("", "sh") and commands:
            found += map(Step, commands)
        elif language == "text" and found:
            found[-1] = Step(found[-1].line, block)
    return found


README = steps_of((ROOT / "README.md").read_text())
TUTORIAL = steps_of((ROOT / "docs" / "tutorial.md").read_text())


def printed_as_shown(step: Step, output: str) -> None:
    """Every line of the block that depends on no training stands in the output, in the block's order."""
    exact = step.words[0] == "cost"
    lines = [plain(line) for line in output.splitlines()]
    for line in map(plain, step.shown.splitlines()):
        if line.strip("─") in ("", "...") or (not exact and re.search(r"\d", line)):
            continue
        assert line in lines, f"{step.line} no longer prints: {line}"
        del lines[: lines.index(line) + 1]


def plain(line: str) -> str:
    """A line without what follows from its numbers: widths of columns, and the units that a column is shown in."""
    words = line.replace(".venv/bin/aero-search", "aero-search").split()
    return " ".join("(unit)" if re.fullmatch(r"\((ms|s|min|h|[kKMG])\)", word) else word for word in words)


def run(step: Step, shorter: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; it has to succeed, or to say what it lacks where it needs an extra."""
    if FULL:
        done = subprocess.run(["bash", "-c", step.line], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    command, *rest = step.words
    more = (
        [*shorter, "tracking=none"] if command in TRAINING else ["--cfg", "job"] if command in SERVERS else []
    )
    code = main([command, *rest, *more])
    out, err = capsys.readouterr()
    lacking = command == "measure" and find_spec("spu") is None
    assert code == (2 if lacking else 0), f"{step.line}\n{err}"
    assert not lacking or "spu" in err
    return out


@pytest.fixture
def folder(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with texts of one's own, and where a shell is used the environment that runs the tests."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(text_folder, tmp_path / "my_texts")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def shorter(tiny: list[str]) -> list[str]:
    """What makes a training of any page one of moments, on a small corpus, with networks as small."""
    kept = [word for word in tiny if not word.startswith(("recipe.steps", "recipe.lr"))]
    return [*kept, "recipe.steps=12", "search.n_trials=2", "search.workers=1"]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["readme", "tutorial"])
def test_a_walk_through_the_page(
    page: str, folder: Path, shorter: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    steps = README if page == "readme" else TUTORIAL
    for step in steps:
        own = ["ladder.lr=[4e-3]", "ladder.seeds=[0]"] if step.words[0] == "ablate" else []
        output = run(step, [*shorter, *own], folder, capsys)
        printed_as_shown(step, output)


def test_the_pages_have_commands_and_shown_output() -> None:
    assert len(README) > 20
    assert len(TUTORIAL) > 6
    assert sum(bool(step.shown) for step in TUTORIAL) > 4


def test_the_tutorial_is_typed_from_an_empty_clone() -> None:
    assert all(step.line.startswith(".venv/bin/aero-search ") for step in TUTORIAL)
