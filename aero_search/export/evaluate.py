"""What a bundle's network reaches: on held-out text of its own corpus format, and on lm-evaluation-harness's tasks.

The harness reads a task, makes requests and scores the answers; the network answers here, from the bundle's own
weights and tokenizer, so that no code of the bundle is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.load import Bundle
from aero_search.invocation import install
from aero_search.schema import from_mapping
from aero_search.training.recipe import Recipe
from aero_search.user_files import read_settings
from aero_search.user_path import user_path

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from aero_search.measure.emulate import Emulation
    from aero_search.model import Decoder

HELD_OUT = "held_out"
_END_OF_TEXT = "<|endoftext|>"
# Resamples behind the standard error of a figure that is no mean over documents; the harness takes so many at once.
# With none it tells no standard error at all, of means neither.
_BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Score:
    """One figure of one task.

    Attributes:
        better: `higher` or `lower`; empty where the task does not say.
        error: standard error; None where there is none.
    """

    task: str
    metric: str
    value: float
    better: str = ""
    error: float | None = None


def score_held_out(bundle: Bundle, corpus: Corpus) -> list[Score]:
    """Perplexity, accuracy and bits per byte on the held-out windows that the bundle's recipe names.

    Raises:
        RequestError: the corpus has tokens that the network has not, or is too short.
    """
    from aero_search.training.health import bits_per_byte, perplexity
    from aero_search.training.validation import held_out

    if corpus.vocab_size > bundle.architecture.vocab_size:
        raise RequestError(
            f"the corpus has {corpus.vocab_size} tokens where the bundle's network has "
            f"{bundle.architecture.vocab_size}: name the corpus that it was trained on with data=..."
        )
    recipe = from_mapping(Recipe, bundle.config["recipe"], "recipe")
    found = held_out(bundle.module(), bundle.architecture, recipe, corpus)
    scores = [
        Score(HELD_OUT, "perplexity", perplexity(found.loss), "lower"),
        Score(HELD_OUT, "accuracy", found.accuracy, "higher"),
    ]
    bits = bits_per_byte(found.loss, corpus.validation_bytes_per_token)
    return scores if bits is None else [*scores, Score(HELD_OUT, "bits_per_byte", bits, "lower")]


def emulated_scores(system: str, found: Emulation) -> list[Score]:
    """The figures of an emulation: in floating point, in the system's fixed point, and how far these differ.

    Args:
        system: the protocol's name.
    """
    from aero_search.training.health import perplexity

    sides = ((HELD_OUT, found.plain), (f"emulated {system}", found.emulated))
    return [
        *(
            score
            for task, side in sides
            for score in (
                Score(task, "perplexity", perplexity(side.loss), "lower"),
                Score(task, "accuracy", side.accuracy, "higher"),
            )
        ),
        Score(sides[1][0], "log_perplexity_change", found.change, "lower", found.change_error),
        Score(sides[1][0], "same_next_token", found.same_next_token, "higher"),
    ]


@dataclass(frozen=True)
class Subject:
    """A trained network as tasks ask it.

    Attributes:
        label: names it in a refusal, as it was asked for.
        decoder: in evaluation mode.
        tokenizer: of the text it was trained on; None where there is none.
    """

    label: str
    decoder: Decoder
    tokenizer: Tokenizer | None

    @classmethod
    def of(cls, bundle: Bundle) -> Subject:
        """A bundle's network."""
        return cls(f"bundle={bundle.folder}", bundle.module(), bundle.tokenizer())


def score_tasks(subject: Subject, tasks: Sequence[str], limit: int | None) -> list[Score]:
    """What the network reaches on tasks of lm-evaluation-harness.

    Args:
        tasks: names that the harness knows, or paths of task files, which are read as plain data.
        limit: of documents a task; None takes all.

    Raises:
        RequestError: the harness is not installed, a task is unknown or its file cannot be read, or the network
            has no tokenizer.
        AeroSearchError: the harness failed.
    """
    named = [_task(task) for task in tasks]
    try:
        from lm_eval import evaluator
    except ImportError as problem:
        raise RequestError(
            f"tasks={','.join(tasks)} needs {problem.name or 'lm_eval'}: {install('eval')}"
        ) from None
    # It asks git for the current folder's commit, and git says on stderr that there is none.
    vars(evaluator)["get_git_commit_hash"] = lambda: None
    from aero_search.export.harness import harness_model

    if subject.tokenizer is None:
        raise RequestError(f"{subject.label} has no tokenizer, which tasks need: evaluate it on held_out")
    known = _known_tasks()
    for task in named:
        if isinstance(task, str) and task not in known.all_tasks:
            raise RequestError(
                f"tasks={task} is no task of lm-evaluation-harness, and no file of that name exists"
            )
    model = harness_model(subject.decoder, subject.tokenizer, end_of_text(subject.tokenizer))
    try:
        done: Any = evaluator.simple_evaluate(
            model=model,
            tasks=named,
            limit=limit,
            task_manager=known,
            log_samples=False,
            bootstrap_iters=_BOOTSTRAPS,
        )
    except AeroSearchError:
        raise
    except Exception as problem:  # tasks are others' code and data
        said = " ".join(str(problem).split())[:300]
        raise AeroSearchError(
            f"tasks={','.join(tasks)} failed ({type(problem).__name__}: {said})"
        ) from problem
    return list(_scores(done["results"], done.get("higher_is_better", {})))


@lru_cache(maxsize=1)
def _known_tasks() -> Any:
    """What the harness knows; it reads thousands of files for it."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def end_of_text(tokenizer: Tokenizer) -> int:
    """The token between texts, which comes before a first token too."""
    token = tokenizer.token_to_id(_END_OF_TEXT)
    return 0 if token is None else int(token)


def _task(name: str) -> str | dict[str, Any]:
    path = user_path(name)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        return name
    said = dict(read_settings(path))
    if not isinstance(said.get("task"), str):
        raise RequestError(f"{path} names no task: write task: NAME")
    return said


def _scores(results: Mapping[str, Mapping[str, Any]], better: Mapping[str, Mapping[str, Any]]) -> list[Score]:
    found = []
    for task, figures in results.items():
        for name, value in figures.items():
            metric, _, kind = name.partition(",")
            if not kind or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = figures.get(f"{metric}_stderr,{kind}")
            higher = better.get(task, {}).get(metric)
            way = "" if higher is None else "higher" if higher else "lower"
            known = float(error) if isinstance(error, int | float) else None
            found.append(Score(task, metric, float(value), way, known))
    return found
