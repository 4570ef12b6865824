"""What a candidate looks like in numbers: complete, finite, blind to seeds, exact about parameters."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from torch import nn

from aero_search.architecture import Architecture, Layer, canonical
from aero_search.model import build_model
from aero_search.search.candidate import make_candidate
from aero_search.search.known_cost.features import features, matrix_parameters
from tests.architecture.strategies import architectures
from tests.search.fakes import BASE, RECIPE


def of(architecture: Architecture, **recipe: float) -> np.ndarray:
    return features(make_candidate(architecture, replace(RECIPE, **recipe), "corpus"))  # type: ignore[arg-type]


@given(architectures())
@settings(deadline=None)
def test_every_architecture_has_finite_features_of_one_length(architecture: Architecture) -> None:
    described = of(architecture)
    assert described.shape == of(BASE).shape
    assert np.isfinite(described).all()
    np.testing.assert_array_equal(described, of(canonical(architecture)))


def test_seeds_are_not_described_and_the_learning_rate_is() -> None:
    np.testing.assert_array_equal(of(BASE), of(BASE, seed=5, data_seed=7))
    assert (of(BASE) != of(BASE, lr=2e-3)).sum() == 1


def test_places_of_layers_are_told_apart_up_to_four_layers() -> None:
    kinds = (Layer("layernorm"), Layer("none"))
    described = {tuple(of(replace(BASE, layers=layers))) for layers in product(kinds, repeat=4)}
    assert len(described) == 2**4


def test_depth_of_a_kind_is_told_with_its_sign() -> None:
    early = of(replace(BASE, layers=(Layer(ffn="full"), Layer(ffn="none"))))
    late = of(replace(BASE, layers=(Layer(ffn="none"), Layer(ffn="full"))))
    both = early + late
    # Mirrored networks share the even moments; the odd ones cancel.
    assert (early != late).any()
    np.testing.assert_allclose(both[early != late], 0.0, atol=1e-12)


@given(architectures())
@settings(max_examples=40, deadline=None)
def test_parameters_are_counted_as_the_model_has_them(architecture: Architecture) -> None:
    plain = canonical(replace(architecture, stabilizer=type(architecture.stabilizer)()))
    model = build_model(plain)
    matrices = {
        id(m.weight): m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear | nn.Embedding)
    }
    assert matrix_parameters(plain) == pytest.approx(sum(matrices.values()))
