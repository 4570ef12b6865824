"""Readings beside estimates: means, errors, agreement, the document and its table."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from rich.console import Console

from aero_search.architecture import Architecture, Layer
from aero_search.config.paths import conf_dir
from aero_search.cost import Network, Protocol, estimate
from aero_search.measure.measurement import (
    Measurement,
    StageReading,
    agreement,
    priced_architecture,
    rank_correlation,
    relative,
    run_lowerings,
)
from aero_search.measure.meter import Reading
from aero_search.measure.program import Pass, stages
from aero_search.report.measure import measure_report
from aero_search.schema import from_mapping

LOOPBACK = Network("loopback", 8000.0, 0.2)


@pytest.fixture(scope="module")
def cheetah() -> Protocol:
    text = (conf_dir() / "protocol" / "spu_cheetah_0_9_5.yaml").read_text()
    return from_mapping(Protocol, yaml.safe_load(text))


def reading(sent: int = 100, received: int = 50, seconds: float = 1.0, messages: int = 4) -> Reading:
    return Reading("total", 1, seconds, sent, received, messages)


@pytest.fixture
def measurement(cheetah: Protocol) -> Measurement:
    architecture = Architecture(
        n_head=2, d_model=32, seq_len=8, vocab_size=64, layers=(Layer("layernorm", "relu"), Layer())
    )
    forward = Pass(architecture, lowerings=run_lowerings(cheetah))
    program = stages(forward)
    passes = tuple(
        tuple(StageReading(stage, reading(100_000 * n, 50_000 * n, 0.1 * n, 4 * n)) for stage in program)
        for n in (1, 3)
    )
    tokens = np.zeros((2, 8, 64))
    return Measurement(
        architecture,
        forward,
        cheetah,
        LOOPBACK,
        False,
        passes,
        reading(24_000_000, 0, 9.0),
        agreement(tokens, tokens),
        {"spu": "0.9.5"},
    )


def test_a_pass_is_the_mean_of_the_sequences(measurement) -> None:
    count = len(measurement.readings[0])
    total = measurement.total()
    assert (total.bytes_sent, total.bytes_received, total.bytes) == (
        200_000 * count,
        100_000 * count,
        300_000 * count,
    )
    assert (total.seconds, total.messages) == (pytest.approx(0.2 * count), 8 * count)
    assert all(r.bytes == 300_000 for r in measurement.by_stage().values())
    parts = measurement.by_part()
    assert sum(r.bytes for r in parts.values()) == total.bytes
    assert parts["norm"].bytes == 5 * 300_000
    assert list(parts) == ["embedding", "projections", "attention_products", "softmax", "norm", "activation",
                           "feed_forward", "lm_head"]  # fmt: skip


def test_the_document_holds_readings_estimates_and_their_errors(measurement, cheetah) -> None:
    document = json.loads(json.dumps(measurement.document(), allow_nan=False))
    cost = estimate(measurement.architecture, cheetah, LOOPBACK)
    total = document["total"]
    assert total["bytes"] == total["to_client"] + total["to_server"]
    assert total["estimated_bytes"] == pytest.approx(cost.communication_bytes.total)
    assert total["bytes_error"] == pytest.approx(cost.communication_bytes.total / total["bytes"] - 1)
    assert total["seconds_error"] == pytest.approx(cost.latency_seconds.total / total["seconds"] - 1)
    assert sum(line["estimated_bytes"] for line in document["parts"].values()) == pytest.approx(
        total["estimated_bytes"]
    )
    assert document["setup"]["bytes"] == 24_000_000
    assert document["setup"]["bytes_error"] == pytest.approx(22.7 / 24 - 1)
    assert [s["stage"] for s in document["stages"]] == [s.name for s in stages(measurement.forward)]
    assert document["ran"]["lowerings"] == {
        "layernorm": "layernorm", "relu": "relu", "gelu": "gelu_tanh", "softmax": "softmax_broadcast"
    }  # fmt: skip
    metrics = measurement.metrics()
    assert metrics["measured_bytes"] == total["bytes"]
    assert metrics["bytes_error"] == pytest.approx(total["bytes_error"])


def test_the_table_fits_a_terminal_and_says_the_errors(measurement) -> None:
    document = measurement.document()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(measure_report(document))
    text = console.export_text()
    assert "SM + LN [activation=relu/gelu]" in text
    assert "same next token at 100.0% of 16 positions" in " ".join(text.split())
    assert "not slowed down" in text
    rows = [line for line in text.splitlines() if line.startswith(("softmax ", "total ", "set-up"))]
    assert len(rows) == 3
    assert "…" not in text
    assert f"{document['parts']['softmax']['estimated_bytes'] / 1e6:,.2f}" in rows[0]


def test_agreement_counts_positions_and_hides_no_nonsense() -> None:
    plain = np.array([[[0.0, 1.0, 0.5], [2.0, -3.0, 0.0]]])
    private = plain + np.array([[[0.0, -0.6, 0.0], [0.01, 0.0, 0.0]]])
    found = agreement(private, plain)
    assert (found.positions, found.same_next_token, found.largest_logit) == (2, 0.5, 3.0)
    assert found.largest_error == pytest.approx(0.6)
    assert agreement(np.full_like(plain, np.nan), plain).largest_error == np.inf


def test_logits_that_are_no_numbers_are_told_and_not_json_s_problem(measurement) -> None:
    plain = np.zeros((1, 2, 3))
    broken = replace(measurement, agreement=agreement(np.full_like(plain, np.inf), plain))
    document = json.loads(json.dumps(broken.document(), allow_nan=False))
    assert document["logits"]["largest_error"] is None
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(measure_report(document))
    assert "largest error not a number" in console.export_text()


def test_what_was_run_is_what_is_priced(measurement, cheetah) -> None:
    plain = priced_architecture(measurement.forward)
    tempered = priced_architecture(replace(measurement.forward, tempered=True))
    cost = [estimate(a, cheetah, LOOPBACK).communication_bytes.by_op for a in (plain, tempered)]
    assert "scaling" not in cost[0]
    assert cost[1]["scaling"] > 0


def test_relative_errors_and_rank_correlation() -> None:
    assert relative(3.0, 2.0) == 0.5
    assert relative(3.0, 0.0) is None
    assert rank_correlation([1, 2, 3], [10, 20, 1000]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    # By hand: ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
    assert rank_correlation([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
