from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aero_search.data.duplicates import NearDuplicates, jaccard, line_set

TEXTS = st.lists(
    st.lists(st.sampled_from([*"abcdefgh", "ij", "klm"]), max_size=8).map("\n".join), max_size=14
)


def greedy(texts: list[str], threshold: float) -> list[bool]:
    """The definition: compare each text with every text kept before."""
    kept: list[str] = []
    answers = []
    for text in texts:
        close = any(text == other or jaccard(line_set(text), line_set(other)) >= threshold for other in kept)
        answers.append(not close)
        kept += [] if close else [text]
    return answers


@given(TEXTS, st.sampled_from([0.1, 0.3, 0.5, 2 / 3, 0.7, 0.75, 0.9, 1.0]))
def test_search_misses_no_pair_and_invents_none(texts: list[str], threshold: float) -> None:
    seen = NearDuplicates(threshold)
    assert [seen.keep(text) for text in texts] == greedy(texts, threshold)


@pytest.mark.parametrize(("shared", "kept"), [(6, True), (7, False)])
def test_threshold_is_reached_at_equality(shared: int, kept: bool) -> None:
    # 10 lines in the union, `shared` of them in both texts: Jaccard shared / 10.
    lines = [f"line {i}" for i in range(10)]
    seen = NearDuplicates(0.7)
    assert seen.keep("\n".join(lines))
    assert seen.keep("\n".join(lines[:shared])) is kept


def test_without_threshold_only_copies_go() -> None:
    seen = NearDuplicates(None)
    assert [seen.keep(text) for text in ("a\nb", "a\nb\n", "a\nb", "b\na")] == [True, True, False, True]


def test_order_and_blanks_of_lines_do_not_hide_a_copy() -> None:
    seen = NearDuplicates(0.7)
    assert seen.keep("def f():\n    return 1\n")
    assert not seen.keep("\n\treturn 1\r\n\r\ndef f():   \n")
