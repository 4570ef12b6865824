"""Assignments of a space: counted, listed and drawn evenly, whatever waits for what."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from aero_search.config.paths import search_spaces_dir
from aero_search.space import Assignment, Categorical, Integer, Parameter, Real, Tree, load_space


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Parameter, ...]:
    """Up to five parameters of up to three values, each perhaps waiting for earlier ones."""
    found: list[Parameter] = []
    for i in range(draw(st.integers(1, 5))):
        when: dict[str, tuple[int | bool, ...]] = {}
        for earlier in draw(st.lists(st.sampled_from(found), max_size=2)) if found else []:
            when[earlier.name] = (draw(st.sampled_from(earlier.values())),)  # type: ignore[assignment]
        kinds = (
            Categorical(f"p{i}", draw(st.sampled_from([(1,), (0, 1), (True, False, 2)])), when=when),
            Integer(f"p{i}", 0, draw(st.integers(0, 4)), 2, when=when),
        )
        found.append(draw(st.sampled_from(kinds)))
    return tuple(found)


def frozen(x: Assignment) -> tuple[tuple[str, str], ...]:
    return tuple((name, repr(value)) for name, value in x.items())


@given(spaces())
def test_the_count_is_that_of_the_list_and_nothing_is_listed_twice(parameters: tuple[Parameter, ...]) -> None:
    tree = Tree(parameters)
    listed = list(tree)
    assert len(listed) == tree.total
    assert len({frozen(x) for x in listed}) == len(listed)
    for x in listed:
        for p in parameters:
            assert (p.name in x) == p.active(x)


@given(spaces(), st.integers(0, 99))
def test_what_is_drawn_and_its_neighbours_are_of_the_space(
    parameters: tuple[Parameter, ...], seed: int
) -> None:
    tree = Tree(parameters)
    listed = {frozen(x) for x in tree}
    x = tree.draw(random.Random(seed))
    assert frozen(x) in listed
    for y in tree.neighbours(x):
        assert frozen(y) in listed
        assert frozen(y) != frozen(x)


@settings(max_examples=20)
@given(spaces())
def test_any_assignment_is_reached_from_any_other(parameters: tuple[Parameter, ...]) -> None:
    tree = Tree(parameters)
    listed = list(tree)
    seen, frontier = {frozen(listed[0])}, [listed[0]]
    while frontier:
        for y in tree.neighbours(frontier.pop()):
            if frozen(y) not in seen:
                seen.add(frozen(y))
                frontier.append(y)
    assert seen == {frozen(x) for x in listed}


def test_draws_are_even_although_branches_are_not() -> None:
    # 1 assignment with a=0 and 9 with a=1: an even draw takes a=1 nine times of ten.
    tree = Tree((Categorical("a", (0, 1)), Integer("b", 1, 9, when={"a": (1,)})))
    rng = random.Random(0)
    drawn = Counter(frozen(tree.draw(rng)) for _ in range(5000))
    assert len(drawn) == tree.total == 10
    # 500 expected of each, standard deviation 21.
    assert all(abs(n - 500) < 5 * 21 for n in drawn.values())


def test_large_spaces_are_counted_exactly() -> None:
    tree = Tree(tuple(Categorical(f"p{i}", (0, 1, 2)) for i in range(60)))
    assert tree.total == 3**60
    assert len(tree.draw(random.Random(1))) == 60


def test_a_continuous_parameter_counts_once() -> None:
    parameters = (Categorical("a", (1, 2)), Real("lr", 1e-4, 1e-2, log=True), Real("s", 0.0, 1.0, step=0.25))
    assert Tree(parameters).total == 10
    assert parameters[1].values() == (0.001,)


def test_the_shipped_per_layer_space() -> None:
    space = load_space("aero_per_layer", search_spaces_dir(), {"n_layer": 4})
    # A layer: norm 2, feed-forward and activation 3 + 1 + 1. Scaling 2; temperature none, or learned with 2 more.
    assert Tree([p for p in space.parameters if p.name != "recipe.lr"]).total == 10**4 * 2 * 3
