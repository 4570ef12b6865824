"""Which architectures can exist, in words: every refusal names the fields, the values and the mend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

from aero_search.architecture.families import FAMILIES
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, FEED_FORWARDS, NONE, NORMS, SOFTMAX
from aero_search.architecture.spec import Architecture, Layer
from aero_search.errors import RequestError, nearest
from aero_search.schema import beyond

# Ten times the deepest and the widest that have been published.
MAX_LAYERS = 10_000
_MAX_SIZE = 10_000_000
_MAX_RATIO = 10_000
MAX_VOCAB_SIZE = 65536  # token files are uint16


class InvalidArchitectureError(RequestError):
    """No network can be built from this description."""


def validate(architecture: Architecture) -> Architecture:
    """Return the architecture unchanged if it can be built.

    Raises:
        InvalidArchitectureError: it cannot; one sentence for each reason.
    """
    problems = list(violations(architecture))
    if problems:
        raise InvalidArchitectureError("; ".join(problems))
    return architecture


def violations(a: Architecture) -> Iterator[str]:
    """Yield what is wrong, each as one sentence that names the override to change."""
    unknown = list(_names(a))
    if unknown:
        yield from unknown
        return
    yield from beyond("model.n_layer", a.n_layer, 1, MAX_LAYERS)
    for name in ("n_head", "d_model", "seq_len"):
        yield from beyond(f"model.{name}", getattr(a, name), 1, _MAX_SIZE)
    if max(a.n_head, a.d_model) > _MAX_SIZE:
        return  # what follows counts up to them
    if a.vocab_size < 1:
        yield f"model.vocab_size={a.vocab_size} must be at least 1"
    if a.ffn_ratio > _MAX_RATIO:
        yield f"model.ffn_ratio={a.ffn_ratio:g} must be at most {_MAX_RATIO:,}"
        return
    if a.vocab_size > MAX_VOCAB_SIZE:
        yield f"model.vocab_size={a.vocab_size} is above {MAX_VOCAB_SIZE}: tokens are uint16"
    if a.n_head >= 1 and a.d_model >= 1:
        yield from _heads(a)
    if a.ffn_ratio <= 0 or (a.d_model >= 1 and a.d_ff < 1):
        yield f"model.ffn_ratio={a.ffn_ratio:g} must be above 0 and leave a feed-forward at least 1 wide"
    if a.d_model >= 1:
        yield from beyond("ffn.rank", a.ffn_rank, 0, min(a.d_model, max(a.d_ff, 1)))
    if all(layer.is_empty for layer in a.layers):
        yield "attention.kind=none and ffn.kind=none in every layer leave no network: keep one of them somewhere"
    yield from _shared(a)
    yield from _public(a)
    yield from _attention(a)
    yield from _kinds(a)
    yield from _regularizer(a)


def _names(a: Architecture) -> Iterator[str]:
    chosen: tuple[tuple[str, str, Collection[str], set[str]], ...] = (
        ("model.family", "family", FAMILIES, {a.family}),
        ("norm.final", NORMS.what, NORMS, {a.final_norm}),
        ("norm.kind", NORMS.what, NORMS, {layer.norm for layer in a.layers}),
        ("attention.qk_norm", NORMS.what, NORMS, {a.attention.qk_norm}),
        ("activation.kind", ACTIVATIONS.what, ACTIVATIONS, {layer.activation for layer in a.layers}),
        ("attention.kind", ATTENTIONS.what, ATTENTIONS, {layer.attention for layer in a.layers}),
        ("ffn.kind", FEED_FORWARDS.what, FEED_FORWARDS, {layer.ffn for layer in a.layers}),
    )
    for field, what, known, names in chosen:
        for name in sorted(names):
            if name not in known:
                yield f"{field}={name} is not a known {what}: {nearest(name, known)}"


def _heads(a: Architecture) -> Iterator[str]:
    if a.d_model % a.n_head:
        low = max(a.d_model // a.n_head, 1) * a.n_head
        yield (
            f"model.d_model={a.d_model} is not a multiple of model.n_head={a.n_head}: "
            f"take model.d_model={low} or {low + a.n_head}, or another n_head"
        )
        return
    if a.n_kv_head is not None and (a.n_kv_head < 1 or a.n_head % a.n_kv_head):
        divisors = ", ".join(str(k) for k in range(1, a.n_head + 1) if a.n_head % k == 0)
        yield f"model.n_kv_head={a.n_kv_head} does not divide model.n_head={a.n_head}: take one of {divisors}"
    share = a.wiring.rotary_share
    channels = share * a.d_head
    if not 0 <= share <= 1:
        yield f"model.rotary_share={share:g} must lie between 0 (learned positions) and 1 (the whole head)"
    elif a.rotary_share and (channels < 1 or abs(channels - 2 * round(channels / 2)) > 1e-9 * a.d_head):
        yield (
            f"model.rotary_share={share:g} rotates {channels:g} channels of a head of {a.d_head}: it must be an "
            "even number of them, or 0 for learned positions"
        )
    elif a.rotary_share is None and channels % 2:
        # Channels are rotated in pairs.
        unit = Fraction(share).limit_denominator(_MAX_SIZE).denominator
        unit *= 1 if round(share * unit) % 2 == 0 else 2
        yield (
            f"model.d_model / model.n_head = {a.d_head} must be a multiple of {unit} for {a.family}, whose "
            f"positions rotate {share:.0%} of each head in pairs"
        )


def in_groups(layers: Sequence[Layer], k: int) -> bool:
    """Whether layers are groups of k consecutive ones that are alike."""
    return len(layers) % k == 0 and all(len(set(layers[i : i + k])) == 1 for i in range(0, len(layers), k))


def _shared(a: Architecture) -> Iterator[str]:
    k = a.share_layers
    if k < 1 or a.n_layer % k:
        divisors = ", ".join(str(d) for d in range(1, a.n_layer + 1) if a.n_layer % d == 0)
        yield f"model.share_layers={k} does not divide model.n_layer={a.n_layer}: take one of {divisors}"
        return
    if not in_groups(a.layers, k):
        yield (
            f"model.share_layers={k} needs groups of {k} layers that are alike, and theirs differ: give each group "
            "one norm, activation, feed-forward and attention, or take model.share_layers=1"
        )
    if k > 1:
        norms = {"norm.kind": {layer.norm for layer in a.layers}, "attention.qk_norm": {a.attention.qk_norm}}
        for field, names in norms.items():
            for name in sorted(names):
                if NORMS[name].folds and NORMS[name].operation is None:
                    yield (
                        f"{field}={name} and model.share_layers={k} exclude each other: the statistics that it "
                        "keeps of one layer are not those of another, so take another norm or model.share_layers=1"
                    )


def _public(a: Architecture) -> Iterator[str]:
    most = max(a.n_layer - 1, 0)
    if not 0 <= a.public_layers <= most:
        yield (
            f"model.public_layers={a.public_layers} must be from 0 to {most} of model.n_layer={a.n_layer}: "
            "the deepest layer and the LM head stay private"
        )
    elif a.share_layers > 1 and a.public_layers % a.share_layers:
        yield (
            f"model.public_layers={a.public_layers} is no multiple of model.share_layers={a.share_layers}: "
            "a private layer would have the weights of a public one"
        )


def _attention(a: Architecture) -> Iterator[str]:
    if a.attention.temperature_init <= 0:
        yield (
            f"attention.temperature_init={a.attention.temperature_init:g} must be above 0: "
            "logits are divided by it"
        )
    yield from beyond("attention.softmax_heads", a.attention.softmax_heads, 0, max(a.n_head, 0))
    if a.attention.value_projection == "identity" and a.n_kv_head not in (None, a.n_head):
        yield (
            f"attention.value_projection=identity needs one value head a query head: "
            f"take model.n_kv_head={a.n_head}"
        )
    yield from _qk_norm(a)
    if a.attention.shaped and a.regularizer.weight > 0:
        yield (
            "attention.shaped=true and regularizer.weight above 0 exclude each other: shaped rows are "
            "not probabilities, so take regularizer.weight=0"
        )


def _qk_norm(a: Architecture) -> Iterator[str]:
    norm = a.attention.qk_norm
    if not NORMS[norm].per_head:
        able = ", ".join(name for name, card in NORMS.items() if card.per_head)
        yield f"attention.qk_norm={norm} cannot normalize the queries and keys of a head: take one of {able}"
    elif norm != NONE and a.attention.shaped:
        yield (
            f"attention.qk_norm={norm} and attention.shaped=true exclude each other: shaped attention starts from "
            "queries of 0, which have no direction to normalize, so take attention.qk_norm=none"
        )


def _kinds(a: Architecture) -> Iterator[str]:
    """What an attention kind or a norm excludes."""
    for kind in sorted({layer.attention for layer in a.layers if layer.attends}):
        if ATTENTIONS[kind].probabilities:
            continue
        if a.attention.shaped:
            yield (
                f"attention.kind={kind} and attention.shaped=true exclude each other: shaping corrects the rows of "
                f"{SOFTMAX}, so take attention.kind={SOFTMAX} or attention.shaped=false"
            )
        if a.regularizer.weight > 0:
            yield (
                f"attention.kind={kind} and regularizer.weight above 0 exclude each other: the entropy regularizer "
                f"is made for {SOFTMAX}, so take regularizer.weight=0"
            )
    if a.attention.value_projection == "identity":
        for name in sorted({layer.norm for layer in a.layers if layer.attends and NORMS[layer.norm].folds}):
            yield (
                f"norm.kind={name} and attention.value_projection=identity exclude each other: the norm folds into "
                "the linears that read it, and identity values have none, so take attention.value_projection=full"
            )
    if a.stabilizer.kind == "scaled":
        norms = {"norm.final": {a.final_norm}, "norm.kind": {layer.norm for layer in a.layers}}
        for field, names in norms.items():
            for name in sorted(names):
                if not NORMS[name].absorbs_scale:
                    yield (
                        f"{field}={name} and stabilizer.kind=scaled exclude each other: the norm cannot take the "
                        "scale of the residual stream into its own numbers, so take stabilizer=none"
                    )


def _regularizer(a: Architecture) -> Iterator[str]:
    r = a.regularizer
    if r.weight < 0:
        yield f"regularizer.weight={r.weight:g} must be 0 (off) or above"
    if not 0 <= r.margin < 1:
        yield f"regularizer.margin={r.margin:g} must be at least 0 and below 1 (of the largest entropy)"
    if not 0 <= r.threshold_init <= 1:
        yield f"regularizer.threshold_init={r.threshold_init:g} must lie between 0 and 1"
    if r.every < 1:
        yield f"regularizer.every={r.every} must be at least 1: the penalty is taken at every so many steps"
