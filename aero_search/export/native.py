"""Architectures that transformers has a class for.

GPT-2, GPT-NeoX and Llama as published; anything the search changed in the layers needs custom code instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aero_search.architecture import Architecture
from aero_search.architecture.families import FAMILIES
from aero_search.architecture.operations import ACTIVATIONS, NONE, SOFTMAX
from aero_search.model.norms import LAYERNORM_EPS, RMSNORM_EPS
from aero_search.model.rotary import BASE


@dataclass(frozen=True)
class Native:
    """A transformers class and the fields of its configuration."""

    config: str
    model: str
    fields: dict[str, Any]


def _is_gpt_neox(a: Architecture) -> bool:
    """Whether GPT-NeoX has such facets; it rounds the channels that it rotates down."""
    rotated = int(a.d_head * a.wiring.rotary_share)
    return a.family == "pythia" and a.has_bias and 0 < rotated == a.rotary_channels


def native(a: Architecture) -> Native | None:
    """The class that computes exactly a folded architecture; None where there is none.

    Args:
        a: as `model.folding.folded_architecture` gives it, canonical.
    """
    layer = a.layers[0]
    activation = ACTIVATIONS[layer.activation].hidden_act
    plain = (
        set(a.layers) == {layer}
        and layer.is_full
        and layer.attention == SOFTMAX
        and layer.norm == a.final_norm == a.wiring.norm
        and activation is not None
        and a.gated == (a.family == "llama")
        and (a.family == "llama" or a.kv_heads == a.n_head)
        and a.attention.value_projection == "full"
        and not a.attention.shaped
        and a.attention.qk_norm == NONE
        and not a.ffn_rank
        and (a.wiring == FAMILIES[a.family] or _is_gpt_neox(a))
    )
    if not plain:
        return None
    shared = {"vocab_size": a.vocab_size, "tie_word_embeddings": a.tied_embeddings}
    sizes = {
        **shared,
        "hidden_size": a.d_model,
        "num_hidden_layers": a.n_layer,
        "num_attention_heads": a.n_head,
        "intermediate_size": a.d_ff,
        "max_position_embeddings": a.seq_len,
        "hidden_act": activation,
    }
    if a.family == "gpt2":
        fields: dict[str, Any] = {
            **shared,
            "n_positions": a.seq_len,
            "n_embd": a.d_model,
            "n_layer": a.n_layer,
            "n_head": a.n_head,
            "n_inner": a.d_ff,
            "activation_function": activation,
            "layer_norm_epsilon": LAYERNORM_EPS,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
        return Native("GPT2Config", "GPT2LMHeadModel", fields)
    rope = {"rope_type": "default", "rope_theta": BASE}
    if a.family == "pythia":
        rope["partial_rotary_factor"] = a.wiring.rotary_share
        fields = {
            **sizes,
            "layer_norm_eps": LAYERNORM_EPS,
            "use_parallel_residual": a.wiring.parallel_residual,
            "rope_parameters": rope,
        }
        return Native("GPTNeoXConfig", "GPTNeoXForCausalLM", fields)
    fields = {
        **sizes,
        "num_key_value_heads": a.kv_heads,
        "rms_norm_eps": RMSNORM_EPS,
        "rope_parameters": rope,
    }
    return Native("LlamaConfig", "LlamaForCausalLM", fields)
