"""A small world for the sampler: real architectures, made-up perplexities, costs from counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import TrialState

from aero_search.architecture import Architecture, Layer
from aero_search.errors import RequestError
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.search.known_cost.domain import Domain
from aero_search.search.known_cost.sampler import KnownCostSampler
from aero_search.space import Assignment, Categorical, Integer, Real, Space
from tests.search.fakes import BASE, RECIPE

SPACE = Space(
    "world",
    "norms, feed-forwards, how many, activation, learning rate",
    (
        Categorical("norm", ("layernorm", "none")),
        Categorical("ffn", ("full", "fused", "broken")),
        Integer("ffn.layers", 1, 4),
        Categorical("activation", ("gelu", "relu"), when={"ffn": ("full",)}),
        Real("lr", 1e-4, 1e-2, log=True),
    ),
)
FINITE = SPACE.with_parameters(Categorical("lr", (0.001,)))


def decode(assignment: Assignment) -> Candidate:
    """ffn=broken is an impossible architecture."""
    said: dict[str, Any] = dict(assignment)
    if said["ffn"] == "broken":
        raise RequestError("ffn=broken cannot be built")
    layer = Layer(said["norm"], said.get("activation", "identity"), said["ffn"])
    layers = [layer if i < said["ffn.layers"] else replace(layer, ffn="none") for i in range(4)]
    recipe = replace(RECIPE, lr=said["lr"])
    return make_candidate(replace(BASE, layers=tuple(layers)), recipe, "corpus")


def price(architectures: Sequence[Architecture]) -> list[list[float]]:
    """(seconds, FLOPs), made up."""
    rows = []
    for a in architectures:
        full = sum(layer.ffn == "full" for layer in a.layers)
        fused = sum(layer.ffn == "fused" for layer in a.layers)
        normed = sum(layer.norm != "none" for layer in a.layers)
        rows.append([1.0 + full + 0.3 * fused + normed, 10.0 + 4.0 * full + fused])
    return rows


def perplexity(candidate: Candidate) -> float:
    """Better with more of everything, and at lr 1e-3."""
    full, flops = price([candidate.architecture])[0]
    return 90.0 - 4 * full - 0.5 * flops + 3 * abs(candidate.recipe.lr - 1e-3) * 1e3


def domain(space: Space = SPACE) -> Domain:
    return Domain(space, decode, price, 2)


def sampler(turn: int, at: Domain, **settings: Any) -> KnownCostSampler:
    return KnownCostSampler(at, seed=1000 + turn, n_startup=4, **settings)


def new_study(storage: str | None = None, name: str | None = None) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 3, storage=storage, study_name=name)
    study.set_user_attr(
        "reference", {"unigram_perplexity": 200.0, "costs": {"latency_s": 9.0, "flops": 26.0}}
    )
    return study


def ask(
    study: optuna.Study, at: Domain, turn: int | None = None, **settings: Any
) -> tuple[optuna.Trial, Candidate]:
    """Ask for one trial and draw it, as a claim does; an impossible one is told as failed."""
    turn = len(study.get_trials(deepcopy=False)) if turn is None else turn
    study.sampler = sampler(turn, at, **settings)
    trial = study.ask()
    return trial, decode(at.space.suggest(trial))


def train(
    study: optuna.Study,
    trial: optuna.Trial,
    candidate: Candidate,
    verdict: str = "finished",
    seconds: float = 10.0,
) -> None:
    """Tell what training gives."""
    trial.set_user_attr("verdict", verdict)
    trial.set_user_attr("seconds", seconds)
    value = perplexity(candidate) if verdict == "finished" else 200.0
    study.tell(trial, [value, *price([candidate.architecture])[0]])


def search(n: int, at: Domain, study: optuna.Study | None = None, **settings: Any) -> list[Candidate]:
    """Ask and train, one after another."""
    study = study or new_study()
    found = []
    for _ in range(n):
        trial, candidate = ask(study, at, **settings)
        train(study, trial, candidate)
        found.append(candidate)
    assert all(t.state == TrialState.COMPLETE for t in study.trials)
    return found
