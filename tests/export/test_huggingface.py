"""transformers computes what we do: by its own classes where they fit, else by the file beside the weights."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer, parse_notation, violations
from aero_search.architecture.operations import ATTENTIONS, SOFTMAX
from aero_search.config.architecture import read_architecture
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export import modeling_aero
from aero_search.export.bundle import write_bundle
from aero_search.export.huggingface import code_files, transformers_model, write_huggingface
from aero_search.export.models import difference, example_tokens
from aero_search.export.verify import Verification, verify_bundle
from aero_search.export.verify_exports import exported_kind, verify_export
from aero_search.model import Decoder, build_model, fold
from aero_search.model.running_norms import running_statistics
from tests.export.made import Made

BASE = Architecture(n_head=2, d_model=32, seq_len=12, vocab_size=31, layers=(Layer(),) * 2)
LLAMA = replace(BASE, family="llama", n_kv_head=1, gated=True)
CUSTOM = "AeroForCausalLM"
CASES: dict[str, tuple[Architecture, str]] = {
    "gpt2": (BASE, "GPT2LMHeadModel"),
    "gpt2 relu, untied": (
        replace(parse_notation("SM + LN + R", BASE), tied_embeddings=False),
        "GPT2LMHeadModel",
    ),
    "weight norm folds to gpt2": (
        parse_notation("SM + LN + G + WeightNorm(QK+FFN)", BASE),
        "GPT2LMHeadModel",
    ),
    "scaled": (parse_notation("SM + ScFFN", BASE), CUSTOM),
    "fused, one without": (parse_notation("SM + ScFuFFN_i1", BASE), CUSTOM),
    "temperatures": (parse_notation("EReg(SM(t) + ScFuFFN)", BASE), CUSTOM),
    "scaled with norms, shared slope": (parse_notation("SM + LN + LRS + ScFFN", BASE), CUSTOM),
    "shaped without values": (
        replace(parse_notation("SM + ScFuFFN", BASE), attention=Attention("identity", True)),
        CUSTOM,
    ),
    "shaped with values": (replace(BASE, attention=Attention("full", True)), CUSTOM),
    "identity values": (
        replace(parse_notation("SM + LN + Q", BASE), attention=Attention("identity")),
        CUSTOM,
    ),
    "one layer without norm": (replace(BASE, layers=(Layer(), Layer("none"))), CUSTOM),
    "pythia": (replace(BASE, family="pythia", tied_embeddings=False), "GPTNeoXForCausalLM"),
    "pythia, no norms": (parse_notation("SM(t) + R", replace(BASE, family="pythia")), CUSTOM),
    "llama": (
        replace(LLAMA, layers=(Layer("rmsnorm", "silu"),) * 2, final_norm="rmsnorm"),
        "LlamaForCausalLM",
    ),
    "llama, layernorm": (replace(LLAMA, layers=(Layer("layernorm", "silu"),) * 2), CUSTOM),
    "llama, nothing normalized": (
        replace(
            LLAMA, layers=(Layer("none", "relu"),) * 2, final_norm="none", stabilizer=Stabilizer("scaled")
        ),
        CUSTOM,
    ),
    "batch norm, folded": (parse_notation("SM + BN + R", BASE), CUSTOM),
    "hard DyT behind scaled feed-forwards": (parse_notation("SM + HDyT + QL + ScFFN", BASE), CUSTOM),
    "several norms": (
        replace(
            BASE, layers=(Layer("static", "relu6"), Layer("dyt", "piecewise_5")), final_norm="simple_rms"
        ),
        CUSTOM,
    ),
    "queries and keys normalized": (parse_notation("SM(t) + QKNorm(LN) + R + ScFFN", BASE), CUSTOM),
    "llama, statically normalized queries": (parse_notation("SM + QKNorm(BN) + RMS + SwiGLU", LLAMA), CUSTOM),
    "feed-forwards in factors": (
        replace(
            parse_notation("SM + R + ScFFN", BASE),
            layers=(Layer("none", "relu"), Layer("none", "identity")),
            ffn_rank=5,
        ),
        CUSTOM,
    ),
    "gated in factors": (replace(LLAMA, layers=(Layer("dyt", "silu"),) * 2, ffn_rank=5), CUSTOM),
    "shared layers": (
        replace(parse_notation("SM(t) + LN + R", replace(BASE, layers=(Layer(),) * 4)), share_layers=2),
        CUSTOM,
    ),
    "shared layers of gpt2": (replace(BASE, share_layers=2), "GPT2LMHeadModel"),
    "neox in sequence, half a head rotated": (
        replace(BASE, family="pythia", parallel_residual=False, rotary_share=0.5),
        "GPTNeoXForCausalLM",
    ),
    "gpt2 with rotary positions": (replace(BASE, rotary_share=0.5), CUSTOM),
    "llama in parallel, with biases": (
        replace(parse_notation("SM + RMS + SwiGLU", LLAMA), parallel_residual=True, biases=True),
        CUSTOM,
    ),
    "llama, batch norm": (parse_notation("SM + BN + SwiGLU", LLAMA), CUSTOM),
}
LAYERED = replace(BASE, n_head=4)
CASES |= {
    f"{kind} attention": (
        replace(
            parse_notation("SM(t) + LN + R", LAYERED),
            layers=(Layer("layernorm", "relu", attention=kind),) * 2,
        ),
        CUSTOM,
    )
    for kind in ATTENTIONS
    if kind != SOFTMAX
}
CASES["attention of all kinds, by layer and head"] = (
    replace(
        parse_notation("SM(t) + LN + ScFuFFN", replace(LAYERED, layers=(Layer(),) * len(ATTENTIONS))),
        layers=tuple(Layer("layernorm", "identity", "fused", kind) for kind in reversed(list(ATTENTIONS))),
        attention=Attention(temperature="learned", temperature_init=0.5, softmax_heads=1),
        n_kv_head=2,
    ),
    CUSTOM,
)


def perturbed(architecture: Architecture) -> Decoder:
    """A decoder none of whose tensors is as it started."""
    model = build_model(architecture, seed=1)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for statistic in running_statistics(model):
            statistic.add_(torch.rand(statistic.shape, generator=generator))
    return model.eval()


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[Decoder, Any, str]:
    """Ours, theirs, and the class that theirs should be."""
    architecture, name = CASES[request.param]
    model = perturbed(architecture)
    return model, transformers_model(fold(model)), name


@torch.no_grad()
def test_logits_padding_and_cached_generation_are_ours(pair: tuple[Decoder, Any, str]) -> None:
    model, theirs, name = pair
    assert type(theirs).__name__ == name
    tokens_bt = example_tokens(model.architecture, 3, 12)
    assert difference(model, lambda t: theirs(t).logits, tokens_bt) < 1e-5
    # Padded on the left, as batches of prompts are.
    mask_bt = torch.tensor([[1] * 8, [0] * 3 + [1] * 5])
    padded_bt = torch.cat([torch.zeros(1, 3, dtype=torch.long), tokens_bt[1:2, :5]], dim=1)
    both_bt = torch.cat([tokens_bt[:1, :8], padded_bt])
    positions_bt = (mask_bt.cumsum(-1) - 1).clamp(min=0)
    logits_btv = theirs(both_bt, attention_mask=mask_bt, position_ids=positions_bt).logits
    torch.testing.assert_close(logits_btv[0], model(both_bt[:1])[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits_btv[1, 3:], model(tokens_bt[1:2, :5])[0], rtol=1e-4, atol=1e-5)
    for use_cache in (True, False):
        settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        told_bt = theirs.generate(tokens_bt[:1, :4], use_cache=use_cache, **settings)
        assert torch.equal(told_bt, greedy(model, tokens_bt[:1, :4], 6))


def greedy(model: Decoder, tokens_bt: Tensor, count: int) -> Tensor:
    for _ in range(count):
        tokens_bt = torch.cat([tokens_bt, model(tokens_bt)[:, -1:].argmax(-1)], dim=1)
    return tokens_bt


@settings(max_examples=8)
@given(
    layers=st.lists(
        st.builds(
            Layer,
            norm=st.sampled_from(["layernorm", "none"]),
            activation=st.sampled_from(["relu", "quadratic"]),
            ffn=st.sampled_from(["full", "fused", "none"]),
            attention=st.sampled_from(list(ATTENTIONS)),
        ),
        min_size=1,
        max_size=3,
    ),
    family=st.sampled_from(["gpt2", "pythia", "llama"]),
    attention=st.builds(
        Attention,
        value_projection=st.sampled_from(["full", "identity"]),
        temperature=st.sampled_from(["none", "learned"]),
        temperature_init=st.just(0.5),
        softmax_heads=st.sampled_from([0, 1, 2]),
        qk_norm=st.sampled_from(["none", "layernorm", "rmsnorm", "batchnorm", "static"]),
    ),
    stabilizer=st.sampled_from([Stabilizer(), Stabilizer("scaled"), Stabilizer("weight_norm", "qk+ffn")]),
    share=st.sampled_from([1, 2]),
    rank=st.sampled_from([0, 5]),
    gated=st.booleans(),
)
def test_drawn_attention_kinds_fold_export_and_are_cached(
    layers: list[Layer],
    family: str,
    attention: Attention,
    stabilizer: Stabilizer,
    share: int,
    rank: int,
    gated: bool,
) -> None:
    from transformers import DynamicCache

    architecture = replace(
        BASE,
        layers=tuple(layer for layer in layers for _ in range(share)),
        family=family,
        attention=attention,
        stabilizer=stabilizer,
        share_layers=share,
        ffn_rank=rank,
        gated=gated,
    )
    assume(not list(violations(architecture)))
    model = perturbed(architecture)
    folded = fold(model)
    theirs = transformers_model(folded)
    tokens_bt = example_tokens(architecture, 2, 12)
    with torch.no_grad():
        assert difference(model, folded, tokens_bt) < 1e-5
        assert difference(model, lambda t: theirs(t).logits, tokens_bt) < 1e-5
        if type(theirs).__name__ == CUSTOM:
            cache = DynamicCache()
            parts = (tokens_bt[:, :5], tokens_bt[:, 5:6], tokens_bt[:, 6:])
            cached = [theirs(part, past_key_values=cache, use_cache=True).logits for part in parts]
            assert difference(model, lambda t: torch.cat(cached, dim=1), tokens_bt) < 1e-5


@torch.no_grad()
def test_the_cache_is_read_under_every_name() -> None:
    from transformers import DynamicCache

    model = perturbed(CASES["temperatures"][0])
    theirs = transformers_model(fold(model))
    tokens_bt = example_tokens(model.architecture, 2, 12)
    for name in ("cache", "past_key_values"):
        cache = DynamicCache()
        parts = [theirs(tokens_bt[:, start : start + 6], **{name: cache}).logits for start in (0, 6)]
        torch.testing.assert_close(torch.cat(parts, dim=1), theirs(tokens_bt).logits, rtol=1e-5, atol=1e-5)
        assert cache.get_seq_length() == 12


def test_a_cache_that_is_not_read_is_found_out(
    made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy(self: Any, input_ids: Tensor, use_cache: bool | None = None, **kwargs: Any) -> Any:
        if not use_cache:
            return honest(self, input_ids)
        held = [value for value in kwargs.values() if isinstance(value, modeling_aero.Cache)]
        out = honest(self, input_ids)
        for layer in range(len(self.layers)):
            keys_bhsd = torch.zeros(len(input_ids), 1, input_ids.shape[1], 1)
            held[0].update(keys_bhsd, keys_bhsd, layer)
        out[modeling_aero.CACHE_FIELD] = held[0]
        return out

    one, folder = made("fused"), tmp_path / "hf"
    honest = modeling_aero.AeroForCausalLM.forward
    write_huggingface(one.choice, one.corpus, folder)
    assert not verify_export(folder, "hf").differing
    bundle = write_bundle(one.choice, one.corpus, tmp_path / "bundle")
    monkeypatch.setattr(modeling_aero.AeroForCausalLM, "forward", lazy)
    with pytest.raises(AeroSearchError, match="with the cache of transformers"):
        write_huggingface(one.choice, one.corpus, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    (check,) = verify_export(folder, "hf").differing
    assert "cache of transformers" in check.name
    assert any("cache of transformers" in c.name for c in found(bundle).differing)


def test_an_export_of_another_version_is_found_out(made: Callable[[str], Made], tmp_path: Path) -> None:
    one, folder = made("fused"), tmp_path / "hf"
    write_huggingface(one.choice, one.corpus, folder)
    assert exported_kind(folder) == "hf"
    code = folder / "modeling_aero.py"
    code.write_text("raise SystemExit('a stranger's code ran')\n")
    (check,) = verify_export(folder, "hf").differing
    assert (check.name, check.found) == ("modeling_aero.py", "another's: export it again")
    code.unlink()
    with pytest.raises(AeroSearchError, match=r"modeling_aero.py is missing"):
        verify_export(folder, "hf")


def found(bundle: Path) -> Verification:
    return verify_bundle(bundle, read_architecture, lambda _bundle, _name: "not looked for")


def test_the_loss_is_the_mean_cross_entropy_of_the_next_token() -> None:
    model = perturbed(CASES["temperatures"][0])
    theirs = transformers_model(fold(model))
    tokens_bt = example_tokens(model.architecture, 2, 12)
    expected = model.loss(tokens_bt[:, :-1], tokens_bt[:, 1:]).cross_entropy
    torch.testing.assert_close(theirs(tokens_bt, labels=tokens_bt).loss, expected)


def test_the_context_has_an_end() -> None:
    theirs = transformers_model(fold(perturbed(CASES["scaled"][0])))
    with pytest.raises(ValueError, match="13 tokens are more than the 12"):
        theirs(torch.zeros(1, 13, dtype=torch.long))


def test_the_custom_code_needs_torch_and_transformers_alone() -> None:
    trees = [ast.parse(code) for code in code_files().values()]
    assert len(trees) == 3
    roots = {
        name.split(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    assert roots - sys.stdlib_module_names == {"torch", "transformers"}


LOAD = """
import sys, torch
sys.modules["aero_search"] = None
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=CUSTOM)
tokenizer = AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=CUSTOM)
batch = tokenizer(["abc d", "9"], return_tensors="pt", padding=True, padding_side="left")
out = model.generate(**batch, max_new_tokens=5, do_sample=False)
print(type(model).__name__, out.shape[1] - batch["input_ids"].shape[1], repr(tokenizer.decode(out[0])))
torch.save(model(torch.arange(16)[None]).logits, OUT)
"""


@pytest.mark.parametrize(
    ("name", "loaded_as"),
    [("gpt2", "GPT2LMHeadModel"), pytest.param("entropy", CUSTOM, marks=pytest.mark.slow)],
)
def test_a_written_folder_loads_and_generates_without_us(
    name: str, loaded_as: str, made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, folder = made(name), tmp_path / "hf"
    written = write_huggingface(one.choice, one.corpus, folder)
    assert (written.loaded_as, written.custom_code) == (loaded_as, loaded_as == CUSTOM)
    assert written.difference < 1e-5
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = LOAD.replace("FOLDER", repr(str(folder))).replace("OUT", repr(str(tmp_path / "logits")))
    code = code.replace("CUSTOM", str(written.custom_code))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(loaded_as)
    assert "abc d" in done.stdout
    with torch.no_grad():
        ours_btv = one.model(torch.arange(16)[None])
    theirs_btv = torch.load(tmp_path / "logits", weights_only=True)
    torch.testing.assert_close(theirs_btv, ours_btv, rtol=1e-5, atol=1e-5)
    assert "trust_remote_code=True" in (folder / "README.md").read_text() or not written.custom_code
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == 300
    # The same folder again, and no other kind's.
    write_huggingface(one.choice, one.corpus, folder)
    with pytest.raises(RequestError, match="holds an export of kind=hf, not bundle"):
        write_bundle(one.choice, one.corpus, folder)


def test_without_transformers_the_extra_is_named(
    made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("gpt2")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RequestError, match=r"-m pip install .*\[hf\]"):
        write_huggingface(one.choice, one.corpus, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
