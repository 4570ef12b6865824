"""`aero-search export`: one architecture of a study, as a bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aero_search.config.command import Command
from aero_search.config.past import open_past_study
from aero_search.config.request import Request
from aero_search.errors import RequestError, nearest
from aero_search.search.front import Front
from aero_search.search.record import Record


@dataclass(frozen=True)
class ExportOptions:
    """conf/export.yaml"""

    pick: str
    to: str | None
    max_latency_s: float | None
    max_comm_gb: float | None
    max_flops: float | None
    max_perplexity: float | None

    def limits(self) -> dict[str, float]:
        """The budget by metric name; empty where none was given."""
        given = {
            "latency_s": self.max_latency_s,
            "communication_bytes": None if self.max_comm_gb is None else self.max_comm_gb * 1e9,
            "flops": self.max_flops,
            "perplexity": self.max_perplexity,
        }
        return {metric: limit for metric, limit in given.items() if limit is not None}


def run(request: Request) -> None:
    """Pick a point and write its bundle."""
    from aero_search.export.bundle import Choice, write_bundle

    options = request.options(ExportOptions)
    past = open_past_study(request)
    limits = options.limits()
    record = past.front.within(limits) if limits else pick(past.front, options.pick)
    picked_by = ", ".join(f"{m} <= {v:g}" for m, v in limits.items()) or options.pick
    name = "budget" if limits else options.pick.replace(":", "-")
    folder = Path(options.to) if options.to else request.output_dir / "exports" / f"{past.name}-{name}"
    choice = Choice(past.name, record, past.front, past.pricing, picked_by, str(past.attrs["command"]))
    write_bundle(choice, folder)
    print(f"{record.label}: perplexity {record.perplexity:.2f}, {record.costs['latency_s']:.3g} s")
    if past.front.sizes:
        print(past.front.sizes)
    print(f"written to {folder}")


def pick(front: Front, how: str) -> Record:
    """The record that `pick=` names.

    Raises:
        RequestError: not a way to pick, or no such trial.
    """
    if match := re.fullmatch(r"trial:(\d+)", how):
        return front.trial(int(match[1]))
    ways = {"knee": front.knee, "best": front.best, "cheapest": front.cheapest}
    if how not in ways:
        raise RequestError(f"pick={how} is not a way to pick: {nearest(how, [*ways, 'trial:N'])}")
    return ways[how]()


COMMAND = Command("export", run)
