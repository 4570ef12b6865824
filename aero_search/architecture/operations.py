"""The operations that an architecture chooses from: one card for each norm, activation, attention and feed-forward.

This is the only place that spells their names, beside the implementations that register under them.
"""

from __future__ import annotations

from typing import Annotated

from aero_search.architecture.cards import ActivationCard, AttentionCard, FeedForwardCard, NormCard
from aero_search.architecture.registry import Registry
from aero_search.schema import OneOf

NONE, IDENTITY, FULL, FUSED = "none", "identity", "full", "fused"
"""The names that shape a network whatever else is registered: no norm or no feed-forward, a linear feed-forward,
the two kinds of feed-forward."""
SOFTMAX, LAYERNORM, RMSNORM, GELU, RELU = "softmax", "layernorm", "rmsnorm", "gelu", "relu"
"""What the published families and the first step down from them are made of."""
LINEAR = "linear"
"""Attention by the scores themselves."""

_GAIN = ("weight", "eps")

NORMS = Registry(
    "norm",
    NormCard,
    NormCard(
        name=LAYERNORM,
        term="LN",
        operation="layernorm",
        cheaper=(NONE,),
        lowerings=("layernorm",),
        values=(*_GAIN, "bias"),
        absorbs_scale=True,
        per_head=True,
    ),
    NormCard(
        name=RMSNORM,
        term="RMS",
        operation="rmsnorm",
        cheaper=(NONE,),
        lowerings=("rmsnorm",),
        values=_GAIN,
        absorbs_scale=True,
        per_head=True,
    ),
    NormCard(name=NONE, absorbs_scale=True, per_head=True),
    NormCard(name="batchnorm", term="BN", absorbs_scale=True, folds=True, shift="always", per_head=True),
    NormCard(name="static", term="StN", absorbs_scale=True, folds=True, shift="biased", per_head=True),
    NormCard(
        name="simple_rms",
        term="SRMS",
        operation="simple_rms",
        cheaper=(NONE,),
        lowerings=("simple_rms",),
        values=("eps",),
        made_of={RMSNORM: 1},
        flops_per_element=3,
        absorbs_scale=True,
        folds=True,
    ),
    NormCard(
        name="dyt",
        term="DyT",
        operation="dyt",
        cheaper=("hard_dyt", NONE),
        lowerings=("dyt",),
        values=("alpha",),
        # An upper bound: its sigmoid is the tanh, and its product is not needed.
        made_of={"private_scale": 1, "silu": 1},
        flops_per_element=4,
        absorbs_scale=True,
        folds=True,
        shift="biased",
    ),
    # What it clips at is the server's own and only added, so two comparisons are all.
    NormCard(
        name="hard_dyt",
        term="HDyT",
        operation="hard_dyt",
        cheaper=(NONE,),
        lowerings=("hard_dyt",),
        values=("bound",),
        made_of={RELU: 2},
        flops_per_element=5,
        absorbs_scale=True,
        folds=True,
        shift="biased",
    ),
)

_LINEAR, _RELU = (IDENTITY,), (RELU, IDENTITY)

ACTIVATIONS = Registry(
    "activation",
    ActivationCard,
    ActivationCard(
        name=GELU,
        term="G",
        gated_term="GeGLU",
        operation="gelu",
        cheaper=_RELU,
        lowerings=("gelu_tanh", "gelu_segments", "gelu_puma", "gelu_erf"),
        exact="gelu_erf",
        hidden_act="gelu",
    ),
    ActivationCard(
        name="gelu_tanh",
        term="GT",
        gated_term="GeGLUT",
        operation="gelu_tanh",
        cheaper=_RELU,
        lowerings=("gelu_tanh", "gelu_segments", "gelu_puma"),
        hidden_act="gelu_pytorch_tanh",
    ),
    ActivationCard(
        name=RELU,
        term="R",
        gated_term="ReGLU",
        operation="relu",
        cheaper=_LINEAR,
        lowerings=("relu",),
        hidden_act="relu",
    ),
    ActivationCard(
        name="leaky_relu",
        term="LR",
        gated_term="LReGLU",
        operation="leaky_relu",
        cheaper=_LINEAR,
        lowerings=("leaky_relu",),
        hidden_act="leaky_relu",
    ),
    ActivationCard(
        name="leaky_relu_learned",
        term="LRL",
        gated_term="LReGLUL",
        operation="leaky_relu_learned",
        cheaper=_LINEAR,
        lowerings=("leaky_relu_learned",),
        values=("slope",),
    ),
    ActivationCard(
        name="leaky_relu_shared",
        term="LRS",
        gated_term="LReGLUS",
        operation="leaky_relu_shared",
        cheaper=_LINEAR,
        lowerings=("leaky_relu_learned",),
        values=("slope",),
        shared=True,
    ),
    ActivationCard(
        name="squared_relu",
        term="R2",
        gated_term="R2eGLU",
        operation="squared_relu",
        cheaper=_LINEAR,
        lowerings=("squared_relu",),
        hidden_act="relu2",
    ),
    ActivationCard(
        name="quadratic",
        term="Q",
        gated_term="QGLU",
        operation="quadratic",
        cheaper=_LINEAR,
        lowerings=("quadratic",),
    ),
    ActivationCard(
        name="silu",
        term="Si",
        gated_term="SwiGLU",
        operation="silu",
        cheaper=_RELU,
        lowerings=("silu",),
        hidden_act="silu",
    ),
    ActivationCard(
        name="softplus",
        term="SP",
        gated_term="SPGLU",
        operation="softplus",
        cheaper=_RELU,
        unsupported={"jax": "no lowering of it has been run under SPU"},
    ),
    ActivationCard(
        name="quadratic_learned",
        term="QL",
        gated_term="QGLUL",
        operation="quadratic_learned",
        cheaper=_LINEAR,
        lowerings=("quadratic_learned",),
        values=("curvature", "slope"),
        made_of={"private_scale": 1, "multiply": 1},
    ),
    ActivationCard(
        name="relu6",
        term="R6",
        gated_term="R6eGLU",
        operation="relu6",
        cheaper=_RELU,
        lowerings=("relu6",),
        made_of={RELU: 2},
        hidden_act="relu6",
    ),
    *(
        ActivationCard(
            name=f"piecewise_{pieces}",
            term=f"PL{pieces}",
            gated_term=f"PL{pieces}GLU",
            operation=f"piecewise_{pieces}",
            cheaper=_RELU,
            lowerings=(f"piecewise_{pieces}",),
            made_of={RELU: pieces - 1, "public_scale": 1},
        )
        for pieces in (4, 5, 6)
    ),
    ActivationCard(name=IDENTITY),
)

_COUNTED = "relu_count"

ATTENTIONS = Registry(
    "attention kind",
    AttentionCard,
    AttentionCard(
        name=SOFTMAX,
        term="SM",
        operation="softmax",
        cheaper=("relu_sum", _COUNTED, NONE),
        lowerings=("softmax_broadcast", "softmax_divide", "softmax_bumblebee"),
        probabilities=True,
    ),
    AttentionCard(
        name="relu_sum",
        term="2ReLU",
        operation="relu_sum",
        cheaper=(_COUNTED, NONE),
        lowerings=("relu_sum",),
        scale_free=True,
    ),
    AttentionCard(name=_COUNTED, term="ReLUn", operation=_COUNTED, cheaper=(NONE,), lowerings=(_COUNTED,)),
    AttentionCard(
        name="square_sum",
        term="2Quad",
        operation="square_sum",
        cheaper=(_COUNTED, NONE),
        lowerings=("square_sum",),
    ),
    AttentionCard(
        name="power",
        term="Pow2",
        operation="power",
        cheaper=(_COUNTED, NONE),
        lowerings=("power",),
        scale_free=True,
    ),
    AttentionCard(
        name="power4",
        term="Pow4",
        operation="power4",
        cheaper=("power", _COUNTED, NONE),
        lowerings=("power4",),
        scale_free=True,
    ),
    AttentionCard(
        name="sigmoid",
        term="Sigm",
        operation="sigmoid",
        cheaper=("relu_sum", _COUNTED, NONE),
        lowerings=("sigmoid",),
    ),
    AttentionCard(
        name=LINEAR, term="Lin", operation="linear_scores", cheaper=(NONE,), lowerings=("linear_scores",)
    ),
    AttentionCard(name=NONE, term="NoAttn", scale_free=True),
)

FEED_FORWARDS = Registry(
    "feed-forward",
    FeedForwardCard,
    FeedForwardCard(name=FULL, term="FFN", scaled_term="ScFFN", cheaper=(FUSED, NONE), nonlinear=True),
    FeedForwardCard(
        name=FUSED,
        term="FuFFN",
        scaled_term="ScFuFFN",
        cheaper=(NONE,),
        becoming=("fuse", "feed-forward fused to one linear"),
    ),
    FeedForwardCard(name=NONE, becoming=("feed_forward", "feed-forward pruned")),
)

REGISTRIES = (NORMS, ACTIVATIONS, ATTENTIONS, FEED_FORWARDS)

Norm = Annotated[str, OneOf(NORMS)]
Activation = Annotated[str, OneOf(ACTIVATIONS)]
AttentionKind = Annotated[str, OneOf(ATTENTIONS)]
FeedForward = Annotated[str, OneOf(FEED_FORWARDS)]


def nonlinear_kinds() -> tuple[str, ...]:
    """Every operation kind of the inventory that an architecture chooses: the nonlinearities."""
    return tuple(kind for cards in (ATTENTIONS, NORMS, ACTIVATIONS) for kind in cards.kinds)


def operation_card(kind: str) -> NormCard | ActivationCard | AttentionCard | None:
    """The card of an operation kind of the inventory; None for products and factors, which no one chooses."""
    return NORMS.by_operation(kind) or ACTIVATIONS.by_operation(kind) or ATTENTIONS.by_operation(kind)
