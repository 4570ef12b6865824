"""Folding for inference: the same function with fewer operations and no training-time machinery.

Weight and spectral norms become the weights they stand for. Two linears with nothing between become one.
Temperatures become a constant factor of the queries. The scaled feed-forward, X = beta * X_SA + FFN / alpha,
becomes a plain residual: the folded stream is Y = X / c, where c is the product of the betas passed so far,
and the linears that read or write the stream absorb c. A normalization reads Y as it read X once its epsilon
is divided by c^2: norm(c Y; eps) = sign(c) * norm(Y; eps / c^2). What is affine in a norm that `Folds` goes
into the linears that read it, which have a bias then; of queries and keys, into the linears that they come from.
The folded architecture still names the norm.

Arithmetic is float64; suffixes are c channel of the stream, h head, t position.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture, Attention, Regularizer, Stabilizer, canonical
from aero_search.architecture.operations import FUSED, NONE, NORMS
from aero_search.errors import AeroSearchError
from aero_search.model.decoder import Decoder, DecoderLayer
from aero_search.model.feed_forward import FeedForward, FusedFeedForward
from aero_search.model.low_rank import Linear, LowRank
from aero_search.model.norms import AbsorbsScale, Folds

M = TypeVar("M", bound=nn.Module | None)


def folded_architecture(architecture: Architecture) -> Architecture:
    """The plain architecture that a folded model computes (temperatures aside, which are constants then)."""
    a = canonical(architecture)
    layers = tuple(
        replace(layer, ffn=FUSED) if layer.is_full and not a.gated and not layer.has_activation else layer
        for layer in a.layers
    )
    # A head that absorbs c or the final norm can no longer be the embedding.
    untied = NORMS[a.final_norm].folds or (a.stabilizer.kind == "scaled" and a.final_norm == NONE)
    return canonical(
        replace(
            a,
            layers=layers,
            attention=replace(a.attention, temperature="none", temperature_init=Attention().temperature_init),
            stabilizer=Stabilizer(),
            regularizer=Regularizer(),
            tied_embeddings=a.tied_embeddings and not untied,
            # Each layer reads a stream of another scale.
            share_layers=1 if a.stabilizer.kind == "scaled" else a.share_layers,
        )
    )


class FoldedNorm(nn.Module):
    """A normalization whose epsilon is a tensor, so that it is saved with the weights.

    Reads and returns (..., d_model).
    """

    eps: Tensor

    def __init__(self, norm: nn.LayerNorm | nn.RMSNorm) -> None:
        super().__init__()
        self.centered = isinstance(norm, nn.LayerNorm)
        self.weight = nn.Parameter(norm.weight.detach().clone())
        bias = norm.bias if isinstance(norm, nn.LayerNorm) else None
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.register_buffer("eps", torch.tensor(norm.eps or 0.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.centered:
            x = x - x.mean(-1, keepdim=True)
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight
        return x if self.bias is None else x + self.bias


class FoldedDecoder(Decoder):
    """What `fold` fills: the decoder of `folded_architecture(architecture)`, plus the folded constants.

    Its tensors follow from the architecture that was folded, so `save_weights` and `load_weights` work.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(folded_architecture(architecture))
        a = canonical(architecture)
        if a.attention.temperature == "learned":
            for choice, layer in zip(a.layers, self.decoder_layers(), strict=True):
                if layer.attention is not None and a.feels_scale(choice):
                    layer.attention.query_scale_ht = torch.ones(a.n_head, a.seq_len)
        scaled = a.stabilizer.kind == "scaled"
        for choice, layer in zip(a.layers, self.decoder_layers(), strict=True):
            if layer.attention_norm is not None:
                layer.attention_norm = _remaining(layer.attention_norm, scaled)
            if layer.feed_forward_norm is not None:
                layer.feed_forward_norm = _remaining(layer.feed_forward_norm, scaled)
            if layer.attention is not None:
                layer.attention.query_norm = _core(layer.attention.query_norm)
                layer.attention.key_norm = _core(layer.attention.key_norm)
                if a.has_projection_bias(choice):
                    _give_biases(layer.attention.query, layer.attention.key, layer.attention.value)
            if layer.feed_forward is not None and NORMS[choice.norm].leaves_shift(a.has_bias):
                _give_biases(*_readers(layer.feed_forward))
        self.final_norm = _remaining(self.final_norm, scaled)
        if self.head is not None and NORMS[a.final_norm].leaves_shift(a.has_bias):
            self.head.register_parameter("bias", nn.Parameter(torch.zeros(a.vocab_size)))


class _Read(NamedTuple):
    """What a linear of the folded model reads, of what the trained one read: trained = gain * folded + shift."""

    gain: float | Tensor = 1.0
    shift: Tensor | None = None


_AS_IT_IS = _Read()


@torch.no_grad()
def fold(model: Decoder) -> FoldedDecoder:
    """The same logits from a plain decoder, to rounding; the model itself is left as it is.

    Raises:
        AeroSearchError: a learned beta is 0 (or alpha, with which the model itself divides by 0).
    """
    training = model.training
    # Reading a spectral norm's weight in training mode would advance its power iteration.
    model.eval()
    with torch.random.fork_rng(devices=[]):
        folded = FoldedDecoder(model.architecture)
    folded = folded.to(model.token_embedding.weight).eval()
    folded.token_embedding.weight.copy_(model.token_embedding.weight)
    if model.position_embedding is not None and folded.position_embedding is not None:
        folded.position_embedding.weight.copy_(model.position_embedding.weight)
    c = 1.0
    for i, (layer, plain) in enumerate(zip(model.decoder_layers(), folded.decoder_layers(), strict=True)):
        c = _fold_layer(layer, plain, c, f"layers.{i}")
    read = _fold_norm(model.final_norm, folded.final_norm, c)
    if folded.head is not None:
        source = model.token_embedding if model.head is None else model.head
        _fold_linear(source, folded.head, read)
    model.train(training)
    return folded


def _fold_layer(layer: DecoderLayer, plain: DecoderLayer, c: float, name: str) -> float:
    """Fill one plain layer from a stream scaled by c, and return the scale after it."""
    _fold_attention(layer, plain, c)
    if layer.feed_forward is None or plain.feed_forward is None:
        return c
    after = c
    written = c
    if layer.scaling is not None:
        alpha, beta = float(layer.scaling.alpha), float(layer.scaling.beta)
        if alpha == 0 or beta == 0:
            raise AeroSearchError(
                f"{name} cannot be folded: its learned alpha={alpha:g} and beta={beta:g} must not be 0"
            )
        after, written = c * beta, alpha * beta * c
    assert layer.feed_forward_norm is not None
    assert plain.feed_forward_norm is not None
    read = _fold_norm(layer.feed_forward_norm, plain.feed_forward_norm, c)
    _fold_feed_forward(layer.feed_forward, plain.feed_forward, read, 1 / written)
    return after


def _fold_attention(layer: DecoderLayer, plain: DecoderLayer, c: float) -> None:
    """Queries and keys absorb what they read, the output what it writes.

    Identity values read and write the stream themselves: unnormalized they need nothing, and behind a
    normalization its gain takes 1 / c, which queries and keys undo.
    """
    source, target = layer.attention, plain.attention
    if source is None or target is None:
        return
    assert layer.attention_norm is not None
    assert plain.attention_norm is not None
    normalized = not isinstance(layer.attention_norm, nn.Identity)
    gain = 1 / c if normalized and source.value is None else 1.0
    read = _fold_norm(layer.attention_norm, plain.attention_norm, c, gain)
    _fold_linear(source.query, target.query, read)
    _fold_linear(source.key, target.key, read)
    _fold_head_norm(source.query_norm, target.query_norm, target.query, source.n_head)
    _fold_head_norm(source.key_norm, target.key_norm, target.key, source.kv_heads)
    if source.value is not None and source.output is not None:
        assert target.value is not None
        assert target.output is not None
        _fold_linear(source.value, target.value, read)
        _fold_linear(source.output, target.output, write=1 / c)
    if source.temperature is not None and target.query_scale_ht is not None:
        length = target.query_scale_ht.shape[-1]
        target.query_scale_ht.copy_(source.temperature(length).reciprocal())
    if source.shaping is not None and target.shaping is not None:
        target.shaping.load_state_dict(source.shaping.state_dict())


def _fold_head_norm(
    source: nn.Module | None, target: nn.Module | None, linear: nn.Linear, heads: int
) -> None:
    """Fill the norm of queries or keys; one by running statistics goes into the linear that it reads."""
    if source is None or target is None:
        return
    if not isinstance(source, Folds):
        target.load_state_dict(source.state_dict())
        return
    gain_d, shift_d = source.fold_into(target, 1.0)
    gain_c = gain_d.repeat(heads)
    _set(linear.weight, _exact(linear.weight) * gain_c[:, None])
    if linear.bias is not None:
        shift_c = 0.0 if shift_d is None else shift_d.repeat(heads)
        _set(linear.bias, _exact(linear.bias) * gain_c + shift_c)


def _fold_feed_forward(
    source: FeedForward | FusedFeedForward, target: FeedForward | FusedFeedForward, read: _Read, write: float
) -> None:
    if isinstance(source, FusedFeedForward) and isinstance(target, FusedFeedForward):
        _fold_linear(source.fused, target.fused, read, write)
    elif isinstance(source, FeedForward) and isinstance(target, FusedFeedForward):
        up, up_bias_f = _reading(source.up, read)
        down, down_bias_c = _reading(source.down, _AS_IT_IS)
        if isinstance(target.fused, LowRank) and isinstance(source.up, LowRank):
            _set(target.fused.first.weight, _exact(source.up.first.weight) * read.gain)
            _set(target.fused.second.weight, down @ _exact(source.up.second.weight) * write)
        else:
            _set(target.fused.weight, down @ up * write)
        if target.fused.bias is not None:
            _set(target.fused.bias, (down @ up_bias_f + down_bias_c) * write)
    elif isinstance(source, FeedForward) and isinstance(target, FeedForward):
        if source.gate is not None and target.gate is not None:
            _fold_linear(source.gate, target.gate, read)
        _fold_linear(source.up, target.up, read)
        _fold_linear(source.down, target.down, write=write)
        target.activation.load_state_dict(source.activation.state_dict())


def _fold_linear(
    source: Linear | nn.Embedding, target: Linear, read: _Read = _AS_IT_IS, write: float = 1.0
) -> None:
    """target(x) = write * source(read.gain * x + read.shift)."""
    weight, bias = _reading(source, read)
    if isinstance(source, LowRank) and isinstance(target, LowRank):
        _set(target.first.weight, _exact(source.first.weight) * read.gain)
        _set(target.second.weight, _exact(source.second.weight) * write)
    else:
        _set(target.weight, weight * write)
    if target.bias is not None:
        _set(target.bias, bias * write)


def _reading(source: Linear | nn.Embedding, read: _Read) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear (of an embedding as the head) that reads `read` of what it was made for."""
    weight = (
        _exact(source.second.weight) @ _exact(source.first.weight)
        if isinstance(source, LowRank)
        else _exact(source.weight)
    )
    bias = weight.new_zeros(weight.shape[0])
    if not isinstance(source, nn.Embedding) and source.bias is not None:
        bias = _exact(source.bias)
    if read.shift is not None:
        bias = bias + weight @ read.shift
    return weight * read.gain, bias


def _fold_norm(source: nn.Module, target: nn.Module, c: float, gain: float = 1.0) -> _Read:
    """Fill a norm that reads the stream divided by c, and whose result is times `gain` where it takes a gain."""
    if isinstance(source, Folds):
        return _Read(*source.fold_into(target, c))
    if isinstance(target, nn.Identity):
        return _Read(c)
    if isinstance(target, FoldedNorm):
        assert isinstance(source, nn.LayerNorm | nn.RMSNorm)
        target.eps.copy_(torch.tensor((source.eps or 0.0) / c**2))
        gain_c = gain if c > 0 else -gain
        _set(target.weight, _exact(source.weight) * gain_c)
        if target.bias is not None and isinstance(source, nn.LayerNorm):
            _set(target.bias, _exact(source.bias) * gain)
        return _Read(1 / gain)
    target.load_state_dict(source.state_dict())
    if c == 1 and gain == 1:
        return _AS_IT_IS
    if not isinstance(target, AbsorbsScale):
        raise AeroSearchError(
            f"a norm of the class {type(target).__name__} cannot be folded: it needs a method absorb(scale, gain)"
        )
    target.absorb(c, gain)
    return _Read(1 / gain)


def _remaining(norm: nn.Module, scaled: bool) -> nn.Module:
    """What stays of a norm in a folded model; where feed-forwards were scaled, its epsilon can be divided."""
    return FoldedNorm(norm) if scaled and isinstance(norm, nn.LayerNorm | nn.RMSNorm) else _core(norm)


def _core(norm: M) -> M | nn.Module:
    return norm.core() if isinstance(norm, Folds) else norm


def _readers(feed_forward: FeedForward | FusedFeedForward) -> tuple[Linear | None, ...]:
    """The linears that read the norm of a feed-forward."""
    if isinstance(feed_forward, FusedFeedForward):
        return (feed_forward.fused,)
    return feed_forward.up, feed_forward.gate


def _give_biases(*linears: Linear | None) -> None:
    """A bias of 0 for each linear that has none."""
    for linear in linears:
        if linear is not None and linear.bias is None:
            holder = linear.second if isinstance(linear, LowRank) else linear
            holder.register_parameter("bias", nn.Parameter(linear.weight.new_zeros(linear.out_features)))


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().double()


def _set(target: Tensor, value: Tensor) -> None:
    target.copy_(value.to(target.dtype))
