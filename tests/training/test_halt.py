"""A training that a rung stops keeps its checkpoint, and goes on from it as if it had not been stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.training.checkpoint import CHECKPOINT_FILE
from aero_search.training.compute import Compute
from aero_search.training.result import CurvePoint, Result, read_result
from aero_search.training.run import train
from tests.training.test_checkpoint import ARCHITECTURE, RUN

RECIPE = replace(RUN, validate_every=4)


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


@pytest.fixture(autouse=True)
def _learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few steps leave any model on the plateau."""
    monkeypatch.setattr("aero_search.training.health.on_plateau", lambda *_: False)


class At:
    """Stops at the given steps, and remembers where it was asked."""

    def __init__(self, *steps: int) -> None:
        self.stops, self.asked = steps, []

    def __call__(self, point: CurvePoint) -> str:
        self.asked.append(point.step)
        return f"stopped at step {point.step}" if point.step in self.stops else ""


def same(one: Result, other: Result) -> bool:
    timeless = {"seconds": 0, "versions": {}}
    one, other = (
        replace(r, curve=tuple(replace(p, seconds=0) for p in r.curve), **timeless) for r in (one, other)
    )
    return one == other


def test_stopped_twice_it_ends_as_if_it_never_had(corpus: Corpus, tmp_path: Path) -> None:
    whole = train(ARCHITECTURE, RECIPE, corpus, tmp_path / "whole")
    folder = tmp_path / "parts"
    first, second, third = At(8, 12), At(12), At()
    result = train(ARCHITECTURE, RECIPE, corpus, folder, halt=first)
    assert (result.verdict, result.reason, result.steps) == ("stopped", "stopped at step 8", 8)
    assert read_result(folder) == result
    assert result.curve == tuple(result.curve[:2])
    assert result.perplexity == result.curve[-1].perplexity == whole.curve[1].perplexity
    assert (folder / CHECKPOINT_FILE).exists()
    assert not (folder / "weights.safetensors").exists()
    # Killed before the result was written, it stops there again.
    (folder / "result.json").unlink()
    same_again = train(ARCHITECTURE, RECIPE, corpus, folder, halt=At(8))
    assert (same_again.verdict, same_again.steps, same_again.tokens) == ("stopped", 8, result.tokens)
    assert same_again.curve == result.curve
    again = train(ARCHITECTURE, RECIPE, corpus, folder, halt=second)
    assert (again.verdict, again.steps) == ("stopped", 12)
    # The checkpoint counts on from its own moment: what writing it takes is in neither.
    assert again.seconds > result.curve[-1].seconds
    last = train(ARCHITECTURE, RECIPE, corpus, folder, halt=third)
    assert same(last, whole)
    mine, theirs = (load_file(f / "weights.safetensors") for f in (folder, tmp_path / "whole"))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert not list(folder.glob(f"{CHECKPOINT_FILE}*"))
    # Asked at each validation from where it goes on, and never at the end.
    assert (first.asked, second.asked, third.asked) == ([4, 8], [8, 12], [12, 16, 20])


def test_what_diverges_or_stays_on_the_plateau_is_not_asked_about(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aero_search.training.health.on_plateau", lambda *_: True)
    always = At(*range(25))
    result = train(ARCHITECTURE, RECIPE, corpus, tmp_path, halt=always)
    assert (result.verdict, result.steps) == ("stopped", 4)
    monkeypatch.setattr("aero_search.training.health.on_plateau", lambda *_: True)
    never = At(12)
    result = train(ARCHITECTURE, RECIPE, corpus, tmp_path, halt=never)
    assert (result.verdict, result.steps) == ("plateau", 12)
    assert never.asked == [4, 8]
    assert not list(tmp_path.glob(f"{CHECKPOINT_FILE}*"))


@pytest.mark.slow
def test_two_processes_stop_at_the_same_step(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Compute("cpu", 2)
    monkeypatch.undo()  # the other process is not patched, and all have to see the plateau alike
    recipe = replace(RECIPE, steps=60, validate_every=10)
    whole = train(ARCHITECTURE, recipe, corpus, tmp_path / "whole", threads=1, compute=two)
    stopped = train(ARCHITECTURE, recipe, corpus, tmp_path / "parts", (), 1, two, At(20))
    assert (stopped.verdict, stopped.steps) == ("stopped", 20)
    assert same(train(ARCHITECTURE, recipe, corpus, tmp_path / "parts", (), 1, two, At()), whole)
