"""What `aero-search plan` says: the space in numbers, the span of its costs, the hours of a search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from aero_search.front.objective import Objective
from aero_search.front.pricing import Pricing
from aero_search.quantity import write_quantity
from aero_search.report.table import Column, Sheet
from aero_search.report.units import compact, duration, readable, significant, times
from aero_search.schema import to_mapping
from aero_search.search.forecast import Pace
from aero_search.search.space_summary import Count, SpaceSummary
from aero_search.search.spec import SearchSpec
from aero_search.search.stages.stage import Stage, allowed
from aero_search.space import Space
from aero_search.space.allowed import LOWERING
from aero_search.training.recipe import Recipe


@dataclass(frozen=True)
class StageHours:
    """A stage before it begins.

    Attributes:
        flops_ratio: a forward pass of the baseline here, in units of the one at the proxy.
    """

    stage: Stage
    recipe: Recipe
    flops_ratio: float


@dataclass(frozen=True)
class Plan:
    """A search before it begins.

    Attributes:
        continuous: parameters that take any value between two, counted as one.
        others: parameters that change no architecture, such as the learning rate.
        stages: at which what may be on the front is trained again.
    """

    space: Space
    summary: SpaceSummary
    objective: Objective
    pricing: Pricing
    continuous: tuple[str, ...]
    others: tuple[str, ...]
    pace: Pace
    recipe: Recipe
    search: SearchSpec
    stages: tuple[StageHours, ...] = ()

    @property
    def trainings(self) -> int:
        """How many candidates will be trained: the budget, or fewer where a space of plain choices is smaller."""
        budget = self.search.n_trials
        if self.summary.fitting.value == 0:
            return 0
        if self.continuous or self.others or not self.summary.exact:
            return budget
        return min(budget, round(self.summary.fitting.value))

    @property
    def seconds_each(self) -> float:
        """Of one training, on average over the networks that keep the limits."""
        return self.pace.seconds(self.summary.mean_flops, self.recipe) if self.trainings else 0.0

    @property
    def hours(self) -> float:
        """Of the candidates, without further seeds and later stages."""
        return math.ceil(self.trainings / self.search.workers) * self.seconds_each / 3600

    @property
    def seed_hours(self) -> float:
        """Of further seeds, at most: every candidate may be on the front or a near rival of it."""
        return self.search.confirm * self.hours

    def stage_rows(self) -> list[dict[str, Any]]:
        """Trainings, seconds of one and hours of each stage, at the most networks that may go on."""
        rows, before = [], self.trainings
        for asked in self.stages:
            before = allowed(asked.stage.networks, before)
            # The baseline goes beside them.
            trainings = before + 1 if before else 0
            each = self.pace.seconds(self.summary.mean_flops * asked.flops_ratio, asked.recipe)
            hours = math.ceil(trainings / self.search.workers) * each / 3600
            rows.append(
                {
                    "stage": asked.stage.name,
                    "shape": to_mapping(asked.stage.shape),
                    "trainings": trainings,
                    "seconds_each": each,
                    "hours": hours,
                }
            )
        return rows

    def document(self) -> dict[str, Any]:
        """Everything as one JSON document; costs in seconds, bytes, FLOPs and round trips."""
        found = self.summary
        return {
            "space": self.space.name,
            "assignments": found.assignments,
            "looked_at": found.looked_at,
            "exact": found.exact,
            "architectures": to_mapping(found.architectures),
            "confidence": 1.0 if found.exact else 0.95,
            "counted_once": list(self.continuous),
            "not_counted": list(self.others),
            **({"lowerings": to_mapping(self.space.lowerings)} if self.space.lowerings else {}),
            "impossible_share": found.impossible,
            "limits": dict(self.objective.limits),
            "fitting": to_mapping(found.fitting),
            "protocol": self.pricing.protocol.name,
            "network": self.pricing.network.name,
            "target": to_mapping(self.pricing.target),
            "costs": {
                span.metric: {
                    "min": span.low,
                    "min_notation": span.cheapest,
                    "max": span.high,
                    "max_notation": span.dearest,
                }
                for span in found.spans
            },
            "forecast": {
                "trainings": self.trainings,
                "workers": self.search.workers,
                "seconds_each": self.seconds_each,
                "hours": self.hours,
                "seed_hours_at_most": self.seed_hours,
                "pace_from": self.pace.source,
                **({"stages": self.stage_rows()} if self.stages else {}),
            },
        }


def plan_report(plan: Plan) -> RenderableType:
    """The plan as a few lines and a table of costs."""
    found = plan.summary
    parts: list[RenderableType] = [
        Text.assemble(("space ", ""), (plan.space.name, "bold"), f": {plan.space.description}")
    ]
    looked = "all looked at" if found.exact else f"{found.looked_at:,} drawn evenly and looked at"
    lines = [
        f"{_number(found.architectures)} distinct architectures, of {found.assignments:,} assignments ({looked})"
    ]
    if plan.continuous:
        lines.append(f"continuous, counted once: {', '.join(plan.continuous)}")
    if others := [name for name in plan.others if name not in plan.continuous]:
        lines.append(f"no matter of architecture, not counted: {', '.join(others)}")
    for entry, names in plan.space.lowerings.items():
        lines.append(f"{LOWERING}{entry}, the cheapest for each: {', '.join(names)}")
    if found.impossible:
        share = f"{100 * found.impossible:.3g} % of the assignments"
        lines.append(f"{share} cannot be built, the first because {found.why_impossible}")
    if plan.objective.limits:
        limits = ", ".join(f"{m} up to {write_quantity(m, v)}" for m, v in plan.objective.limits.items())
        lines.append(f"{_number(found.fitting)} keep the limits: {limits}")
    parts.append(Text("\n".join(lines)))
    if found.spans:
        parts.append(_costs(plan))
    parts.append(Text(_forecast(plan)))
    return Group(*parts)


def _costs(plan: Plan) -> Sheet:
    priced = "" if plan.pricing.target is None else f", at the size of {plan.pricing.target.text}"
    found = "" if plan.summary.exact else "; ends found by descent from the sample"
    spans = plan.summary.spans
    metrics = [span.metric.removesuffix("_s").removesuffix("_bytes") for span in spans]
    columns = [
        Column("metric", metrics, words=True),
        Column("least", [readable(span.metric, span.low) for span in spans], part=1),
        Column("by", [compact(span.cheapest) for span in spans], words=True, part=1),
        Column("most", [readable(span.metric, span.high) for span in spans], part=2),
        Column("by", [compact(span.dearest) for span in spans], words=True, part=2),
        Column("span", [times(span.high / span.low) if span.low else "-" for span in spans], part=2),
    ]
    title = (
        f"costs, protocol {plan.pricing.protocol.name}, network {plan.pricing.network.name}{priced}{found}"
    )
    return Sheet(columns, title)


def _forecast(plan: Plan) -> str:
    if not plan.trainings:
        return "nothing to train: no architecture keeps the limits"
    workers = "1 worker" if plan.search.workers == 1 else f"{plan.search.workers} workers"
    said = (
        f"about {duration(3600 * plan.hours)} to train {plan.trainings} candidates on {workers}, "
        f"{duration(plan.seconds_each)} each (pace of {plan.pace.source})"
    )
    if plan.search.confirm:
        seeds = "another seed" if plan.search.confirm == 1 else f"{plan.search.confirm} more seeds"
        said += (
            f"\nthen {seeds} of the front and its near rivals: up to {duration(3600 * plan.seed_hours)} more"
        )
    rows = plan.stage_rows()
    for asked, row in zip(plan.stages, rows, strict=True):
        said += (
            f"\nstage {asked.stage.name}: about {duration(3600 * row['hours'])} to train up to "
            f"{row['trainings']} of them ({asked.stage.shape.n_layer} layers, d_model "
            f"{asked.stage.shape.d_model}), {duration(row['seconds_each'])} each"
        )
    if rows:
        said += f"\nabout {duration(3600 * (plan.hours + sum(row['hours'] for row in rows)))} in all, without seeds"
    return said


def _number(count: Count) -> str:
    if count.exact:
        return f"{count.value:,.0f}"
    low, value, high = (significant(float(f"{v:.3g}")) for v in (count.low, count.value, count.high))
    return f"about {value} (95 % interval {low} to {high})"
