"""Architectures that transformers has a class for, and where their tensors go in it.

GPT-2, GPT-NeoX and Llama as published; anything the search changed in the layers needs custom code instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aero_search.architecture import Architecture
from aero_search.architecture.operations import ACTIVATIONS, NONE, SOFTMAX
from aero_search.init.huggingface import LLAMA_NAMES
from aero_search.model.norms import LAYERNORM_EPS, RMSNORM_EPS
from aero_search.model.rotary import BASE

_LINEAR = ("weight", "bias")


@dataclass(frozen=True)
class Native:
    """A transformers class and the fields of its configuration."""

    config: str
    model: str
    fields: dict[str, Any]


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
            "use_parallel_residual": True,
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


def native_tensors(a: Architecture, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a folded decoder under the names of its native class."""
    rename = {"gpt2": _gpt2, "pythia": _pythia, "llama": _llama}[a.family]
    return rename(a, ours)


def _gpt2(a: Architecture, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    theirs = {
        "transformer.wte.weight": ours["token_embedding.weight"],
        "transformer.wpe.weight": ours["position_embedding.weight"],
        "lm_head.weight": ours.get("head.weight", ours["token_embedding.weight"]),
    }
    for kind in _LINEAR:
        theirs[f"transformer.ln_f.{kind}"] = ours[f"final_norm.{kind}"]
        for i in range(a.n_layer):
            to, layer = f"transformer.h.{i}", f"layers.{i}"
            theirs[f"{to}.ln_1.{kind}"] = ours[f"{layer}.attention_norm.{kind}"]
            theirs[f"{to}.ln_2.{kind}"] = ours[f"{layer}.feed_forward_norm.{kind}"]
            joint = torch.cat(
                [ours[f"{layer}.attention.{name}.{kind}"] for name in ("query", "key", "value")]
            )
            # Conv1D keeps its weight as (in, out); a bias has one axis and stays.
            theirs[f"{to}.attn.c_attn.{kind}"] = joint.t()
            theirs[f"{to}.attn.c_proj.{kind}"] = ours[f"{layer}.attention.output.{kind}"].t()
            theirs[f"{to}.mlp.c_fc.{kind}"] = ours[f"{layer}.feed_forward.up.{kind}"].t()
            theirs[f"{to}.mlp.c_proj.{kind}"] = ours[f"{layer}.feed_forward.down.{kind}"].t()
    return theirs


def _pythia(a: Architecture, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    theirs = {
        "gpt_neox.embed_in.weight": ours["token_embedding.weight"],
        "lm_head.weight": ours.get("head.weight", ours["token_embedding.weight"]),
    }
    for kind in _LINEAR:
        theirs[f"gpt_neox.final_layer_norm.{kind}"] = ours[f"final_norm.{kind}"]
        for i in range(a.n_layer):
            to, layer = f"gpt_neox.layers.{i}", f"layers.{i}"
            theirs[f"{to}.input_layernorm.{kind}"] = ours[f"{layer}.attention_norm.{kind}"]
            theirs[f"{to}.post_attention_layernorm.{kind}"] = ours[f"{layer}.feed_forward_norm.{kind}"]
            # Rows go head by head, and within a head query, key, value.
            parts = (ours[f"{layer}.attention.{name}.{kind}"] for name in ("query", "key", "value"))
            by_head = torch.stack(
                [part.reshape(a.n_head, a.d_head, *part.shape[1:]) for part in parts], dim=1
            )
            theirs[f"{to}.attention.query_key_value.{kind}"] = by_head.flatten(0, 2)
            theirs[f"{to}.attention.dense.{kind}"] = ours[f"{layer}.attention.output.{kind}"]
            theirs[f"{to}.mlp.dense_h_to_4h.{kind}"] = ours[f"{layer}.feed_forward.up.{kind}"]
            theirs[f"{to}.mlp.dense_4h_to_h.{kind}"] = ours[f"{layer}.feed_forward.down.{kind}"]
    return theirs


def _llama(a: Architecture, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    theirs = {
        "model.embed_tokens.weight": ours["token_embedding.weight"],
        "model.norm.weight": ours["final_norm.weight"],
        "lm_head.weight": ours.get("head.weight", ours["token_embedding.weight"]),
    }
    for i in range(a.n_layer):
        for name, to in LLAMA_NAMES.items():
            theirs[f"model.layers.{i}.{to}.weight"] = ours[f"layers.{i}.{name}.weight"]
    return theirs
