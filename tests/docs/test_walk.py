"""The commands of the README and of the tutorial run in their order in one folder, and print what the page shows.

They run in this process, with short trainings; `make walk` types them into a shell, in an empty clone.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from pathlib import Path

import pytest

from aero_search.cli import main
from tools.walk import Heard, Shell, Step, missing_line, newcomers, steps_of, unexplained

ROOT = Path(__file__).parents[2]
TRAINING = ("search", "train", "ablate")
# A server that stays up is asked for its settings alone.
SERVERS = ("ui",)
README = steps_of((ROOT / "README.md").read_text())
TUTORIAL = steps_of((ROOT / "docs" / "tutorial.md").read_text())


def run(words: list[str], shorter: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; it has to succeed, or to say that it needs an environment that is not there."""
    command, *rest = words
    more = (
        [*shorter, "tracking=none"] if command in TRAINING else ["--cfg", "job"] if command in SERVERS else []
    )
    code = main([command, *rest, *more])
    out, err = capsys.readouterr()
    lacking = command == "measure"
    assert code == (2 if lacking else 0), f"{words}\n{err}"
    assert not lacking or ".venv-mpc" in err
    return out


@pytest.fixture
def folder(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with texts of one's own."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(text_folder, tmp_path / "my_texts")
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
    for step in README if page == "readme" else TUTORIAL:
        line = "aero-search search" if step.line == "make search" else step.line
        program, *words = shlex.split(line)
        if not program.endswith("aero-search"):
            continue
        own = ["ladder.lr=[4e-3]", "ladder.seeds=[0]"] if words[0] == "ablate" else []
        output = run(words, [*shorter, *own], capsys)
        assert missing_line(step, output) is None, step.line


def test_the_pages_have_commands_and_shown_output() -> None:
    assert len(README) > 20
    assert len(TUTORIAL) > 6
    assert sum(bool(step.shown) for step in TUTORIAL) > 4


def test_the_tutorial_is_typed_from_an_empty_clone() -> None:
    install, *others = TUTORIAL
    assert install.line == "make install"
    assert all(step.line.startswith(".venv/bin/aero-search ") for step in others)


def test_a_bare_command_comes_after_the_line_that_finds_it() -> None:
    lines = [step.line for step in README]
    bare = [line.startswith("aero-search ") for line in lines]
    assert bare.index(True) == lines.index("source .venv/bin/activate") + 1


def test_a_block_that_is_not_printed_is_found() -> None:
    step = Step("aero-search cost", "part  bytes\n...\nshare of all\n")
    assert missing_line(step, "part   bytes\nelse\nshare of all\n") is None
    assert missing_line(step, "share of all\npart  bytes\n") == "share of all"
    exact = Step(".venv/bin/aero-search cost variant=sm_r", "total 5 MB\n")
    assert missing_line(exact, "total 6 MB\n") == "total 5 MB"


def test_a_wait_needs_a_word_before_it() -> None:
    heard = [Heard(0.5, "loading PyTorch ...\n"), Heard(9.0, "[1/8] SM + R\nSM\n"), Heard(10.5, "done\n")]
    assert unexplained(heard, 11.0) == []
    assert unexplained(heard, 13.0) == ["2.5 s of silence after 'done'"]
    assert unexplained([Heard(2.5, "hello\n")], 3.0) == ["2.5 s of silence after ''"]
    assert unexplained([Heard(0.1, "[1/8] SM\n")], 20.0) == []


def test_a_shell_keeps_what_a_line_sets_and_tells_exit_codes(tmp_path: Path) -> None:
    # As where the walk runs in the background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        shell = Shell(tmp_path, {"PATH": "/usr/bin:/bin"})
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        assert shell.type("export MINE=7")[0] == 0
        code, heard, _ = shell.type("echo $MINE; false")
        assert (code, "".join(piece.text for piece in heard)) == (1, "7\n")
        # A server that says how it is stopped is stopped.
        server = "python3 -c 'import time; print(\"up  (Ctrl-C stops it)\", flush=True); time.sleep(600)'"
        code, heard, _ = shell.type(server)
        assert code != 0
    finally:
        shell.close()


def test_a_newcomer_has_nothing_of_ours_and_nothing_of_make() -> None:
    ours = {
        "ARGS": "--short",
        "MAKEFLAGS": " -- ARGS=--short",
        "VIRTUAL_ENV": "/x",
        "AERO_SEARCH_CACHE": "/y",
    }
    path = os.pathsep.join(("/there/.venv/bin", "/usr/bin"))
    assert newcomers({"HOME": "/home", "PATH": path, **ours}) == {"HOME": "/home", "PATH": "/usr/bin"}
