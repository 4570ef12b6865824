"""What every decoder promises: causality, seeds, starting values, parameter groups, losses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aero_search.architecture import Attention, InvalidArchitectureError, Layer, Regularizer, Stabilizer
from aero_search.model import (
    build_model,
    count_parameters,
    count_thresholds,
    default_init_std,
    parameter_groups,
)
from tests.model.helpers import LENGTH, VOCAB, batch, tiny, train

TEMPERED = Attention(temperature="learned", temperature_init=0.1)
SHAPED = Attention(value_projection="identity", shaped=True)


@settings(max_examples=25)
@given(
    family=st.sampled_from(["gpt2", "pythia", "llama"]),
    norm=st.sampled_from(["none", "layernorm", "rmsnorm"]),
    ffn=st.sampled_from(["full", "fused", "none"]),
    attention=st.sampled_from([Attention(), TEMPERED, SHAPED]),
    cut=st.integers(1, LENGTH - 1),
    seed=st.integers(0, 1000),
)
def test_no_token_sees_the_future(family, norm, ffn, attention, cut, seed) -> None:
    architecture = tiny(family=family, norm=norm, ffn=ffn, attention=attention)
    # In double precision rounding, which differs with the length, cannot pass for a leak.
    model = build_model(architecture, seed=seed, init_std=0.3).double()
    tokens_bt, other_bt = batch(seed=seed)[0], batch(seed=seed + 1)[0].clone()
    other_bt[:, :cut] = tokens_bt[:, :cut]
    with torch.no_grad():
        for run in (model, lambda x: model.forward_with_entropy(x)[0]):
            torch.testing.assert_close(run(tokens_bt)[:, :cut], run(other_bt)[:, :cut], atol=1e-10, rtol=1e-9)
            torch.testing.assert_close(
                run(tokens_bt[:, :cut]), run(tokens_bt)[:, :cut], atol=1e-10, rtol=1e-9
            )


def test_same_seed_same_weights_and_global_random_state_untouched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build_model(tiny(stabilizer=Stabilizer("spectral_norm")), seed=1)
    assert torch.equal(torch.rand(3), expected)
    second = build_model(tiny(stabilizer=Stabilizer("spectral_norm")), seed=1)
    tensors = second.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in first.state_dict().items())
    third = build_model(tiny(stabilizer=Stabilizer("spectral_norm")), seed=2)
    assert not torch.equal(first.token_embedding.weight, third.token_embedding.weight)


def test_without_a_seed_the_global_state_decides() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(build_model(tiny()).token_embedding.weight)
    assert torch.equal(*weights)
    assert not torch.equal(build_model(tiny()).token_embedding.weight, weights[0])


def test_neighbours_start_from_the_same_weights() -> None:
    with_norm = dict(build_model(tiny(norm="layernorm"), seed=1).named_parameters())
    without = dict(build_model(tiny(ffn="fused", regularizer=Regularizer(0.1)), seed=1).named_parameters())
    shared = [name for name in with_norm.keys() & without.keys() if with_norm[name].ndim == 2]
    assert "layers.1.attention.query.weight" in shared
    assert all(torch.equal(with_norm[name], without[name]) for name in shared)


def test_initial_values() -> None:
    assert default_init_std(768) == pytest.approx(0.02)
    assert default_init_std(64) == pytest.approx(0.0693, abs=1e-4)
    architecture = tiny(d_model=64, n_head=4, tied_embeddings=False, stabilizer=Stabilizer("scaled"))
    for std in (None, 0.5):
        model = build_model(architecture, seed=0, init_std=std)
        wanted = default_init_std(64) if std is None else std
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                assert (parameter == 0).all(), name
            elif parameter.ndim == 2:
                assert parameter.std().item() == pytest.approx(wanted, rel=0.1), name
                assert abs(parameter.mean().item()) < 0.1 * wanted, name
        scaling = model.decoder_layers()[0].scaling
        assert scaling is not None
        assert (scaling.alpha.item(), scaling.beta.item()) == (1.0, 1.0)


def test_shaped_attention_over_identity_values_starts_as_the_identity() -> None:
    attention = build_model(tiny(attention=SHAPED), seed=0).decoder_layers()[0].attention
    x_btc = torch.randn(2, LENGTH, 16)
    torch.testing.assert_close(attention(x_btc)[0], x_btc)


def test_tied_embeddings_have_one_tensor() -> None:
    tied, untied = build_model(tiny(), seed=0), build_model(tiny(tied_embeddings=False), seed=0)
    assert tied.head is None
    assert count_parameters(untied) - count_parameters(tied) == VOCAB * 16
    hidden = torch.eye(16)[None, :LENGTH]
    tied.final_norm = torch.nn.Identity()
    tied.layers = torch.nn.ModuleList()
    tied.token_embedding.forward = lambda _: hidden  # type: ignore[method-assign]
    tied.position_embedding = None
    logits = tied(torch.zeros(1, LENGTH, dtype=torch.long))
    torch.testing.assert_close(logits[0], tied.token_embedding.weight.T[:LENGTH])


def test_parameter_groups_hold_each_parameter_once_and_decay_matrices_only() -> None:
    layers = (Layer("layernorm", "leaky_relu_shared"), Layer("rmsnorm", "leaky_relu_shared"))
    for stabilizer in (
        Stabilizer("scaled"),
        Stabilizer("weight_norm", "qkvo+ffn"),
        Stabilizer("spectral_norm"),
    ):
        for rest in ({"attention": TEMPERED, "regularizer": Regularizer(0.1)}, {"attention": SHAPED}):
            model = build_model(tiny(layers=layers, stabilizer=stabilizer, **rest), seed=0)
            names = {id(p): name for name, p in model.named_parameters()}
            decayed, kept = parameter_groups(model, 0.1)
            assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
            grouped = [id(p) for group in (decayed, kept) for p in group["params"]]
            assert sorted(grouped) == sorted(names)
            for parameter in decayed["params"]:
                name = names[id(parameter)]
                assert parameter.ndim == 2, name
                assert not any(
                    word in name
                    for word in ("norm.", "bias", "scaling", "original0", "log_ratio", "threshold")
                ), name
            for parameter in kept["params"]:
                name = names[id(parameter)]
                matrix = name.endswith((".weight", "weight.original", "original1")) and parameter.ndim == 2
                assert not matrix, name


def test_thresholds_are_counted_apart() -> None:
    plain, regularized = build_model(tiny()), build_model(tiny(regularizer=Regularizer(0.1)))
    assert count_parameters(plain) == count_parameters(regularized)
    assert (count_thresholds(plain), count_thresholds(regularized)) == (0, 4)


def test_a_shared_slope_is_one_parameter() -> None:
    shared = build_model(tiny(activation="leaky_relu_shared"))
    learned = build_model(tiny(activation="leaky_relu_learned"))
    assert count_parameters(learned) - count_parameters(shared) == 1


def test_loss_without_regularizer_is_cross_entropy() -> None:
    loss = build_model(tiny(), seed=0).loss(*batch())
    assert loss.penalty == 0
    assert torch.equal(loss.total, loss.cross_entropy)
    assert loss.cross_entropy.item() == pytest.approx(math.log(VOCAB), rel=0.1)


def test_loss_with_regularizer_adds_the_weighted_penalty_and_moves_thresholds() -> None:
    model = build_model(tiny(regularizer=Regularizer(0.5, margin=0.0)), seed=0)
    loss = model.loss(*batch())
    assert loss.penalty > 0
    torch.testing.assert_close(loss.total, loss.cross_entropy + 0.5 * loss.penalty)
    loss.total.backward()
    assert model.thresholds_lh is not None
    assert model.thresholds_lh.shape == (2, 2)
    assert model.thresholds_lh.grad is not None
    assert (model.thresholds_lh.grad != 0).all()


def test_head_entropy_rises_with_the_starting_temperature_and_leaves_no_trace() -> None:
    means = []
    for init in (0.01, 0.1, 1.0, 100.0):
        attention = Attention(temperature="learned", temperature_init=init)
        model = build_model(tiny(attention=attention), seed=0, init_std=0.3)
        entropy_lh = model.head_entropy(batch()[0])
        assert entropy_lh.shape == (2, 2)
        assert not entropy_lh.requires_grad
        means.append(entropy_lh.mean().item())
    assert means == sorted(means)
    assert means[-1] == pytest.approx(sum(math.log(i + 1) for i in range(LENGTH)) / LENGTH, rel=1e-3)

    spectral = build_model(tiny(stabilizer=Stabilizer("spectral_norm")), seed=0).train()
    before = {name: tensor.clone() for name, tensor in spectral.state_dict().items()}
    spectral.head_entropy(batch()[0])
    assert spectral.training
    assert all(torch.equal(before[name], tensor) for name, tensor in spectral.state_dict().items())


def test_temperatures_stay_positive_while_they_learn() -> None:
    model = build_model(tiny(attention=replace(TEMPERED, temperature_init=0.01)), seed=0)
    # At this rate the weights would diverge, on some processors within ten steps.
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("temperature" in name)
    train(model, steps=10, lr=0.5)
    for layer in model.decoder_layers():
        assert layer.attention.temperature is not None
        temperature_ht = layer.attention.temperature(LENGTH)
        assert temperature_ht.shape == (2, LENGTH)
        assert (temperature_ht > 0).all()
        assert not torch.allclose(temperature_ht, torch.tensor(0.01))


def test_refusals() -> None:
    with pytest.raises(InvalidArchitectureError, match="multiple of"):
        build_model(tiny(n_head=3))
    with pytest.raises(ValueError, match=r"13 tokens are more than model\.seq_len=12"):
        build_model(tiny())(torch.zeros(1, LENGTH + 1, dtype=torch.long))


def test_builds_on_the_meta_device() -> None:
    for stabilizer in (Stabilizer(), Stabilizer("weight_norm")):
        with torch.device("meta"):
            model = build_model(tiny(stabilizer=stabilizer), seed=0)
            logits = model(torch.zeros(2, LENGTH, dtype=torch.long))
        assert logits.is_meta
        assert logits.shape == (2, LENGTH, VOCAB)


def test_the_penalty_scale_multiplies_the_penalty_alone() -> None:
    model = build_model(tiny(norm="none", attention=TEMPERED, regularizer=Regularizer(weight=0.5)), seed=0)
    inputs_bt, targets_bt = batch()
    once, thrice, never = (
        model.loss(inputs_bt, targets_bt, penalty_scale=scale) for scale in (1.0, 3.0, 0.0)
    )
    assert once.penalty > 0
    torch.testing.assert_close(thrice.total - thrice.cross_entropy, 3 * (once.total - once.cross_entropy))
    torch.testing.assert_close(never.total, once.cross_entropy)
    # Every parameter still gets a gradient, which several devices wait for.
    never.total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
