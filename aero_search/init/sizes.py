"""Which networks a checkpoint's weights can be carried into: stream and heads keep their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aero_search.architecture import Architecture, Regularizer, canonical
from aero_search.architecture.families import FACETS
from aero_search.architecture.operations import NONE


def misfits(own: Architecture, a: Architecture) -> Iterator[str]:
    """Yield why the weights of `own` cannot be carried into `a`, each a part of a sentence with the field."""
    for field, name in (
        ("model.family", "family"),
        ("model.d_model", "d_model"),
        ("model.n_head", "n_head"),
        ("model.vocab_size", "vocab_size"),
    ):
        asked, had = getattr(a, name), getattr(own, name)
        if asked != had:
            yield f"{field}={asked} cannot be carried over from {had}"
    for name in FACETS:
        asked, had = getattr(a.wiring, name), getattr(own.wiring, name)
        if a.family == own.family and asked != had:
            yield f"model.{name}={asked} cannot be carried over from {had}"
    if a.n_layer > own.n_layer:
        yield f"model.n_layer={a.n_layer} is more than the {own.n_layer} that it has"
    if a.seq_len > own.seq_len and not own.rotary_channels:
        yield f"model.seq_len={a.seq_len} is above its {own.seq_len} learned positions"
    elif a.seq_len > own.seq_len and own.attention.temperature == "learned":
        yield f"model.seq_len={a.seq_len} is above its {own.seq_len} learned temperatures"
    if a.kv_heads < own.kv_heads and own.kv_heads % a.kv_heads:
        yield f"model.n_kv_head={a.kv_heads} does not divide its {own.kv_heads} key and value heads"
    if a.kv_heads > own.kv_heads and a.kv_heads % own.kv_heads:
        yield f"model.n_kv_head={a.kv_heads} is not a multiple of its {own.kv_heads} key and value heads"
    if a.tied_embeddings and not own.tied_embeddings:
        yield "model.tied_embeddings=true cannot be carried over from a head of its own"
    if a.attention.value_projection == "full" and own.attention.value_projection == "identity":
        yield "attention.value_projection=full cannot be carried over from identity values"
    if a.public_layers:
        yield from _public_changes(own, a)


def _public_changes(own: Architecture, a: Architecture) -> Iterator[str]:
    """Yield what would change the weights of layers that are public because everyone has them."""
    reason = f"model.public_layers={a.public_layers} keeps the first layers as they are"
    # Settings without effect in the public layers are no difference.
    (here, there) = (_public_part(one, a.public_layers) for one in (a, own))
    if a.n_layer != own.n_layer:
        yield f"{reason}, so leave model.n_layer={own.n_layer}"
    elif a.layers[: a.public_layers] != own.layers[: a.public_layers]:
        yield f"{reason}, and theirs are other operations"
    for field, asked, had in (
        ("model.n_kv_head", here.kv_heads, there.kv_heads),
        ("model.ffn_ratio", here.ffn_ratio, there.ffn_ratio),
        ("model.gated", here.gated, there.gated),
        ("ffn.rank", here.ffn_rank, there.ffn_rank),
        ("attention.value_projection", here.attention.value_projection, there.attention.value_projection),
        ("attention.shaped", here.attention.shaped, there.attention.shaped),
        ("attention.softmax_heads", here.attention.softmax_heads, there.attention.softmax_heads),
        ("attention.qk_norm", here.attention.qk_norm, there.attention.qk_norm),
        ("stabilizer.kind", here.stabilizer.kind, there.stabilizer.kind),
    ):
        if asked != had:
            yield f"{reason}, so leave {field}={had}"
    if here.attention.temperature == "none" != there.attention.temperature:
        # Each position's own temperature would become the mean of all.
        yield f"{reason}, so leave attention.temperature={there.attention.temperature}"
    if there.stabilizer.kind == "spectral_norm":
        yield f"{reason}, which the checkpoint's stabilizer.kind=spectral_norm does not: take model.public_layers=0"
    if a.final_norm == NONE != own.final_norm:
        # What is left of it is a factor of the whole stream, the public part of it too.
        yield f"{reason}, so leave norm.final={own.final_norm}"


def _public_part(a: Architecture, layers: int) -> Architecture:
    """The public layers alone, in canonical form."""
    return canonical(
        replace(a, layers=a.layers[:layers], public_layers=0, share_layers=1, regularizer=Regularizer())
    )


def unserved(own: Architecture, a: Architecture) -> Iterator[str]:
    """Yield what of `a` starts as a fresh network does, or loses what it knew: changes without a rule."""
    if a.attention.value_projection != own.attention.value_projection:
        yield "attention.value_projection=identity: what the value and output projections did is lost"
    if a.attention.shaped and not own.attention.shaped:
        yield "attention.shaped=true: its gains start as in a fresh network"
    if a.stabilizer.kind == "spectral_norm" != own.stabilizer.kind:
        yield "stabilizer.kind=spectral_norm: divides the carried weights by their largest singular value"
