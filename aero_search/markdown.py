"""Values inside a Markdown document: shown as the text they are, neither markup nor HTML."""

from __future__ import annotations

import re

from aero_search.printing import visible

__all__ = ["code", "code_block", "plain"]

# What begins emphasis, code, a link, an HTML element or entity, or another cell. An underscore inside a word and a
# bracket without an address begin nothing: notations keep theirs.
_MARKS = re.compile(r"[\\`*<|]|&(?=[#\w])|!(?=\[)|\](?=[(\[:])|(?<!\w)_|_(?!\w)|~(?=~)")


def plain(text: str) -> str:
    """A text in one line, with a backslash before each character that Markdown would read as its own."""
    return _MARKS.sub(r"\\\g<0>", _line(text))


def code(text: str) -> str:
    """A text in one line as a span of code, whatever backticks it has."""
    text = _line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in (text[:1], text[-1:]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def code_block(text: str) -> str:
    """A text as an indented block of code, its own lines kept."""
    return "\n".join(f"    {line}" for line in visible(text).split("\n"))


def _line(text: str) -> str:
    return visible(" ".join(text.split()))
