"""Operations that a protocol does not name are priced by what they are made of, or refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from aero_search.cost import Protocol
from aero_search.cost.charge import Charge, charge
from aero_search.cost.inventory import Operation
from aero_search.errors import RequestError
from aero_search.schema import from_mapping
from tests.cost.conftest import shipped

SHAPE = (128, 768)


def protocol(without: tuple[str, ...] = (), **use: str) -> Protocol:
    content: dict[str, Any] = shipped("protocol", "spu_cheetah_0_9_5")
    content["use"] = {kind: name for kind, name in content["use"].items() if kind not in without} | use
    return from_mapping(Protocol, content, "protocol")


def price(kind: str, of: Protocol) -> Charge:
    return charge(Operation("norm", "-", kind, SHAPE), of)


def test_two_comparisons_at_once_take_the_rounds_of_one() -> None:
    of = protocol()
    one, two = price("relu", of), price("hard_dyt", of)
    assert two.bytes == pytest.approx(2 * one.bytes)
    assert two.rounds == pytest.approx(one.rounds)
    assert price("relu6", of) == two


def test_several_kinds_follow_one_another() -> None:
    of = protocol()
    relu, factor, pieces = price("relu", of), price("public_scale", of), price("piecewise_5", of)
    assert pieces.bytes == pytest.approx(4 * relu.bytes + factor.bytes)
    assert pieces.rounds == pytest.approx(relu.rounds + factor.rounds)


def test_its_own_line_comes_first() -> None:
    of = protocol(hard_dyt="free")
    assert price("hard_dyt", of) == Charge()


def test_a_system_without_comparisons_has_none_of_what_they_make() -> None:
    with pytest.raises(
        RequestError, match=r"does not say how to run hard_dyt, nor relu, of which it can be built: "
    ):
        price("hard_dyt", protocol(without=("relu",)))


def test_a_gainless_norm_costs_less_than_the_one_with_a_gain() -> None:
    of = protocol()
    assert price("simple_rms", of).bytes < price("rmsnorm", of).bytes
    assert price("hard_dyt", of).bytes < price("rmsnorm", of).bytes < price("dyt", of).bytes
