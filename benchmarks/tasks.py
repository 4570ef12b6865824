"""Searches that cost no training: what one needs, and a synthetic one; benchmarks/table.py has the real one.

A task has everything that a study asks of the world: a space, what an assignment means, what it costs, and what
training it gives. `aero_search.search.study.Study` runs on it unchanged.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer, key, notation
from aero_search.cost import calibrate_published
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Price, Pricing
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.space import Categorical, Real, Space
from aero_search.training.recipe import Recipe
from aero_search.training.result import CurvePoint, Result, Verdict
from benchmarks.boxes import FrontBox

OBJECTIVE = Objective(("perplexity", "latency_s", "flops"))
RECIPE = Recipe(
    steps=1200,
    batch_size=16,
    lr=1.5e-3,
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
    validate_every=200,
    validation_sequences=512,
    seed=0,
    data_seed=0,
)
UNIGRAM = 420.0


@dataclass(frozen=True)
class Outcome:
    """What training a candidate gives.

    Attributes:
        perplexity: as a training would report it, with its seed's noise; None when diverged.
        judged: the one that a search is judged by: without noise where that is known.
        seconds: of training.
        curve: (step, perplexity, seconds since the start) at each validation.
    """

    verdict: Verdict
    perplexity: float | None
    judged: float | None
    seconds: float
    curve: tuple[tuple[int, float, float], ...] = ()


class Task(ABC):
    """A search without training.

    Attributes:
        name: for tables.
        version: changes with what the task answers; results of different versions are not mixed.
        space: what varies.
        pricing: as a default study's.
        recipe: of every training, but for the learning rate.
        reference: of the hypervolume.
        best: the largest hypervolume there is; None where that is not known.
        front_box, best_in_front: the box of the front and the largest hypervolume in it, where the front is known.
    """

    name: str
    version: str
    space: Space
    pricing: Pricing
    recipe: Recipe = RECIPE
    reference: Reference
    best: float | None = None
    front_box: FrontBox | None = None
    best_in_front: float | None = None

    @abstractmethod
    def compose(self, overrides: Sequence[str]) -> Candidate:
        """From overrides to a candidate, as Hydra would."""

    @abstractmethod
    def train(self, candidate: Candidate, seed: int) -> Outcome:
        """What training gives; noise depends on candidate and seed alone."""

    def costs(self, architecture: Architecture) -> Mapping[str, float]:
        """Every known metric."""
        return self.costs_of_many([architecture])[0]

    def price(self, architecture: Architecture) -> Price:
        """The same as a study takes it."""
        return Price(self.costs(architecture))

    def costs_of_many(self, architectures: Sequence[Architecture]) -> Sequence[Mapping[str, float]]:
        """The same of many at once."""
        return self.pricing.many(architectures)

    def row(self, candidate: Candidate, perplexity: float) -> list[float]:
        """The objective's metrics."""
        costs = self.costs(candidate.architecture)
        return [perplexity, *(costs[metric] for metric in OBJECTIVE.costs)]

    def result(self, candidate: Candidate, outcome: Outcome) -> Result:
        """An outcome as a worker reports it."""
        return Result(
            key=key(candidate.architecture),
            notation=notation(candidate.architecture),
            verdict=outcome.verdict,
            reason="" if outcome.verdict == "finished" else outcome.verdict,
            perplexity=outcome.perplexity,
            validation_loss=None if outcome.perplexity is None else math.log(outcome.perplexity),
            curve=tuple(CurvePoint(s, None, math.log(p), p, t) for s, p, t in outcome.curve),
            entropy=(),
            parameters=0,
            seconds=outcome.seconds,
            tokens=0,
            steps=outcome.curve[-1][0] if outcome.curve else 0,
            lr=candidate.recipe.lr,
            seed=0,
            data_seed=0,
            fingerprint=self.name,
            unigram_perplexity=self.reference.unigram_perplexity,
        )


_PUBLISHED = calibrate_published()


class Synthetic(Task):
    """Six layers in three pairs, each pair with its norm, feed-forward and activation.

    A stand-in until there is a table: the size and sign of every effect follow measurements of the default proxy
    (linear or fused feed-forwards cost 13 to 20 %, losing norms costs gelu 15 % and relu 3 %, a low starting
    temperature gives half of a softmax-only model's loss back, hot learning rates make models without norms
    diverge or stay on the plateau); their exact values are made up. Noise is 0.8 % of perplexity.
    """

    name = "synthetic"
    version = "3"

    def __init__(self) -> None:
        pairs = [
            parameter
            for pair in range(3)
            for parameter in (
                Categorical(f"norm{pair}", ("layernorm", "none")),
                Categorical(f"ffn{pair}", ("full", "fused", "none")),
                Categorical(f"act{pair}", ("gelu", "relu", "identity"), when={f"ffn{pair}": ("full",)}),
            )
        ]
        self.space = Space(
            "synthetic",
            "Per-pair norms, feed-forwards and activations; stabilizer, temperature, learning rate.",
            (
                *pairs,
                Categorical("stabilizer", ("none", "scaled", "weight_norm")),
                Categorical("temperature", ("none", "learned")),
                Real("init", 0.03, 1.0, log=True, when={"temperature": ("learned",)}),
                Real("lr", 1e-3, 8e-3, log=True),
            ),
        )
        whole = Architecture(n_head=4, d_model=64, seq_len=128, vocab_size=1024, layers=(Layer(),) * 6)
        self._whole = whole
        self.pricing = Pricing(_PUBLISHED.protocol, _PUBLISHED.network)
        self.reference = Reference(UNIGRAM, self.pricing.baseline(whole, OBJECTIVE))

    def compose(self, overrides: Sequence[str]) -> Candidate:
        said = dict(o.split("=", 1) for o in overrides)
        recipe = replace(RECIPE, lr=float(said["lr"]))
        return make_candidate(self._architecture(said), recipe, self.name, tuple(overrides))

    def _architecture(self, said: Mapping[str, str]) -> Architecture:
        # What is ignored: these are strings, but only the ones that this task's own space offers.
        layers = [
            Layer(said[f"norm{pair}"], said.get(f"act{pair}", "identity"), said[f"ffn{pair}"])  # type: ignore[arg-type]
            for pair in range(3)
            for _ in range(2)
        ]
        learned = said["temperature"] == "learned"
        return replace(
            self._whole,
            layers=tuple(layers),
            attention=Attention(
                temperature="learned" if learned else "none", temperature_init=float(said.get("init", 0.1))
            ),
            stabilizer=Stabilizer(said["stabilizer"]),  # type: ignore[arg-type]  # as above
        )

    def train(self, candidate: Candidate, seed: int) -> Outcome:
        a = candidate.architecture
        pairs = a.layers[::2]
        heat = math.log(candidate.recipe.lr / 2e-3)
        bare = sum(layer.norm == "none" for layer in pairs) / 3
        linear = sum(layer.ffn != "full" or layer.activation == "identity" for layer in pairs) / 3
        calmed = {"none": 0.0, "scaled": 0.35, "weight_norm": 0.25, "spectral_norm": 0.25}[a.stabilizer.kind]
        danger = heat + 1.2 * bare + 0.7 * bare * linear - calmed
        seconds = 40.0 + 8.0 * sum({"full": 4, "fused": 1, "none": 0}[layer.ffn] for layer in pairs) / 3
        if danger > 2.2:
            return Outcome("diverged", None, None, 0.2 * seconds)
        if danger > 1.8:
            stuck = 0.97 * UNIGRAM
            curve = tuple((step, stuck, seconds * step / RECIPE.steps) for step in (200, 400, 600))
            return Outcome("plateau", stuck, stuck, 0.5 * seconds, curve)
        log_perplexity = math.log(61.0) + sum(
            weight * _pair_loss(layer) for weight, layer in zip((0.26, 0.42, 0.32), pairs, strict=True)
        )
        if a.attention.temperature == "learned":
            gain = math.exp(-((math.log(a.attention.temperature_init / 0.1) / 1.0) ** 2))
            log_perplexity += 0.03 - (0.02 + 0.1 * linear * bare) * gain
        log_perplexity += {"none": 0.04, "scaled": -0.01, "weight_norm": 0.02, "spectral_norm": 0.02}[
            a.stabilizer.kind
        ] * bare
        # Models with norms like it hotter.
        log_perplexity += 0.06 * (heat - 0.9 * (1 - bare)) ** 2
        rng = np.random.default_rng([seed, int(candidate.identity, 16)])
        end = log_perplexity + rng.normal(0.0, 0.008)
        return Outcome(
            "finished", math.exp(end), math.exp(log_perplexity), seconds, _curve(end, seconds, rng)
        )


def _pair_loss(layer: Layer) -> float:
    bare = layer.norm == "none"
    if layer.ffn == "none":
        return 0.32
    if layer.ffn == "fused" or layer.activation == "identity":
        return 0.19 if bare else 0.15
    return (
        {"gelu": 0.15, "relu": 0.04}[layer.activation]
        if bare
        else {"gelu": 0.0, "relu": 0.012}[layer.activation]
    )


def _curve(end: float, seconds: float, rng: np.random.Generator) -> tuple[tuple[int, float, float], ...]:
    """Validations on the way to a log perplexity.

    What is still to be gained after a share r of the steps, and its spread between networks, follow the proxy's
    curves: 0.7 at a quarter of the steps, spread 0.35 exp(-4.1 r) (aero_search/search/rungs/margins.py).
    """
    own = rng.normal()
    points = []
    for step in range(RECIPE.validate_every, RECIPE.steps + 1, RECIPE.validate_every):
        r = step / RECIPE.steps
        gain = 1.64 * (math.exp(-2.9 * r) - math.exp(-2.9))
        spread = 0.35 * math.exp(-4.1 * r) if r < 1 else 0.0
        height = end + gain + spread * (0.9 * own + 0.44 * rng.normal())
        points.append((step, min(math.exp(height), UNIGRAM), seconds * r))
    return tuple(points)
