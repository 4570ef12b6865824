"""Spaces: what they draw, what they refuse, how a command line narrows them."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest

from aero_search.config.paths import search_spaces_dir
from aero_search.errors import RequestError
from aero_search.space import Categorical, Integer, Real, Space, load_space, space_base

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


def test_a_number_among_the_choices_keeps_its_kind(tmp_path):
    path = tmp_path / "kinds.yaml"
    path.write_text("description: x\nparameters: {model.n_kv_head: {choices: [1, 2.0, true, null, a]}}")
    (parameter,) = load_space(str(path), tmp_path, {}).parameters
    assert [(type(value), value) for value in parameter.values()] == [
        (int, 1),
        (float, 2.0),
        (bool, True),
        (type(None), None),
        (str, "a"),
    ]


LOWERED = """
description: Norms, and the lowerings of GELU.
parameters:
  norm: {choices: [layernorm, none]}
  protocol.use.gelu: {choices: [gelu_puma, gelu_tanh]}
"""


def test_a_lowering_is_listed_and_not_drawn(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, LOWERED), tmp_path, SIZES)
    assert [p.name for p in space.parameters] == ["norm"]
    assert space.lowerings == {"gelu": ("gelu_puma", "gelu_tanh")}
    one = Categorical("protocol.use.gelu", ("gelu_tanh",))
    other = Categorical("protocol.use.softmax", ("softmax_divide", "softmax_broadcast"))
    narrowed = space.with_parameters(one, other)
    assert narrowed.parameters == space.parameters
    assert narrowed.lowerings == {"gelu": ("gelu_tanh",), "softmax": ("softmax_divide", "softmax_broadcast")}
    with pytest.raises(
        RequestError, match=r"protocol.use.gelu chooses a lowering: give it a list of their names"
    ):
        space.with_parameters(Integer("protocol.use.gelu", 1, 2))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{int: {low: 1, high: 2}}", "protocol.use.gelu chooses a lowering: give it choices alone"),
        (
            "{choices: [gelu_tanh], each: layer}",
            "protocol.use.gelu chooses a lowering: give it choices alone",
        ),
        ("{choices: [gelu_tanh], when: {norm: none}}", "chooses a lowering: give it choices alone"),
        ("{choices: [1, 2]}", "protocol.use.gelu chooses a lowering: give it a list of their names"),
        ("{choices: []}", "protocol.use.gelu chooses a lowering: give it a list of their names"),
        ("{choices: ['${oc.env:HOME}']}", "a file may name words, numbers and lists"),
    ],
)
def test_a_lowering_is_one_of_a_list(entry: str, message: str, tmp_path: Path) -> None:
    text = LOWERED.replace("{choices: [gelu_puma, gelu_tanh]}", entry)
    with pytest.raises(RequestError, match=re.escape(message)):
        load_space(write(tmp_path, text), tmp_path, SIZES)


def test_a_lowering_is_no_setting_of_the_training_and_no_starting_value(tmp_path: Path) -> None:
    tuned = "description: x\nparameters: {norm: {choices: [none]}}\ntune: {protocol.use.gelu: {choices: [a]}}"
    with pytest.raises(RequestError, match=r"tune sets protocol.use.gelu, which a file may not"):
        load_space(write(tmp_path, tuned), tmp_path, SIZES)
    started = LOWERED + "start:\n  - {protocol.use.gelu: gelu_tanh}\n"
    with pytest.raises(RequestError, match=r"start names protocol.use.gelu, which is no parameter"):
        load_space(write(tmp_path, started), tmp_path, SIZES)


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


LAYERED = """
description: a space for the test
parameters:
  ffn.kind: {choices: [full, fused], each: layer}
  activation.kind: {choices: [gelu, relu], each: layer, when: {ffn.kind: full}}
  recipe.lr: {real: {low: 0.001, high: 0.01, step: 0.003}}
start:
  - {ffn.kind: full, activation.kind: relu, recipe.lr: 0.004}
"""


def test_each_layer_has_its_own_parameter_and_condition(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, LAYERED), tmp_path, SIZES)
    assert [p.name for p in space.parameters][:5] == [f"ffn.kind[{i}]" for i in range(4)] + [
        "activation.kind[0]"
    ]
    for drawn in draws(space):
        for i in range(4):
            assert (f"activation.kind[{i}]" in drawn) == (drawn[f"ffn.kind[{i}]"] == "full")
        lines = dict(line.split("=") for line in space.overrides(drawn))  # type: ignore[arg-type]
        kinds = lines["ffn.kind"].strip("[]").split(",")
        assert kinds == [drawn[f"ffn.kind[{i}]"] for i in range(4)]
        assert ("activation.kind" in lines) == ("full" in kinds)
    assert space.overrides(space.start[0]) == [
        "ffn.kind=[full,full,full,full]", "activation.kind=[relu,relu,relu,relu]", "recipe.lr=0.004",
    ]  # fmt: skip


def test_a_layered_parameter_is_narrowed_in_every_layer(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, LAYERED), tmp_path, SIZES)
    narrowed = space.with_parameters(Categorical("activation.kind", ("relu",)))
    values = {v for d in draws(narrowed) for k, v in d.items() if k.startswith("activation")}
    assert values == {"relu"}
    with pytest.raises(RequestError, match="varies by layer in space=mine: narrow it with single values"):
        space.with_parameters(Categorical("ffn.kind", ("[full,full,fused,fused]",)))


def test_a_range_with_steps_draws_its_steps_and_nothing_else(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, LAYERED), tmp_path, SIZES)
    (lr,) = [p for p in space.parameters if p.name == "recipe.lr"]
    drawn = {d["recipe.lr"] for d in draws(space)}
    assert drawn == {0.001, 0.004, 0.007, 0.01}
    assert all(lr.contains(value) for value in drawn)  # type: ignore[arg-type]
    assert not lr.contains(0.005)


def test_a_space_says_what_it_was_made_for() -> None:
    base = space_base("tiny", search_spaces_dir())
    assert "model.n_layer=2" in base
    assert space_base("aero", search_spaces_dir()) == ("search.confirm=2",)
    assert space_base("aero_per_layer", search_spaces_dir()) == ()


BAD = {
    "description: x\nparameters: {a: {choices: [1], each: head}}": "each=head is not a choice",
    "description: x\nparameters: {b: {choices: [1], each: layer}, a: {choices: [1], when: {b: 1}}}": "layer too",
    "description: x\nparameters: {a: {real: {low: 0.1, high: 1.0, step: -0.1}}}": "step=-0.1: above 0",
    "description: x\nparameters: {a: {real: {low: 0.1, high: 1.0, step: 0.1, log: true}}}": "none with log",
    "description: x\nparameters: {a: {int: {low: 1, high: 4, step: 0.5}}}": "step=0.5 must be a whole number",
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
    "description: !!python/object/apply:os.system ['true']\nparameters: {}": "has the YAML tag",
    "a: [": "is not YAML",
    "description: x\nparameters: {a: {int: {low: 1, high: 4, step: 0}}}": "step=0: at least 1",
    "description: x\nparameters: {a: {int: {low: 1.5, high: 4}}}": "must be whole numbers",
    "description: x\nparameters: {ffn: {choices: [full]}}\ntune: {norm: {choices: [none]}}": "another network",
    "description: x\nparameters: {recipe.lr: {choices: [1]}}\ntune: {recipe.lr: {choices: [1]}}": "and under tune",
    "description: x\nparameters: {norm: {choices: [none], when: {regularizer: entropy}}}\n"
    "tune: {regularizer: {choices: [none, entropy]}}": "conditional on regularizer",
}


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_bad_spaces_are_told_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        load_space(write(tmp_path, text), tmp_path, SIZES)


def test_an_unknown_space_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean 'aero'"):
        load_space("aeroo", search_spaces_dir(), SIZES)


def test_a_narrowed_parameter_still_counts_only_where_it_did() -> None:
    space = load_space("aero_plus", search_spaces_dir(), SIZES)
    narrowed = space.with_parameters(Categorical("regularizer.weight", (0.02,)))
    drawn = draws(narrowed)
    assert {d["regularizer.weight"] for d in drawn if "regularizer.weight" in d} == {0.02}
    assert all(("regularizer.weight" in d) == (d.get("regularizer") == "entropy") for d in drawn)


TUNED = """
description: a space for the test
parameters:
  attention.temperature: {choices: [none, learned]}
tune:
  attention.temperature_init: {real: {low: 0.01, high: 1.0, log: true}, when: {attention.temperature: learned}}
  recipe.lr: {choices: [4.0e-3, 2.0e-3, 8.0e-3]}
  recipe.schedule: {choices: [linear, cosine]}
"""


def test_what_is_tuned_makes_no_other_network(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, TUNED), tmp_path, SIZES)
    assert [p.name for p in space.training] == ["attention.temperature_init", "recipe.lr", "recipe.schedule"]
    learned = {
        "attention.temperature": "learned",
        "attention.temperature_init": 0.1,
        "recipe.lr": 4e-3,
        "recipe.schedule": "linear",
    }
    drawn = draws(space)
    assert {frozenset(space.network(d).items()) for d in drawn} == {
        frozenset(learned.items()),
        frozenset({"attention.temperature": "none", "recipe.lr": 4e-3, "recipe.schedule": "linear"}.items()),
    }
    assert all(space.overrides(d) for d in drawn)


def test_the_recipe_is_never_a_choice_of_the_network(tmp_path: Path) -> None:
    """Also where a space of before, or the command line, has it among its parameters."""
    space = load_space("aero", search_spaces_dir(), SIZES).with_parameters(
        Categorical("recipe.steps", (600, 1200))
    )
    assert {p.name for p in space.training} == {"attention.temperature_init", "recipe.steps"}
