"""Hydra's sweep grammar, read as parameters."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from aero_search.config.sweeps import fixed_parameter, grid, swept_parameter
from aero_search.errors import RequestError
from aero_search.space import Categorical, Integer, Parameter, Real


def parse(text: str) -> Parameter:
    (override,) = OverridesParser.create().parse_overrides([text])
    return swept_parameter(override)


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("norm=layernorm,none", Categorical("norm", ("layernorm", "none"))),
        ("norm=choice(layernorm,none)", Categorical("norm", ("layernorm", "none"))),
        ("ffn.layers=range(1,4)", Categorical("ffn.layers", (1, 2, 3))),
        ("ffn.layers=[0,2],[1]", Categorical("ffn.layers", ("[0,2]", "[1]"))),
        ("recipe.lr=interval(0.1,1.0)", Real("recipe.lr", 0.1, 1.0)),
        ("recipe.lr=tag(log,interval(0.001,0.1))", Real("recipe.lr", 0.001, 0.1, log=True)),
        ("ffn.layers=int(interval(1,4))", Integer("ffn.layers", 1, 4)),
        ("x='a b',c", Categorical("x", ("a b", "c"))),
    ],
)
def test_sweeps(text: str, parameter: Parameter) -> None:
    assert parse(text) == parameter


def test_a_logarithmic_range_is_refused() -> None:
    with pytest.raises(RequestError, match="needs an interval"):
        parse("ffn.layers=tag(log,range(1,9))")


def test_a_plain_value_is_a_single_choice() -> None:
    (override,) = OverridesParser.create().parse_overrides(["recipe.lr=1e-3"])
    assert fixed_parameter(override) == Categorical("recipe.lr", (1e-3,))


def test_grid_is_every_combination() -> None:
    points = grid([Categorical("a", (1, 2)), Categorical("b", ("x", "y"))])
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
