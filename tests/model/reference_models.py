"""Randomly initialized transformers models, and where their tensors go in ours.

Each mapping is linear in the tensors, so that it carries gradients as well as weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from aero_search.architecture import Architecture

LINEAR = ("weight", "bias")


def _randomize(model: Any) -> Any:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = torch.randn(parameter.shape, generator=generator) * 0.1
            parameter.copy_(spread + (1.0 if "norm" in name or "ln_" in name else 0.0))
    return model.eval()


def _transposed(conv1d: Tensor) -> Tensor:
    """GPT-2's Conv1D keeps its weight as (in, out); a bias stays as it is."""
    return conv1d.mT if conv1d.ndim == 2 else conv1d


def gpt2(a: Architecture) -> Any:
    config = GPT2Config(
        vocab_size=a.vocab_size, n_positions=a.seq_len, n_embd=a.d_model, n_layer=a.n_layer, n_head=a.n_head,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return _randomize(GPT2LMHeadModel(config))


def from_gpt2(source: Mapping[str, Tensor], a: Architecture) -> dict[str, Tensor]:
    to = {
        "token_embedding.weight": source["transformer.wte.weight"],
        "position_embedding.weight": source["transformer.wpe.weight"],
    }
    for kind in LINEAR:
        to[f"final_norm.{kind}"] = source[f"transformer.ln_f.{kind}"]
        for i in range(a.n_layer):
            theirs, ours = f"transformer.h.{i}", f"layers.{i}"
            to[f"{ours}.attention_norm.{kind}"] = source[f"{theirs}.ln_1.{kind}"]
            to[f"{ours}.feed_forward_norm.{kind}"] = source[f"{theirs}.ln_2.{kind}"]
            joint = _transposed(source[f"{theirs}.attn.c_attn.{kind}"]).chunk(3)
            for name, part in zip(("query", "key", "value"), joint, strict=True):
                to[f"{ours}.attention.{name}.{kind}"] = part
            to[f"{ours}.attention.output.{kind}"] = _transposed(source[f"{theirs}.attn.c_proj.{kind}"])
            to[f"{ours}.feed_forward.up.{kind}"] = _transposed(source[f"{theirs}.mlp.c_fc.{kind}"])
            to[f"{ours}.feed_forward.down.{kind}"] = _transposed(source[f"{theirs}.mlp.c_proj.{kind}"])
    return to


def pythia(a: Architecture) -> Any:
    config = GPTNeoXConfig(
        vocab_size=a.vocab_size, hidden_size=a.d_model, num_hidden_layers=a.n_layer,
        num_attention_heads=a.n_head, intermediate_size=a.d_ff, max_position_embeddings=a.seq_len,
        use_parallel_residual=True, tie_word_embeddings=a.tied_embeddings, hidden_act="gelu",
        attention_dropout=0, hidden_dropout=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return _randomize(GPTNeoXForCausalLM(config))


def from_pythia(source: Mapping[str, Tensor], a: Architecture) -> dict[str, Tensor]:
    to = {"token_embedding.weight": source["gpt_neox.embed_in.weight"]}
    if not a.tied_embeddings:
        name = "lm_head.weight" if "lm_head.weight" in source else "embed_out.weight"
        to["head.weight"] = source[name]
    for kind in LINEAR:
        to[f"final_norm.{kind}"] = source[f"gpt_neox.final_layer_norm.{kind}"]
        for i in range(a.n_layer):
            theirs, ours = f"gpt_neox.layers.{i}", f"layers.{i}"
            to[f"{ours}.attention_norm.{kind}"] = source[f"{theirs}.input_layernorm.{kind}"]
            to[f"{ours}.feed_forward_norm.{kind}"] = source[f"{theirs}.post_attention_layernorm.{kind}"]
            # Rows go head by head, and within a head query, key, value.
            joint = source[f"{theirs}.attention.query_key_value.{kind}"]
            by_head = joint.reshape(a.n_head, 3, a.d_head, *joint.shape[1:])
            for j, name in enumerate(("query", "key", "value")):
                to[f"{ours}.attention.{name}.{kind}"] = by_head[:, j].reshape(a.d_model, *joint.shape[1:])
            to[f"{ours}.attention.output.{kind}"] = source[f"{theirs}.attention.dense.{kind}"]
            to[f"{ours}.feed_forward.up.{kind}"] = source[f"{theirs}.mlp.dense_h_to_4h.{kind}"]
            to[f"{ours}.feed_forward.down.{kind}"] = source[f"{theirs}.mlp.dense_4h_to_h.{kind}"]
    return to


def llama(a: Architecture) -> Any:
    config = LlamaConfig(
        vocab_size=a.vocab_size, hidden_size=a.d_model, num_hidden_layers=a.n_layer,
        num_attention_heads=a.n_head, num_key_value_heads=a.kv_heads, intermediate_size=a.d_ff,
        max_position_embeddings=a.seq_len, tie_word_embeddings=a.tied_embeddings, hidden_act="silu",
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return _randomize(LlamaForCausalLM(config))


def from_llama(source: Mapping[str, Tensor], a: Architecture) -> dict[str, Tensor]:
    to = {
        "token_embedding.weight": source["model.embed_tokens.weight"],
        "final_norm.weight": source["model.norm.weight"],
    }
    if not a.tied_embeddings:
        to["head.weight"] = source["lm_head.weight"]
    names = {
        "attention_norm": "input_layernorm",
        "feed_forward_norm": "post_attention_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.up": "mlp.up_proj",
        "feed_forward.down": "mlp.down_proj",
    }
    for i in range(a.n_layer):
        for ours, theirs in names.items():
            to[f"layers.{i}.{ours}.weight"] = source[f"model.layers.{i}.{theirs}.weight"]
    return to
