"""docs/python_api.md: its prices are computed, and its other examples use only what the API has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import aero_search

PAGE = (Path(__file__).parents[2] / "docs" / "python_api.md").read_text()


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_prices_are_those_that_the_page_promises() -> None:
    space: dict[str, object] = {}
    for block in blocks(PAGE.partition("## Training")[0]):
        exec(compile(block, "python_api.md", "exec"), space)
    cost = space["cost"]
    assert cost.nonlinear_ops["softmax"].count == 144  # type: ignore[attr-defined]  # a Cost
    assert set(space["seconds"]) == {"SM + LN + G", "SM"}  # type: ignore[call-overload]  # a dict


def test_the_examples_call_what_there_is() -> None:
    called = set()
    for node in (node for block in blocks(PAGE) for node in ast.walk(ast.parse(block))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func.value) == "aero_search":
            function = getattr(aero_search, node.func.attr)
            given = {keyword.arg for keyword in node.keywords}
            assert given <= set(inspect.signature(function).parameters), ast.unparse(node)
            called.add(node.func.attr)
        elif ast.unparse(node.func.value) == "study":
            assert hasattr(aero_search.Study, node.func.attr)
    assert called == set(aero_search.__all__) - {"Study", "__version__"}
