"""The paper's names, both ways."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from aero_search.architecture import Architecture, Layer, canonical, notation, parse_notation
from aero_search.errors import RequestError
from tests.architecture.strategies import architectures

PAPER = [
    "SM + LN + G",
    "SM + LN + R",
    "SM + LN",
    "SM + G",
    "SM + R",
    "SM",
    "SM + ScFFN",
    "SM + ScFuFFN",
    "SM + ScFuFFN_i2",
    "SM + WeightNorm(FFN)",
    "SM + SpectralNorm(QKV+FFN)",
    "EReg(SM(t) + ScFuFFN)",
    "EReg(SM(t) + ScFuFFN_i2)",
]


@given(architectures())
def test_every_architecture_has_a_name_that_reads_back(a: Architecture) -> None:
    assert parse_notation(notation(a), base=a) == canonical(a)


@pytest.mark.parametrize("name", PAPER)
def test_paper_names_are_written_as_published(proxy: Architecture, name: str) -> None:
    assert notation(parse_notation(name, proxy)) == name


def test_published_spacing_is_read(proxy: Architecture) -> None:
    assert parse_notation("EReg(SM(t)+ScFuFFN)", proxy) == parse_notation("EReg(SM(t) + ScFuFFN)", proxy)


def test_what_a_name_means(proxy: Architecture) -> None:
    a = parse_notation("EReg(SM(t) + ScFuFFN_i3)", proxy)
    assert [layer.ffn for layer in a.layers] == ["fused", "none", "none", "none"]
    assert {layer.norm for layer in a.layers} == {"none"}
    assert a.attention.temperature == "learned"
    assert a.stabilizer.kind == "scaled"
    assert a.regularizer.weight > 0
    assert a.final_norm == "layernorm"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SM + LM + G", "'LM' is not a term"),
        ("LN + G", "begins with SM"),
        ("SM + LN + SM", "once"),
        ("SM + ScFuFFN_i9", "removes 9"),
        ("SM [norm=layernorm/none]", "4 values"),
        ("SM [nrm=none]", "did you mean"),
        ("SM [norm=layernrm/none/none/none]", "did you mean 'layernorm'"),
        ("", "not a name"),
    ],
)
def test_bad_names_are_told_in_a_sentence(proxy: Architecture, text: str, says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)):
        parse_notation(text, proxy)


@pytest.mark.parametrize("name", ["SM + ", "+", "SM + + LN", "EReg()", "EReg(SM(t) + )", "SM + LN)", "(SM"])
def test_a_name_with_a_missing_term_is_refused(name: str, proxy: Architecture) -> None:
    with pytest.raises(RequestError, match=r"is not a term|a name begins with"):
        parse_notation(name, proxy)


def test_facets_that_a_family_has_not_of_itself_are_named() -> None:
    base = Architecture(n_head=2, d_model=32, seq_len=8, vocab_size=40, layers=(Layer(),))
    own = replace(base, parallel_residual=True, rotary_share=0.5)
    assert notation(own) == "SM + LN + G [rotary_share=0.5, parallel_residual=true]"
    assert parse_notation(notation(own), base) == own
    # Those of the base stay where a name says nothing of them.
    assert parse_notation("SM + R", own).wiring == own.wiring
    assert notation(replace(base, parallel_residual=False)) == "SM + LN + G"
