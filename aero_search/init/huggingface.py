"""GPT-2, GPT-NeoX and Llama as transformers saves them: their configuration as an Architecture, and their tensors.

What a configuration says beyond the three published networks is refused by name: a network that computes something
else would start from wrong logits without a word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aero_search.architecture import Architecture, Layer, canonical, validate
from aero_search.architecture.families import FAMILIES
from aero_search.architecture.operations import ACTIVATIONS, GELU, LAYERNORM
from aero_search.errors import RequestError, nearest
from aero_search.init.tensor_names import from_transformers, prefix_of

if TYPE_CHECKING:
    from torch import Tensor

FAMILY = {"gpt2": "gpt2", "gpt_neox": "pythia", "llama": "llama"}
"""transformers' model types, and our families."""
# What transformers builds where a configuration does not say; Llama is published untied.
_TIED = {"gpt2": True, "gpt_neox": False, "llama": False}
# Fields that must stand at what our decoder computes.
_FIXED: Mapping[str, Mapping[str, object]] = {
    "gpt2": {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    "gpt_neox": {"attention_bias": True},
    "llama": {"attention_bias": False, "mlp_bias": False},
}
# Rotary positions, as `model.rotary` has them, and epsilons, as `model.norms` has them: kept here too, since those
# modules import torch; a test holds both against each other.
ROTARY_BASE = 10_000.0
EPSILON = {LAYERNORM: 1e-5, "rmsnorm": 1e-6}
# GPT-2's own name for the tanh form, and others' for what has a card.
_ALIASES = {"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "swish": "silu"}
# Buffers of older versions, which are no weights.
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".attention.bias", ".masked_bias", ".rotary_emb.inv_freq")


@dataclass(frozen=True)
class Read:
    """What config.json describes.

    Attributes:
        stream_scale: the factor of the residual stream under which our epsilon of its norms is theirs.
        end_of_text: the token that ends a text; None where the configuration does not say.
    """

    architecture: Architecture
    stream_scale: float
    end_of_text: int | None


def read_config(config: Mapping[str, Any]) -> Read:
    """The network of a config.json.

    Raises:
        RequestError: it is of another kind, or computes what our decoder does not; names the field.
    """
    kind = config.get("model_type")
    if kind not in FAMILY:
        raise RequestError(
            f"model_type={kind} of its config.json cannot be read: {nearest(str(kind), FAMILY)}"
        )
    for name, value in _FIXED[kind].items():
        if config.get(name, value) != value:
            raise RequestError(
                f"{name}={config[name]} of its config.json cannot be carried over: it must be {value}"
            )
    wiring = FAMILIES[FAMILY[kind]]
    gpt2 = kind == "gpt2"
    d_model = _count(config, "n_embd" if gpt2 else "hidden_size")
    n_head = _count(config, "n_head" if gpt2 else "num_attention_heads")
    inner = "n_inner" if gpt2 else "intermediate_size"
    d_ff = 4 * d_model if gpt2 and config.get(inner) is None else _count(config, inner)
    depth = _count(config, "n_layer" if gpt2 else "num_hidden_layers")
    layer = Layer(wiring.norm, _activation(config, "activation_function" if gpt2 else "hidden_act"))
    a = canonical(
        validate(
            Architecture(
                family=FAMILY[kind],
                n_head=n_head,
                n_kv_head=_count(config, "num_key_value_heads", n_head) if kind == "llama" else None,
                d_model=d_model,
                seq_len=_count(config, "n_positions" if gpt2 else "max_position_embeddings"),
                vocab_size=_count(config, "vocab_size"),
                layers=(layer,) * depth,
                ffn_ratio=d_ff / d_model,
                gated=kind == "llama",
                final_norm=wiring.norm,
                tied_embeddings=bool(config.get("tie_word_embeddings", _TIED[kind])),
                **(_facets(config, d_model // n_head) if kind == "gpt_neox" else {}),
            )
        )
    )
    if not gpt2:
        _check_rotary(config, a)
    if config.get("head_dim") not in (None, a.d_head):
        raise RequestError(
            f"head_dim={config['head_dim']} of its config.json cannot be carried over: it must be {a.d_head}, "
            "hidden_size / num_attention_heads"
        )
    name = {"gpt2": "layer_norm_epsilon", "gpt_neox": "layer_norm_eps", "llama": "rms_norm_eps"}[kind]
    ours = EPSILON[wiring.norm]
    theirs = config.get(name, ours)
    if not isinstance(theirs, int | float) or not theirs > 0:
        raise RequestError(f"{name}={theirs} of its config.json must be above 0")
    end = config.get("eos_token_id")
    end = end[0] if isinstance(end, list) and end else end
    return Read(
        a, math.sqrt(ours / theirs), end if isinstance(end, int) and 0 <= end < a.vocab_size else None
    )


def our_tensors(
    a: Architecture, theirs: Mapping[str, Tensor], stream_scale: float = 1.0
) -> dict[str, Tensor]:
    """The tensors of transformers' class under our names, in float32.

    Args:
        stream_scale: multiplies all that the residual stream is made of, so that the norms that read it act as if
            their epsilon were divided by its square; logits stay what they are.

    Raises:
        RequestError: a tensor is missing, or one is there that has no place.
    """
    prefix = prefix_of(a)
    left = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in theirs.items()
        if not name.endswith(_BUFFERS)
    }
    if a.tied_embeddings:
        left.pop("lm_head.weight", None)
        left.pop("embed_out.weight", None)
    elif "embed_out.weight" in left:  # GPT-NeoX before transformers 5
        left["lm_head.weight"] = left.pop("embed_out.weight")
    try:
        ours = from_transformers(a, left)
        if not a.tied_embeddings:
            ours["head.weight"] = left.pop("lm_head.weight")
    except KeyError as missing:
        raise RequestError(f"its weights lack the tensor {missing.args[0]}") from None
    if left:
        raise RequestError(f"its weights also have the tensor {min(left)}, which a language model has not")
    if stream_scale != 1.0:
        _scale_stream(a, ours, stream_scale)
    return ours


def _scale_stream(a: Architecture, ours: dict[str, Tensor], scale: float) -> None:
    written = ("attention.output", "feed_forward.down")
    for name, tensor in ours.items():
        if name.endswith("embedding.weight") or any(f".{module}." in name for module in written):
            ours[name] = tensor * scale
        elif name.startswith("final_norm.") and a.tied_embeddings:
            # The head is the token embedding, which has been scaled.
            ours[name] = tensor / scale


def _count(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = config.get(name, default)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RequestError(f"{name}={value} of its config.json must be a whole number above 0")
    return value


def _activation(config: Mapping[str, Any], field: str) -> str:
    said = config.get(field, "gelu_new" if field == "activation_function" else GELU)
    known = {card.hidden_act: name for name, card in ACTIVATIONS.items() if card.hidden_act} | _ALIASES
    if said not in known:
        raise RequestError(
            f"{field}={said} of its config.json is no activation here: {nearest(str(said), known)}"
        )
    return known[said]


def _facets(config: Mapping[str, Any], d_head: int) -> dict[str, Any]:
    """What GPT-NeoX lets vary of its wiring; whole channels are rotated, rounded down."""
    share = _rotary_share(config, FAMILIES["pythia"].rotary_share)
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise RequestError(f"rotary_pct={share} of its config.json must be above 0 and at most 1")
    parallel = {"parallel_residual": bool(config.get("use_parallel_residual", True))}
    if d_head < 1:  # the heads are refused with the architecture
        return parallel
    rotated = int(d_head * share)
    if rotated < 2 or rotated % 2:
        raise RequestError(
            f"rotary_pct={share} of its config.json rotates {rotated} of the {d_head} channels of a head: "
            "it must be an even number above 0"
        )
    return {"rotary_share": rotated / d_head, **parallel}


def _rotary_share(config: Mapping[str, Any], default: float) -> Any:
    """The share of each head that is rotated; older versions have it elsewhere."""
    older = config.get("partial_rotary_factor", config.get("rotary_pct", default))
    return (config.get("rope_parameters") or {}).get("partial_rotary_factor", older)


def _check_rotary(config: Mapping[str, Any], a: Architecture) -> None:
    """Hold base, share and kind of the rotation against ours; older versions spread them over other fields."""
    said = config.get("rope_parameters") or {}
    scaling = config.get("rope_scaling") or {}
    kind = said.get("rope_type", scaling.get("rope_type", scaling.get("type", "default")))
    base = said.get("rope_theta", config.get("rope_theta", config.get("rotary_emb_base", ROTARY_BASE)))
    share = _rotary_share(config, a.wiring.rotary_share)
    for name, value, ours in (("rope_type", kind, "default"), ("rope_theta", base, ROTARY_BASE)):
        if value != ours:
            raise RequestError(f"{name}={value} of its config.json cannot be carried over: it must be {ours}")
    if int(a.d_head * share) != a.rotary_channels:
        raise RequestError(
            f"partial_rotary_factor={share} of its config.json cannot be carried over: it must be "
            f"{a.wiring.rotary_share}"
        )
