"""A ladder as a table: for the terminal, Markdown, LaTeX and CSV, all from the same rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aero_search.architecture import Architecture
from aero_search.architecture.operations import operation_card
from aero_search.console import Console
from aero_search.cost import inventory
from aero_search.front.record import Record
from aero_search.front.seed_scatter import TIE
from aero_search.markdown import plain
from aero_search.printing import visible
from aero_search.quantity import perplexity_text
from aero_search.report.table import Column, Sheet
from aero_search.report.units import scale, times
from aero_search.schema import to_mapping
from aero_search.search.agreement import agreement
from aero_search.search.ladder import Ladder, Line, marginal_bests
from aero_search.training.entropy_health import EntropyHealth

COSTS = ("flops", "communication_bytes", "latency_s")
# The columns of the two tables on a terminal.
QUALITY, COST = ("variant", "perplexity", "attention", "remarks"), ("variant", "operations", "cost")


@dataclass(frozen=True)
class LadderTable:
    """A ladder with everything its table says.

    Attributes:
        costs: of each line's architecture: latency_s, communication_bytes, flops, rounds.
        health: of each line's first run, by the cell's name; absent where nothing was measured.
        command: repeats or resumes the ladder.
    """

    ladder: Ladder
    lines: Sequence[Line]
    costs: Sequence[Mapping[str, float]]
    health: Mapping[str, EntropyHealth] = field(default_factory=dict)
    command: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """One flat mapping a line, SI units, the same keys in each; None where nothing is known."""
        return [self._row(line, costs) for line, costs in zip(self.lines, self.costs, strict=True)]

    def _row(self, line: Line, costs: Mapping[str, float]) -> dict[str, Any]:
        health = self.health.get(line.cell.name)
        return {
            "row": line.cell.name,
            **{factor: line.cell.levels.get(factor) for factor in self.ladder.cross},
            "perplexity": line.perplexity,
            "perplexity_std": line.spread,
            "seeds": len(line.runs),
            "change_percent": self._change(line),
            "published": line.cell.published,
            "lr": line.lr,
            "lr_at_edge": self.at_edge(line),
            "nonlinear_operations": nonlinear_operations(line.architecture),
            **{metric: costs[metric] for metric in COSTS},
            **{f"saving_{m}": self.costs[0][m] / costs[m] if costs[m] else None for m in COSTS},
            "verdict": self.verdict(line),
            "health": health.verdict if health else None,
            "balanced_share": health.balanced if health else None,
            "overloaded_share": health.overloaded_share if health else None,
        }

    def _change(self, line: Line) -> float | None:
        first = self.lines[0].perplexity
        return 100 * (line.perplexity / first - 1) if first and line.perplexity else None

    def at_edge(self, line: Line) -> bool:
        """Whether the best learning rate is the lowest or highest of those tried: the best may lie beyond."""
        return len(self.ladder.lr) > 2 and line.lr in (min(self.ladder.lr), max(self.ladder.lr))

    def verdict(self, line: Line) -> str:
        """How the line's trainings ended, in words; empty where all went well."""
        if not line.runs:
            return "not trained yet"
        if line.perplexity is None:
            return "; ".join(dict.fromkeys(record.reason or record.state for record in line.diverged))
        parts = [f"{len(line.diverged)} of {_trainings(line)} trainings diverged"] if line.diverged else []
        if stuck := sum(run.state == "plateau" for run in line.runs):
            parts.append(f"{stuck} of {len(line.runs)} seeds stayed on the unigram plateau")
        return "; ".join(parts)

    def sentences(self) -> list[str]:
        """What the table shows, in words."""
        said = []
        if found := agreement(self.lines):
            order = (
                "every one of them in the published order"
                if not found.reversed
                else "reversed: " + "; ".join(f"{a} before {b}" for a, b in found.reversed)
            )
            tau = f"Kendall's tau {found.kendall:.2f} against {self.ladder.source}. " if found.kendall else ""
            said.append(f"{tau}{found.pairs} pairs differ by more than {100 * TIE:.0f} %: {order}.")
        if self.ladder.cross:
            said += [gain for row in self.ladder.rows if (gain := self._gains(row))]
        if edges := [line.cell.name for line in self.lines if line.runs and self.at_edge(line)]:
            said.append(f"Best at an end of the learning rates tried, marked *: {len(edges)} rows.")
        return said

    def _gains(self, row: str) -> str:
        chosen = marginal_bests(self.ladder, self.lines, row)
        if "first" not in chosen:
            return ""
        first = chosen["first"]
        parts = []
        for name, line in chosen.items():
            if name == "first" or line.perplexity is None or first.perplexity is None:
                continue
            change = 100 * (line.perplexity / first.perplexity - 1)
            what = "together" if name == "best" else f"{name} alone"
            levels = ", ".join(f"{factor} {level}" for factor, level in line.cell.levels.items())
            parts.append(f"{what} {change:+.1f} % ({levels}: {_perplexity(line)})")
        levels = ", ".join(f"{factor} {level}" for factor, level in first.cell.levels.items())
        return f"{row} ({levels}: {_perplexity(first)}): best {'; '.join(parts)}."

    def document(self) -> dict[str, Any]:
        """The ladder as one JSON document, every training included."""
        found = agreement(self.lines)
        return {
            "ladder": to_mapping(self.ladder),
            "rows": self.rows(),
            "trainings": {line.cell.name: [_training(r) for r in _records(line)] for line in self.lines},
            "agreement": to_mapping(found) if found else None,
            "sentences": self.sentences(),
            "command": self.command,
        }


def nonlinear_operations(architecture: Architecture) -> str:
    """The nonlinearities of one forward pass as AERO's tables write them: `SM 48x(128x128), LN 25x(128x768)`."""
    counts: Counter[tuple[str, int, int]] = Counter()
    for operation in inventory(architecture):
        if (card := operation_card(operation.kind)) is not None:
            name = card.term or operation.kind
            counts[name, operation.shape[0], operation.shape[-1]] += operation.count
    return ", ".join(f"{name} {count}x({m}x{n})" for (name, m, n), count in counts.items())


def print_ladder(table: LadderTable, console: Console) -> None:
    """Print the table, as two that fit a terminal of 80 columns, and what it shows."""
    every, priced = range(len(table.lines)), _priced_apart(table)
    console.print(ladder_table(table, QUALITY, f"{table.ladder.name}: {table.ladder.description}", every))
    console.print(
        ladder_table(table, COST, "what private inference costs, and times less than row one", priced)
    )
    for row in table.ladder.rows if table.ladder.cross else ():
        console.print(cross_table(table, row))
    for sentence in table.sentences():
        console.print(sentence)


def _priced_apart(table: LadderTable) -> list[int]:
    """The lines whose costs no line of the same row above them has: levels of factors often cost the same."""
    seen = [(line.cell.row, dict(costs)) for line, costs in zip(table.lines, table.costs, strict=True)]
    return [i for i, said in enumerate(seen) if said not in seen[:i]]


def ladder_table(table: LadderTable, parts: Sequence[str], title: str, kept: Sequence[int]) -> Sheet:
    """The lines `kept`, by number, with the columns that `parts` names."""
    columns = [
        # An operation a line: a terminal has no room for all of them side by side.
        Column(
            column.head,
            [column.cells[i].replace("), ", ")\n") for i in kept],
            words=column.words,
            part=parts.index(column.part),
        )
        for column in _columns(table)
        if column.part in parts
    ]
    return Sheet(columns, title)


def cross_table(table: LadderTable, row: str) -> Sheet:
    """The perplexities of one row by the levels of the first two factors."""
    down, across = [*table.ladder.cross, "", ""][:2]
    levels = list(table.ladder.cross[down])
    columns = [Column(f"{down} \\ {across}".rstrip(" \\"), levels)]
    of = {
        (line.cell.levels[down], line.cell.levels.get(across, "")): line
        for line in table.lines
        if line.cell.row == row
    }
    for number, level in enumerate(table.ladder.cross.get(across, {"": ()})):
        cells = [_perplexity(of[other, level]) for other in levels]
        columns.append(Column(level, cells, part=1 + number))
    return Sheet(columns, f"{row}: perplexity")


def ladder_markdown(table: LadderTable) -> str:
    """The table in GitHub's Markdown, with the sentences below."""
    columns = _columns(table)
    heads, marks = [c.head for c in columns], [":--" if c.words else "--:" for c in columns]
    lines = zip(*(column.cells for column in columns), strict=True)
    rows = (map(plain, line) for line in lines)
    body = "\n".join(f"| {' | '.join(line)} |" for line in (heads, marks, *rows))
    sentences = "\n".join(f"- {plain(sentence)}" for sentence in table.sentences())
    return f"**{plain(table.ladder.name)}**: {plain(table.ladder.description)}\n\n{body}\n\n{sentences}\n"


def ladder_latex(table: LadderTable) -> str:
    """The table as LaTeX that needs the package booktabs alone."""
    columns = _columns(table)
    lines = zip(*(column.cells for column in columns), strict=True)
    body = "\n".join(" & ".join(map(_latex, line)) + r" \\" for line in lines)
    head = " & ".join(_latex(column.head) for column in columns)
    sides = "".join("l" if column.words else "r" for column in columns)
    return (
        f"% {_latex(table.ladder.name)}: {_latex(table.ladder.description)}\n"
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n"
        f"{head} \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def ladder_csv(table: LadderTable) -> str:
    """The rows with every digit, SI units."""
    rows = table.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True)
class _Column:
    """One column as text, a cell a line; `words` are read from the left."""

    part: str
    head: str
    cells: Sequence[str]
    words: bool = False


def _columns(table: LadderTable) -> list[_Column]:
    """Every column in which something is said."""
    rows, lines = table.rows(), table.lines
    edges = ["*" if table.at_edge(line) else "" for line in lines]
    columns = [
        _Column("variant", "variant", [line.cell.name for line in lines], words=True),
        _Column("perplexity", "perplexity", [_perplexity(line) for line in lines]),
        _Column("perplexity", "change", [_signed(row["change_percent"]) for row in rows]),
        _Column("perplexity", "published", [_said(row["published"]) for row in rows]),
        _Column("perplexity", "lr", [_said(row["lr"]) + edge for row, edge in zip(rows, edges, strict=True)]),
        _Column("remarks", "remarks", [row["verdict"] for row in rows], words=True),
        _Column(
            "operations", "nonlinear operations", [row["nonlinear_operations"] for row in rows], words=True
        ),
    ]
    for metric in COSTS:
        unit = scale(metric, [row[metric] for row in rows])
        cells = [f"{unit.text(row[metric])} {_times(row[f'saving_{metric}'])}" for row in rows]
        columns.append(_Column("cost", unit.heading.replace("communication", "comm."), cells))
    columns.append(_Column("attention", "attention", [_health(row) for row in rows], words=True))
    return [column for column in columns if any(column.cells)]


def _said(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _times(saving: float | None) -> str:
    return "-" if saving is None else times(saving)


def _perplexity(line: Line) -> str:
    if not line.runs:
        return "-"
    if line.perplexity is None:
        values = line.perplexities
        if not values:
            return "diverged"
        return f"{perplexity_text(values[0])} ({len(line.runs) - len(values)} of {len(line.runs)} diverged)"
    spread = f" ± {perplexity_text(line.spread)}" if line.spread is not None else ""
    return f"{perplexity_text(line.perplexity)}{spread}"


def _signed(percent: float | None) -> str:
    return "" if percent is None else f"{percent:+.1f}%"


def _health(row: Mapping[str, Any]) -> str:
    if row["health"] is None:
        return ""
    state = row["health"].removeprefix("entropic_").removeprefix("entropy_")
    return f"{state}, {100 * row['balanced_share']:.0f}% balanced"


_LATEX = str.maketrans(
    {
        **{mark: rf"\{mark}" for mark in "_%&#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
    }
)


def _latex(text: str) -> str:
    return " ".join(visible(text).split()).translate(_LATEX)


def _records(line: Line) -> list[Record]:
    return list({record.number: record for record in (*line.tried, *line.runs)}.values())


def _trainings(line: Line) -> int:
    return len(_records(line))


def _training(record: Record) -> dict[str, Any]:
    return {
        "trial": record.number,
        "lr": record.lr,
        "seed": record.seed,
        "state": record.state,
        "reason": record.reason,
        "perplexity": record.perplexity,
        "seconds": record.seconds,
        "candidate": record.candidate,
    }
