"""Folding for inference: the same function with fewer operations and no training-time machinery.

Weight and spectral norms become the weights they stand for. Two linears with nothing between become one.
Temperatures become a constant factor of the queries. The scaled feed-forward, X = beta * X_SA + FFN / alpha,
becomes a plain residual: the folded stream is Y = X / c, where c is the product of the betas passed so far,
and the linears that read or write the stream absorb c. A normalization reads Y as it read X once its epsilon
is divided by c^2: norm(c Y; eps) = sign(c) * norm(Y; eps / c^2).

Arithmetic is float64; suffixes are c channel of the stream, h head, t position.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture, Attention, Regularizer, Stabilizer, canonical
from aero_search.architecture.operations import FUSED, NONE
from aero_search.errors import AeroSearchError
from aero_search.model.decoder import Decoder, DecoderLayer
from aero_search.model.feed_forward import FeedForward, FusedFeedForward
from aero_search.model.norms import AbsorbsScale


def folded_architecture(architecture: Architecture) -> Architecture:
    """The plain architecture that a folded model computes (temperatures aside, which are constants then)."""
    a = canonical(architecture)
    layers = tuple(
        replace(layer, ffn=FUSED) if layer.is_full and not a.gated and not layer.has_activation else layer
        for layer in a.layers
    )
    # Without a final norm the head absorbs c, and can no longer be the embedding.
    untied = a.stabilizer.kind == "scaled" and a.final_norm == NONE
    return canonical(
        replace(
            a,
            layers=layers,
            attention=replace(a.attention, temperature="none", temperature_init=Attention().temperature_init),
            stabilizer=Stabilizer(),
            regularizer=Regularizer(),
            tied_embeddings=a.tied_embeddings and not untied,
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
        if a.stabilizer.kind == "scaled":
            for layer in self.decoder_layers():
                if layer.attention_norm is not None:
                    layer.attention_norm = _adjustable(layer.attention_norm)
                if layer.feed_forward_norm is not None:
                    layer.feed_forward_norm = _adjustable(layer.feed_forward_norm)
            self.final_norm = _adjustable(self.final_norm)


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
    _fold_norm(model.final_norm, folded.final_norm, c)
    if folded.head is not None:
        source = model.token_embedding if model.head is None else model.head
        reach = c if isinstance(model.final_norm, nn.Identity) else 1.0
        _set(folded.head.weight, _exact(source.weight) * reach)
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
    _fold_norm(layer.feed_forward_norm, plain.feed_forward_norm, c)
    read = c if isinstance(layer.feed_forward_norm, nn.Identity) else 1.0
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
    identity_values = source.value is None
    gain = 1 / c if normalized and identity_values else 1.0
    _fold_norm(layer.attention_norm, plain.attention_norm, c, gain)
    read = 1 / gain if normalized else c
    _fold_linear(source.query, target.query, read, 1.0)
    _fold_linear(source.key, target.key, read, 1.0)
    if source.value is not None and source.output is not None:
        assert target.value is not None
        assert target.output is not None
        _fold_linear(source.value, target.value, 1.0 if normalized else c, 1.0)
        _fold_linear(source.output, target.output, 1.0, 1 / c)
    if source.temperature is not None and target.query_scale_ht is not None:
        length = target.query_scale_ht.shape[-1]
        target.query_scale_ht.copy_(source.temperature(length).reciprocal())
    if source.shaping is not None and target.shaping is not None:
        target.shaping.load_state_dict(source.shaping.state_dict())


def _fold_feed_forward(
    source: FeedForward | FusedFeedForward, target: FeedForward | FusedFeedForward, read: float, write: float
) -> None:
    if isinstance(source, FusedFeedForward) and isinstance(target, FusedFeedForward):
        _fold_linear(source.fused, target.fused, read, write)
    elif isinstance(source, FeedForward) and isinstance(target, FusedFeedForward):
        up, down = _exact(source.up.weight), _exact(source.down.weight)
        _set(target.fused.weight, down @ up * (read * write))
        if source.up.bias is not None and source.down.bias is not None:
            bias_c = down @ _exact(source.up.bias) + _exact(source.down.bias)
            _set(target.fused.bias, bias_c * write)
    elif isinstance(source, FeedForward) and isinstance(target, FeedForward):
        if source.gate is not None and target.gate is not None:
            _fold_linear(source.gate, target.gate, read, 1.0)
        _fold_linear(source.up, target.up, read, 1.0)
        _fold_linear(source.down, target.down, 1.0, write)
        target.activation.load_state_dict(source.activation.state_dict())


def _fold_linear(source: nn.Linear, target: nn.Linear, read: float, write: float) -> None:
    """target(x) = write * source(read * x)."""
    _set(target.weight, _exact(source.weight) * (read * write))
    if source.bias is not None:
        _set(target.bias, _exact(source.bias) * write)


def _fold_norm(source: nn.Module, target: nn.Module, c: float, gain: float = 1.0) -> None:
    """target(y) = gain * source(c * y)."""
    if isinstance(target, FoldedNorm):
        assert isinstance(source, nn.LayerNorm | nn.RMSNorm)
        target.eps.copy_(torch.tensor((source.eps or 0.0) / c**2))
        gain_c = gain if c > 0 else -gain
        _set(target.weight, _exact(source.weight) * gain_c)
        if target.bias is not None and isinstance(source, nn.LayerNorm):
            _set(target.bias, _exact(source.bias) * gain)
    else:
        target.load_state_dict(source.state_dict())
        if isinstance(target, nn.Identity) or (c == 1 and gain == 1):
            return
        if not isinstance(target, AbsorbsScale):
            raise AeroSearchError(
                f"a norm of the class {type(target).__name__} cannot be folded: it needs a method "
                "absorb(scale, gain)"
            )
        target.absorb(c, gain)


def _adjustable(norm: nn.Module) -> nn.Module:
    return FoldedNorm(norm) if isinstance(norm, nn.LayerNorm | nn.RMSNorm) else norm


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().double()


def _set(target: Tensor, value: Tensor) -> None:
    target.copy_(value.to(target.dtype))
