"""Values in Markdown documents are text: a renderer finds no element, link, cell or emphasis of theirs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aero_search.markdown import code, code_block, plain
from aero_search.report.front import front_markdown
from aero_search.report.study import space_markdown
from aero_search.space import Categorical, Space

RENDER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
HOSTILE = (
    "<img src=x onerror=a()> [x](javascript:a()) ![y](z) `c` **b** _e_ a|b &lt; <!-- ~~s~~ \\`\n# h\n| cell |"
)


def text_of(tokens: Any) -> str:
    return "".join(t.content if t.type in ("text", "code_inline") else "" for t in tokens)


@pytest.mark.parametrize(
    "text", [HOSTILE, "SM + LN + G [attention.temperature_init=0.05]", "a_b_c", "`", "``x`"]
)
def test_plain_text_renders_as_itself(text: str) -> None:
    paragraph = RENDER.parse(f"a {plain(text)} b")
    assert [t.type for t in paragraph] == ["paragraph_open", "inline", "paragraph_close"]
    children = paragraph[1].children or []
    assert {t.type for t in children} <= {"text", "text_special"}
    assert text_of(children) == f"a {' '.join(text.split())} b"


@pytest.mark.parametrize("text", [HOSTILE, "`", "``x`", "plain", "\\"])
def test_code_renders_as_itself(text: str) -> None:
    [_, inline, _] = RENDER.parse(f"a {code(text)} b")
    assert [t.content for t in inline.children or [] if t.type == "code_inline"] == [" ".join(text.split())]


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_text_opens_anything(text: str) -> None:
    [_, inline, _] = RENDER.parse(f"a {plain(text)} b")
    assert {t.type for t in inline.children or []} <= {"text", "text_special"}


def test_a_command_stays_in_its_block() -> None:
    [block] = RENDER.parse(f"{code_block(HOSTILE)}")
    assert (block.type, block.content) == ("code_block", HOSTILE + "\n")


def test_names_that_read_well_stay_as_they_are() -> None:
    for name in ("SM(t) + LN + ScFuFFN", "G [attention.temperature_init=0.05]", "1.1 times SM & LN", "a_b"):
        assert plain(name) == name
    assert code("study-1") == "`study-1`"


def test_a_front_and_a_space_hold_no_markup_of_theirs(make_front: Any) -> None:
    front = make_front()
    front = replace(front, points=tuple(replace(p, notation=HOSTILE) for p in front.points))
    space = Space(HOSTILE, HOSTILE, (Categorical("norm", (HOSTILE, "none")),))
    for markdown in (front_markdown(front), space_markdown(space)):
        tokens = [t for block in RENDER.parse(markdown) for t in (block, *(block.children or []))]
        assert not {t.type for t in tokens} & {
            "html_inline",
            "html_block",
            "link_open",
            "image",
            "heading_open",
        }
    rows = [line for line in front_markdown(front).splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
