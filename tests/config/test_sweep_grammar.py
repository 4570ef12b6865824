"""Hydra's sweep grammar, read as parameters."""

from __future__ import annotations

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from aero_search.config.paths import conf_dir
from aero_search.config.sweep_grammar import fixed_parameter, grid, swept_parameter
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
        ("x=range(0.1,0.35,0.1)", Categorical("x", (0.1, 0.2, 0.3))),
        ("x=range(3)", Categorical("x", (0, 1, 2))),
        ("x=range(5,1,-2)", Categorical("x", (5, 3))),
        ("x=interval(1,4)", Real("x", 1.0, 4.0)),
        ("x=tag(log,int(interval(1,64)))", Integer("x", 1, 64, log=True)),
        ("x=float(interval(1,4))", Real("x", 1.0, 4.0)),
        ("x=shuffle(a,b,a)", Categorical("x", ("a", "b"))),
        ("x=sort(3,1,2)", Categorical("x", (1, 2, 3))),
        ("x=true,null,0.5", Categorical("x", (True, None, 0.5))),
        ("+x=1,2", Categorical("x", (1, 2))),
    ],
)
def test_sweeps(text: str, parameter: Parameter) -> None:
    found = parse(text)
    if "shuffle" in text:
        assert isinstance(found, Categorical)
        assert isinstance(parameter, Categorical)
        assert set(found.choices) == set(parameter.choices)
    else:
        assert found == parameter


def test_glob_lists_the_options_of_a_group() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        (override,) = OverridesParser.create(loader).parse_overrides(["norm=glob(*norm)"])
        assert swept_parameter(override) == Categorical("norm", ("batchnorm", "layernorm", "rmsnorm"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ffn.layers=tag(log,range(1,9))", "a range has steps, so tag"),
        ("x=tag(log,choice(1,10))", "choices have no order, so tag"),
        ("x=tag(lgo,interval(1,10))", r"tag\(lgo, ...\) is not known: the one tag is log"),
        ("x=range(4,1)", "names nothing: a range needs its end above its start"),
    ],
)
def test_what_cannot_be_swept_is_told(text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        parse(text)


def test_a_plain_value_is_a_single_choice() -> None:
    (override,) = OverridesParser.create().parse_overrides(["recipe.lr=1e-3"])
    assert fixed_parameter(override) == Categorical("recipe.lr", (1e-3,))


def test_grid_is_every_combination() -> None:
    points = grid([Categorical("a", (1, 2)), Categorical("b", ("x", "y"))])
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
