"""A study whose candidates cost nothing: composes from overrides alone and trains in no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aero_search.architecture import Architecture, Layer, key, notation
from aero_search.errors import RequestError
from aero_search.front.objective import Objective
from aero_search.front.pricing import Price
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.search.spec import SamplerSpec, SearchSpec
from aero_search.search.study import Study
from aero_search.space import Categorical, Real, Space
from aero_search.training.recipe import Recipe
from aero_search.training.result import CurvePoint, Result, Verdict
from aero_search.workers.database import create_study, open_storage

RECIPE = Recipe(
    steps=4,
    batch_size=2,
    lr=1e-3,
    schedule="linear",
    lr_end_ratio=0.0,
    warmup_ratio=0.05,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    clip=1.0,
    accumulate=1,
    precision="32-true",
    init_std=None,
    validate_every=2,
    validation_sequences=4,
    seed=0,
    data_seed=0,
)
BASE = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=300, layers=(Layer(),) * 2)
SPACE = Space(
    "test",
    "a space for tests",
    (
        Categorical("norm", ("layernorm", "none")),
        Categorical("ffn", ("full", "fused", "broken")),
        Categorical("activation", ("gelu", "relu"), when={"ffn": ("full",)}),
        Real("lr", 1e-4, 1e-2, log=True),
    ),
)
OBJECTIVE = Objective(("perplexity", "latency_s", "flops"))


def spec(n_trials: int = 6, sampler: str = "random", seed: int = 0) -> SearchSpec:
    return SearchSpec(SamplerSpec(sampler, n_startup=3), n_trials, workers=1, threads=1, seed=seed)  # type: ignore[arg-type]


def compose(overrides: Sequence[str]) -> Candidate:
    """What the Hydra boundary does, for the fake space; ffn=broken is an impossible architecture."""
    said = dict(override.split("=") for override in overrides)
    if said["ffn"] == "broken":
        raise RequestError("ffn=broken cannot be built")
    layer = Layer(said["norm"], said.get("activation", "identity"), said["ffn"])  # type: ignore[arg-type]
    recipe = replace(RECIPE, lr=float(said["lr"]), seed=int(said.get("recipe.seed", 0)))
    return make_candidate(replace(BASE, layers=(layer,) * 2), recipe, "corpus", tuple(overrides))


def costs(architecture: Architecture) -> Mapping[str, float]:
    full = sum(layer.ffn == "full" for layer in architecture.layers)
    normed = sum(layer.norm != "none" for layer in architecture.layers)
    return {
        "latency_s": 1.0 + full + normed,
        "flops": 10.0 + 4 * full,
        "communication_bytes": 5.0 + full,
        "rounds": 1.0,
    }


def price(architecture: Architecture) -> Price:
    return Price(costs(architecture))


def open_study(folder: Path, name: str = "test") -> Study:
    storage = open_storage(folder)
    return Study(create_study(storage, name, OBJECTIVE.metrics), OBJECTIVE, folder / "studies" / name, price)


def trained(
    candidate: Candidate,
    perplexity: float | None = None,
    verdict: Verdict = "finished",
    curve: Sequence[tuple[int, float]] | None = None,
) -> Result:
    """A finished training whose perplexity follows from the candidate alone."""
    value = 60.0 - costs(candidate.architecture)["latency_s"] + candidate.recipe.lr
    value = perplexity if perplexity is not None else value
    diverged = verdict == "diverged"
    return Result(
        key=key(candidate.architecture),
        notation=notation(candidate.architecture),
        verdict=verdict,
        reason={"diverged": "diverged at step 3", "stopped": "stopped at step 2"}.get(verdict, ""),
        perplexity=None if diverged else value,
        validation_loss=None if diverged else 4.0,
        curve=tuple(CurvePoint(step, 4.0, 4.0, p, 0.1) for step, p in curve or [(RECIPE.steps, value)]),
        entropy=((1.0, 1.0), (1.0, 1.0)),
        parameters=100,
        seconds=0.1,
        tokens=64,
        steps=curve[-1][0] if curve else RECIPE.steps,
        lr=candidate.recipe.lr,
        seed=candidate.recipe.seed,
        data_seed=0,
        fingerprint="corpus",
        unigram_perplexity=200.0,
    )
