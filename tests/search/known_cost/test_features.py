"""What a candidate looks like in numbers: complete, finite, blind to seeds, exact about parameters."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from torch import nn

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, canonical, key
from aero_search.init.checkpoint import Checkpoint
from aero_search.init.recovery import DistillSpec, Recovery, TrainSpec
from aero_search.model import build_model
from aero_search.schema import alternatives
from aero_search.search.candidate import make_candidate
from aero_search.search.known_cost.features import _reader, features, matrix_parameters
from tests.architecture.strategies import architectures
from tests.search.fakes import BASE, RECIPE


def of(architecture: Architecture, **recipe: float | str) -> np.ndarray:
    return features(make_candidate(architecture, replace(RECIPE, **recipe), "corpus"))  # type: ignore[arg-type]


@given(architectures())
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
@settings(max_examples=40)
def test_parameters_are_counted_as_the_model_has_them(architecture: Architecture) -> None:
    plain = canonical(replace(architecture, stabilizer=type(architecture.stabilizer)()))
    model = build_model(plain)
    matrices = {
        id(m.weight): m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear | nn.Embedding)
    }
    assert matrix_parameters(plain) == pytest.approx(sum(matrices.values()))


# Every setting of it has an effect.
ACTIVE = replace(
    BASE,
    layers=(Layer(),) * 2,
    attention=Attention(temperature="learned"),
    stabilizer=Stabilizer("weight_norm"),
    regularizer=Regularizer(weight=0.02),
)
# Every field of it has an effect.
MUON = replace(RECIPE, optimizer="muon")


def others(hint: Any, value: Any) -> Iterator[Any]:
    """Other values of a field, by its type."""
    if choices := alternatives(hint):
        yield from (choice for choice in choices if choice != value)
    elif get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        yield from ([None] if value is not None else [])
        start = (alternatives(kinds[0]) or (kinds[0](1),))[0]
        yield from others(kinds[0], start if value is None else value)
    elif hint is bool:
        yield not value
    elif hint is int:
        yield value + 1
    elif hint is float:
        yield value / 2 if value else 0.5
    else:
        raise AssertionError(
            f"no other value of {hint!r} is known here: add one, and see that it is described"
        )


def test_what_a_space_may_vary_of_a_recovery_is_described() -> None:
    checkpoint = Checkpoint("x", Path("x"), BASE, ())
    vary = [
        Recovery(checkpoint),
        Recovery(checkpoint, DistillSpec(0.5)),
        Recovery(checkpoint, DistillSpec(0.5, 2.0)),
        Recovery(checkpoint, DistillSpec(0.5, 1.0, "logits+hidden")),
        Recovery(checkpoint, train=TrainSpec("norms_and_heads")),
        Recovery(checkpoint, train=TrainSpec("adapters")),
        Recovery(checkpoint, train=TrainSpec("adapters", 4)),
    ]
    found = [features(make_candidate(BASE, RECIPE, "corpus", recovery=recovery)) for recovery in vary]
    assert len({tuple(row) for row in found}) == len(vary)
    assert len({len(row) for row in found}) == 1


def changes(part: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """`part` with one of its fields changed, for every field and fields of fields, by dotted name."""
    for name, hint in get_type_hints(type(part), include_extras=True).items():
        value = getattr(part, name)
        if name == "layers":
            for changed_name, layer in changes(value[0], "layers."):
                yield changed_name, replace(part, layers=(layer, *value[1:]))
        elif dataclasses.is_dataclass(value):
            for changed_name, inner in changes(value, f"{where}{name}."):
                yield changed_name, replace(part, **{name: inner})
        else:
            for other in others(hint, value):
                yield f"{where}{name}={other}", replace(part, **{name: other})


@pytest.mark.parametrize(
    ("name", "changed"), list(changes(ACTIVE)), ids=[name for name, _ in changes(ACTIVE)]
)
def test_no_field_of_an_architecture_is_left_out(name: str, changed: Architecture) -> None:
    """Also a field that is added later: two networks are two points."""
    if key(changed) != key(ACTIVE):
        assert (of(changed) != of(ACTIVE)).any(), name


def test_two_networks_that_differ_in_how_often_they_are_regularized_are_two_points() -> None:
    rare = replace(ACTIVE, regularizer=replace(ACTIVE.regularizer, every=1))
    assert (of(rare) != of(ACTIVE)).sum() == 1


@pytest.mark.parametrize(("name", "changed"), list(changes(MUON)), ids=[name for name, _ in changes(MUON)])
def test_no_field_of_a_recipe_is_left_out_but_its_seeds(name: str, changed: Any) -> None:
    different = features(make_candidate(BASE, changed, "corpus")) != of(BASE, optimizer="muon")
    assert different.any() == (name.partition("=")[0] not in ("seed", "data_seed"))


@dataclass(frozen=True)
class Added:
    """Fields of kinds that no architecture has yet."""

    kind: Literal["a", "b", "c"] | None
    count: int | None


def test_a_field_of_any_plain_type_is_described() -> None:
    hints = get_type_hints(Added)
    kind, count = _reader("kind", hints["kind"]), _reader("count", hints["count"])
    assert len({tuple(kind(value)) for value in (None, "a", "b", "c")}) == 4
    assert len({tuple(count(value)) for value in (None, 1, 2)}) == 3
    with pytest.raises(TypeError, match=r"text has the type .* give it a place"):
        _reader("text", str)
