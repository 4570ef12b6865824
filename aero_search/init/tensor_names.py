"""Where transformers' GPT-2, GPT-NeoX and Llama keep each of our tensors: one table, read in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aero_search.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

_QKV = ("query", "key", "value")


@dataclass(frozen=True)
class _Names:
    """Of one family.

    Attributes:
        prefix: of all names but the head's.
        token, position, final_norm, layers: outside the layers, and what stands before a layer's number.
        norms, linears: of a layer, ours to theirs.
        joint: the one linear of queries, keys and values; None where each has its own, among `linears`.
        by_head: the joint linear's rows go head by head, and within a head query, key, value.
        transposed: a linear's weight is (in, out), as in their Conv1D.
        kinds: of norms and linears.
    """

    prefix: str
    token: str
    final_norm: str
    layers: str
    norms: Mapping[str, str]
    linears: Mapping[str, str]
    position: str | None = None
    joint: str | None = None
    by_head: bool = False
    transposed: bool = False
    kinds: tuple[str, ...] = ("weight", "bias")


_NAMES = {
    "gpt2": _Names(
        "transformer.",
        "wte",
        "ln_f",
        "h",
        {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"},
        {
            "attention.output": "attn.c_proj",
            "feed_forward.up": "mlp.c_fc",
            "feed_forward.down": "mlp.c_proj",
        },
        position="wpe",
        joint="attn.c_attn",
        transposed=True,
    ),
    "pythia": _Names(
        "gpt_neox.",
        "embed_in",
        "final_layer_norm",
        "layers",
        {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"},
        {
            "attention.output": "attention.dense",
            "feed_forward.up": "mlp.dense_h_to_4h",
            "feed_forward.down": "mlp.dense_4h_to_h",
        },
        joint="attention.query_key_value",
        by_head=True,
    ),
    "llama": _Names(
        "model.",
        "embed_tokens",
        "norm",
        "layers",
        {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"},
        {
            "attention.query": "self_attn.q_proj",
            "attention.key": "self_attn.k_proj",
            "attention.value": "self_attn.v_proj",
            "attention.output": "self_attn.o_proj",
            "feed_forward.gate": "mlp.gate_proj",
            "feed_forward.up": "mlp.up_proj",
            "feed_forward.down": "mlp.down_proj",
        },
        kinds=("weight",),
    ),
}


def to_transformers(a: Architecture, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a folded decoder under the names of its family's class; a tied head is there too."""
    import torch

    names = _NAMES[a.family]
    theirs = {names.prefix + there: _turned(names, here, ours[here]) for here, there in _single(a, names)}
    theirs["lm_head.weight"] = ours.get("head.weight", ours["token_embedding.weight"])
    for i, there, kind in _joint(a, names):
        parts = [ours[f"layers.{i}.attention.{name}.{kind}"] for name in _QKV]
        if names.by_head:
            parts = [part.reshape(a.n_head, a.d_head, *part.shape[1:]) for part in parts]
            joint = torch.stack(parts, dim=1).flatten(0, 2)
        else:
            joint = torch.cat(parts)
        theirs[names.prefix + there] = joint.t() if names.transposed else joint
    return theirs


def from_transformers(a: Architecture, left: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same backwards, without a head; what is taken is taken out of `left`.

    Args:
        left: by names without the family's prefix.

    Raises:
        KeyError: a tensor is missing.
    """
    names = _NAMES[a.family]
    ours = {here: _turned(names, here, left.pop(there)) for here, there in _single(a, names)}
    for i, there, kind in _joint(a, names):
        joint = left.pop(there)
        joint = joint.t() if names.transposed else joint
        if names.by_head:
            split = joint.reshape(a.n_head, 3, a.d_head, *joint.shape[1:])
            parts = [split[:, place].flatten(0, 1) for place in range(3)]
        else:
            parts = list(joint.chunk(3))
        ours |= {f"layers.{i}.attention.{n}.{kind}": p for n, p in zip(_QKV, parts, strict=True)}
    return ours


def prefix_of(a: Architecture) -> str:
    """What stands before all names but the head's."""
    return _NAMES[a.family].prefix


def _single(a: Architecture, names: _Names) -> Iterator[tuple[str, str]]:
    """Names of tensors that are one here and there, ours and theirs."""
    yield "token_embedding.weight", f"{names.token}.weight"
    if names.position is not None:
        yield "position_embedding.weight", f"{names.position}.weight"
    for kind in names.kinds:
        yield f"final_norm.{kind}", f"{names.final_norm}.{kind}"
        for i in range(a.n_layer):
            for here, there in {**names.norms, **names.linears}.items():
                yield f"layers.{i}.{here}.{kind}", f"{names.layers}.{i}.{there}.{kind}"


def _joint(a: Architecture, names: _Names) -> Iterator[tuple[int, str, str]]:
    """Layer, their name and kind of each tensor of queries, keys and values together."""
    if names.joint is not None:
        for i in range(a.n_layer):
            for kind in names.kinds:
                yield i, f"{names.layers}.{i}.{names.joint}.{kind}", kind


def _turned(names: _Names, here: str, tensor: Tensor) -> Tensor:
    # A bias has one axis and stays.
    linear = any(f".{module}." in here for module in names.linears)
    return tensor.t() if names.transposed and linear else tensor
