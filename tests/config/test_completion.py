"""Completion offers what conf/ has, at every place of a command line, and bash takes it in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aero_search.cli import COMMANDS, main
from aero_search.config.completion import completions


def after(line: str) -> list[str]:
    return completions(f"aero-search {line}", COMMANDS)


def test_every_place_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "other"):
        (tmp_path / "out" / "studies" / name).mkdir(parents=True)
    assert {f"{name} " for name in COMMANDS} <= set(after(""))
    assert after("se") == ["search "]
    assert after("nonsense n") == []
    assert {"norm=", "recipe.", "search/sampler=", "space=", "study="} <= set(after("search "))
    assert after("cost norm=la") == ["norm=layernorm "]
    assert after("cost ~nor") == ["~norm.", "~norm="]
    assert "recipe.lr=" in after("train recipe.")
    assert after("front budget.lat") == ["budget.latency_s="]
    assert after("front output_dir=out study=") == ["study=mine ", "study=other "]
    assert "pick=trial:" in after("export pick=")
    assert "space=tiny " in after("search space=")
    assert after("search --multi") == ["--multirun "]
    # Only the command's own settings, and those of all.
    assert after("verify bundl") == ["bundle="]
    assert after("search bundl") == []


def test_groups_of_ones_own_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine" / "protocol"
    mine.mkdir(parents=True)
    (mine / "my_own.yaml").write_text("name: my_own\n")
    assert after(f"cost --config-dir {mine.parent} protocol=my") == ["protocol=my_own "]
    assert after(f"cost --config-dir={mine.parent} protocol=my") == ["protocol=my_own "]
    assert after("cost protocol=my") == []
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(mine.parent))
    assert after("cost protocol=my") == ["protocol=my_own "]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command as a file, where none is installed."""
    path = tmp_path / "bin" / "aero-search"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m aero_search "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("typed", "words", "offered"),
    [
        ("front budget.lat", "front budget.lat", ["budget.latency_s="]),
        # readline takes the = for a word of its own, and completes what stands behind it.
        ("cost norm=la", "cost norm = la", ["layernorm "]),
    ],
)
def test_bash_is_told(typed: str, words: str, offered: list[str], program: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    script = f"""eval "$({program} --completion bash)"
    COMP_LINE="{program} {typed}" COMP_WORDS=({program} {words})
    COMP_POINT=${{#COMP_LINE}} COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    complete -p aero-search >&2
    _aero_search
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert "-F _aero_search aero-search" in done.stderr
    assert done.stdout.splitlines() == offered


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", "zsh"]) == 0
    assert "compdef _aero_search aero-search" in capsys.readouterr().out
    assert main(["--completion=powershell"]) == 2
    assert "choose one of bash, zsh" in capsys.readouterr().err
    assert "--completion bash" in main_help(capsys)


def main_help(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["--help"]) == 0
    return capsys.readouterr().out


def test_it_costs_no_heavy_import() -> None:
    asked = "main(['--complete', 'x cost norm=']); print('hydra' in sys.modules)"
    code = f"import sys; from aero_search.cli import main; {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "norm=layernorm" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
