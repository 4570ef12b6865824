"""`COMMAND --help` fits a screen, and says of each setting what conf/ says."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from aero_search.cli import COMMANDS, main
from aero_search.config.command import Command
from aero_search.config.help_screen import find_setting, help_screen


def command(name: str) -> Command:
    found = importlib.import_module(f"aero_search.commands.{name}").COMMAND
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen_and_explains_every_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    screen = capsys.readouterr().out
    lines = screen.splitlines()
    assert 5 < len(lines) <= 60
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith(f"aero-search {name}")
    for setting in command(name).settings:
        found = find_setting(name, setting)
        assert found.meaning, f"conf/ says nothing of {setting}"
        assert f"  {setting} " in screen
    assert f"{name} --help=all" in screen


def test_defaults_and_meanings_are_those_of_conf() -> None:
    assert find_setting("search", "space").default == "aero"
    trials = find_setting("search", "search.n_trials")
    assert trials.default == "16"
    assert trials.meaning.startswith("candidates to train")
    assert find_setting("search", "search/sampler").default == "known_cost"
    assert find_setting("measure", "network").default == "loopback"
    assert find_setting("train", "network").default == "paper"
    assert "layernorm" in find_setting("train", "norm").meaning
    assert find_setting("train", "study.name").default == "none"
    with pytest.raises(KeyError):
        find_setting("search", "search.no_such_field")


def test_the_whole_menu_is_still_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--help=all"]) == 0
    assert "Configuration groups" in capsys.readouterr().out


def test_help_is_there_at_once() -> None:
    code = "import sys; from aero_search.cli import main; main(['train', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert help_screen(command("train")).splitlines()[0] in done.stdout
