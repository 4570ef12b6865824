"""Searches that cost no training: a synthetic one, and one that looks trainings up in a table of real ones.

A task has everything that a study asks of the world: a space, what an assignment means, what it costs, and what
training it gives. `aero_search.search.study.Study` runs on it unchanged.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer, canonical, key, notation
from aero_search.cost import Network, calibrate_published
from aero_search.errors import RequestError
from aero_search.schema import from_mapping
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.search.objective import Objective, baseline_costs, known_costs_of_many
from aero_search.search.pareto import Reference
from aero_search.space import Categorical, Real, Space, load_space
from aero_search.training.recipe import Recipe
from aero_search.training.result import CurvePoint, Result, Verdict

OBJECTIVE = Objective(("perplexity", "latency_s", "flops"))
NETWORK = Network("lan", bandwidth_mbps=3000.0, rtt_ms=0.8, source="the papers' LAN")
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
        curve: (step, perplexity) at each validation.
    """

    verdict: Verdict
    perplexity: float | None
    judged: float | None
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()


class Task:
    """A search without training.

    Attributes:
        name: for tables.
        space: what varies.
        reference: of the hypervolume.
        best: the largest hypervolume there is; None where that is not known.
    """

    name: str
    space: Space
    reference: Reference
    best: float | None = None

    def architecture(self, said: Mapping[str, str]) -> tuple[Architecture, float]:
        """What an assignment, as texts, means: the network and the learning rate."""
        raise NotImplementedError

    def train(self, candidate: Candidate, seed: int) -> Outcome:
        """What training gives; noise depends on candidate and seed alone."""
        raise NotImplementedError

    def compose(self, overrides: Sequence[str]) -> Candidate:
        """From overrides to a candidate, as Hydra would."""
        architecture, lr = self.architecture(dict(o.split("=", 1) for o in overrides))
        return make_candidate(architecture, replace(RECIPE, lr=lr), self.name, tuple(overrides))

    def costs(self, architecture: Architecture) -> Mapping[str, float]:
        """Every known metric."""
        return self.costs_of_many([architecture])[0]

    def costs_of_many(self, architectures: Sequence[Architecture]) -> Sequence[Mapping[str, float]]:
        """The same of many at once."""
        return known_costs_of_many(architectures, _PROTOCOL, NETWORK)

    def result(self, candidate: Candidate, outcome: Outcome) -> Result:
        """An outcome as a worker reports it."""
        return Result(
            key=key(candidate.architecture),
            notation=notation(candidate.architecture),
            verdict=outcome.verdict,
            reason="" if outcome.verdict == "finished" else outcome.verdict,
            perplexity=outcome.perplexity,
            validation_loss=None if outcome.perplexity is None else math.log(outcome.perplexity),
            curve=tuple(CurvePoint(s, None, math.log(p), p, 0.0) for s, p in outcome.curve),
            entropy=(),
            parameters=0,
            seconds=outcome.seconds,
            tokens=0,
            steps=RECIPE.steps,
            lr=candidate.recipe.lr,
            seed=0,
            data_seed=0,
            fingerprint=self.name,
            unigram_perplexity=self.reference.unigram_perplexity,
        )


_PROTOCOL = calibrate_published().protocol


class Synthetic(Task):
    """Six layers in three pairs, each pair with its norm, feed-forward and activation.

    A stand-in until there is a table: the size and sign of every effect follow measurements of the default proxy
    (linear or fused feed-forwards cost 13 to 20 %, losing norms costs gelu 15 % and relu 3 %, a low starting
    temperature gives half of a softmax-only model's loss back, hot learning rates make models without norms
    diverge or stay on the plateau); their exact values are made up. Noise is 0.8 % of perplexity.
    """

    name = "synthetic"

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
        self.reference = Reference(UNIGRAM, baseline_costs(whole, OBJECTIVE, _PROTOCOL, NETWORK))

    def architecture(self, said: Mapping[str, str]) -> tuple[Architecture, float]:
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
            stabilizer=Stabilizer(said["stabilizer"]),  # type: ignore[arg-type]
        ), float(said["lr"])

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
            return Outcome("plateau", 0.97 * UNIGRAM, 0.97 * UNIGRAM, 0.5 * seconds)
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
        noise = np.random.default_rng([seed, int(candidate.identity, 16)]).normal(0.0, 0.008)
        judged = math.exp(log_perplexity)
        return Outcome("finished", judged * math.exp(noise), judged, seconds)


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


class Table(Task):
    """Trainings that were really done, from a CSV.

    Columns: `choice.NAME` for every parameter of the space (empty where it does not count), `architecture`
    (JSON), `lr`, `seed`, `verdict`, `perplexity` (empty when diverged), `seconds`, `curve` (JSON:
    [[step, perplexity], ...]), and the objective's costs. Of several seeds the lowest is the one a search meets.
    What is not in the table cannot be built.

    Args:
        path: of the CSV.
        space: the file that the table was made from; lists and whole numbers alone.
        unigram: perplexity of its corpus.
    """

    def __init__(self, path: Path, space: str, unigram: float) -> None:
        self.name = path.stem
        with path.open(newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["seed"]), reverse=True)
        if not rows:
            raise RequestError(f"table={path} has no rows: build it first")
        self._rows = {_choices(row): row for row in rows}
        architectures = {c: json.loads(row["architecture"]) for c, row in self._rows.items()}
        self._networks = {c: canonical(from_mapping(Architecture, data)) for c, data in architectures.items()}
        self._costs = {
            self._networks[c]: {metric: float(row[metric]) for metric in OBJECTIVE.costs}
            for c, row in self._rows.items()
        }
        first = next(iter(self._networks.values()))
        self.space = load_space(space, Path(), {"n_layer": first.n_layer})
        self.reference = Reference(unigram, baseline_costs(first, OBJECTIVE, _PROTOCOL, NETWORK))
        trained = [row for row in self._rows.values() if row["perplexity"]]
        self.best = self.reference.hypervolume(
            [[float(row["perplexity"]), *(float(row[m]) for m in OBJECTIVE.costs)] for row in trained]
        )
        self._by_identity: dict[str, Mapping[str, str]] = {}

    def architecture(self, said: Mapping[str, str]) -> tuple[Architecture, float]:
        choices = frozenset(said.items())
        if choices not in self._rows:
            raise RequestError(f"the table has no row with {dict(said)}")
        return self._networks[choices], float(self._rows[choices]["lr"])

    def compose(self, overrides: Sequence[str]) -> Candidate:
        candidate = super().compose(overrides)
        said = dict(o.split("=", 1) for o in overrides)
        self._by_identity[candidate.identity] = self._rows[frozenset(said.items())]
        return candidate

    def costs_of_many(self, architectures: Sequence[Architecture]) -> Sequence[Mapping[str, float]]:
        return [self._costs[a] for a in architectures]

    def train(self, candidate: Candidate, seed: int) -> Outcome:
        row = self._by_identity[candidate.identity]
        perplexity = float(row["perplexity"]) if row["perplexity"] else None
        verdict: Verdict = row["verdict"]  # type: ignore[assignment]
        curve = tuple((int(step), float(value)) for step, value in json.loads(row["curve"] or "[]"))
        return Outcome(verdict, perplexity, perplexity, float(row["seconds"]), curve)


def _choices(row: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name.removeprefix("choice."), value)
        for name, value in row.items()
        if name.startswith("choice.") and value
    )
