"""Spaces: what they draw, what they refuse, how a command line narrows them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from aero_search.config.paths import search_spaces_dir
from aero_search.errors import RequestError
from aero_search.space import Categorical, Integer, Real, Space, load_space

SIZES = {"n_layer": 4}


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


def draws(space: Space, n: int = 60) -> list[dict[str, object]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [dict(space.suggest(study.ask())) for _ in range(n)]


@pytest.mark.parametrize("path", sorted(search_spaces_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_spaces_draw_and_explain_themselves(path: Path) -> None:
    space = load_space(path.stem, search_spaces_dir(), SIZES)
    assert len(space.description) > 20
    for assignment in draws(space):
        for parameter in space.parameters:
            assert (parameter.name in assignment) == parameter.active(assignment)
            assert parameter.name not in assignment or parameter.contains(assignment[parameter.name])  # type: ignore[arg-type]


def test_conditions_and_named_bounds(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        """
description: a space for the test
parameters:
  ffn: {choices: [full, fused]}
  ffn.layers: {int: {low: 1, high: n_layer}}
  activation: {choices: [gelu, relu], when: {ffn: full}}
  recipe.lr: {real: {low: 1.0e-4, high: 1.0e-2, log: true}}
start:
  - {ffn: fused, ffn.layers: n_layer}
""",
    )
    space = load_space(name, tmp_path, SIZES)
    assert space.start == ({"ffn": "fused", "ffn.layers": 4},)
    assert {d["ffn.layers"] for d in draws(space)} == {1, 2, 3, 4}
    assert all(("activation" in d) == (d["ffn"] == "full") for d in draws(space))
    assert space.overrides({"ffn.layers": 2, "ffn": "full"}) == ["ffn=full", "ffn.layers=2"]


def test_the_command_line_narrows_a_space() -> None:
    space = Space(
        "s",
        "",
        (Categorical("norm", ("layernorm", "none")), Real("recipe.lr", 1e-4, 1e-2, log=True)),
        start=({"norm": "layernorm", "recipe.lr": 1e-3}, {"norm": "none", "recipe.lr": 1e-3}),
    )
    narrowed = space.with_parameters(Categorical("recipe.lr", (5e-4,)), Integer("ffn.layers", 0, 2))
    assert [p.name for p in narrowed.parameters] == ["norm", "recipe.lr", "ffn.layers"]
    assert narrowed.start[0] == {"norm": "layernorm", "recipe.lr": 5e-4}
    assert {d["recipe.lr"] for d in draws(narrowed)} == {5e-4}
    only_none = space.with_parameters(Categorical("norm", ("none", "rmsnorm")))
    assert only_none.start == ({"norm": "none", "recipe.lr": 1e-3},)


BAD = {
    "description: x\nparameters: {a: {choices: []}}": "a has no choices",
    "description: x\nparameters: {a: {}}": "exactly one of choices, int and real",
    "description: x\nparameters: {a: {int: {low: 3, high: 1}}}": "low=3 above high=1",
    "description: x\nparameters: {a: {real: {low: 0.0, high: 1.0, log: true}}}": "low=0.0 must be above 0",
    "description: x\nparameters: {a: {int: {low: 1, high: n_layr}}}": "did you mean 'n_layer'",
    "description: x\nparameters: {a: {choices: [1], when: {b: 1}}}": "conditional on b",
    "description: x\nparameters: {b: {choices: [1]}, a: {choices: [1], when: {b: 2}}}": "waits for b=2",
    "description: x\nparameters: {a: {choices: [1]}}\nstart: [{b: 1}]": "start names b",
    "description: x\nparameters: {a: {choices: [1]}}\nstart: [{a: 2}]": "start has a=2",
    "description: x\nparametrs: {}": "did you mean 'parameters'",
    "description: !!python/object/apply:os.system ['true']\nparameters: {}": "is not YAML",
    "a: [": "is not YAML",
    "description: x\nparameters: {a: {int: {low: 1, high: 4, step: 0}}}": "step=0: at least 1",
    "description: x\nparameters: {a: {int: {low: 1.5, high: 4}}}": "must be whole numbers",
}


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_bad_spaces_are_told_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        load_space(write(tmp_path, text), tmp_path, SIZES)


def test_an_unknown_space_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean 'aero'"):
        load_space("aeroo", search_spaces_dir(), SIZES)


def test_a_narrowed_parameter_still_counts_only_where_it_did() -> None:
    space = load_space("aero", search_spaces_dir(), SIZES)
    narrowed = space.with_parameters(Categorical("regularizer.weight", (0.02,)))
    drawn = draws(narrowed)
    assert {d["regularizer.weight"] for d in drawn if "regularizer.weight" in d} == {0.02}
    assert all(("regularizer.weight" in d) == (d.get("regularizer") == "entropy") for d in drawn)
