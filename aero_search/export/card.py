"""The model card: what is in the folder, every figure with its source, and the commands to go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aero_search.architecture import BASELINE, notation
from aero_search.cost.trust import TRUST
from aero_search.export.choice import Choice
from aero_search.export.layout import OPTIONAL, REQUIRED, TARGET_FILE, TOKENIZER_FILE
from aero_search.invocation import BARE
from aero_search.markdown import code, code_block, plain
from aero_search.quantity import perplexity_text
from aero_search.training.result import Result

ESTIMATED, MEASURED, COUNTED = "estimated", "measured", "counted"
_WHAT = {
    "architecture.yaml": "the description; drops into any Hydra app",
    "candidate.yaml": "the composed configuration that trains it again",
    "weights.safetensors": "the trained weights",
    "folded.safetensors": "the same function without training-time machinery",
    "metrics.json": "perplexity, curve, entropy, cost by part",
    "provenance.json": "study, seeds, corpus fingerprint, versions",
    "protocol.yaml": "the protocol it is priced under, each constant with its source",
    "network.yaml": "the network it is priced on",
    "README.md": "this card",
    "target_architecture.yaml": "the same choices at the size that is priced",
    "tokenizer.json": "the byte-level BPE its tokens come from",
    "tokenizer_config.json": "how transformers reads it",
}


def card(choice: Choice, result: Result, files: Sequence[str]) -> str:
    """Markdown. `files` are the names that lie in the bundle."""
    record, protocol, network = choice.record, choice.pricing.protocol, choice.pricing.network
    here = [
        f"* `{name}`: {_WHAT[name]}"
        for name in (*REQUIRED, *OPTIONAL)
        if name in files or name == "README.md"
    ]
    tokenizer = "" if TOKENIZER_FILE in files else "\nThe corpus came packed, without a tokenizer.\n"
    return f"""# {plain(record.notation)}

Trial {record.number} of study {code(choice.study)}, picked by {code(choice.picked_by)}: a decoder-only
language model whose architecture was searched for private inference.

## Figures

{_figures(choice, result)}

Measured: run and read off. Counted: follows exactly from the architecture. Estimated: predicted by the protocol's
model, not run. The perplexity holds for the corpus with fingerprint {code(result.fingerprint)} and no other.
{_labels(result)}{_sizes(choice)}
Against {BASELINE} at the same size: {_savings(choice)}.

## Where the prices come from

Protocol {code(protocol.name)}: {plain(protocol.title)}; {TRUST[protocol.trust]}. Network {code(network.name)}:
{plain(network.source)}.

{_sources(choice)}

## How it was trained

{_training(result)}

## What to do with it

{BARE} Check it, from these files alone: `aero-search verify bundle=.`

Train it again (same corpus, same seed, same perplexity), from this folder alone:

    aero-search train --config-dir . --config-name candidate

Change something while doing so, for example the seed: add `recipe.seed=1`. The search that found it:

{code_block(choice.search_command)}

From Python:

    from aero_search import load_bundle
    bundle = load_bundle(".")
    bundle.architecture, bundle.module(), bundle.folded(), bundle.tokenizer()

## Files
{tokenizer}
{chr(10).join(here)}
* `manifest.json`: the SHA-256 of each
"""


def _figures(choice: Choice, result: Result) -> str:
    costs = choice.record.costs
    target = choice.pricing.target
    of = "" if target is None else f" of {target.name}"
    perplexity = "none (diverged)" if result.perplexity is None else perplexity_text(result.perplexity)
    loss = "none" if result.validation_loss is None else f"{result.validation_loss:.4f} nats a token"
    priced = f"{choice.pricing.protocol.name} on {choice.pricing.network.name}"
    rows = [
        (
            f"perplexity, held-out split{' (proxy)' if target else ''}",
            perplexity,
            MEASURED,
            f"{result.steps:,} steps, weight seed {result.seed}, data seed {result.data_seed}",
        ),
        *(
            ()
            if result.accuracy is None
            else [("accuracy, held-out split", f"{result.accuracy:.4f}", MEASURED, "the same")]
        ),
        *(
            ()
            if result.bits_per_byte is None
            else [("bits per byte, held-out split", f"{result.bits_per_byte:.4f}", MEASURED, "the same")]
        ),
        ("validation loss", loss, MEASURED, "the same"),
        ("parameters of the trained weights", f"{result.parameters:,}", COUNTED, "the network"),
        (
            f"FLOPs of a forward pass{of}",
            f"{costs['flops'] / 1e9:.4g} G",
            COUNTED,
            "2 x multiply-accumulates",
        ),
        (f"private-inference latency{of}", f"{costs['latency_s']:.4g} s", ESTIMATED, priced),
        (
            f"private-inference communication{of}",
            f"{costs['communication_bytes'] / 1e9:.4g} GB",
            ESTIMATED,
            priced,
        ),
        (f"round trips{of}", f"{costs['rounds']:,.0f}", ESTIMATED, priced),
    ]
    lines = ["| figure | value | kind | source |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(map(plain, row))} |" for row in rows])


def _labels(result: Result) -> str:
    if not result.labels:
        return ""
    said = ", ".join(f"{code(label)} is token {token}" for label, token in result.labels.items())
    return f"""
A classifier: perplexity and accuracy are of the label. Cut a text to its first T - 1 tokens, put one end of text
behind it and ends of text in front up to T in all; the most likely next token is the answer: {said}.
"""


def _sizes(choice: Choice) -> str:
    target = choice.pricing.target
    if target is None:
        return ""
    sizes = choice.front.sizes
    name = notation(choice.pricing.priced(choice.record.architecture))
    return (
        f"\n{plain(sizes[0].upper() + sizes[1:])}. At that size the architecture is {code(name)} "
        f"(`{TARGET_FILE}`); what it reaches there is not known before it is trained there.\n"
    )


def _savings(choice: Choice) -> str:
    said = [
        f"{choice.front.saving(choice.record, metric):.2f} x less {metric}"
        for metric in choice.front.baseline
    ]
    known = choice.front.baseline_perplexity
    trained = "not trained in this study" if known is None else f"perplexity {perplexity_text(known)}"
    return f"{', '.join(said)}; the baseline: {trained}"


def _sources(choice: Choice) -> str:
    """One line for each source of the protocol's constants, with the primitives that it gives."""
    by_source: dict[str, list[str]] = {}
    for name, primitive in choice.pricing.protocol.primitives.items():
        for kind in ("bytes", "rounds", "seconds"):
            constant = getattr(primitive, kind)
            by_source.setdefault(f"{constant.source} ({constant.date})", []).append(f"{name} {kind}")
    return "\n".join(
        f"* {plain(source)}: {plain(', '.join(what))}" for source, what in sorted(by_source.items())
    )


def _training(result: Result) -> str:
    versions: Mapping[str, Any] = result.versions
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{result.steps:,} steps, {result.tokens:,} tokens, peak learning rate {result.lr:g}, "
        f"{result.seconds:,.0f} s, verdict {result.verdict}. Versions: {plain(said)}.{_teacher(result)}"
    )


def _teacher(result: Result) -> str:
    teacher = result.teacher
    if teacher is None:
        return ""
    told = f", which it also learned from ({teacher.distilled:g} of the loss)" if teacher.distilled else ""
    lost = f" Nothing of it serves {plain('; '.join(teacher.without_rule))}." if teacher.without_rule else ""
    return (
        f"\n\nStarted from the trained {plain(teacher.name)}, fingerprint {code(teacher.fingerprint)}{told}: "
        f"its weights were carried over, and what was changed in them was trained.{lost}"
    )
