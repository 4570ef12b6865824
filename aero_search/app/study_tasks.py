"""A study's points on tasks: every training of each answers, and the front is told anew with a task as quality."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aero_search.app.measure_target import from_folder
from aero_search.app.saved_study import SavedStudy
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.export.evaluate import Score, Subject
from aero_search.front.networks import setting
from aero_search.front.pareto import nondominated
from aero_search.front.record import Record
from aero_search.integrity import DamagedError, digest, read_sealed, write_sealed
from aero_search.schema import from_mapping, to_mapping

FRONT = "front"
# In a candidate's folder: the scores of its weights, by tasks and limit.
SCORES_FILE = "tasks.json"
# Two-sided, 95 %, of a normal distribution.
_SURE = 1.959964


@dataclass(frozen=True)
class _Scores:
    """One entry of `SCORES_FILE`."""

    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Answered:
    """A point of a study and what it reaches on tasks.

    Attributes:
        scores: means over its trainings. A standard error counts the documents and, with several trainings, how
            these differ.
        trainings: that answered, one a seed.
    """

    record: Record
    scores: tuple[Score, ...]
    trainings: int


def asked_points(past: SavedStudy, pick: str | None) -> tuple[Record, ...]:
    """The records that `pick=` names: every point of the front, or one.

    Raises:
        RequestError: not a way to pick, no such trial, or the front is empty.
    """
    if pick in (None, FRONT):
        past.front.best()  # tells an empty front
        return past.front.points
    return (past.front.pick(str(pick)),)


def answer_tasks(
    request: Request,
    past: SavedStudy,
    records: Sequence[Record],
    score: Callable[[Subject], Sequence[Score]],
    asked: str,
    on_training: Callable[[int, int, str], None] = lambda done, count, label: None,
) -> list[Answered]:
    """Every training of these points on tasks; what was answered before is read again.

    Args:
        score: the tasks themselves.
        asked: equal for equal tasks and limits; the key that scores are kept under.
        on_training: told before each training how many of how many are done, and which point is next.

    Raises:
        RequestError: a candidate has no weights, or no tokenizer.
        AeroSearchError: a task failed, or weights are damaged; what was answered before it is kept.
    """
    trained = [list(_trainings(past, record)) for record in records]
    count, done, found = sum(map(len, trained)), 0, []
    for record, trainings in zip(records, trained, strict=True):
        told = []
        for training in trainings:
            on_training(done, count, record.label)
            told.append(_scores(request, training, score, asked))
            done += 1
        found.append(Answered(record, tuple(_means(told)), len(told)))
    return found


def places(answered: Sequence[Answered], costs: Sequence[str], column: int) -> list[str]:
    """Of each point, with one score as the quality: `front`, `tie`, or empty.

    `tie` is a point that is dominated by value, but by none that is surely better: 1.96 standard errors of the
    difference.

    Args:
        costs: of the objective.
        column: which score.
    """
    scores = [one.scores[column] for one in answered]
    # The harness tells no direction for metrics of a user's own; most are better higher.
    sign = 1.0 if scores[0].better == "lower" else -1.0
    values = np.array([sign * score.value for score in scores])
    errors = np.array([score.error or 0.0 for score in scores])
    priced = np.array([[one.record.costs[name] for name in costs] for one in answered])
    on_front = nondominated(np.column_stack([values, priced]))
    found = []
    for i in range(len(answered)):
        no_dearer = (priced <= priced[i]).all(axis=1)
        no_dearer[i] = False
        better = values[i] - values > _SURE * np.hypot(errors, errors[i])
        found.append("front" if on_front[i] else "" if (no_dearer & better).any() else "tie")
    return found


def asked_key(tasks: Sequence[str], limit: int | None) -> str:
    """Equal for equal tasks (of files, their content) and limits."""
    told = [[task, Path(task).read_text() if Path(task).is_file() else None] for task in tasks]
    return digest([json.dumps([told, limit]).encode()])


def _trainings(past: SavedStudy, record: Record) -> Iterator[Record]:
    """The record itself and its repetitions with other seeds, those with weights."""
    same = setting(record)
    rest = (*past.front.network(record).trainings, *past.study.repetitions())
    seen = set()
    for one in (record, *rest):
        if one.perplexity is not None and setting(one) == same and one.folder not in seen:
            seen.add(one.folder)
            yield one


def _scores(
    request: Request, training: Record, score: Callable[[Subject], Sequence[Score]], asked: str
) -> tuple[Score, ...]:
    from aero_search.data import load_tokenizer, prepare
    from aero_search.training.result import check_weights, read_result

    path = training.folder / SCORES_FILE
    known = _read(path)
    if asked in known:
        return known[asked].scores
    target = from_folder(request, training.folder, f"the folder of trial {training.number}")
    check_weights(training.folder, read_result(training.folder))
    assert target.corpus is not None, "a candidate's configuration names its corpus"
    corpus = prepare(target.corpus, target.architecture.vocab_size)
    tokenizer = load_tokenizer(corpus.tokenizer_path) if corpus.tokenizer_path.is_file() else None
    subject = Subject(
        f"trial {training.number} with seed {training.seed}", target.model(training.seed), tokenizer
    )
    known[asked] = _Scores(tuple(score(subject)))
    write_sealed(path, {"tasks": to_mapping(known)})
    return known[asked].scores


def _read(path: Path) -> dict[str, _Scores]:
    """What a candidate has answered; a damaged file is answered again."""
    try:
        told = read_sealed(path)["tasks"]
        return {name: from_mapping(_Scores, entry, path.name) for name, entry in told.items()}
    except FileNotFoundError:
        return {}
    except (OSError, DamagedError, KeyError, RequestError):
        path.unlink(missing_ok=True)
        return {}


def _means(told: Sequence[Sequence[Score]]) -> Iterator[Score]:
    for scores in zip(*told, strict=True):
        values = [score.value for score in scores]
        errors = [score.error for score in scores]
        error = None
        if None not in errors:
            documents = statistics.fmean(e**2 for e in errors if e is not None)
            between = statistics.variance(values) / len(values) if len(values) > 1 else 0.0
            error = math.sqrt(documents + between)
        yield replace(scores[0], value=statistics.fmean(values), error=error)
