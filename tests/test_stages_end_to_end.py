"""A real search that goes on at a larger size: promoted, resumed, exported, planned, refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_search_end_to_end import aero, front

pytestmark = pytest.mark.slow

SIZES = "[model.n_layer=3,model.d_model=32,model.n_head=2,model.seq_len=16,recipe.steps=90]"
SMALL = "[model.n_layer=1,model.d_model=8,model.seq_len=16]"
MINE = f"name: mine\nsizes:\n  - {{model: medium, networks: 2, overrides: {SIZES}}}\n"
SEARCH = [
    "space=aero",
    "search/stages=mine",
    "search.workers=1",
    "search.confirm=0",
    "tracking=none",
    "--config-dir=conf",
]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("stages")
    path = folder / "conf" / "search" / "stages" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(MINE)
    out = aero(folder, "search", "study.name=one", "search.n_trials=3", *tiny, *SEARCH)
    assert "foreseen at medium" in out
    return folder


def trials(document: dict[str, list[dict[str, object]]]) -> set[object]:
    return {entry["key"] for kind in ("front", "dominated", "diverged") for entry in document[kind]}


def test_what_may_be_on_the_front_is_trained_at_the_larger_size(staged: Path) -> None:
    below, above = front(staged, "one"), front(staged, "one.medium")
    assert len(trials(below)) == 3
    assert 1 <= len(trials(above)) <= 3
    entry = (above["front"] or above["dominated"])[0]
    assert json.loads((staged / str(entry["folder"]) / "result.json").read_text())["steps"] <= 90
    assert "steps: 90" in (staged / str(entry["folder"]) / "candidate.yaml").read_text()
    # Costs are those of the size that was trained.
    assert above["reference"]["costs"]["flops"] > 2 * below["reference"]["costs"]["flops"]


def test_the_same_command_trains_nothing_twice_and_more_candidates_promote_more(
    staged: Path, tiny: list[str]
) -> None:
    before = trials(front(staged, "one.medium"))
    aero(staged, "search", "study.name=one", "search.n_trials=3", *tiny, *SEARCH)
    assert trials(front(staged, "one.medium")) == before
    aero(staged, "search", "study.name=one", "search.n_trials=5", *tiny, *SEARCH)
    assert trials(front(staged, "one.medium")) >= before


def test_a_point_of_a_stage_is_exported_and_verified(staged: Path) -> None:
    aero(staged, "export", "study=one.medium", "pick=best", "to=grown")
    out = aero(staged, "verify", "grown")
    assert "validation perplexity" in out
    assert "d_model: 32" in (staged / "grown" / "architecture.yaml").read_text()


def test_plan_says_what_each_stage_takes(staged: Path, tiny: list[str]) -> None:
    out = " ".join(aero(staged, "plan", "search.n_trials=9", *tiny, *SEARCH).split())
    assert "stage medium: about" in out
    assert "up to 3 of them (3 layers, d_model 32)" in out
    assert "in all" in out


@pytest.mark.parametrize(
    ("stage", "more", "sentence"),
    [
        ("{model: medum, networks: 2}", [], "did you mean 'medium'"),
        (
            f"{{model: proxy, name: small, networks: 2, overrides: {SMALL}}}",
            [],
            "is smaller than the stage before, proxy",
        ),
        ("{model: medium, networks: 0}", [], "networks=0 must lie between 1"),
        ("{model: medium, networks: 2, overrides: [recipe.steps=0]}", [], "recipe.steps=0"),
        ("{model: medium, networks: 2}", ["model.n_layer=2,3"], "search/stages sets model.n_layer"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    tmp_path: Path, tiny: list[str], stage: str, more: list[str], sentence: str
) -> None:
    path = tmp_path / "conf" / "search" / "stages" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"name: mine\nsizes: [{stage}]\n")
    swept = {o.partition("=")[0] for o in more}
    kept = [o for o in tiny if o.partition("=")[0] not in swept]
    command = [sys.executable, "-m", "aero_search", "search", "study.name=one", *kept, *SEARCH, *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "outputs" / "studies").exists()
