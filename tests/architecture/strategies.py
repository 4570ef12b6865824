"""Hypothesis strategies: valid architectures of every family and setting, small enough to build."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, violations
from aero_search.architecture.families import FAMILIES
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, FEED_FORWARDS, NORMS
from aero_search.architecture.spec import StabilizerKind, StabilizerTargets


def choice(literal: object) -> st.SearchStrategy[str]:
    return st.sampled_from(get_args(literal))


layers = st.builds(
    Layer,
    norm=st.sampled_from(list(NORMS)),
    activation=st.sampled_from(list(ACTIVATIONS)),
    ffn=st.sampled_from(list(FEED_FORWARDS)),
    attention=st.sampled_from(list(ATTENTIONS)),
)
attentions = st.builds(
    Attention,
    value_projection=st.sampled_from(["full", "identity"]),
    shaped=st.booleans(),
    temperature=st.sampled_from(["none", "learned"]),
    temperature_init=st.sampled_from([0.03, 0.1, 1.0]),
    softmax_heads=st.sampled_from([0, 1, 2]),
    qk_norm=st.sampled_from([name for name, card in NORMS.items() if card.per_head]),
)
stabilizers = st.builds(Stabilizer, kind=choice(StabilizerKind), targets=choice(StabilizerTargets))
regularizers = st.builds(
    Regularizer,
    weight=st.sampled_from([0.0, 0.02, 0.5]),
    margin=st.sampled_from([0.0, 0.2]),
    reduction=st.sampled_from(["mean", "sum"]),
    sided=st.sampled_from(["two", "one"]),
    reference=st.sampled_from(["causal", "log_t"]),
    threshold_init=st.sampled_from([0.3, 0.5]),
    every=st.sampled_from([1, 4]),
)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Valid architectures with 1 to 4 layers, some of them shared, heads of 8 and up to 4 of them."""
    n_head = draw(st.sampled_from([1, 2, 4]))
    chosen, attention, regularizer = (
        tuple(draw(st.lists(layers, min_size=1, max_size=4))),
        draw(attentions),
        draw(regularizers),
    )
    share = draw(st.sampled_from([1, 1, 2]))
    # What most draws would otherwise be refused for.
    if share == 2:
        chosen = tuple(layer for layer in chosen[:2] for _ in range(share))
    attention = replace(attention, softmax_heads=min(attention.softmax_heads, n_head))
    if not all(ATTENTIONS[layer.attention].probabilities for layer in chosen if layer.attends):
        attention, regularizer = replace(attention, shaped=False), replace(regularizer, weight=0.0)
    if attention.shaped:
        attention = replace(attention, qk_norm="none")
    a = Architecture(
        family=draw(st.sampled_from(list(FAMILIES))),
        n_head=n_head,
        n_kv_head=draw(st.sampled_from([None, 1, n_head])),
        d_model=8 * n_head,
        seq_len=draw(st.sampled_from([4, 8])),
        vocab_size=draw(st.sampled_from([16, 257])),
        layers=chosen,
        ffn_ratio=draw(st.sampled_from([2.0, 4.0])),
        gated=draw(st.booleans()),
        final_norm=draw(st.sampled_from(list(NORMS))),
        tied_embeddings=draw(st.booleans()),
        attention=attention,
        stabilizer=draw(stabilizers),
        regularizer=regularizer,
        share_layers=share,
        ffn_rank=draw(st.sampled_from([0, 0, 3])),
        rotary_share=draw(st.sampled_from([None, None, 0.0, 0.5])),
        parallel_residual=draw(st.sampled_from([None, None, True, False])),
        biases=draw(st.sampled_from([None, None, True, False])),
        public_layers=min(draw(st.sampled_from([0, 0, share])), len(chosen) - share),
    )
    from hypothesis import assume

    assume(not list(violations(a)))
    return a
