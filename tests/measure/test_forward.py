"""The JAX forward pass against the PyTorch model, in plaintext, for the whole family."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer, operations
from aero_search.architecture.operations import ATTENTIONS
from aero_search.config.paths import conf_dir
from aero_search.measure.lowering_names import runnable_lowerings
from aero_search.measure.program import public_names, weight_names
from aero_search.model import Decoder, build_model, fold
from tests.model.helpers import LENGTH, tiny
from tests.model.test_folding import far_from_the_start

pytestmark = pytest.mark.mpc

VARIANTS = sorted(path.stem for path in (conf_dir() / "variant").glob("*.yaml"))
EXACT = {"gelu": "gelu_erf"}
TINY = (
    "model.n_layer=2",
    "model.d_model=32",
    "model.n_head=2",
    "model.seq_len=12",
    "model.vocab_size=300",
)


def difference(model: Decoder, lowerings: dict[str, str] | None = None, length: int = LENGTH) -> float:
    """The largest difference of logits, relative to the largest logit where that is above 1."""
    pytest.importorskip("jax")
    from aero_search.measure.arrays import server_arrays, server_pass
    from aero_search.measure.forward import run_plaintext

    tokens_t = np.random.default_rng(1).integers(0, model.architecture.vocab_size, length)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(tokens_t)[None])[0].numpy()
        folded = fold(model)
    forward = replace(server_pass(folded), lowerings=EXACT | (lowerings or {}))
    arrays = server_arrays(folded)
    assert {*weight_names(forward), *public_names(forward)} == arrays.keys()
    found = run_plaintext(forward, arrays, tokens_t)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def composed(variant: str, *overrides: str) -> Architecture:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from aero_search.config.architecture import read_architecture

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        cfg = compose("config", [f"variant={variant}", *overrides])
    return read_architecture(OmegaConf.to_container(cfg, resolve=True))


@pytest.mark.parametrize("model", ["proxy", "pythia_70m", "llama_proxy"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_every_family(variant, model) -> None:
    sizes = [f"model={model}", "model.n_layer=2", "model.d_model=32", "model.n_head=2", "model.seq_len=12"]
    if model == "llama_proxy":
        kv = 2 if variant.startswith("sota") else 1
        sizes += [f"model.n_kv_head={kv}"]
    architecture = composed(variant, *sizes, "model.vocab_size=300")
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4


NORMS = tuple(operations.NORMS)
ACTIVATIONS = tuple(name for name, card in operations.ACTIVATIONS.items() if "jax" not in card.unsupported)


@pytest.mark.parametrize(
    ("family", "norm", "activation", "gated"),
    [
        *product(["gpt2", "llama"], ["layernorm"], ACTIVATIONS, [False, True]),
        *product(["gpt2", "pythia", "llama"], NORMS, ["relu"], [False]),
    ],
)
def test_every_norm_and_activation(family, norm, activation, gated) -> None:
    architecture = tiny(family=family, norm=norm, activation=activation, gated=gated, final_norm=norm)
    if family == "pythia":
        architecture = replace(architecture, d_model=32)
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4


@pytest.mark.parametrize("stabilizer", ["none", "scaled", "weight_norm", "spectral_norm"])
@pytest.mark.parametrize("ffn", ["full", "fused", "none"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_feed_forward_and_stabilizer(stabilizer, ffn, tied) -> None:
    layers = (Layer("layernorm", "relu", "full"), Layer("none", "identity", ffn))
    architecture = tiny(layers=layers, stabilizer=Stabilizer(stabilizer), tied_embeddings=tied)
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4


@pytest.mark.parametrize("values", ["full", "identity"])
@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("temperature", ["none", "learned"])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama"])
def test_every_attention(values, shaped, temperature, family) -> None:
    attention = Attention(values, shaped, temperature, 0.5)
    architecture = tiny(norm="layernorm", attention=attention, family=family, d_model=32)
    model = build_model(architecture, seed=0)
    assert difference(model) < 1e-4
    # Learned temperatures are a matrix, which `far_from_the_start` leaves alone.
    for layer in model.decoder_layers():
        if layer.attention.temperature is not None:
            torch.nn.init.normal_(layer.attention.temperature.log_ratio_ht, std=0.5)
    assert difference(far_from_the_start(model)) < 1e-4


@pytest.mark.parametrize("public_layers", [1, 2])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama"])
def test_layers_that_the_client_runs(family, public_layers) -> None:
    layers = (
        Layer("layernorm", "gelu"),
        Layer("rmsnorm", "relu", "fused"),
        Layer("none", "identity", "none"),
    )
    architecture = replace(tiny(family=family, d_model=32), layers=layers, public_layers=public_layers)
    # In the clear a function is itself, whatever a protocol makes of it.
    model = far_from_the_start(build_model(architecture, seed=0))
    assert difference(model, {"gelu": "gelu_tanh"}) < 1e-4


@pytest.mark.parametrize("softmax_heads", [0, 1])
@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_every_attention_kind(kind, softmax_heads) -> None:
    attention = Attention(temperature="learned", temperature_init=0.5, softmax_heads=softmax_heads)
    layers = (Layer("layernorm", "relu", attention=kind), Layer("none", "identity", "fused", kind), Layer())
    architecture = tiny(layers=layers, attention=attention, stabilizer=Stabilizer("scaled"))
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4
    grouped = replace(architecture, n_head=4, n_kv_head=2, d_model=32, family="llama")
    assert difference(far_from_the_start(build_model(grouped, seed=0))) < 1e-4


@pytest.mark.parametrize("norm", [name for name, card in operations.NORMS.items() if card.per_head])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_norm_of_queries_and_keys(norm, family) -> None:
    attention = Attention(temperature="learned", temperature_init=0.5, qk_norm=norm)
    architecture = tiny(norm="rmsnorm", attention=attention, family=family, n_head=4, n_kv_head=2, d_model=32)
    model = far_from_the_start(build_model(architecture, seed=0))
    assert difference(model) < 1e-4
    assert difference(model, length=5) < 1e-4


@pytest.mark.parametrize("stabilizer", ["none", "scaled"])
def test_shared_layers(stabilizer) -> None:
    architecture = tiny(n_layer=4, norm="layernorm", share_layers=2, stabilizer=Stabilizer(stabilizer))
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("gated", [False, True])
def test_feed_forwards_in_factors(gated, family) -> None:
    layers = (Layer("layernorm", "relu"), Layer("static", "identity", "fused"), Layer("none", "identity"))
    architecture = tiny(
        layers=layers, family=family, gated=gated, ffn_rank=5, stabilizer=Stabilizer("scaled")
    )
    assert difference(far_from_the_start(build_model(architecture, seed=0))) < 1e-4


@pytest.mark.parametrize("beta", [1.0, 1e-4])
def test_a_vanishing_beta_is_not_divided_by(beta) -> None:
    model = build_model(tiny(attention=Attention("full", shaped=True)), seed=0)
    for layer in model.decoder_layers():
        torch.nn.init.constant_(layer.attention.shaping.beta_h, beta)
    assert difference(model) < 1e-4


def test_grouped_query_attention_and_shorter_inputs() -> None:
    architecture = tiny(family="llama", norm="rmsnorm", n_head=4, n_kv_head=2, d_model=32)
    assert difference(build_model(architecture, seed=0)) < 1e-4
    assert difference(build_model(tiny(), seed=0), length=5) < 1e-4


def test_token_numbers_compared_with_the_vocabulary() -> None:
    assert difference(build_model(tiny(), seed=0), {"one_hot": "equality"}) < 1e-4


@pytest.mark.parametrize(
    ("kind", "name", "within"),
    [
        ("gelu", "gelu_tanh", 1e-3),
        ("gelu", "gelu_segments", 0.01),
        ("gelu", "gelu_puma", 0.02),
        ("gelu", "gelu_erf", 1e-6),
    ],
)
def test_lowerings_of_gelu_keep_their_word(kind, name, within) -> None:
    pytest.importorskip("jax")
    from aero_search.measure.lowerings import lowering

    x = np.linspace(-6, 6, 4001, dtype=np.float32)
    exact = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    assert np.abs(np.asarray(lowering(kind, name)(x)) - exact).max() < within


@pytest.mark.parametrize(
    ("name", "within"),
    [("softmax_broadcast", 1e-6), ("softmax_divide", 1e-6), ("softmax_bumblebee", 0.02)],
)
def test_lowerings_of_softmax_keep_their_word(name, within) -> None:
    pytest.importorskip("jax")
    from aero_search.measure.lowerings import lowering

    scores = np.random.default_rng(0).normal(scale=4, size=(3, 16, 16)).astype(np.float32)
    # All that is seen lies far below 0: a constant in place of what is hidden would win the maximum.
    scores[1] -= 60
    mask = np.broadcast_to(np.tril(np.ones((16, 16), bool)), scores.shape)
    masked = torch.from_numpy(np.where(mask, scores, -np.inf))
    found = np.asarray(lowering("softmax", name)(scores, mask))
    assert np.abs(found - torch.softmax(masked, -1).numpy()).max() < within
    assert not found[~mask].any()


def test_every_lowering_has_a_function() -> None:
    pytest.importorskip("jax")
    from aero_search.measure.lowerings import lowering

    for kind, names in runnable_lowerings().items():
        assert [lowering(kind, name).__name__ for name in names] == list(names)
        assert lowering(kind, "no_such_lowering").__name__ == names[0]


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(lambda: composed("sm_ln_g", *TINY), id="gpt2"),
        pytest.param(
            lambda: composed("sm_ln_r", *TINY, "model=llama_proxy", "model.n_kv_head=1"), id="llama"
        ),
        pytest.param(
            lambda: composed(
                "sm_ln_r",
                *TINY,
                "model=llama_proxy",
                "model.n_kv_head=1",
                "attention.qk_norm=rmsnorm",
                "ffn.rank=8",
                "model.share_layers=2",
            ),
            id="structure",
        ),
        pytest.param(lambda: composed("sota_sm_scfuffn", *TINY), id="shaped"),
        pytest.param(lambda: composed("ereg_sm_t_scfuffn", *TINY), id="tempered"),
        pytest.param(lambda: composed("sm_ln_g", *TINY, "model.public_layers=1"), id="public"),
    ],
)
def test_a_prompt_and_tokens_over_a_cache_give_the_logits_of_one_pass(architecture) -> None:
    pytest.importorskip("jax")
    from aero_search.cost import Workload
    from aero_search.measure.arrays import server_arrays, server_pass
    from aero_search.measure.forward import run_pass
    from aero_search.measure.program import passes

    folded = fold(far_from_the_start(build_model(architecture(), seed=0)))
    tokens_t = np.random.default_rng(1).integers(0, 300, 11)
    with torch.no_grad():
        expected = folded(torch.from_numpy(tokens_t)[None])[0].numpy()
    forward = replace(server_pass(folded), lowerings=EXACT)
    arrays, cache, found = server_arrays(folded), {}, []
    for step in passes(forward, Workload("chat", prompt=8, generate=4, logits="last")):
        tokens = step.architecture.seq_len
        logits_tv, cache = run_pass(step, arrays, tokens_t[:tokens], cache)
        found.append(logits_tv)
    assert [len(logits) for logits in found] == [1, 1, 1, 1]
    np.testing.assert_allclose(np.concatenate(found), expected[7:], atol=1e-4 * np.abs(expected).max())
