"""`aero-search verify`: a bundle rebuilt from its files alone, and every figure that can be had again compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aero_search.architecture import Architecture, canonical, key, notation
from aero_search.cost import Network, Protocol
from aero_search.cost.document import cost_document
from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.layout import LARGEST, NETWORK_FILE, PROTOCOL_FILE, TARGET_FILE
from aero_search.export.load import Bundle, load_bundle
from aero_search.schema import SchemaError, from_mapping
from aero_search.training.recipe import Recipe
from aero_search.untrusted_files import read_yaml

# Costs are sums of a few hundred terms in the same order: any real difference is far above rounding.
COST_TOLERANCE = 1e-9
# What a newer price says of how it is made, which older bundles do not have, and money, whose list prices change.
_MADE_SO = ("workload", "trust", "offline", "pass", "usd")
# Losses are sums over thousands of tokens: other cores and thread counts add them in another order. Weights that
# were trained in half precision are evaluated in single precision here.
LOSS_TOLERANCE = {"32-true": 1e-4}
HALF_PRECISION_TOLERANCE = 2e-2
FOLDED_TOLERANCE = 1e-4
CACHE_TOLERANCE = 1e-4

State = Literal["ok", "differs", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was compared.

    Attributes:
        name: what, in words.
        told: what the bundle says.
        found: what came out here; for `skipped`, why it could not be had.
    """

    name: str
    state: State
    told: str
    found: str


@dataclass(frozen=True)
class Verification:
    """The outcome for one bundle."""

    notation: str
    folder: Path
    checks: tuple[Check, ...]

    @property
    def differing(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state == "differs")

    def require(self) -> None:
        """Accept the bundle.

        Raises:
            AeroSearchError: something differs, in one sentence that names all of it.
        """
        if self.differing:
            said = "; ".join(
                f"{c.name} is told as {c.told} and comes out as {c.found}" for c in self.differing
            )
            raise AeroSearchError(f"{self.folder} is not what it says: {said}")


Reader = Callable[[Mapping[str, Any]], Architecture]
FindCorpus = Callable[[Bundle, str], Corpus | str]


def verify_bundle(path: Path, read_architecture: Reader, find_corpus: FindCorpus) -> Verification:
    """Check files, architecture, parameters, folded weights, FLOPs, cost and validation perplexity.

    Args:
        read_architecture: from a composed configuration to the architecture it describes.
        find_corpus: the corpus of a fingerprint, or in words why there is none.

    Raises:
        RequestError: there is no folder at `path`.
        AeroSearchError: a file is missing, changed, unreadable or unsafe.
    """
    bundle = load_bundle(path)
    files = len(bundle.manifest.files)
    intact = Check("files", "ok", f"{files} with SHA-256", "all as told")
    try:
        checks = (
            intact,
            *_names(bundle, read_architecture),
            *_costs(bundle),
            *_weights(bundle),
            _perplexity(bundle, find_corpus),
        )
    except (SchemaError, KeyError, TypeError, AttributeError) as problem:
        raise AeroSearchError(f"{path} cannot be checked: {_missing(problem)}") from problem
    return Verification(notation(bundle.architecture), bundle.folder, checks)


def _missing(problem: Exception) -> str:
    if isinstance(problem, KeyError):
        return f"its files lack the entry {problem}"
    return str(problem)


def _names(bundle: Bundle, read_architecture: Reader) -> Iterator[Check]:
    """The architecture by every name that the bundle gives it."""
    a = bundle.architecture
    yield _same("architecture key", bundle.provenance["key"], key(a))
    yield _same("notation", bundle.metrics["notation"], notation(a))
    try:
        configured = key(canonical(read_architecture(bundle.config)))
    except RequestError as problem:
        configured = f"none ({problem})"
    yield _same("architecture of candidate.yaml", key(a), configured)


def _costs(bundle: Bundle) -> Iterator[Check]:
    """FLOPs, bytes, rounds and seconds under the protocol and network that lie in the bundle."""
    protocol = from_mapping(
        Protocol, read_yaml(bundle.folder, PROTOCOL_FILE, LARGEST[PROTOCOL_FILE]), "protocol"
    )
    network = from_mapping(Network, read_yaml(bundle.folder, NETWORK_FILE, LARGEST[NETWORK_FILE]), "network")
    trained = "cost"
    if TARGET_FILE in bundle.manifest.files:
        trained = "cost_of_the_proxy"
        data = read_yaml(bundle.folder, TARGET_FILE, LARGEST[TARGET_FILE])
        target = from_mapping(Architecture, data, "target")
        yield from _priced("cost at the target's size", bundle.metrics["cost"], target, protocol, network)
    yield from _priced("cost", bundle.metrics[trained], bundle.architecture, protocol, network)


def _priced(
    name: str, told: Mapping[str, Any], architecture: Architecture, protocol: Protocol, network: Network
) -> Iterator[Check]:
    found = cost_document(architecture, protocol, network)
    for label, path in (
        ("FLOPs", ("flops", "total")),
        ("communication, bytes", ("communication_bytes", "total")),
        ("round trips", ("rounds",)),
        ("latency, s", ("latency_seconds", "total")),
    ):
        yield _close(f"{name}: {label}", _at(told, path), _at(found, path), COST_TOLERANCE)
    # The architecture has a check of its own.
    aside = dict.fromkeys(("architecture", *_MADE_SO))
    differing = sorted(_differences({**told, **aside}, {**found, **aside}))
    state: State = "differs" if differing else "ok"
    yield Check(
        f"{name}: every part", state, "metrics.json", f"other {differing[0]}" if differing else "the same"
    )


def _weights(bundle: Bundle) -> Iterator[Check]:
    import torch

    from aero_search.model import count_parameters

    model = bundle.module()
    yield _same("parameters", bundle.metrics["parameters"], count_parameters(model))
    generator = torch.Generator().manual_seed(0)
    a = bundle.architecture
    tokens_bt = torch.randint(a.vocab_size, (2, a.seq_len), generator=generator)
    with torch.no_grad():
        logits_btv, folded_btv = model(tokens_bt), bundle.folded()(tokens_bt)
    spread = float((logits_btv - folded_btv).abs().max() / logits_btv.abs().max().clamp(min=1))
    state: State = "ok" if spread <= FOLDED_TOLERANCE else "differs"
    yield Check("folded logits", state, f"within {FOLDED_TOLERANCE:g}", f"{spread:.1e} apart")
    yield _generation(bundle)


def _generation(bundle: Bundle) -> Check:
    """What `export kind=hf` of this network would do with the transformers that is installed."""
    from importlib.util import find_spec

    name = "generation with transformers' cache"
    if find_spec("transformers") is None:
        return Check(name, "skipped", f"within {CACHE_TOLERANCE:g}", "transformers is not installed")
    from aero_search.export.huggingface import check_operations, transformers_model
    from aero_search.export.models import cached_difference

    folded = bundle.folded()
    try:
        check_operations(folded.architecture)
    except RequestError as reason:
        return Check(name, "skipped", f"within {CACHE_TOLERANCE:g}", str(reason))
    return cached_check(cached_difference(transformers_model(folded), folded.architecture, folded))


def cached_check(apart: float) -> Check:
    """The check of generation with a cache against one pass without."""
    import transformers

    name = f"generation with the cache of transformers {transformers.__version__}"
    state: State = "ok" if apart <= CACHE_TOLERANCE else "differs"
    return Check(name, state, f"within {CACHE_TOLERANCE:g}", f"{apart:.1e} apart")


def _perplexity(bundle: Bundle, find_corpus: FindCorpus) -> Check:
    from aero_search.training.health import perplexity
    from aero_search.training.validation import held_out

    told = float(bundle.metrics["perplexity"])
    fingerprint = str(bundle.provenance["corpus_fingerprint"])
    corpus = find_corpus(bundle, fingerprint)
    if isinstance(corpus, str):
        return Check("validation perplexity", "skipped", f"{told:.6g}", corpus)
    if corpus.vocab_size > bundle.architecture.vocab_size:
        return _same("vocabulary of the corpus", bundle.architecture.vocab_size, corpus.vocab_size)
    recipe = from_mapping(Recipe, bundle.config["recipe"], "recipe")
    loss = held_out(bundle.module(), bundle.architecture, recipe, corpus).loss
    tolerance = LOSS_TOLERANCE.get(recipe.precision, HALF_PRECISION_TOLERANCE)
    return _close("validation perplexity", told, perplexity(loss), tolerance)


def _same(name: str, told: object, found: object) -> Check:
    return Check(name, "ok" if told == found else "differs", str(told), str(found))


def _close(name: str, told: float, found: float, tolerance: float) -> Check:
    state: State = "ok" if math.isclose(told, found, rel_tol=tolerance) else "differs"
    return Check(name, state, f"{told:.6g}", f"{found:.6g}")


def _at(data: Any, path: tuple[str, ...]) -> float:
    for name in path:
        data = data[name]
    return float(data)


def _differences(told: Any, found: Any, where: str = "") -> Iterator[str]:
    """Dotted names of what differs between two JSON documents; numbers within the cost tolerance are equal.

    Newer versions tell parts that older ones did not have: where these cost nothing, nothing differs.
    """
    if told is None and _is_nothing(found):
        return
    if isinstance(told, Mapping) and isinstance(found, Mapping):
        for name in {*told, *found}:
            yield from _differences(
                told.get(name), found.get(name), f"{where}.{name}" if where else str(name)
            )
    elif isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        for i, (one, other) in enumerate(zip(told, found, strict=True)):
            yield from _differences(one, other, f"{where}[{i}]")
    elif isinstance(told, float | int) and isinstance(found, float | int):
        if not math.isclose(told, found, rel_tol=COST_TOLERANCE):
            yield where
    elif told != found:
        yield where


def _is_nothing(value: Any) -> bool:
    """Whether a JSON document holds zeros, empty texts and nulls alone."""
    if isinstance(value, Mapping):
        return all(map(_is_nothing, value.values()))
    return all(map(_is_nothing, value)) if isinstance(value, list) else not value
