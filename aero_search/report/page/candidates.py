"""The candidates of a study as a page needs them: verdict, perplexity, prices, curve and entropies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aero_search.errors import AeroSearchError
from aero_search.front.front import Front
from aero_search.front.front_membership import FrontMembership
from aero_search.front.pricing import Pricing
from aero_search.front.quality import QUALITIES
from aero_search.front.record import Record
from aero_search.report.page.prices import PageTariff
from aero_search.search.timeline import Moment
from aero_search.training.entropy_health import uniform_entropy
from aero_search.training.result import Result, read_result


def results_of(records: Sequence[Record]) -> dict[int, Result]:
    """The results that are still on this machine, by trial number."""
    found = {}
    for record in records:
        try:
            found[record.number] = read_result(record.folder)
        except AeroSearchError:
            continue  # in training, or its folder is gone: the study's record alone is shown
    return found


def candidate_entries(
    records: Sequence[Record],
    results: Mapping[int, Result],
    front: Front,
    pricing: Pricing,
    tariff: PageTariff,
    moments: Sequence[Moment],
) -> list[dict[str, Any]]:
    """One JSON mapping a candidate, by trial number.

    Args:
        front: of the same records.
        pricing: whose target, if any, the prices are of.
    """
    ended = {moment.number: moment.ended for moment in moments}
    entries: list[dict[str, Any]] = []
    for record in records:
        membership = front.memberships.get(record.number)
        result = results.get(record.number)
        entries.append(
            {
                "trial": record.number,
                "notation": record.notation,
                "baseline": front.is_baseline(record),
                "represents": front.represents(record),
                "state": record.state,
                "reason": record.reason,
                **{name: front.standing(record).metric(name) for name in QUALITIES},
                "loss": front.standing(record).loss,
                "seeds": None if membership is None else _seeds(front, membership),
                "lr": record.lr,
                "seed": record.seed,
                "seconds": record.seconds,
                "ended": ended.get(record.number),
                "overrides": list(record.overrides),
                **tariff(pricing.priced(record.architecture)),
                **(_trained(record, result) if result else {}),
            }
        )
    return entries


def _seeds(front: Front, membership: FrontMembership) -> dict[str, Any]:
    """Mean, the ends of the error bar, and in words what the bar is."""
    seeds, chance = membership.seeds, membership.probability
    what = f"95 % interval over {seeds} seeds, on the front with probability {chance:.2f}"
    return {**front.interval(membership), "what": what}


def _trained(record: Record, result: Result) -> dict[str, Any]:
    health = result.health
    return {
        "parameters": result.parameters,
        "curve": [[point.step, point.perplexity] for point in result.curve],
        "entropy": [list(layer) for layer in result.entropy],
        "even_entropy": uniform_entropy(record.architecture.seq_len),
        "health": None if health is None else health.verdict.replace("_", " "),
        "overloaded_share": None if health is None else health.overloaded_share,
        "health_reason": "" if health is None else health.reason,
        "norm_health": "" if result.norms is None else result.norms.reason,
    }
