"""GPT-2, GPT-NeoX and Llama as transformers saves them: our logits are theirs, or the network is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from aero_search.errors import RequestError
from aero_search.init import huggingface
from aero_search.init.checkpoint import open_checkpoint, same_tokenizer
from aero_search.model.norms import LAYERNORM_EPS, RMSNORM_EPS
from aero_search.model.rotary import BASE

SIZES = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LONG = {**SIZES, "intermediate_size": 48, "max_position_embeddings": 24}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24}),
    "gpt2 relu": (
        "GPT2",
        {"vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "n_inner": 40,
         "activation_function": "relu", "layer_norm_epsilon": 1e-3, "tie_word_embeddings": False},
    ),
    "neox": ("GPTNeoX", LONG),
    "neox in sequence, whole heads rotated": (
        "GPTNeoX",
        {**LONG, "use_parallel_residual": False, "rotary_pct": 1.0},
    ),
    "llama": ("Llama", {**LONG, "num_key_value_heads": 2}),
    "llama tied, another epsilon": ("Llama", {**LONG, "tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
}  # fmt: skip


def saved(folder: Path, name: str, **changes: object) -> Any:
    """The model of a name with weights that are far from their start, written to the folder."""
    import transformers

    kind, sizes = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**sizes, **changes}, eos_token_id=3, bos_token_id=3)
    head = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, f"{kind}{head}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    theirs = saved(tmp_path, name)
    checkpoint = open_checkpoint(tmp_path, "x")
    tokens_bt = torch.randint(97, (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        apart = (checkpoint.model()(tokens_bt) - theirs(tokens_bt).logits).abs().max()
    assert float(apart) < 1e-5
    assert checkpoint.read is not None
    assert checkpoint.read.end_of_text == 3
    assert checkpoint.architecture.family == huggingface.FAMILY[theirs.config.model_type]


def test_shards_and_the_hub_s_links_are_followed_and_another_weight_is_another_fingerprint(
    tmp_path: Path,
) -> None:
    model = saved(tmp_path / "whole", "gpt2")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert not (tmp_path / "shards/model.safetensors").exists()
    (tmp_path / "links").mkdir()
    for path in (tmp_path / "whole").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)
    whole, shards, links = (open_checkpoint(tmp_path / n, "x") for n in ("whole", "shards", "links"))
    assert whole.fingerprint == links.fingerprint
    first, second = whole.model().state_dict(), shards.model().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1e-3
    model.save_pretrained(tmp_path / "other")
    assert open_checkpoint(tmp_path / "other", "x").fingerprint != whole.fingerprint


def test_rotary_positions_reach_further_than_they_were_trained(tmp_path: Path) -> None:
    saved(tmp_path, "llama")
    checkpoint = open_checkpoint(tmp_path, "x")
    assert checkpoint.model(48).architecture.seq_len == 48


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("gpt2", {"model_type": "bert"}, "model_type=bert"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ("gpt2", {"activation_function": "mish"}, "activation_function=mish"),
        ("gpt2", {"n_embd": "many"}, "n_embd=many"),
        ("gpt2", {"vocab_size": 200_000}, "model.vocab_size=200000"),
        ("neox", {"attention_bias": False}, "attention_bias=False"),
        ("neox", {"rope_parameters": None, "rotary_pct": 1.5}, "rotary_pct=1.5"),
        (
            "neox",
            {"rope_parameters": None, "rotary_pct": 0.01},
            "rotary_pct=0.01 of its config.json rotates 0 of",
        ),
        ("neox", {"num_attention_heads": 64}, "model.d_model=32"),
        ("llama", {"rope_parameters": None, "partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
        ("llama", {"attention_bias": True}, "attention_bias=True"),
        ("llama", {"head_dim": 16}, "head_dim=16"),
        ("llama", {"rope_parameters": {"rope_theta": 500000.0}}, "rope_theta=500000.0"),
        ("llama", {"rope_parameters": None, "rope_scaling": {"rope_type": "llama3"}}, "rope_type=llama3"),
    ],
)
def test_what_our_decoder_computes_otherwise_is_refused(
    name: str, changes: dict[str, Any], said: str
) -> None:
    kind, sizes = MODELS[name]
    types = {"GPT2": "gpt2", "GPTNeoX": "gpt_neox", "Llama": "llama"}
    with pytest.raises(RequestError, match=said.replace(".", r"\.")):
        huggingface.read_config({"model_type": types[kind], **sizes, **changes})


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    config = json.loads((tmp_path / "config.json").read_text())
    for field, value, said in (("n_layer", 3, "lack the tensor h.2"), ("n_layer", 1, "also have the tensor h.1"),
                               ("n_inner", 64, "feed_forward")):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps({**config, field: value}))
        with pytest.raises(RequestError, match=said):
            open_checkpoint(tmp_path, "x").model()
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": {}}))
    with pytest.raises(RequestError, match="auto_map"):
        open_checkpoint(tmp_path, "x")


def test_constants_are_those_of_the_model() -> None:
    assert huggingface.ROTARY_BASE == BASE
    assert huggingface.EPSILON == {"layernorm": LAYERNORM_EPS, "rmsnorm": RMSNORM_EPS}


def test_tokenizers_are_compared_by_what_they_do(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("a", "b", "c"))
    said = {"model": {"vocab": {"a": 0}}, "added_tokens": [], "padding": None}
    one.write_text(json.dumps(said))
    same.write_text(json.dumps({**said, "padding": {"x": 1}}))
    other.write_text(json.dumps({**said, "model": {"vocab": {"b": 0}}}))
    assert same_tokenizer(one, same)
    assert not same_tokenizer(one, other)
