"""Every card has what runs it, or says why not; and nothing but its homes spells its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path

import pytest

import aero_search
from aero_search.architecture import operations
from aero_search.architecture.cards import ActivationCard, Card
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, FEED_FORWARDS, NORMS, REGISTRIES
from aero_search.architecture.registry import Implementations, Registry
from aero_search.cost import Protocol
from aero_search.errors import RequestError
from aero_search.model import activations, attention_kinds, norms
from aero_search.model.elementwise import MODULES
from aero_search.schema import from_mapping
from tests.cost.conftest import CONF, shipped

PACKAGE = Path(aero_search.__file__).parent
RUN = [(registry, name) for registry in (NORMS, ACTIVATIONS, ATTENTIONS) for name in registry]
BUILDERS: dict[str, Implementations] = {  # type: ignore[type-arg]  # of functions of several kinds
    NORMS.what: norms.BUILDERS,
    ACTIVATIONS.what: activations.BUILDERS,
    ATTENTIONS.what: attention_kinds.WEIGHERS,
}

# Where the names of kinds live: their cards, what is registered under them, and what tells them from the names of
# another library's configurations. The last three name the primitives and lowerings of one protocol, which happen
# to be called like the kinds they serve.
HOMES = {
    "architecture/operations.py",
    "model/elementwise.py",
    "model/norms.py",
    "model/attention_weights.py",
    "measure/lowerings.py",
    "export/modeling_aero.py",
    "init/huggingface.py",
    "cost/calibrate.py",
    "measure/benchmarks.py",
    "measure/bench_party.py",
}
# Words that also mean other things; where a kind is compared with one of them, it is still found below.
COMMON = {operations.NONE, operations.FULL, operations.FUSED, operations.IDENTITY, operations.SOFTMAX,
          operations.LINEAR}  # fmt: skip


def where(registry: Registry, name: str) -> str:  # type: ignore[type-arg]  # any of them
    return f"{registry.what} {name}"


@pytest.mark.parametrize(("registry", "name"), RUN, ids=[where(*case) for case in RUN])
def test_every_card_runs_or_says_why_not(registry: Registry, name: str) -> None:  # type: ignore[type-arg]
    card: Card = registry[name]
    assert name in BUILDERS[registry.what] or "torch" in card.unsupported
    functions = {
        node.name
        for node in ast.parse((PACKAGE / "measure" / "lowerings.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert set(card.lowerings) <= functions
    assert bool(card.lowerings) != ("jax" in card.unsupported or card.operation is None)
    modeling = pytest.importorskip("aero_search.export.modeling_aero")
    carried = {
        NORMS.what: modeling.NORMS,
        ACTIVATIONS.what: MODULES,
        ATTENTIONS.what: modeling.WEIGHERS,
    }
    assert (name in carried[registry.what]) != ("transformers" in card.unsupported)


# Of these nothing but what their authors ran was published.
PUBLISHED = ("bolt", "bumblebee", "iron_secretflow", "nimbus", "shaft", "sigma", "suf")


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "protocol").glob("*.yaml")))
def test_every_shipped_protocol_lowers_every_card_or_refuses_it_by_name(name: str) -> None:
    protocol = from_mapping(Protocol, shipped("protocol", name), "protocol")
    for registry, of in RUN:
        if (kind := registry[of].operation) is None:
            continue
        made_of = registry[of].made_of
        if (
            name in PUBLISHED
            and kind not in protocol.use
            and not (made_of and set(made_of) <= set(protocol.use))
        ):
            with pytest.raises(RequestError, match=f"protocol {name} does not say how to run {kind}[:,] "):
                protocol.lowering(kind)
        else:
            assert protocol.lowering(kind), where(registry, of)


def test_terms_and_names_mean_one_thing() -> None:
    for one, other in combinations(REGISTRIES, 2):
        assert not set(one.terms) & set(other.terms)
    for registry in REGISTRIES:
        assert len(set(registry.terms)) == len(registry.terms)
        for card in registry.values():
            assert set(card.cheaper) <= set(registry)
            for term in card.terms:
                assert registry.by_term(term) is card


def test_activations_of_the_group_are_the_cards() -> None:
    assert {path.stem for path in (CONF / "activation").glob("*.yaml")} == set(ACTIVATIONS)
    assert {path.stem for path in (CONF / "norm").glob("*.yaml")} == set(NORMS)
    assert {path.stem for path in (CONF / "ffn").glob("*.yaml")} == set(FEED_FORWARDS)


def spelled(path: Path, names: set[str]) -> Iterator[str]:
    """Literals of a module that are names of kinds, and comparisons of a kind with any literal."""
    kinds = {"norm", "final_norm", "activation", "ffn", "attention"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
            yield f"{path.name}:{node.lineno} {node.value}"
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            reads = any(isinstance(side, ast.Attribute) and side.attr in kinds for side in sides)
            literals = [side for side in sides if isinstance(side, ast.Constant) and side.value is not None]
            if reads and literals:
                yield f"{path.name}:{node.lineno} {ast.unparse(node)}"


def test_nothing_else_spells_the_name_of_a_kind() -> None:
    names = set(chain.from_iterable(REGISTRIES)) - COMMON
    modules = [p for p in PACKAGE.rglob("*.py") if str(p.relative_to(PACKAGE)) not in HOMES]
    assert [found for path in modules for found in spelled(path, names)] == []


def test_the_search_for_names_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('x = {"gelu": 1}\ny = layer.norm != "none"\n')
    assert len(list(spelled(module, {"gelu"}))) == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "Mish"}, "is not a name of lower-case"),
        ({"name": "mish", "term": "M h"}, "is not a term"),
        ({"name": "mish", "unsupported": {"spu": "never"}}, "'spu' is not one of torch, jax"),
    ],
)
def test_a_card_that_could_not_be_written_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ActivationCard(**fields)  # type: ignore[arg-type]  # fields by name


def test_a_reason_is_the_refusal() -> None:
    slow = ActivationCard(name="slow", unsupported={"torch": "it takes a week"})
    bare = ActivationCard(name="bare")
    builders: Implementations = Implementations(Registry("activation", ActivationCard, slow, bare), "torch")  # type: ignore[type-arg]
    with pytest.raises(RequestError, match="activation slow cannot be trained: it takes a week"):
        builders["slow"]
    with pytest.raises(RequestError, match="activation bare cannot be trained: nothing registers"):
        builders["bare"]
    with pytest.raises(RequestError, match=r"slwo is not a known activation: did you mean 'slow'\?"):
        builders["slwo"]
