"""A study's points on tasks: means over seeds, the front with a task as its quality, and what is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aero_search.app.study_tasks import SCORES_FILE, Answered, places
from aero_search.cli import main
from aero_search.commands import evaluate
from aero_search.export.evaluate import Score, Subject
from tests.front.test_front_membership import COSTS, record

# By seed of the weights: accuracy and its standard error.
ANSWERS = {0: (0.5, 0.03), 1: (0.7, 0.04)}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """The output folder of a search of two candidates, with second seeds for what may be on the front."""
    folder = tmp_path_factory.mktemp("tasks")
    space = folder / "two.yaml"
    space.write_text("description: two networks\nparameters:\n  ffn.layers: {choices: [0, 1]}\n")
    few = ["search.n_trials=2", "search.workers=1", "search.confirm=2", "study.name=two"]
    assert (
        main(["search", f"space={space}", f"output_dir={folder / 'out'}", *tiny, *few, "tracking=none"]) == 0
    )
    return folder / "out"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Who was asked; the answers depend on the seed alone."""
    asked: list[str] = []

    def score(subject: Subject, tasks: Sequence[str], limit: int | None) -> list[Score]:
        assert subject.tokenizer is not None
        assert not subject.decoder.training
        asked.append(subject.label)
        value, error = ANSWERS[int(subject.label.rpartition(" ")[2])]
        return [Score(task, "acc", value, "higher", error) for task in tasks]

    monkeypatch.setattr(evaluate, "score_tasks", score)
    return asked


def told(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The document that the command prints."""
    capsys.readouterr()
    line = ["evaluate", "study=two", f"output_dir={folder}", "tracking=none", "format=json", *arguments]
    assert main(line) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_seed_answers_once_and_the_means_are_told(
    studied: Path, heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(studied, capsys, "tasks=mine")
    points = first["points"]
    assert isinstance(points, list)
    trainings = [point["trainings"] for point in points]
    assert len(heard) == len(set(heard)) == sum(trainings)
    assert 2 in trainings
    for point in points:
        (score,) = point["scores"]
        if point["trainings"] == 1:
            assert (score["value"], score["error"]) == ANSWERS[0]
        else:
            assert score["value"] == pytest.approx(0.6)
            # Documents: (0.03^2 + 0.04^2) / 2; between the two seeds: 0.02 / 2.
            assert score["error"] == pytest.approx(math.sqrt(0.00125 + 0.01))
    assert told(studied, capsys, "tasks=mine") == first
    assert len(heard) == sum(trainings), "what was answered is read again"
    told(studied, capsys, "tasks=mine", "limit=3")
    assert len(heard) == 2 * sum(trainings), "other questions are asked"


def test_damaged_answers_are_asked_for_again(
    studied: Path, heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(studied, capsys, "tasks=other")
    before = len(heard)
    files = list(studied.glob(f"studies/two/candidates/*/{SCORES_FILE}"))
    files[0].write_text(files[0].read_text().replace("0.5", "0.9").replace("0.7", "0.9"))
    assert told(studied, capsys, "tasks=other") == first
    assert len(heard) == before + 1


def test_the_table_names_every_point_and_a_point_may_be_picked(
    studied: Path, heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "study=two", f"output_dir={studied}", "tracking=none", "tasks=third"]) == 0
    out = capsys.readouterr().out
    assert "third acc" in out
    assert "0.6000 ± 0.1061" in out  # of both seeds
    assert max(map(len, out.splitlines())) <= 80
    points = told(studied, capsys, "tasks=third", "pick=trial:1")["points"]
    assert isinstance(points, list)
    assert [point["trial"] for point in points] == [1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["study=two"], "study=two has been measured on held-out text: name other tasks"),
        (["study=two", "tasks=x", "bundle=there"], "bundle=there and study=two name two networks"),
        (["study=two", "emulate=true", "pick=front"], "pick=front is for tasks="),
        (["study=two", "tasks=x", "pick=bset"], "pick=bset is not a way to pick: did you mean 'best'"),
        (["tasks=x"], "bundle= names the network to evaluate"),
    ],
)
def test_a_wrong_request_is_told(
    arguments: list[str], says: str, studied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", f"output_dir={studied}", "tracking=none", *arguments]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_task_is_the_quality_of_the_front() -> None:
    # Cheaper to the left; accuracies and standard errors by hand.
    reached = ((1.0, 0.50, 0.01), (2.0, 0.40, 0.01), (3.0, 0.48, 0.02), (4.0, 0.60, 0.01))
    answered = [
        Answered(record(i, 40.0, costs=(cost, cost)), (Score("mine", "acc", value, "higher", error),), 1)
        for i, (cost, value, error) in enumerate(reached)
    ]
    assert places(answered, COSTS, 0) == ["front", "", "tie", "front"]
    lower = [
        Answered(one.record, (Score("mine", "ppl", 1 - one.scores[0].value, "lower"),), 1) for one in answered
    ]
    # Without errors no difference is a tie.
    assert places(lower, COSTS, 0) == ["front", "", "", "front"]
