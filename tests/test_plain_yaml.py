"""YAML as plain data: what Hydra reads, and one sentence with the line for everything else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from aero_search import plain_yaml
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.errors import AeroSearchError, UnsafeFileError
from aero_search.plain_yaml import parse_yaml

SHIPPED = sorted([*conf_dir().glob("**/*.yaml"), *search_spaces_dir().glob("*.yaml")])


def test_every_shipped_file_reads_as_hydra_reads_it() -> None:
    assert len(SHIPPED) > 60
    for path in SHIPPED:
        text = path.read_text()
        assert parse_yaml(text, path.name) == OmegaConf.to_container(OmegaConf.create(text)), path


@pytest.mark.parametrize(
    "text",
    [
        "1e-3",
        "-1E5",
        "+2e+3",
        "1.e3",
        ".5e-1",
        "1_0e2",
        "1.5",
        "3",
        "0x1f",
        "true",
        "null",
        "~",
        "2026-11-28",
    ],
)
def test_scalars_are_those_of_hydra(text: str) -> None:
    assert parse_yaml(f"x: {text}", "f") == OmegaConf.to_container(OmegaConf.create(f"x: {text}"))


@pytest.mark.parametrize(
    ("text", "line", "match"),
    [
        ("a: 1\nb: [1,\n", 3, "expected the node content"),
        ("a: 1\na: 2\n", 2, "the key a stands twice"),
        ("a:\n  1: x\n  1.0: y\n", 3, "stands twice"),
        ("a: 1\n\tb: 2\n", 2, "found character"),
        ("a: 1\nb c\n", 3, "could not find expected ':'"),
        ("null: 1\n", 1, "a key must be text or a number"),
        ("? [1]\n: 2\n", 1, "a key must be text or a number"),
        ("a: 1\n--- \nb: %\n", 3, "cannot start any token"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, line: int, match: str) -> None:
    with pytest.raises(AeroSearchError) as refused:
        parse_yaml(text, "mine/f.yaml")
    said = str(refused.value)
    assert said.startswith(f"mine/f.yaml is not YAML (line {line}): ")
    assert match in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("d: &d x\np: &p {n: {when: *p}}", r"anchor or alias d \(line 1\)"),
        ("a: 1\nb: *nowhere", r"anchor or alias nowhere \(line 2\)"),
        ("<<: &b {a: 1}", "anchor or alias b"),
        ("a: !!python/name:os.system", r"YAML tag tag:yaml.org,2002:python/name:os.system"),
        ("a: !!str 1", "YAML tag"),
        ("x: " + "[" * 2000, "nested more than 32 deep"),
        ("{a: " * 2000, "nested more than 32 deep"),
        ("a: 1\n---\nb: 1", "2 YAML documents"),
    ],
)
def test_what_is_more_than_plain_data(text: str, match: str) -> None:
    with pytest.raises(UnsafeFileError, match=match):
        parse_yaml(text, "f")


@pytest.mark.parametrize("text", ["a: \x00", "a: " + "9" * 5000, "a: \x1b[2J"])
def test_characters_and_numbers_that_no_file_has(text: str) -> None:
    with pytest.raises(AeroSearchError, match="f is not YAML"):
        parse_yaml(text, "f")


def test_an_empty_file_is_nothing() -> None:
    assert parse_yaml("# nothing\n", "f") is None
    assert yaml.safe_load("# nothing\n") is None


def test_the_same_text_is_parsed_once_and_each_reader_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    composed = plain_yaml._PlainLoader.get_single_data
    monkeypatch.setattr(
        plain_yaml._PlainLoader, "get_single_data", lambda self: parsed.append("") or composed(self)
    )
    text = "once: {a: [1, 2]}\n"
    first: Any = parse_yaml(text, "once.yaml")
    first["once"]["a"].append(3)
    assert parse_yaml(text, "once.yaml") == {"once": {"a": [1, 2]}}
    assert len(parsed) == 1
    # Another text or another name is another file; a refusal is told each time, under its own name.
    parse_yaml(text + "b: 1\n", "once.yaml")
    parse_yaml(text, "other.yaml")
    assert len(parsed) == 3
    for name in ("a.yaml", "b.yaml", "a.yaml"):
        with pytest.raises(AeroSearchError, match=f"^{name} is not YAML"):
            parse_yaml("a: [", name)
