"""What `train` prints of a result."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from studies import BASE, COSTS

from aero_search.architecture import key
from aero_search.console import make_console
from aero_search.report.train import print_result
from aero_search.training.entropy_health import entropy_health
from aero_search.training.result import CurvePoint, Result

ENTROPY = ((0.01, 0.02), (3.0, 3.5))
RESULT = Result(
    key=key(BASE),
    notation="SM",
    verdict="finished",
    reason="",
    perplexity=70.0,
    validation_loss=4.25,
    curve=(CurvePoint(100, 4.3, 4.25, 70.0, 6.0, ENTROPY, entropy_health(ENTROPY, 100, 4.0)),),
    entropy=ENTROPY,
    parameters=266_000,
    seconds=6.5,
    tokens=204_800,
    steps=100,
    lr=1.5e-3,
    seed=0,
    data_seed=0,
    fingerprint="f",
    unigram_perplexity=420.0,
    health=entropy_health(ENTROPY, 100, 4.0),
)


def printed(result: Result) -> str:
    console = make_console(file=io.StringIO(), width=140)
    print_result(result, COSTS, Path("outputs/train/x"), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_health_is_said_in_words_and_quarters() -> None:
    text = printed(RESULT)
    assert "entropy_collapse: layer 0 attends with 0.015 nats, since step 100, first in layer 0" in text
    assert "50% / 0% / 0% / 50% of 4.00 nats, lowest first" in text


def test_a_result_without_health_is_printed() -> None:
    text = printed(replace(RESULT, health=None))
    assert "attention" not in text
    assert "70.00" in text
