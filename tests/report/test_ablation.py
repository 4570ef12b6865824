"""A ladder's table: the same numbers in every format, gains apart, and nothing said that is not known."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from aero_search.architecture import parse_notation
from aero_search.cost import inventory
from aero_search.report.ablation import (
    LadderTable,
    _latex,
    ladder_csv,
    ladder_latex,
    ladder_markdown,
    nonlinear_operations,
    print_ladder,
)
from aero_search.search.ladder import lines
from aero_search.training.entropy_health import entropy_health
from tests.report.studies import BASE, COSTS
from tests.search.test_ladder import CROSSED, PLAIN, architectures, record, trained


def table() -> LadderTable:
    of = architectures(PLAIN)
    records = trained(
        PLAIN,
        {
            "SM + LN + G": {1e-3: 50.0, 2e-3: 40.0, 4e-3: 45.0},
            "SM + R": {1e-3: 47.0, 2e-3: 48.0, 4e-3: None},
            "SM": {1e-3: None, 2e-3: None, 4e-3: None},
        },
    )
    records += [record(of["SM + LN + G"], 2e-3, 1, 42.0), record(of["SM + R"], 1e-3, 1, 47.4)]
    health = {"SM + LN + G": entropy_health([[1.0, 3.9], [2.0, 2.0]], 4, 4.0)}
    costs = [{name: cost / (i + 1) for name, cost in COSTS.items()} for i in range(3)]
    return LadderTable(PLAIN, lines(PLAIN, of, records), costs, health, "aero-search ablate")


def printed(told: LadderTable) -> str:
    console = Console(width=220, record=True, file=io.StringIO())
    print_ladder(told, console)
    return console.export_text()


def test_the_table_says_mean_spread_change_and_savings() -> None:
    first, second, last = table().rows()
    assert first["perplexity"] == 41.0
    assert first["perplexity_std"] == pytest.approx(2**0.5)
    assert first["change_percent"] == 0.0
    assert second["change_percent"] == pytest.approx(100 * (47.2 / 41 - 1))
    assert second["saving_flops"] == pytest.approx(2.0)
    assert (last["perplexity"], last["change_percent"]) == (None, None)
    assert "diverged at step 3" in last["verdict"]
    text = printed(table())
    for said in (
        "41.00 ± 1.41",
        "+15.1%",
        "diverged",
        "0.002",
        "0.001*",
        "1 of 4 trainings diverged",
        "2.0x",
    ):
        assert said in text


def test_agreement_and_edges_are_said_in_words() -> None:
    sentences = " ".join(table().sentences())
    assert "Kendall's tau 1.00" in sentences
    assert "3 pairs differ by more than 2 %: every one of them in the published order" in sentences
    assert "marked *: 1 rows" in sentences or "marked *: 2 rows" in sentences


def test_every_format_has_the_same_rows() -> None:
    told = table()
    rows = list(csv.DictReader(io.StringIO(ladder_csv(told))))
    assert [row["row"] for row in rows] == [row["row"] for row in told.rows()]
    assert float(rows[1]["perplexity"]) == told.rows()[1]["perplexity"]
    markdown, latex = ladder_markdown(told), ladder_latex(told)
    bars = {line.count("|") for line in markdown.splitlines() if line.startswith("|")}
    assert len(bars) == 1
    ampersands = {line.count("&") for line in latex.splitlines() if line.endswith(r"\\")}
    assert len(ampersands) == 1
    assert r"41.00 $\pm$ 1.41" in latex
    assert "+15.1\\%" in latex
    document = json.loads(json.dumps(told.document(), allow_nan=False))
    assert len(document["trainings"]["SM + R"]) == 4


def test_a_ladder_without_trainings_is_no_error() -> None:
    of = architectures(PLAIN)
    told = LadderTable(PLAIN, lines(PLAIN, of, []), [COSTS] * 3)
    assert "not trained yet" in printed(told)
    assert told.sentences() == []


def test_the_gains_of_factors_stand_apart() -> None:
    ladder = replace(CROSSED, seeds=(0,))
    perplexities = dict(zip(ladder.cells(), (50.0, 49.0, 51.0, 45.0, 44.0, 48.0), strict=True))
    records = trained(ladder, {name: {1e-3: ppl} for name, ppl in perplexities.items()})
    told = LadderTable(ladder, lines(ladder, architectures(ladder), records), [COSTS] * 6)
    gains = " ".join(told.sentences())
    assert "t alone -10.0 % (t 0.1, weight 0: 45.00)" in gains
    assert "weight alone -2.0 % (t none, weight 0.02: 49.00)" in gains
    assert "together -12.0 % (t 0.1, weight 0.02: 44.00)" in gains
    assert "45.00" in printed(told)


def test_nonlinear_operations_are_the_inventory_s() -> None:
    architecture = parse_notation("SM + LN + G", BASE)
    said = nonlinear_operations(architecture)
    # Two norms a layer and the final one; a softmax a head; GELU on the feed-forward's width.
    assert said == "SM 16x(128x128), LN 9x(128x64), G 4x(128x256)" or set(said.split(", ")) == {
        "SM 16x(128x128)",
        "LN 9x(128x64)",
        "G 4x(128x256)",
    }
    elements = sum(
        op.elements for op in inventory(architecture) if op.kind in ("softmax", "layernorm", "gelu")
    )
    assert elements == 16 * 128 * 128 + 9 * 128 * 64 + 4 * 128 * 256


def test_names_in_latex_are_text() -> None:
    hostile = "a\\b_c%d&e#f$g{h}i~j^k\n\\input{/etc/passwd} ± \u202e"
    assert _latex(hostile) == (
        r"a\textbackslash{}b\_c\%d\&e\#f\$g\{h\}i\textasciitilde{}j\textasciicircum{}k "
        r"\textbackslash{}input\{/etc/passwd\} $\pm$ \textbackslash{}u202e"
    )
