"""What stands in brackets is printed, whatever prints it: notations, extras and lists are written so."""

from __future__ import annotations

import ast
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.table import Table
from studies import COSTS, STUDY, record
from test_train_report import RESULT

import aero_search
from aero_search.app.study import finish_study
from aero_search.cli import main
from aero_search.console import Console, make_console, progress_bars
from aero_search.report.diagnostics import Check
from aero_search.report.doctor import diagnostics_table
from aero_search.report.train import TrainingView, print_result
from aero_search.report.verify import verification_table
from aero_search.search.utilization import Utilization

PACKAGE = Path(aero_search.__file__).parent
# A name that rich would take for a style, and one for a colour.
BRACKETS = "SM + R [attention.temperature_init=0.05] [red]"


def stream(width: int = 120) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return make_console(file=file, width=width), file


def test_every_console_is_the_one_without_markup() -> None:
    """`train_plain` has a console of its own, for where rich is not installed."""
    banned = {"Console", "from_markup", "TextColumn", "Panel", "get_console", "Progress"}
    found = []
    for path in sorted(PACKAGE.glob("**/*.py")):
        tree = ast.parse(path.read_text())
        imported = {
            f"{n.module}.{name.name}"
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom)
            for name in n.names
        }
        # Two dataclasses of ours have the names of rich's.
        ours = {"aero_search.report.chart.Panel", "aero_search.training.progress.Progress"} & imported
        here = banned - {name.rpartition(".")[2] for name in ours}
        here -= {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
        calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call))
        called = {getattr(n.func, "attr", getattr(n.func, "id", "")) for n in calls}
        bare = (here & called) | ({"rich.progress.track", "rich.print"} & imported)
        found += [f"{path.relative_to(PACKAGE)}: {name}" for name in bare if path.name != "console.py"]
    assert found == []


def test_lines_titles_headings_and_cells_are_printed_as_they_are() -> None:
    console, file = stream()
    table = Table(title=f"title {BRACKETS}", caption=f"caption {BRACKETS}")
    table.add_column(f"heading {BRACKETS}")
    table.add_row(f"cell {BRACKETS}")
    console.print(f"line {BRACKETS} :smile:")
    console.print(table)
    text = file.getvalue()
    for where in ("line", "title", "caption", "heading", "cell"):
        assert f"{where} {BRACKETS}" in text
    assert ":smile:" in text


def test_progress_bars_show_brackets() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, markup=False)
    with progress_bars(console, "{task.description}", "{task.fields[note]}") as bars:
        bars.add_task(BRACKETS, total=1, note="[note]")
    assert BRACKETS in file.getvalue()
    assert "[note]" in file.getvalue()


def test_doctor_names_the_extra() -> None:
    console, file = stream()
    console.print(diagnostics_table([Check("extra mpc", False, "absent", "pip install 'aero-search[mpc]'")]))
    assert "'aero-search[mpc]'" in file.getvalue()


def test_verify_shows_what_differs() -> None:
    console, file = stream()
    rows = [("notation", "differs", "SM + R", BRACKETS)]
    console.print(verification_table(f"{BRACKETS}: bundle", rows))
    assert file.getvalue().count(BRACKETS) == 2
    assert "differs" in file.getvalue()


def test_a_sweep_of_costs_tells_its_rows_apart(capsys: pytest.CaptureFixture[str]) -> None:
    swept = ["attention.temperature=learned", "attention.temperature_init=0.05,0.2"]
    assert main(["cost", "--multirun", *swept]) == 0
    out = capsys.readouterr().out
    title, rows = out.split("\n", 1)
    assert title == "savings against SM(t) + LN + G [attention.temperature_init=0.05]"
    assert "[temperature_init=0.05]" in rows
    assert "[temperature_init=0.2]" in rows


def test_train_shows_the_whole_name() -> None:
    console, file = stream()
    print_result(replace(RESULT, notation=BRACKETS), COSTS, Path("outputs/[x]/train"), console)
    assert BRACKETS in file.getvalue()
    assert file.getvalue().count("outputs/[x]/train") == 2
    drawn = io.StringIO()
    with TrainingView(BRACKETS, 10, Console(file=drawn, width=140, force_terminal=True, markup=False)):
        pass
    assert BRACKETS in drawn.getvalue()


def test_a_search_ends_with_whole_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make_front: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    diverged = replace(record(15, STUDY[15]), notation=BRACKETS)
    front = replace(make_front(), diverged=(diverged,))
    reason = "ffn.layers=[0,7] names layer 7"
    study: Any = SimpleNamespace(
        invalid=lambda: Counter({reason: 2}),
        over=lambda: Counter(),
        given_up=lambda: [(BRACKETS, "2 workers died of it")],
        used=lambda: 17,
    )
    plan = SimpleNamespace(
        only_queued=False,
        search=SimpleNamespace(n_trials=17),
        output_dir=Path("outputs"),
        folder=Path("outputs/studies/[x]"),
        name="x",
    )
    runner: Any = SimpleNamespace(
        plan=plan, corpora={}, utilization=lambda _: Utilization(2, 600.0, 0.97, 0.4)
    )
    finish_study(runner, study, front)
    out = capsys.readouterr().out
    assert reason in out
    assert f"quarantined: {BRACKETS}" in out
    assert f"diverged: {BRACKETS}" in out
    assert "outputs/studies/[x]" in out
    assert "2 workers trained 97 % of 10 min 00 s, with 0.4 s between two trainings" in " ".join(out.split())
