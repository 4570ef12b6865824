"""How sure a place on the front is, from the spread between seeds.

The logarithm of the loss (`QualityScale`: perplexity, or what stands for it) of candidate i varies normally from
seed to seed around a mean m_i, with one variance v for all. With k_i seeds each, v has N = sum (k_i - 1) degrees of
freedom and the pooled estimate s^2 = sum of squared deviations from each mean / N; under the usual flat prior
(m_i, log v) the posterior (Gelman et al.,
Bayesian Data Analysis, 3rd ed., section 3.2) is v ~ N s^2 / chi-squared(N) and m_i | v ~ normal(mean_i, v / k_i).
Costs are exact, so i belongs to the front when m_i lies below every m_j whose costs are no higher:

    P_i = E_v E_z prod_j Phi((mean_j - mean_i - z sqrt(v / k_i)) / sqrt(v / k_j)),   z standard normal.

Both expectations are taken over midpoints of equal probability. A candidate of which d of its n trainings diverged
is taken to be there in a share 1 - d / n of all worlds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from aero_search.front.networks import UNKNOWN_SPREAD
from aero_search.front.record import Record

Array = npt.NDArray[np.float64]

# Midpoints of the two expectations; the error is below a thousandth.
_VARIANCES, _NORMALS = 24, 256


@dataclass(frozen=True)
class FrontMembership:
    """What several seeds say of one candidate.

    Attributes:
        mean: geometric mean of the loss over its seeds.
        spread: standard deviation of one seed's log loss, pooled over the study; 0.01 is 1 %.
        low, high: ends of the 95 % interval of the mean loss.
        seeds: trainings with a perplexity.
        diverged: trainings without one.
        probability: of belonging to the front, 0 to 1.
    """

    mean: float
    spread: float
    low: float
    high: float
    seeds: int
    diverged: int
    probability: float


@dataclass(frozen=True)
class Change:
    """One mean perplexity against another, as shares: 0.01 is 1 % more.

    Attributes:
        low, high: ends of the 95 % interval.
    """

    share: float
    low: float
    high: float

    @property
    def tied(self) -> bool:
        """Whether the interval holds no change at all."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Scatter:
    """How far one seed moves log perplexity.

    Attributes:
        spread: standard deviation; the assumed one where no setting was repeated.
        freedom: degrees of freedom it was measured with, 0 where it is assumed.
    """

    spread: float
    freedom: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> Scatter:
        """Pooled over all that were trained with several seeds."""
        logs = [_logs(record) for record in records]
        freedom = sum(len(values) - 1 for values in logs)
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in logs)
        return cls(math.sqrt(squares / freedom) if freedom and squares > 0 else UNKNOWN_SPREAD, freedom)

    def change(self, one: Record, other: Record) -> Change:
        """What a perplexity is against another, with Student's interval of the difference of their means:

        log(one / other) +- t(0.975, N) s sqrt(1 / k_one + 1 / k_other), normal where s is assumed.
        """
        a, b = _logs(one), _logs(other)
        middle = float(a.mean() - b.mean())
        half = _half_width(self.freedom) * self.spread * math.sqrt(1 / len(a) + 1 / len(b))
        return Change(math.expm1(middle), math.expm1(middle - half), math.expm1(middle + half))


def memberships(
    records: Sequence[Record], costs: Sequence[str], front: Sequence[int]
) -> Mapping[int, FrontMembership]:
    """The membership of every repeated record, and of every one on the front; empty where none is repeated.

    Args:
        records: with a perplexity, none above a limit.
        costs: of the objective.
        front: trial numbers.
    """
    if not any(record.replicates for record in records):
        return {}
    logs = [_logs(record) for record in records]
    scatter = Scatter.of(records)
    spread, freedom = scatter.spread, scatter.freedom
    means = np.array([values.mean() for values in logs])
    counts = np.array([len(values) for values in logs], dtype=np.float64)
    lost = np.array([_diverged(record) for record in records], dtype=np.float64)
    alive = counts / (counts + lost)
    priced = np.array([[record.costs[name] for name in costs] for record in records])
    variances = _variances(spread, freedom)
    found = {}
    for i, record in enumerate(records):
        if not record.replicates and record.number not in front:
            continue
        no_dearer = (priced <= priced[i]).all(axis=1)
        no_dearer[i] = False
        rivals = np.flatnonzero(no_dearer)
        chance = _first(means[i], counts[i], means[rivals], counts[rivals], alive[rivals], variances)
        half = _half_width(freedom) * spread / math.sqrt(counts[i])
        found[record.number] = FrontMembership(
            mean=math.exp(means[i]),
            spread=spread,
            low=math.exp(means[i] - half),
            high=math.exp(means[i] + half),
            seeds=int(counts[i]),
            diverged=int(lost[i]),
            probability=float(alive[i]) * chance,
        )
    return found


def _first(mean: float, count: float, means: Array, counts: Array, alive: Array, variances: Array) -> float:
    """The chance that a mean lies below all rivals', those that are there.

    Shapes: v variances, z normals, r rivals.
    """
    normals_z = ndtri((np.arange(_NORMALS) + 0.5) / _NORMALS)
    total = 0.0
    for variance in variances:
        own_z = mean + normals_z * math.sqrt(variance / count)
        above_zr = ndtr((means[None, :] - own_z[:, None]) / np.sqrt(variance / counts)[None, :])
        total += float((1 - alive * (1 - above_zr)).prod(axis=1).mean())
    return total / len(variances)


def _variances(spread: float, freedom: int) -> Array:
    """Midpoints of the posterior of a seed's variance; the measured one alone where it is not learned."""
    if not freedom:
        return np.array([spread**2])
    levels = (np.arange(_VARIANCES) + 0.5) / _VARIANCES
    return np.asarray(freedom * spread**2 / chdtri(freedom, levels), dtype=np.float64)


def _half_width(freedom: int) -> float:
    """Standard errors from the mean to an end of its 95 % interval."""
    return float(stdtrit(freedom, 0.975)) if freedom else float(ndtri(0.975))


def _logs(record: Record) -> Array:
    values = [value for _, value in record.replicates] or [record.compared]
    return np.log([value for value in values if value is not None])


def _diverged(record: Record) -> int:
    return sum(value is None for _, value in record.replicates)
