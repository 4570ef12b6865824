"""Which point of a front to take, in words: what it costs, and what the next step costs and gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aero_search.architecture import BASELINE
from aero_search.front.quality import MAXIMIZED
from aero_search.report.units import quality_change, quality_name, quality_step, quality_text, readable, times

if TYPE_CHECKING:
    from aero_search.front.front import Front
    from aero_search.front.record import Record
    from aero_search.front.tradeoffs import Step

_NAMES = {"latency_s": "latency", "communication_bytes": "bytes", "flops": "FLOPs"}
# Smaller changes than half a percent read as none.
_SAME = 0.005


def choice_sentence(front: Front, record: Record, how: str) -> str:
    """Who is chosen, with figures: `best balance: SM + R  #3, perplexity 63.31, 1.98 s, 73.0 M FLOPs, ...`."""
    quality, value, known = front.objective.quality, front.value(record), front.baseline_value
    change = f" ({quality_change(quality, value, known)} against {BASELINE})" if known else ""
    figures = [
        f"{readable(m, record.costs[m])} {_kind(m)}".rstrip() + _saving(front, record, m)
        for m in front.objective.costs
    ]
    reached = f"{quality_name(quality)} {quality_text(quality, value)}{change}"
    return f"{how}: {record.label}, {reached}, {', '.join(figures)}"


def step_sentence(step: Step) -> str:
    """One step along the front: `one step cheaper, SM  #4: +0.80 perplexity saves 31% of bytes`.

    Where another cost rises, the cost that falls is named; a perplexity that differs by no more than seeds do is a
    tie.
    """
    saves = [f"{-100 * s:.0f}% of {_name(m)}" for m, s in step.shares.items() if s <= -_SAME]
    more = [f"{_growth(s)} {_name(m)}" for m, s in step.shares.items() if s >= _SAME]
    parts = [f"saves {_listed(saves)}"] if saves else []
    parts += [f"costs {_listed(more)}"] if more else []
    gained = " and ".join(parts) or "at the same cost"
    direction: str = step.direction
    if direction == "cheaper" and more:
        direction += f" in {_listed([_name(m) for m in step.by])}"
    tie = " (a tie)" if step.tied else ""
    return f"one step {direction}, {step.to.label}: {quality_step(step.quality, step.change)}{tie} {gained}"


def budget_words(limits: Mapping[str, float]) -> str:
    """Limits as people say them: `latency at most 2 s, bytes at most 1 GB`."""
    return ", ".join(
        f"{_name(metric)} at {'least' if metric in MAXIMIZED else 'most'} "
        f"{readable(metric, limit) if metric in _NAMES else f'{limit:g}'}"
        for metric, limit in limits.items()
    )


def choice_lines(front: Front, record: Record, steps: tuple[Step, ...], how: str) -> Iterator[str]:
    """The sentences below a front's table."""
    yield choice_sentence(front, record, how)
    for step in steps:
        yield f"  {step_sentence(step)}"
    if front.points and not any(step.direction == "cheaper" for step in steps):
        yield "  nothing on the front is cheaper"
    if front.points and not any(step.direction == "better" for step in steps):
        better = "higher" if front.reference.scale.maximized else "lower"
        yield f"  nothing on the front has a {better} {quality_name(front.objective.quality)}"


def _saving(front: Front, record: Record, metric: str) -> str:
    return f" ({times(front.saving(record, metric))} less)" if record.costs[metric] else ""


def _kind(metric: str) -> str:
    return {"flops": "FLOPs", "rounds": "rounds"}.get(metric, "")


def _name(metric: str) -> str:
    return _NAMES.get(metric, quality_name(metric))


def _growth(share: float) -> str:
    return f"{100 * share:.0f}% more" if share < 1 else f"{1 + share:.1f} times the"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
