"""The documented first look, space=tiny, learns something: at its full length its baseline leaves the plateau."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.config.paths import search_spaces_dir
from aero_search.space.space import load_space, space_base

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_first_look_leaves_the_unigram_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = tmp_path / "texts"
    texts.mkdir()
    for page in DOCS.glob("**/*.md"):
        shutil.copy(page, texts / f"{page.stem}.txt")
    base = space_base("tiny", search_spaces_dir())
    # The network that the space begins with, which its front is compared with.
    start = load_space("tiny", search_spaces_dir(), {"n_layer": 2}).start[0]
    overrides = [*base, *(f"{name}={value}" for name, value in start.items())]
    assert main(["train", *overrides, "data=text_folder", "data.path=texts", "tracking=none"]) == 0
    (path,) = tmp_path.glob("outputs/**/result.json")
    result = json.loads(path.read_text())
    assert result["verdict"] == "finished"
    assert result["perplexity"] < result["unigram_perplexity"] / 2
