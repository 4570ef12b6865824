"""The linears and norms of a layer: which read what, and how one is copied into another.

Shapes: b batch, t position, c channel of the stream.
"""

from __future__ import annotations

from torch import Tensor, nn

from aero_search.init.fit import set_weight, weight_of
from aero_search.model import Decoder
from aero_search.model.decoder import DecoderLayer
from aero_search.model.feed_forward import FeedForward, FusedFeedForward
from aero_search.model.low_rank import Linear, rank_of


def scale_layer(layer: DecoderLayer, factor: float) -> None:
    """Let a layer do to factor * x what it did to x."""
    written: list[Linear | None] = []
    groups: list[tuple[nn.Module, list[Linear | None]]] = []
    if layer.attention is not None and layer.attention_norm is not None:
        attention = layer.attention
        groups.append((layer.attention_norm, [attention.query, attention.key, attention.value]))
        written.append(attention.output)
    if layer.feed_forward is not None and layer.feed_forward_norm is not None:
        groups.append((layer.feed_forward_norm, [*readers(layer.feed_forward)]))
        last = (
            layer.feed_forward.down
            if isinstance(layer.feed_forward, FeedForward)
            else layer.feed_forward.fused
        )
        written.append(last)
    for norm, linears in groups:
        for linear in linears:
            if isinstance(norm, nn.Identity) and linear is not None:
                set_weight(linear, weight_of(linear) / factor)
    for linear in written:
        if linear is not None:
            set_weight(linear, weight_of(linear) * factor)
            if linear.bias is not None:
                linear.bias.mul_(factor)


def readers(feed_forward: nn.Module) -> tuple[Linear, ...]:
    """The linears that read what the norm gives."""
    if isinstance(feed_forward, FusedFeedForward):
        return (feed_forward.fused,)
    assert isinstance(feed_forward, FeedForward)
    return (feed_forward.up,) if feed_forward.gate is None else (feed_forward.gate, feed_forward.up)


def alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two feed-forwards have the same linears."""
    if isinstance(one, FeedForward) and isinstance(other, FeedForward):
        same = one.up.weight.shape == other.up.weight.shape and rank_of(one.up) == rank_of(other.up)
        return same and (one.gate is None) == (other.gate is None)
    if isinstance(one, FusedFeedForward) and isinstance(other, FusedFeedForward):
        return rank_of(one.fused) == rank_of(other.fused)
    return False


def copy_linear(source: Linear, target: Linear) -> None:
    set_weight(target, weight_of(source))
    if target.bias is not None and source.bias is not None:
        target.bias.copy_(source.bias)


def copy_rows(source: Linear, target: Linear, rows: list[int]) -> None:
    """Outputs of one linear as the first of another; further ones keep their start."""
    weight = weight_of(target)
    weight[: len(rows)] = weight_of(source)[rows]
    set_weight(target, weight)
    if target.bias is not None and source.bias is not None:
        target.bias[: len(rows)] = source.bias[rows]


def copy_norm(theirs: nn.Module, ours: nn.Module) -> bool:
    """Copy what two norms both have. Returns whether they are of one kind."""
    for name, tensor in ours.named_parameters():
        given = getattr(theirs, name, None)
        if isinstance(given, Tensor) and given.shape == tensor.shape:
            tensor.copy_(given)
    if type(theirs) is not type(ours):
        return False
    for name, kept in ours.named_buffers():
        given = getattr(theirs, name, None)
        if isinstance(given, Tensor) and given.shape == kept.shape:
            kept.copy_(given)
    return True


def settle(norm: nn.Module, x_btc: Tensor) -> None:
    """Let a norm that keeps running statistics see what it reads, until what it started from is forgotten."""
    if any(name.startswith("running_") for name, _ in norm.named_buffers()):
        norm.train()
        for _ in range(50):
            norm(x_btc)
        norm.eval()


def embedded(model: Decoder, tokens_bt: Tensor) -> Tensor:
    x_btc: Tensor = model.token_embedding(tokens_bt)
    if model.position_embedding is not None:
        x_btc = x_btc + model.position_embedding.weight[: tokens_bt.shape[-1]]
    return x_btc


def flat(x_btc: Tensor) -> Tensor:
    return x_btc.flatten(0, 1)
