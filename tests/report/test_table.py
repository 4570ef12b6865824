"""Every table can be read on a terminal of 80 columns, and is one table where there is room for it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pages import NETWORKS, PROTOCOLS
from studies import BASE, COSTS, STUDY, record
from test_train_report import RESULT

from aero_search.architecture import parse_notation
from aero_search.cli import main
from aero_search.console import make_console
from aero_search.cost import compare_published, estimate, single_changes
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Pricing
from aero_search.measure.fit import Check as Reading
from aero_search.report.ablation import LadderTable, print_ladder
from aero_search.report.costs.calibration import calibration_report
from aero_search.report.costs.comparisons import published_report
from aero_search.report.costs.tables import cost_report, variants_table
from aero_search.report.diagnostics import Check
from aero_search.report.doctor import diagnostics_table
from aero_search.report.front import print_front
from aero_search.report.function_sweep import print_best
from aero_search.report.plan import Plan, plan_report
from aero_search.report.table import Column, Sheet, sheet
from aero_search.report.train import print_result
from aero_search.report.verify import verification_table
from aero_search.search.forecast import Pace
from aero_search.search.ladder import lines
from aero_search.search.space_summary import Count, SpaceSummary, Span
from tests.report.test_ablation import table as ladder
from tests.search.test_ladder import CROSSED, architectures

LONG = "EReg(SM(t) + ScFuFFN_i2) [norm=layernorm/none/none/none, attention.temperature_init=0.25]"
COMMANDS: dict[str, Any] = {}


def prints(command: Any) -> Any:
    COMMANDS[command.__name__] = command
    return command


def shown(renderable: Any, width: int) -> str:
    file = io.StringIO()
    make_console(file=file, width=width).print(renderable)
    return file.getvalue()


def whole_front(costs: tuple[str, ...], replicates: bool = False) -> Front:
    records = [record(number, row) for number, row in enumerate(STUDY)]
    records[2] = replace(records[2], notation=LONG)
    if replicates:
        records[0] = replace(records[0], replicates=((0, 61.42), (1, 62.0)))
    objective = Objective(("perplexity", *costs))  # type: ignore[arg-type]
    return build_front(records, objective, Reference(420.0, {name: COSTS[name] for name in costs}))


@prints
def front(console: Any) -> None:
    for costs in (("latency_s",), ("latency_s", "flops"), tuple(COSTS)):
        print_front(whole_front(costs), console)
        print_front(whole_front(costs, replicates=True), console)


@prints
def cost(console: Any) -> None:
    protocol, network = PROTOCOLS["aero_paper"], NETWORKS["paper"]
    a = parse_notation(LONG, BASE)
    priced = estimate(a, protocol, network)
    console.print(cost_report(LONG, priced, protocol, network, single_changes(a, protocol, network)))
    console.print(variants_table([(LONG, priced), (LONG.replace("0.25", "0.5"), priced)]))


@prints
def published(console: Any) -> None:
    console.print(published_report(compare_published(PROTOCOLS["aero_paper"], NETWORKS["paper"])))


@prints
def ablate(console: Any) -> None:
    told = ladder()
    named = [replace(line, cell=replace(line.cell, name=f"{line.cell.name} {LONG}")) for line in told.lines]
    print_ladder(replace(told, lines=named), console)
    crossed = lines(CROSSED, architectures(CROSSED), [])
    print_ladder(LadderTable(CROSSED, crossed, [COSTS] * len(crossed)), console)


@prints
def plan(console: Any) -> None:
    spans = tuple(Span(name, 0.37 * value, value, LONG, LONG) for name, value in COSTS.items())
    count = Count(1e6, 9e5, 1.1e6)
    found = SpaceSummary(10**7, 400, False, count, count, 0.1, "norm=none needs a stabilizer", spans, 7e7)
    space: Any = SimpleNamespace(name="aero", description="All of AERO.", lowerings={})
    search: Any = SimpleNamespace(n_trials=24, workers=2, confirm=1)
    recipe: Any = SimpleNamespace(tokens=lambda _: 1e6, steps=1200, batch_size=32, accumulate=1)
    pricing = Pricing(PROTOCOLS["aero_paper"], NETWORKS["paper"])
    pace: Any = SimpleNamespace(seconds=lambda *_: 94.0, source=Pace.__doc__)
    objective = Objective(("perplexity", "latency_s"))
    console.print(plan_report(Plan(space, found, objective, pricing, (), (), pace, recipe, search)))


@prints
def doctor(console: Any) -> None:
    far = str(Path("/very/long/path/of/a/user/who/keeps/everything") / "in-a-deep-folder" / "optuna.db")
    console.print(diagnostics_table([Check("output folder", False, far, f"move {far} away", essential=True)]))


@prints
def verify(console: Any) -> None:
    checks = [("notation", "differs", LONG, "SM + R"), ("logits of the tokenizer", "ok", "1e-6", "0.0")]
    console.print(verification_table(f"{LONG}: outputs/exports/aero-knee", checks))


@prints
def train(console: Any) -> None:
    reason = f"collapsed at layer 0, step 1,100, learning rate 0.004 {LONG}"
    print_result(replace(RESULT, notation=LONG, reason=reason), COSTS, Path("outputs/train/x"), console)


@prints
def calibrate(console: Any) -> None:
    checks = [
        Reading("softmax_of_many_long_rows", 16384, quantity, 1.2345e9, 1.3e9, used)  # type: ignore[arg-type]
        for quantity in ("bytes", "seconds", "rounds")
        for used in (True, False)
    ]
    fit: Any = SimpleNamespace(checks=checks)
    console.print(calibration_report(fit))


@prints
def sweep_of_a_function(console: Any) -> None:
    overrides = [f"model.parameter_{i}={i / 7:.6g}" for i in range(20)]
    trial = SimpleNamespace(number=3, values=[0.397887], user_attrs={"overrides": overrides})
    study: Any = SimpleNamespace(
        name="branin",
        best=lambda: [trial],
        finished=lambda: [trial],
        plan=SimpleNamespace(directions=("minimize",)),
    )
    print_best(study, console)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_a_command_prints_is_whole(command: Any, width: int) -> None:
    file = io.StringIO()
    command(make_console(file=file, width=width))
    text = file.getvalue()
    assert "…" not in text
    # Paths and commands to be copied are not broken; every other line has its place.
    tables = [
        line for line in text.splitlines() if not line.startswith(("files:", "train it again:", "go on:"))
    ]
    assert max(map(len, tables)) <= width


def test_the_published_table_at_the_width_that_a_terminal_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["cost", "table=published"]) == 0
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    heads = [line.split() for line in text.splitlines() if "GB published" in line]
    assert heads[0][:4] == ["variant", "layers", "tokens", "FFNs"]


ROWS = [("SM + LN + G [norm=layernorm/none]", "1,234.5 MB", "12.3x", "0.123456"), ("SM", "1 B", "1x", "0")]
HEADS = ("variant", "bytes", "saved", "learning rate")


def test_figures_stay_whole_and_words_fold() -> None:
    text = shown(sheet(HEADS, ROWS), 56)
    assert all(figure in text for row in ROWS for figure in row[1:])
    assert "[norm=layernorm/none]" in text
    assert max(map(len, text.splitlines())) <= 56


def test_a_table_falls_into_its_parts_where_it_does_not_fit_and_only_there() -> None:
    parts = (0, 1, 1, 2)
    assert shown(sheet(HEADS, ROWS, parts=parts), 80).count("variant") == 1
    text = shown(sheet(HEADS, ROWS, "title", parts=parts), 45)
    assert text.count("variant") == 2
    assert text.count("title") == 1
    assert all(figure in text for row in ROWS for figure in row[1:])
    first, second = (part.split("\n")[0].split() for part in re.split(r"(?=variant)", text)[1:])
    assert first == ["variant", "bytes", "saved"]
    assert second == ["variant", "learning", "rate"]


def test_a_long_title_is_as_wide_as_the_terminal() -> None:
    title = "savings against " + "SM + LN + G " * 5
    assert shown(Sheet([Column("n", ["1"])], title.strip()), 100).splitlines()[0] == title.strip()


def test_a_table_without_rows_has_its_headings() -> None:
    assert "learning rate" in shown(sheet(HEADS, []), 80)
