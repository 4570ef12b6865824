"""A study's front: who is on it, what it is worth, and which point to take."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from aero_search.architecture import BASELINE, ModelShape, notation, retarget
from aero_search.errors import RequestError, nearest
from aero_search.front.front_membership import FrontMembership, Standing, memberships, standings
from aero_search.front.networks import TrainedNetwork, trained_networks
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference, knee, nondominated
from aero_search.front.quality import MAXIMIZED, as_minimized
from aero_search.front.record import Record
from aero_search.front.seed_scatter import TIE, Change, Scatter
from aero_search.quantity import UNITS, write_quantity


@dataclass(frozen=True)
class Front:
    """The records of a study, sorted into front and rest.

    Attributes:
        points: non-dominated networks, each as its best candidate, from cheapest to dearest by the first cost.
        dominated: the other candidates with a perplexity, other training settings of the same networks among them.
        diverged: candidates without one.
        baseline: the costs of SM + LN + G at the same size, in the objective's order.
        baseline_record: the best trained SM + LN + G of the study, on the front or not; None if it has none.
        networks: what was trained, by network.
        target: the shape that costs belong to; None: the one that was trained.
        over: trained candidates above a limit of the objective; other prices than the study's put them there.
        stopped: at a rung, so that what they would have reached is not known.
    """

    objective: Objective
    reference: Reference
    points: tuple[Record, ...]
    dominated: tuple[Record, ...]
    diverged: tuple[Record, ...]
    baseline_record: Record | None
    networks: tuple[TrainedNetwork, ...]
    over: tuple[Record, ...] = ()
    target: ModelShape | None = None
    stopped: tuple[Record, ...] = ()

    @cached_property
    def memberships(self) -> Mapping[int, FrontMembership]:
        """How sure each place is, by trial number; empty where no candidate was trained with several seeds."""
        return memberships(self._learned, self.objective.costs, [record.number for record in self.points])

    @cached_property
    def _learned(self) -> list[Record]:
        """What stands for its network, has left the plateau and keeps the limits."""
        best = [network.best for network in self.networks if network.best is not None]
        return [r for r in best if r.state == "finished" and not self.objective.over(r.costs)]

    @property
    def standings(self) -> list[tuple[Record, Standing]]:
        """What stands for each network that has learned something, with its chance to be on the front."""
        found = standings(self._learned, self.objective.costs, self.scatter)
        return list(zip(self._learned, found, strict=True))

    @cached_property
    def scatter(self) -> Scatter:
        """How far one seed moves a perplexity, over the networks that have left the plateau."""
        return Scatter.of(self._learned)

    def change(self, record: Record) -> Change | None:
        """The loss against the baseline's with its interval; None where none is trained, and for itself."""
        known = self.baseline_record
        if known is None or record.compared is None or known.number == record.number:
            return None
        return self.scatter.change(record, known)

    @cached_property
    def _network_of(self) -> Mapping[int, TrainedNetwork]:
        return {record.number: network for network in self.networks for record in network.trainings}

    def network(self, record: Record) -> TrainedNetwork:
        """The network that a candidate trains, with all of its trainings."""
        return self._network_of[record.number]

    def represents(self, record: Record) -> bool:
        """Whether a candidate is the one that stands for its network."""
        network = self._network_of.get(record.number)
        return network is not None and network.best is not None and network.best.number == record.number

    def standing(self, record: Record) -> Record:
        """A candidate as it is compared: where it stands for its network, with the perplexity of all its seeds."""
        best = self._network_of[record.number].best if self.represents(record) else None
        return best or record

    @property
    def baseline_perplexity(self) -> float | None:
        """Of `baseline_record`."""
        return None if self.baseline_record is None else self.baseline_record.perplexity

    @property
    def baseline_value(self) -> float | None:
        """The quality of `baseline_record`."""
        return None if self.baseline_record is None else self.value(self.baseline_record)

    def value(self, record: Record) -> float:
        """The study's quality of a trained record, in its own direction and unit."""
        value = record.metric(self.objective.quality)
        assert value is not None, "only a trained record has a quality"
        return value

    def height(self, record: Record) -> float:
        """The quality as pictures draw it, lower is better: of an accuracy the error."""
        return as_minimized(self.objective.quality, self.value(record))

    @property
    def baseline_height(self) -> float | None:
        """The same of the baseline."""
        return None if self.baseline_record is None else self.height(self.baseline_record)

    @property
    def worst_height(self) -> float:
        """The same of token frequencies alone."""
        worst = self.reference.scale.value(self.reference.unigram_perplexity)
        return as_minimized(self.objective.quality, worst)

    def bar(self, membership: FrontMembership) -> tuple[float, float]:
        """The ends of an interval as pictures draw them, in rising order."""
        ends = self.interval(membership)
        low, high = sorted(as_minimized(self.objective.quality, ends[end]) for end in ("low", "high"))
        return low, high

    @property
    def baseline(self) -> Mapping[str, float]:
        return self.reference.costs

    def is_baseline(self, record: Record) -> bool:
        """Whether a record is the network that savings are counted from: a size that varies makes others of it."""
        return _is_baseline(self.reference, record)

    @property
    def sizes(self) -> str:
        """What costs and perplexity belong to, in words; empty where both belong to what was trained."""
        if self.target is None:
            return ""
        records = (*self.points, *self.dominated, *self.diverged, *self.over, *self.stopped)
        a = records[0].architecture if records else None
        proxy = "" if a is None else f" ({a.n_layer} layers, d_model {a.d_model}, {a.seq_len} tokens)"
        quality = self.objective.quality.replace("_", " ")
        return (
            f"costs are those of {self.target.text}, {quality} is that of the proxy{proxy} that was trained"
        )

    def deployed(self, record: Record) -> str:
        """The notation of what the costs of a record belong to."""
        if self.target is None:
            return record.notation
        return notation(retarget(record.architecture, self.target))

    @property
    def hypervolume(self) -> float:
        """Share of the reference box, see `Reference`."""
        return self.reference.hypervolume([self.row(record) for record in self.points])

    def row(self, record: Record) -> list[float]:
        """Loss and costs of a finished record, in the objective's order."""
        return _row(self.objective, record)

    def saving(self, record: Record, metric: str) -> float:
        """How many times cheaper than the baseline the record is."""
        return self.baseline[metric] / record.costs[metric]

    def knee(self) -> Record:
        """The point with the best balance of all metrics; among all points where none has learned anything.

        Raises:
            RequestError: the front is empty.
        """
        self._require_points()
        return self.balance or self.points[self._knee(self.points)]

    @cached_property
    def balance(self) -> Record | None:
        """The point with the best balance among those that are worth their cost; None where nothing has learned.

        A point that stayed on the unigram plateau is never it, nor one whose quality is a tie with that of a
        point which costs no more.
        """
        worth: list[Record] = []
        # From cheapest to most expensive, so that whatever costs no more than a point has been looked at before.
        for point in self.points:
            if point.state == "finished" and not any(
                self.tied(point, other) and self._no_dearer(other, point) for other in worth
            ):
                worth.append(point)
        if not worth:
            return None
        return worth[self._knee(worth)]

    def _knee(self, records: Sequence[Record]) -> int:
        return knee(self.reference.logs([self.row(record) for record in records]))

    def tied(self, one: Record, other: Record) -> bool:
        """Whether two losses differ by no more than seeds do: within both intervals, else within 2 %."""
        a, b = self.memberships.get(one.number), self.memberships.get(other.number)
        if a is not None and b is not None:
            return a.low <= b.high and b.low <= a.high
        return abs(math.log(self.row(one)[0] / self.row(other)[0])) <= math.log1p(TIE)

    @cached_property
    def ties(self) -> frozenset[int]:
        """Trial numbers of the front's points that have learned something and are a tie with another such point."""
        learned = [point for point in self.points if point.state == "finished"]
        return frozenset(
            one.number for one in learned if any(one is not two and self.tied(one, two) for two in learned)
        )

    def _no_dearer(self, one: Record, other: Record) -> bool:
        return all(one.costs[metric] <= other.costs[metric] for metric in self.objective.costs)

    def best(self) -> Record:
        """The point of the best quality."""
        self._require_points()
        return min(self.points, key=lambda record: self.row(record)[0])

    def cheapest(self) -> Record:
        """The point with the lowest first cost."""
        self._require_points()
        return min(self.points, key=lambda record: self.row(record)[1])

    def pick(self, how: str) -> Record:
        """The record that `pick=` names: knee, best, cheapest or trial:N.

        Raises:
            RequestError: not a way to pick, no such trial, or the front is empty.
        """
        if match := re.fullmatch(r"trial:(\d+)", how):
            return self.trial(int(match[1]))
        ways = {"knee": self.knee, "best": self.best, "cheapest": self.cheapest}
        if how not in ways:
            raise RequestError(f"pick={how} is not a way to pick: {nearest(how, [*ways, 'trial:N'])}")
        return ways[how]()

    def trial(self, number: int) -> Record:
        """A trained candidate by trial number, on the front or not.

        Raises:
            RequestError: there is none, with the numbers there are.
        """
        trained = {record.number: record for record in (*self.points, *self.dominated, *self.over)}
        for record in self.stopped:
            if record.number == number:
                raise RequestError(f"pick=trial:{number} has no weights: it was {record.reason}")
        if number not in trained:
            numbers = ", ".join(map(str, sorted(trained))) or "none yet"
            raise RequestError(f"pick=trial:{number} names no trained candidate (choices: {numbers})")
        return trained[number]

    def within(self, limits: Mapping[str, float]) -> Record:
        """The best candidate that keeps every limit: best quality; where only that is limited, cheapest.

        Args:
            limits: metric name to the worst value allowed, the largest but for qualities that are maximized;
                those of the objective are kept besides.

        Raises:
            RequestError: no point keeps them all, with the nearest one.
        """
        self._require_points()
        for metric, limit in limits.items():
            if limit <= 0:
                raise RequestError(f"a limit of {limit:g} on {metric} keeps everything out: give one above 0")
        # A limit may name a metric that the objective does not: then a dominated candidate may be the best.
        trained = (*self.points, *self.dominated)
        fitting = [r for r in trained if all(_excess(r, m, limit) <= 1 for m, limit in limits.items())]
        if not fitting:
            nearest = min(trained, key=lambda r: max(_excess(r, m, v) for m, v in limits.items()))
            has = ", ".join(
                f"{m} {_said(m, nearest.metric(m))} (limit {_said(m, v)})" for m, v in limits.items()
            )
            raise RequestError(f"no candidate keeps these limits; the nearest, {nearest.label}, has {has}")
        by = 1 if set(limits) == {self.objective.quality} else 0
        return min(fitting, key=lambda record: self.row(record)[by])

    def interval(self, membership: FrontMembership) -> dict[str, float]:
        """Mean and ends of a candidate's interval in the study's quality, the ends in rising order."""
        value = self.reference.scale.value
        low, high = sorted(map(value, (membership.low, membership.high)))
        return {"mean": value(membership.mean), "low": low, "high": high}

    def _require_points(self) -> None:
        if self.points:
            return
        if self.over:
            limits = ", ".join(f"{m} {write_quantity(m, v)}" for m, v in self.objective.limits.items())
            raise RequestError(f"the front is empty: every trained candidate is above a limit ({limits})")
        raise RequestError("the front is empty: no candidate has finished with a perplexity yet")


def build_front(
    records: Sequence[Record],
    objective: Objective,
    reference: Reference,
    target: ModelShape | None = None,
) -> Front:
    """Sort a study's records into a Front; running ones are left out.

    Args:
        target: the shape that the records' costs belong to.
    """
    networks = trained_networks(records)
    best = {network.best.number: network.best for network in networks if network.best}
    trained = [
        best.get(record.number, record)
        for record in records
        if record.perplexity is not None and record.state != "running"
    ]
    rivals = [record for record in best.values() if not objective.over(record.costs)]
    rows = [_row(objective, record) for record in rivals]
    on_front = [bool(on) for on in nondominated(reference.scaled(rows))] if rows else []
    points = [record for record, on in zip(rivals, on_front, strict=True) if on]
    numbers = {record.number for record in points}
    baselines = [record for record in best.values() if _is_baseline(reference, record)]
    return Front(
        objective=objective,
        reference=reference,
        points=tuple(sorted(points, key=lambda record: _row(objective, record)[1])),
        dominated=tuple(r for r in trained if r.number not in numbers and not objective.over(r.costs)),
        diverged=tuple(record for record in records if record.state == "diverged"),
        stopped=tuple(record for record in records if record.state == "stopped"),
        over=tuple(record for record in trained if objective.over(record.costs)),
        target=target,
        baseline_record=min(baselines, key=_loss, default=None),
        networks=tuple(networks),
    )


def _is_baseline(reference: Reference, record: Record) -> bool:
    same = reference.baseline is None or record.architecture == reference.baseline
    return same and record.notation == BASELINE


def _said(metric: str, value: float | None) -> str:
    """A value with the largest unit that is not above it."""
    if value is None:
        return "unknown"
    units = UNITS.get(metric, ((1.0, ""),))
    size, unit = next((u for u in reversed(units) if value >= u[0]), units[0])
    return f"{value / size:.4g} {unit}".rstrip()


def _row(objective: Objective, record: Record) -> list[float]:
    return [_loss(record), *(record.costs[metric] for metric in objective.costs)]


def _loss(record: Record) -> float:
    assert record.compared is not None, "only records with a perplexity are compared"
    return record.compared


def _excess(record: Record, metric: str, limit: float) -> float:
    """How many times worse than a limit a record is; at most 1 where it keeps it."""
    value = record.metric(metric)
    if value is None:
        return math.inf
    if metric in MAXIMIZED:
        return limit / value if value > 0 else math.inf
    return value / limit
