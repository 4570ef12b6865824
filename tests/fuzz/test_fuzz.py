"""Fuzzed command lines and files: no traceback, exit code 0, 1 or 2, no end missing, nothing written by a refusal.

`make fuzz` runs many more, which takes hours. Counts of such runs are in benchmarks/results/fuzz.txt.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.mutate import Case, cases
from tests.fuzz.running import complaint, reading_complaint

_READ, _WHOLE = 476, 24
# What failed once: a command line with its files, whose bytes are written as Latin-1 text; one a line.
CORPUS = [
    Case(
        tuple(said["arguments"]),
        tuple((name, text.encode("latin-1")) for name, text in said["files"].items()),
    )
    for said in map(json.loads, Path(__file__).with_name("corpus.jsonl").read_text().splitlines())
]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: " ".join(case.arguments)[:60])
def test_what_failed_once(case: Case) -> None:
    assert not complaint(case)


def test_reading() -> None:
    wrong = {found: case for case in cases(20, _READ) if (found := reading_complaint(case))}
    assert not wrong


def test_whole_commands() -> None:
    wrong = {found: case for case in cases(21, _WHOLE) if (found := complaint(case))}
    assert not wrong


def test_the_harness_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def writes(arguments: tuple[str, ...]) -> int:
        Path("left").touch()
        return 2

    def raises(arguments: tuple[str, ...]) -> int:
        raise KeyError("x")

    for command, says in (
        (writes, "refused, but wrote"),
        (raises, "raised KeyError"),
        (lambda _: 7, "exit code 7"),
    ):
        monkeypatch.setattr("tests.fuzz.running.main", command)
        assert complaint(Case(("cost",))).startswith(says)
