"""Muon against torch's own, which parameters it trains, averages of weights, and identities that stay."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.errors import RequestError
from aero_search.model import build_model, parameter_groups
from aero_search.search.candidate import make_candidate
from aero_search.training.module import CandidateModule
from aero_search.training.muon import MuonAdamW, orthogonalize
from aero_search.training.optimizer import build_optimizer
from aero_search.training.recipe import Recipe
from tests.search.fakes import RECIPE

SMALL = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=40, layers=(Layer(), Layer("none", "relu")))
MUON = replace(RECIPE, optimizer="muon", lr=0.02, adamw_lr=3e-3)


def steps(
    parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer, count: int = 5
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def test_batched_muon_is_torchs_muon() -> None:
    shapes = [(16, 16), (16, 48), (48, 16), (16, 48), (5, 7), (16, 16)]
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    theirs = [nn.Parameter(tensor.clone()) for tensor in start]
    ours = [nn.Parameter(tensor.clone()) for tensor in start]
    expected = steps(
        theirs,
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    )
    group = {"params": ours, "weight_decay": 0.1}
    rest = {"params": [nn.Parameter(torch.zeros(1))], "weight_decay": 0.0}
    kind = {"lr": 0.02, "others_lr": 0.01, "momentum": 0.95, "betas": (0.9, 0.999), "eps": 1e-8}
    got = steps(ours, MuonAdamW([group], [rest], **kind))
    moved = max(float((e - s).abs().max()) for e, s in zip(expected, start, strict=True))
    for tensor, reference in zip(got, expected, strict=True):
        # torch's own iterates in bfloat16, of eight bits.
        assert float((tensor - reference).abs().max()) < 0.02 * moved


def test_what_muon_leaves_is_trained_as_adamw_does() -> None:
    other = nn.Parameter(torch.arange(6.0).reshape(2, 3))
    alone = nn.Parameter(other.detach().clone())
    matrix = {"params": [nn.Parameter(torch.eye(4))], "weight_decay": 0.1}
    both = MuonAdamW(
        [matrix],
        [{"params": [other], "weight_decay": 0.2}],
        lr=1.0,
        others_lr=0.01,
        momentum=0.9,
        betas=(0.9, 0.99),
        eps=1e-8,
    )
    adamw = torch.optim.AdamW([alone], lr=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.2)
    assert torch.equal(steps([other], both)[0], steps([alone], adamw)[0])


def test_orthogonalize_keeps_directions_and_evens_lengths() -> None:
    generator = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(3, 8, 8, generator=generator))
    v, _ = torch.linalg.qr(torch.randn(3, 20, 8, generator=generator))
    lengths = torch.logspace(-1.5, 1, 8)
    result = orthogonalize(u @ torch.diag_embed(lengths.expand(3, 8)) @ v.mT)
    along = u.mT @ result @ v
    values = along.diagonal(dim1=1, dim2=2)
    assert float((along - torch.diag_embed(values)).abs().max()) < 1e-4
    # Jordan's post: between 0.7 and 1.2 for singular values that are not tiny beside the largest.
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.25
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))


@pytest.mark.parametrize("kind", ["none", "scaled", "weight_norm", "spectral_norm"])
def test_muon_trains_the_matrices_of_the_layers_and_nothing_else(kind: str) -> None:
    architecture = replace(
        SMALL,
        layers=(Layer("none", "leaky_relu_learned"), Layer("none", "relu")),
        attention=Attention(temperature="learned"),
        regularizer=Regularizer(weight=0.01),
        stabilizer=Stabilizer(kind),  # type: ignore[arg-type] # one of its choices
    )
    model = build_model(architecture, seed=0)
    groups = build_optimizer(model, MUON).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(names), "each parameter once"
    muon = {names[id(p)] for group in groups if "momentum" in group for p in group["params"]}
    linears = {
        f"{name}.{inner}"
        for name, module in model.named_modules()
        if name.startswith("layers.") and isinstance(module, nn.Linear)
        for inner, parameter in module.named_parameters()
        if parameter.ndim == 2 and not inner.endswith("original0")
    }
    assert muon == linears
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    plain = parameter_groups(model, MUON.weight_decay)
    assert decays == {id(p): group["weight_decay"] for group in plain for p in group["params"]}
    rates = {group["lr"] for group in groups if "momentum" in group}
    assert rates == {MUON.lr}
    assert {g["lr"] for g in groups if "momentum" not in g} == {MUON.adamw_lr}


def test_the_average_of_the_weights_is_what_is_validated() -> None:
    module = CandidateModule(SMALL, replace(RECIPE, ema=0.75))
    assert module.trained is not module.decoder
    optimizer = torch.optim.SGD(module.decoder.parameters(), lr=1.0)
    seen = []
    for step in range(3):
        for parameter in module.decoder.parameters():
            parameter.grad = torch.full_like(parameter, step)
        module.optimizer_step(0, step, optimizer, lambda: None)
        seen.append(copy.deepcopy(module.decoder.state_dict()))
    for name, kept in module.trained.state_dict().items():
        expected = 0.75 * (0.75 * seen[0][name] + 0.25 * seen[1][name]) + 0.25 * seen[2][name]
        assert torch.allclose(kept, expected, atol=1e-5), name
    assert CandidateModule(SMALL, RECIPE).trained.training


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": "adamw", "adamw_lr": 1e-3}, "adamw_lr=0.001 has no effect"),
        ({"optimizer": "adamw", "momentum": 0.8}, "momentum=0.8 has no effect"),
        ({"optimizer": "muon", "adamw_lr": 0.0}, "adamw_lr=0 must be above 0"),
        ({"optimizer": "muon", "momentum": 1.0}, "momentum=1 must be at least 0 and below 1"),
        ({"ema": 1.0}, "ema=1 must be at least 0 and below 1"),
    ],
)
def test_settings_without_effect_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        replace(RECIPE, **changes)  # type: ignore[arg-type] # wrong on purpose


def test_identities_of_trainings_from_before_muon_stay() -> None:
    assert make_candidate(SMALL, RECIPE, "f" * 32).identity == "cd367d0ca28d"
    others = [MUON, replace(MUON, momentum=0.9), replace(MUON, adamw_lr=None), replace(RECIPE, ema=0.9)]
    assert len({make_candidate(SMALL, recipe, "f" * 32).identity for recipe in [RECIPE, *others]}) == 5


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
def test_the_fused_optimizer_moves_weights_as_the_plain_one_does(recipe: Recipe) -> None:
    fused, plain = build_model(SMALL, seed=0), build_model(SMALL, seed=0)
    ours, theirs = (
        build_optimizer(fused, recipe),
        build_optimizer(plain, replace(recipe, precision="bf16-mixed")),
    )
    groups = [group for group in ours.param_groups if "betas" in group]
    assert groups
    assert all(group["fused"] for group in groups)
    assert not any(group.get("fused") for group in theirs.param_groups)
    found, expected = steps(list(fused.parameters()), ours), steps(list(plain.parameters()), theirs)
    for tensor, reference in zip(found, expected, strict=True):
        assert torch.allclose(tensor, reference, rtol=1e-5, atol=1e-7)
