"""The commands of the pages on searching compose as printed, and its searches do not meet in one study."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from aero_search.cli import COMMANDS, main
from aero_search.config.paths import search_spaces_dir
from aero_search.space.space import load_space

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# Those of the README and of the tutorial are run: test_walk.py.
PAGES = ("search.md", "spaces.md", "samplers.md")


def lines_of(page: str) -> list[str]:
    return [line.partition("  #")[0] for line in re.findall(r"^ *(aero-search [a-z].*)$", page, re.MULTILINE)]


LINES = [line for name in PAGES for line in lines_of((ROOT / "docs" / name).read_text())]


def test_readme_says_where_the_command_is() -> None:
    assert ".venv/bin/aero-search" in README
    assert {shlex.split(line)[1] for line in lines_of(README)} <= COMMANDS.keys()


def test_searches_with_other_settings_have_a_study_of_their_own() -> None:
    searches = [
        shlex.split(line)[2:] for line in re.findall(r"^aero-search search.*?(?=  #|$)", README, re.M)
    ]
    assert len(searches) > 2
    for words in searches:
        assert not words or any(word.startswith("study.name=") for word in words), words


def test_the_space_of_the_page_is_read_and_the_shipped_ones_are_listed(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "spaces.md").read_text()
    (block,) = re.findall(r"^    description: .*\n(?:    .*\n)+", page, re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(textwrap.dedent(block))
    read = load_space(str(tmp_path / "mine.yaml"), tmp_path, {"n_layer": 4})
    assert {"ffn", "activation", "ffn.layers", "recipe.lr"} < {p.override for p in read.parameters}
    assert read.start
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed == {path.stem for path in search_spaces_dir().glob("*.yaml")}


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_every_line_composes(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_space.yaml").write_text("description: one\nparameters:\n  norm: {choices: [none]}\n")
    words = shlex.split(line)[1:]
    kept = [word for word in words if word not in ("--multirun", "-m")]
    # What sweeps is read by the sweeper; the configuration takes its first value.
    kept = [re.sub(r"=([\w.]+),[\w.,]+$", r"=\1", word) for word in kept]
    kept = [word for word in kept if not re.search(r"=(tag|interval|choice|range)\(", word)]
    if words[0] in ("verify", "studies"):
        kept = [words[0]] if words[0] == "studies" else [words[0], "bundle=mine"]
    assert main([*kept, "--cfg", "job"]) == 0, capsys.readouterr().err
