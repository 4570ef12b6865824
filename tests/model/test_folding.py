"""Folding: which operations are gone, and the same function where the gains are far from their start."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from aero_search.architecture import Attention, Layer, Regularizer, Stabilizer
from aero_search.architecture.operations import NORMS
from aero_search.errors import AeroSearchError
from aero_search.model import (
    Decoder,
    FoldedDecoder,
    build_model,
    fold,
    folded_architecture,
    load_weights,
    save_weights,
)
from aero_search.model.running_norms import running_norms
from aero_search.model.stabilizers import Scaling
from tests.model.helpers import batch, tiny

SCALED = Stabilizer("scaled")
FOLDING = [name for name, card in NORMS.items() if card.folds]


def far_from_the_start(model: Decoder) -> Decoder:
    """Every vector and scalar of the model random, signs of the gains and running statistics included."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim <= 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, Scaling):
                for gain in (module.alpha, module.beta):
                    gain.copy_(gain.sign() * (0.5 + gain.abs()))
        for norm in running_norms(model).values():
            norm.running_square.uniform_(0.3, 3.0, generator=generator)
            if norm.running_mean is not None:
                norm.running_mean.normal_(generator=generator)
    return model.eval()


@pytest.mark.parametrize(
    ("family", "norm", "final_norm", "values"),
    list(
        product(
            ["gpt2", "pythia", "llama"],
            ["none", "layernorm", "rmsnorm"],
            ["none", "layernorm", "rmsnorm"],
            ["full", "identity"],
        )
    ),
)
def test_scaled_feed_forwards_fold_whatever_their_gains(family, norm, final_norm, values) -> None:
    kinds = [("gelu", "full"), ("identity", "full"), ("identity", "fused"), ("identity", "none")]
    layers = tuple(Layer(norm, activation, ffn) for activation, ffn in kinds)
    attention = Attention(value_projection=values, shaped=values == "identity")
    architecture = tiny(
        family=family, layers=layers, final_norm=final_norm, attention=attention, stabilizer=SCALED
    )
    model = far_from_the_start(build_model(architecture, seed=0).double())
    inputs_bt, _ = batch()
    with torch.no_grad():
        torch.testing.assert_close(fold(model)(inputs_bt), model(inputs_bt), atol=1e-9, rtol=1e-9)
        single = model.float()
        logits_btv = single(inputs_bt)
        assert (fold(single)(inputs_bt) - logits_btv).abs().max() <= 1e-5 * logits_btv.abs().max()


@pytest.mark.parametrize("stabilizer", [SCALED, Stabilizer(), Stabilizer("spectral_norm", "qk+ffn")])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama"])
@pytest.mark.parametrize("norm", FOLDING)
def test_norms_fold_into_what_reads_them(norm, family, stabilizer, tmp_path) -> None:
    kinds = [("gelu", "full"), ("identity", "full"), ("identity", "fused"), ("identity", "none")]
    layers = (*(Layer(norm, activation, ffn) for activation, ffn in kinds), Layer("layernorm"), Layer("none"))
    for final, gated in (("layernorm", False), (norm, False), (norm, True)):
        architecture = tiny(
            family=family, layers=layers, final_norm=final, stabilizer=stabilizer, gated=gated
        )
        model = far_from_the_start(build_model(architecture, seed=0).double())
        inputs_bt, _ = batch()
        folded = fold(model)
        with torch.no_grad():
            torch.testing.assert_close(folded(inputs_bt), model(inputs_bt), atol=1e-9, rtol=1e-9)
        save_weights(folded, tmp_path / "folded.safetensors")
        loaded = FoldedDecoder(architecture).double().eval()
        load_weights(loaded, tmp_path / "folded.safetensors")
        assert torch.equal(loaded(inputs_bt), folded(inputs_bt))
        if NORMS[norm].operation is None:
            assert isinstance(folded.decoder_layers()[0].attention_norm, torch.nn.Identity)


def test_nothing_of_training_is_left() -> None:
    architecture = tiny(
        activation="identity",
        stabilizer=SCALED,
        attention=Attention(temperature="learned"),
        regularizer=Regularizer(0.1),
    )
    folded = fold(build_model(architecture, seed=0))
    assert isinstance(folded, FoldedDecoder)
    assert folded.architecture == folded_architecture(architecture)
    names = " ".join(folded.state_dict())
    assert not any(
        word in names for word in ("scaling", "temperature", "threshold", "parametrizations", "up.")
    )
    assert "layers.0.feed_forward.fused.weight" in names
    assert {layer.ffn for layer in folded.architecture.layers} == {"fused"}


def test_weights_of_a_folded_model_are_saved_and_loaded(tmp_path) -> None:
    architecture = tiny(norm="layernorm", stabilizer=SCALED, attention=Attention(temperature="learned"))
    folded = fold(far_from_the_start(build_model(architecture, seed=0)))
    save_weights(folded, tmp_path / "folded.safetensors")
    loaded = FoldedDecoder(architecture).eval()
    load_weights(loaded, tmp_path / "folded.safetensors")
    inputs_bt, _ = batch()
    assert torch.equal(loaded(inputs_bt), folded(inputs_bt))


def test_gated_identity_is_a_product_and_stays() -> None:
    architecture = tiny(activation="identity", gated=True, family="llama")
    assert folded_architecture(architecture).layers == architecture.layers


def test_folding_keeps_the_mode_and_the_random_state() -> None:
    model = build_model(tiny(stabilizer=Stabilizer("spectral_norm")), seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    fold(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_gain_of_zero_is_refused() -> None:
    model = build_model(tiny(stabilizer=SCALED), seed=0)
    scaling = model.decoder_layers()[1].scaling
    assert scaling is not None
    with torch.no_grad():
        scaling.beta.zero_()
    with pytest.raises(AeroSearchError, match=r"layers\.1 cannot be folded"):
        fold(model)
