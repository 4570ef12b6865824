"""The front in words and tables."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from studies import STUDY

from aero_search.console import make_console
from aero_search.report.front import front_markdown, front_rows, front_summary, print_front
from aero_search.report.units import compact, duration, readable, significant, times


def printed(front: Any, width: int = 80) -> str:
    stream = StringIO()
    print_front(front, make_console(file=stream, width=width))
    return stream.getvalue()


def test_the_table_names_points_costs_savings_and_the_knee(make_front: Any) -> None:
    front = make_front()
    lines = printed(front, 110).splitlines()
    row = next(line for line in lines if " #5 " in line)
    expected = "#5 EReg(SM(t) + ScFuFFN) 65.90 +7.3 ±3.2% 1.21 2.4x 40.9 1.8x 1, 1 0.0015"
    assert row.split() == expected.split()
    knee = [line for line in lines if "◆ #" in line]
    assert len(knee) == 1
    assert f"#{front.knee().number} " in knee[0]
    assert any("◆ best balance · 7 dominated · 2 diverged" in line for line in lines)


def test_a_mark_that_no_row_has_is_not_explained(make_front: Any) -> None:
    stuck = [row for row in STUDY if row[1] == "plateau"]
    front = make_front(rows=stuck)
    assert front.balance is None
    text = printed(front, 110)
    assert "◆" not in text
    assert "0 diverged" in text


@pytest.mark.parametrize("costs", [("latency_s",), ("latency_s", "flops"), ("communication_bytes", "rounds")])
def test_eighty_columns_cut_no_number(make_front: Any, costs: tuple[str, ...]) -> None:
    text = printed(make_front(costs))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for record in make_front(costs).points:
        # A table that is too wide is several.
        lines = [line.rstrip() for line in text.splitlines() if f"#{record.number} " in line]
        assert lines[-1].endswith(f"{record.lr:.3g}")
        assert f"{record.perplexity:.2f}" in lines[0]


def test_brackets_of_a_notation_are_no_markup(make_front: Any) -> None:
    assert "[weight=0.0035]" in printed(make_front(), 120)
    assert "[regularizer.weight=0.0035]" in front_markdown(make_front())


def test_without_a_trained_baseline_there_is_no_change_but_its_costs(make_front: Any) -> None:
    text = printed(make_front(rows=STUDY[1:4]))
    assert "change" not in text
    assert (
        "SM + LN + G (baseline)" in text.replace("\n        (baseline)", " (baseline)") or "baseline" in text
    )
    assert "is not trained" in text


def test_a_trained_baseline_off_the_front_has_a_row_of_its_own(make_front: Any) -> None:
    better = ("SM + LN + R", "finished", 60.0, 0.7, 0.4, 1.0, 0.8, 0.0015)
    baseline = ("SM + LN + G", "finished", 61.0, 1.0, 1.0, 1.0, 1.0, 0.0015)
    text = printed(make_front(rows=(baseline, better)), 110)
    assert "-1.6" not in text
    # 2.23 x 0.95 % x sqrt(2) around -1.6 %.
    assert "tie ±2.9%" in text
    assert "SM + LN + G (baseline)" in text


def test_an_empty_front_says_why(make_front: Any) -> None:
    text = printed(make_front(rows=STUDY[15:]))
    assert "front is empty" in text
    assert "diverged at step 231, learning rate 0.004" in text
    assert "0 candidate" not in printed(make_front(rows=()))


def test_the_summary_says_the_box(make_front: Any) -> None:
    text = front_summary(make_front())
    assert text.startswith(
        "17 trained: 8 on the front, 7 dominated, 2 diverged; 2 of these never left the unigram plateau."
    )
    assert f"Hypervolume {make_front().hypervolume:.4f}" in text
    assert "perplexity 420" in text
    assert "3.20 s of latency and 80.3 M FLOPs (1.1 times SM + LN + G at the same size)" in text


def test_rows_are_plain_and_alike(make_front: Any) -> None:
    rows = front_rows(make_front())
    assert len({tuple(row) for row in rows}) == 1
    assert [row["trial"] for row in rows if row["knee"]] == [7]
    last = rows[-1]
    assert (last["architecture"], last["change_percent"], last["saving_flops"]) == ("SM + LN + G", 0.0, 1.0)
    assert front_rows(make_front(rows=())) == []


def test_markdown_is_a_table_of_equal_rows(make_front: Any) -> None:
    table = front_markdown(make_front()).split("\n\n")[0].splitlines()
    assert len(table) == 2 + 8
    assert len({line.count(" | ") for line in table}) == 1


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("latency_s", 0.042, "42.0 ms"),
        ("latency_s", 4.2, "4.20 s"),
        ("latency_s", 90.0, "90.0 s"),
        ("latency_s", 492.6, "8.21 min"),
        ("communication_bytes", 25.32e9, "25.3 GB"),
        ("communication_bytes", 999.9e6, "1,000 MB"),
        ("flops", 14.5e9, "14.5 G"),
        ("rounds", 2304.0, "2,304"),
        ("latency_s", 0.0, "0 ms"),
    ],
)
def test_units(metric: str, value: float, text: str) -> None:
    assert readable(metric, value) == text


def test_numbers_and_times() -> None:
    assert [significant(v) for v in (0.00123, 0.9996, 9.996, 99.96, 999.6, 123456.0)] == [
        "0.00123", "1.00", "10.0", "100", "1,000", "123,456",
    ]  # fmt: skip
    assert significant(float("nan")) == "-"
    assert [times(v) for v in (4.21, 12.3, 1.0, 0.87)] == ["4.2x", "12x", "1.0x", "0.87x"]
    assert [duration(v) for v in (0.4, 59.4, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 05 min"]
    name = "SM [attention.temperature_init=0.05, regularizer.weight=0.1, norm=none/none]"
    assert compact(name) == "SM [temperature_init=0.05, weight=0.1, norm=none/none]"


def test_the_table_costs_no_heavy_import() -> None:
    heavy = "torch lightning mlflow matplotlib plotly moocore numpy pandas"
    code = f"import sys, aero_search.report.front; print(set('{heavy}'.split()) & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
