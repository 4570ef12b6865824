"""The reference pages of the site come from the code, whole: every command, setting and public name."""

from __future__ import annotations

import dataclasses

import pytest

import aero_search
from aero_search.cli import COMMANDS
from aero_search.config.paths import conf_dir
from tools import docs_reference

PAGES = docs_reference.pages()


def test_every_command_and_public_name_has_its_section() -> None:
    assert all(f"\n## {name}\n" in PAGES["commands"] for name in COMMANDS)
    public = [name for name in aero_search.__all__ if not name.startswith("_")]
    assert all(f"\n## {name}\n" in PAGES["python"] for name in public)


def test_every_group_of_conf_is_read_or_explained() -> None:
    groups = {path.parent.name for path in conf_dir().glob("*/*.yaml")} - {"hydra"}
    told = docs_reference.SCHEMAS.keys() | docs_reference.EXPLAINED.keys() | {"variant"}
    assert groups == told
    assert all(f"\n## {group}\n" in PAGES["settings"] for group in groups)


@pytest.mark.parametrize("group", docs_reference.SCHEMAS)
def test_every_field_that_is_set_in_conf_stands_with_its_type(group: str) -> None:
    rows = [line for line in PAGES["settings"].splitlines() if line.startswith(f"| `{group}.")]
    told = {line.split("`")[1].removeprefix(f"{group}.") for line in rows}
    fields = {field.name for field in dataclasses.fields(docs_reference.SCHEMAS[group])}
    assert told & fields
    assert not [line for line in rows if line.split("`")[1].count(".") == 1 and line.split(" | ")[1] == ""]
