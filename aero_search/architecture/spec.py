"""What a candidate is: a frozen description of a decoder-only language model, and of nothing else.

Sources: AERO (arXiv 2410.13060v2) for the gpt2 and pythia variants, He & Hofmann (arXiv 2311.01906) for
shaped attention with identity value projections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from aero_search.architecture.families import FAMILIES, Wiring, wiring_of
from aero_search.architecture.operations import (
    ACTIVATIONS,
    ATTENTIONS,
    FEED_FORWARDS,
    FULL,
    FUSED,
    GELU,
    IDENTITY,
    LAYERNORM,
    NONE,
    NORMS,
    SOFTMAX,
    Activation,
    AttentionKind,
    FeedForward,
    Norm,
)
from aero_search.architecture.registry import Registry
from aero_search.schema import OneOf

Family = Annotated[str, OneOf(FAMILIES)]
StabilizerKind = Literal["none", "scaled", "weight_norm", "spectral_norm"]
StabilizerTargets = Literal["qk", "ffn", "qk+ffn", "qkv+ffn", "qkvo+ffn"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer.

    Attributes:
        norm: the normalization in front of attention and of the feed-forward.
        activation: the nonlinearity of a full feed-forward; `identity` makes it linear.
        ffn: `full` (two or, when gated, three linears), `fused` (one d_model x d_model linear, AERO step 3)
            or `none` (attention only).
        attention: how scores become weights; `softmax` or a cheaper kind (see docs/model.md). `none` leaves the
            feed-forward alone, and without one either the layer is empty.
    """

    norm: Norm = LAYERNORM
    activation: Activation = GELU
    ffn: FeedForward = FULL
    attention: AttentionKind = SOFTMAX

    @property
    def attends(self) -> bool:
        return self.attention != NONE

    @property
    def is_empty(self) -> bool:
        """Whether it hands on what it gets."""
        return not self.attends and not self.has_ffn

    @property
    def has_ffn(self) -> bool:
        return self.ffn != NONE

    @property
    def is_full(self) -> bool:
        """Whether its feed-forward has an inner width, and an activation there."""
        return self.ffn == FULL

    @property
    def is_fused(self) -> bool:
        return self.ffn == FUSED

    @property
    def has_activation(self) -> bool:
        """Whether anything nonlinear stands in its feed-forward."""
        return FEED_FORWARDS[self.ffn].nonlinear and self.activation != IDENTITY


@dataclass(frozen=True, slots=True)
class Attention:
    """What self-attention is in every layer, whatever turns its scores into weights.

    Attributes:
        value_projection: `identity` drops the value and output projections (He & Hofmann).
        shaped: attention becomes alpha*I + beta*A - gamma*C with learnable scalars per head and the
            uniform causal matrix C (He & Hofmann, section 4).
        temperature: `learned` divides the logits by a learnable t per head and query position (AERO step 4).
        temperature_init: the starting value of t, above 0.
        softmax_heads: the first so many heads keep softmax in layers of another kind; 0: none of them.
        qk_norm: the normalization of queries and keys, over the channels of each head and before positions rotate
            them, with one gain for all heads (Henry et al., arXiv 2010.04245; Dehghani et al., arXiv 2302.05442).
    """

    value_projection: Literal["full", "identity"] = "full"
    shaped: bool = False
    temperature: Literal["none", "learned"] = "none"
    temperature_init: float = 0.1
    softmax_heads: int = 0
    qk_norm: Norm = NONE


@dataclass(frozen=True, slots=True)
class Stabilizer:
    """What keeps a model without normalization and nonlinearity trainable (AERO step 2).

    Attributes:
        kind: `scaled` is X = beta * X_SA + FFN(X_SA) / alpha with learnable alpha, beta per layer.
        targets: which linears weight_norm and spectral_norm reparametrize.
    """

    kind: StabilizerKind = "none"
    targets: StabilizerTargets = "ffn"


@dataclass(frozen=True, slots=True)
class Regularizer:
    """The head-wise entropy penalty added to the training loss (AERO step 4).

    Attributes:
        weight: lambda in loss = cross-entropy + lambda * penalty; 0 is no regularizer.
        margin: gamma; deviations up to gamma * E_max cost nothing.
        reduction: `mean` over batch, heads and positions (does not change with batch or length), or `sum`
            over batch and positions and mean over heads, as in the published code.
        sided: penalize deviations on both sides of the threshold, or only entropies above it.
        reference: E_max of query i: log(i+1), what a causal row can reach, or log(T) as published.
        threshold_init: where the learnable thresholds theta (one per layer and head) start.
        every: the penalty is taken at every so many optimizer steps, as many times as large, which saves its time
            at the others (lazy regularization, arXiv 1912.04958, section 3.1); 1 as published
            by AERO. What 4 costs in perplexity: benchmarks/results/ladder_lazy.md.
    """

    weight: float = 0.0
    margin: float = 0.2
    reduction: Literal["mean", "sum"] = "mean"
    sided: Literal["two", "one"] = "two"
    reference: Literal["causal", "log_t"] = "causal"
    threshold_init: float = 0.5
    every: int = 4


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder-only language model, described completely and without any weight.

    Attributes:
        family: residual wiring, positions and biases: gpt2 (learned positions, sequential residual),
            pythia (rotary on a quarter of each head, parallel residual), llama (rotary, no biases).
        rotary_share, parallel_residual, biases: facets of the family (`Wiring`); None: as the family has them.
        n_head: query heads; d_model must be a multiple of it.
        n_kv_head: key and value heads (grouped-query attention); n_head must be a multiple of it.
        d_model: width of the residual stream.
        seq_len: tokens of context, T.
        vocab_size: rows of the embedding, V.
        layers: one `Layer` each, shallowest first.
        ffn_ratio: d_ff / d_model of full feed-forwards.
        gated: full feed-forwards multiply a second projection elementwise (SwiGLU, ReGLU).
        final_norm: the normalization before the LM head.
        tied_embeddings: the LM head shares the token embedding's weights.
        share_layers: groups of so many consecutive layers have the same weights (ALBERT, arXiv 1909.11942, all of
            them; MobileLLM, arXiv 2402.14905, section 3.4, two and two): fewer parameters, the same inference.
        ffn_rank: each linear of the feed-forwards is the product of two, with so many channels between; 0: whole.
        public_layers: the embeddings and the first so many layers have public weights, so that the client runs them
            alone, in the clear (layer freezing in Marill, arXiv 2408.03561); 0: all weights are private.
    """

    n_head: int
    d_model: int
    seq_len: int
    vocab_size: int
    layers: tuple[Layer, ...]
    family: Family = "gpt2"
    n_kv_head: int | None = None
    ffn_ratio: float = 4.0
    gated: bool = False
    final_norm: Norm = LAYERNORM
    tied_embeddings: bool = True
    attention: Attention = Attention()
    stabilizer: Stabilizer = Stabilizer()
    regularizer: Regularizer = Regularizer()
    share_layers: int = 1
    ffn_rank: int = 0
    public_layers: int = 0
    rotary_share: float | None = None
    parallel_residual: bool | None = None
    biases: bool | None = None

    @property
    def n_layer(self) -> int:
        return len(self.layers)

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_head

    @property
    def kv_heads(self) -> int:
        """Key and value heads, n_head where n_kv_head is not given."""
        return self.n_kv_head or self.n_head

    @property
    def d_ff(self) -> int:
        """Hidden width of a full feed-forward."""
        return round(self.ffn_ratio * self.d_model)

    @property
    def own_layers(self) -> tuple[Layer, ...]:
        """The layers that have weights of their own: the first of each group that shares them."""
        return self.layers[:: self.share_layers]

    @property
    def private_layers(self) -> tuple[Layer, ...]:
        """The layers that run under private inference."""
        return self.layers[self.public_layers :]

    def feed_forward_weights(self, layer: Layer) -> int:
        """Weights in the matrices of a layer's feed-forward."""
        inner, matrices = (self.d_model, 1) if layer.is_fused else (self.d_ff, 3 if self.gated else 2)
        each = self.ffn_rank * (self.d_model + inner) if self.ffn_rank else self.d_model * inner
        return matrices * each if layer.has_ffn else 0

    @property
    def operations(self) -> tuple[tuple[Registry[Any], str], ...]:
        """What it chooses that something has to run: norms, activations, attention kinds, with their cards."""
        chosen: list[tuple[Registry[Any], str]] = [(NORMS, self.final_norm)]
        for layer in dict.fromkeys(self.layers):
            chosen += [(NORMS, layer.norm), *((ATTENTIONS, kind) for kind, _ in self.heads(layer))]
            chosen += [(NORMS, self.attention.qk_norm)] if layer.attends else []
            chosen += [(ACTIVATIONS, layer.activation)] if layer.is_full else []
        return tuple(chosen)

    def heads(self, layer: Layer) -> tuple[tuple[AttentionKind, int], ...]:
        """The attention kinds of a layer and how many heads each has, first heads first; none without attention."""
        if not layer.attends:
            return ()
        kept = self.attention.softmax_heads
        if layer.attention == SOFTMAX or not kept:
            return ((layer.attention, self.n_head),)
        parts = ((SOFTMAX, kept), (layer.attention, self.n_head - kept))
        return tuple((kind, count) for kind, count in parts if count > 0)

    def feels_scale(self, layer: Layer) -> bool:
        """Whether a factor of the scores, such as a temperature, changes what a layer attends to."""
        return any(not ATTENTIONS[kind].scale_free for kind, _ in self.heads(layer))

    @property
    def wiring(self) -> Wiring:
        """What surrounds the layers' operations: the family's, with the facets that are given."""
        return wiring_of(self.family, self.rotary_share, self.parallel_residual, self.biases)

    @property
    def rotary_channels(self) -> int:
        """Channels of each head that positions rotate; 0: positions are learned."""
        return round(self.d_head * self.wiring.rotary_share)

    @property
    def has_bias(self) -> bool:
        """Whether linears, and norms that have one, carry a bias."""
        return self.wiring.biases

    def has_projection_bias(self, layer: Layer) -> bool:
        """Whether queries, keys and values have a bias once the norms around them are folded."""
        norms = (layer.norm, self.attention.qk_norm)
        return self.has_bias or any(NORMS[norm].leaves_shift(self.has_bias) for norm in norms)
