"""A front as a table, in the terminal and in Markdown, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from aero_search.architecture import BASELINE
from aero_search.console import Console
from aero_search.front.quality import QUALITIES
from aero_search.markdown import plain
from aero_search.report.table import Column, Sheet
from aero_search.report.units import (
    Scale,
    compact,
    quality_change,
    quality_name,
    quality_text,
    readable,
    scale,
    share_text,
    significant,
    times,
)

if TYPE_CHECKING:
    from aero_search.front.front import Front
    from aero_search.front.record import Record

KNEE = "◆"


def front_table(front: Front, title: str = "") -> Sheet:
    """The front from cheapest to most expensive, one row a candidate, and the baseline's row below.

    Where places are known from several seeds, interval and probability take the room of change and learning rate.

    Costs have the unit of their heading and, after it, how many times less than the baseline they are.
    """
    scales = _scales(front)
    knee = front.balance
    rows = [_row(front, scales, record) for record in front.points]
    styles = ["bold" if record is knee else None for record in front.points]
    for row, record in zip(rows, front.points, strict=True):
        row.trial = f"{KNEE} {row.trial}" if record is knee else row.trial
    alone = not any(map(front.is_baseline, front.points))
    if alone:
        rows.append(_row(front, scales))
        styles.append("dim")
    columns = [
        Column("trial", [row.trial for row in rows]),
        Column("architecture", [compact(row.architecture) for row in rows], words=True),
        Column(
            f"{'' if front.target is None else 'proxy '}{_short(front)}",
            [row.quality for row in rows],
            part=1,
        ),
    ]
    if front.memberships:
        columns.append(Column("95 %", [row.membership[0] for row in rows], part=1))
        columns.append(Column("on front", [row.membership[1] for row in rows], part=1))
    if front.baseline_value is not None:
        columns.append(Column("change", [row.change or "" for row in rows], part=1))
    for i, metric_scale in enumerate(scales.values()):
        heading = metric_scale.heading.replace("communication", "comm.")
        cells = [Text.assemble(row.costs[i][0], " ", (f"{row.costs[i][1]:>4}", "green")) for row in rows]
        columns.append(Column(heading, cells, part=2))
    if any(record.lowerings for record in front.points):
        columns.append(Column("lowerings", [row.lowerings for row in rows], words=True, part=2))
    columns.append(Column("rates, seeds", [row.trained for row in rows], part=2))
    if not front.memberships:
        columns.append(Column("lr", [row.lr for row in rows], part=2))
    sections = (len(rows) - 1,) if alone and front.points else ()
    return Sheet(columns, title, _caption(front), sections, styles)


def front_summary(front: Front) -> str:
    """The front in two or three sentences: counts, hypervolume, and the box in which that is measured."""
    parts = [f"{_trained(front)} trained: {len(front.points)} on the front, {len(front.dominated)} dominated"]
    if front.stopped:
        parts.append(
            f"{len(front.stopped)} stopped at a rung after {_trained_share(front):.0%} of their steps"
        )
    if front.diverged:
        parts.append(f"{len(front.diverged)} diverged")
    if front.over:
        parts.append(f"{len(front.over)} above a limit at these prices")
    plateau = _plateau(front)
    of_these = f"; {plateau} of these never left the unigram plateau" if plateau else ""
    sizes = f" {front.sizes[0].upper()}{front.sizes[1:]}." if front.sizes else ""
    costs = " and ".join(f"{readable(m, 1.1 * c)} {_in_words(m)}" for m, c in front.baseline.items())
    return (
        f"{', '.join(parts)}{of_these}. Hypervolume {front.hypervolume:.4f}: the share of the box that the front "
        f"dominates, {_box(front)} (token frequencies alone) and {costs} "
        f"(1.1 times {BASELINE} at the same size).{sizes}{_confirmed(front)}"
    )


def print_front(front: Front, console: Console, title: str = "") -> None:
    """Print table and summary; an empty front says why it is one."""
    if front.points:
        console.print(front_table(front, title))
    else:
        console.print("The front is empty: no candidate has finished with a perplexity yet.", style="yellow")
        for record in front.diverged:
            console.print(Text(f"  {record.label}: {record.reason or 'diverged'}", style="dim"))
    console.print(Text(front_summary(front)))


def front_markdown(front: Front) -> str:
    """The same table in GitHub's Markdown, with the summary below."""
    scales = _scales(front)
    known = front.baseline_value is not None
    quality = quality_name(front.objective.quality)
    heads = [
        "trial",
        "architecture",
        quality if front.target is None else f"proxy's {quality}",
        *(["95 % interval", "on the front"] if front.memberships else []),
        *(["change"] if known else []),
    ]
    for metric_scale in scales.values():
        heads += [metric_scale.heading, "saving"]
    chosen = any(record.lowerings for record in front.points)
    heads += [*(["lowerings"] if chosen else []), "rates, seeds", "learning rate"]
    knee = front.balance
    rows = []
    for record in front.points:
        row = _row(front, scales, record)
        if record is knee:
            row.trial = f"{KNEE} {row.trial}"
        rows.append(row.markdown(chosen))
    if not any(map(front.is_baseline, front.points)):
        rows.append(_row(front, scales).markdown(chosen))
    marks = [":--" if head == "architecture" else "--:" for head in heads]
    table = "\n".join(f"| {' | '.join(line)} |" for line in (heads, marks, *rows))
    legend = "" if knee is None else f"{KNEE} best balance. "
    return f"{table}\n\n{legend}{plain(front_summary(front))}\n"


def front_rows(front: Front) -> list[dict[str, object]]:
    """The front as plain rows for other tables, such as MLflow's: same keys in every row, SI units.

    `saving_*` is how many times less than the baseline; `change_percent` is None where none is trained.
    """
    knee = front.balance
    rows: list[dict[str, object]] = []
    for record in front.points:
        known, quality = front.baseline_value, front.objective.quality
        value = front.value(record)
        row: dict[str, object] = {
            "architecture": record.notation,
            **({} if front.target is None else {f"at {front.target.name}": front.deployed(record)}),
            quality: value,
            **{name: record.metric(name) for name in QUALITIES if name != quality},
            **_membership_row(front, record),
            "change_percent": 100 * (value / known - 1) if known else None,
        }
        for metric in front.objective.costs:
            row[metric] = record.costs[metric]
            row[f"saving_{metric}"] = front.saving(record, metric) if record.costs[metric] else None
        row |= {f"protocol.use.{entry}": name for entry, name in record.lowerings.items()}
        rows.append({**row, "lr": record.lr, "trial": record.number, "knee": record is knee})
    return rows


@dataclass
class _Row:
    """One line of a table as text; `change` is None where no baseline is trained.

    Attributes:
        trained: how many rates its network was trained at, and with how many seeds at its best one.
        membership: interval and probability; empty where the study has none.
        lowerings: that it takes where there is a choice.
    """

    trial: str
    architecture: str
    quality: str
    membership: list[str]
    change: str | None
    costs: list[tuple[str, str]]
    lr: str
    trained: str
    lowerings: str = ""

    def markdown(self, chosen: bool) -> list[str]:
        cells = [self.trial, plain(self.architecture), self.quality, *self.membership]
        cells += [] if self.change is None else [self.change]
        cells += [cell for pair in self.costs for cell in pair]
        return [*cells, *([plain(self.lowerings)] if chosen else []), self.trained, self.lr]


def _row(front: Front, scales: dict[str, Scale], record: Record | None = None) -> _Row:
    """A candidate's line, the baseline's where `record` is None."""
    quality = front.objective.quality
    shown = record or front.baseline_record
    value = front.value(shown) if shown else None
    costs = record.costs if record else front.baseline
    return _Row(
        trial=f"#{record.number}" if record else "",
        architecture=record.notation if record else f"{BASELINE} (baseline)",
        quality=quality_text(quality, value),
        membership=_membership(front, shown),
        change=_change(front, shown) if shown and front.baseline_record else None,
        costs=[
            (metric_scale.text(costs[metric]), _saving(front.baseline[metric], costs[metric]))
            for metric, metric_scale in scales.items()
        ],
        lr=f"{shown.lr:.3g}" if shown else "",
        trained=f"{front.network(shown).rates}, {shown.seeds}" if shown else "",
        lowerings=", ".join(shown.lowerings.values()) if shown else "",
    )


def _membership(front: Front, record: Record | None) -> list[str]:
    if not front.memberships:
        return []
    membership = front.memberships.get(record.number) if record else None
    if membership is None:
        return ["", ""]
    ends, quality = front.interval(membership), front.objective.quality
    low, high = (quality_text(quality, ends[end]) for end in ("low", "high"))
    return [f"{low}-{high}", f"{membership.probability:.0%}"]


def _membership_row(front: Front, record: Record) -> dict[str, object]:
    if not front.memberships:
        return {}
    membership = front.memberships.get(record.number)
    quality = front.objective.quality
    ends: Mapping[str, float] = {} if membership is None else front.interval(membership)
    return {
        f"{quality}_low": ends.get("low"),
        f"{quality}_high": ends.get("high"),
        "seeds": getattr(membership, "seeds", None),
        "probability": getattr(membership, "probability", None),
    }


def _confirmed(front: Front) -> str:
    """What further seeds have shown, in a sentence with a space before it; empty where there are none."""
    if not front.memberships:
        return ""
    scatter = front.scatter
    near = [
        f"#{record.number} {front.memberships[record.number].probability:.0%}"
        for record in front.dominated
        if record.number in front.memberships
    ]
    rivals = f" Near rivals, with their chance to belong to it: {', '.join(near)}." if near else ""
    own = "" if scatter.measured is None else f", {100 * scatter.measured:.2g} % in this study alone"
    moves = f"another seed moves one by {100 * scatter.spread:.2g} % (standard deviation{own})"
    return f" {_means(front)}; {moves}.{rivals}"


def _change(front: Front, record: Record) -> str:
    """The change against the baseline with half of its 95 % interval; a tie where that does not tell it from 0."""
    change = front.change(record)
    if change is None:
        return "-"
    half = (change.high - change.low) / 2
    quality, known = front.objective.quality, front.baseline_value
    if front.reference.scale.worst is not None and known is not None:
        return "tie" if change.tied else quality_change(quality, front.value(record), known)
    if change.tied:
        return f"tie ±{100 * half:.1f}%"
    return share_text(change.share, half)


def _means(front: Front) -> str:
    if front.reference.scale.worst is None:
        return "Perplexities of candidates with several seeds are geometric means"
    return f"Candidates with several seeds have the mean of their losses in {quality_name(front.objective.quality)}"


def _short(front: Front) -> str:
    """The quality in a narrow heading."""
    quality = front.objective.quality
    return {"perplexity": "ppl", "bits_per_byte": "bits/byte"}.get(quality, quality)


def _box(front: Front) -> str:
    """What the box spans beside the costs, in words."""
    scale, quality = front.reference.scale, front.objective.quality
    if scale.worst is None:
        unigram = significant(front.reference.unigram_perplexity)
        return f"from perplexity 1 (by its logarithm) and no cost up to the reference point, perplexity {unigram}"
    name, worst = quality_name(quality), quality_text(quality, scale.worst)
    best = quality_text(quality, scale.value(1.0))
    return f"from {name} {best} and no cost to the reference point, {name} {worst}"


def _saving(baseline: float, cost: float) -> str:
    return times(baseline / cost) if cost > 0 else "-"


def _scales(front: Front) -> dict[str, Scale]:
    return {
        metric: scale(metric, [front.baseline[metric], *(record.costs[metric] for record in front.points)])
        for metric in front.objective.costs
    }


def _caption(front: Front) -> str:
    parts = [] if front.balance is None else [f"{KNEE} best balance"]
    parts += [f"{len(front.dominated)} dominated", f"{len(front.diverged)} diverged"]
    if front.baseline_perplexity is not None and not front.scatter.pairs:
        parts.append(f"± from {100 * front.scatter.spread:.2g} % between seeds, as known of the proxy")
    if front.baseline_value is None:
        parts.append(f"{BASELINE} is not trained in this study")
    if front.target is not None:
        parts.append(f"costs of {front.target.name}")
    return " · ".join(parts if front.points else parts[1:])


def _plateau(front: Front) -> int:
    return sum(record.state == "plateau" for record in (*front.points, *front.dominated))


def _trained(front: Front) -> int:
    kinds = (front.points, front.dominated, front.diverged, front.over, front.stopped)
    return sum(map(len, kinds))


def _trained_share(front: Front) -> float:
    """Of their steps that the stopped candidates have done."""
    done = sum(record.curve[-1][0] for record in front.stopped)
    return done / sum(record.steps for record in front.stopped)


def _in_words(metric: str) -> str:
    return {"latency_s": "of latency", "communication_bytes": "of communication", "flops": "FLOPs"}.get(
        metric, metric.replace("_", " ")
    )
