"""How sure a place on the front is, from the spread between seeds.

The logarithm of the loss (`QualityScale`: perplexity, or what stands for it) of candidate i varies normally from
seed to seed around a mean m_i, with one variance v for all. With the posterior of v (`Scatter`) and a flat prior on
each m_i, m_i | v ~ normal(mean_i, v / k_i) where i has k_i seeds (Gelman et al., Bayesian Data Analysis, 3rd ed.,
section 3.2). Costs are exact, so i belongs to the front when m_i lies below every m_j whose costs are no higher:

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
from scipy.special import chdtri, ndtr, ndtri

from aero_search.front.record import Record
from aero_search.front.seed_scatter import Scatter, seed_logs

Array = npt.NDArray[np.float64]

# Midpoints of the two expectations; the error is below a thousandth.
_VARIANCES, _NORMALS = 24, 256


@dataclass(frozen=True)
class FrontMembership:
    """What several seeds say of one candidate.

    Attributes:
        mean: geometric mean of the loss over its seeds.
        spread: standard deviation of one seed's log loss, one for the study, see `Scatter`; 0.01 is 1 %.
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
class Standing:
    """The chance of one candidate among all.

    Attributes:
        chance: of belonging to the front, 0 to 1.
        rival: trial number of what it has to beat, the lowest mean of all that costs no more; None where nothing
            does.
    """

    chance: float
    rival: int | None


def standings(records: Sequence[Record], costs: Sequence[str], scatter: Scatter) -> list[Standing]:
    """Of every record, in their order.

    Args:
        records: with a perplexity, none above a limit.
        costs: of the objective.
        scatter: of the records' seeds.
    """
    logs = [seed_logs(record) for record in records]
    means = np.array([values.mean() for values in logs])
    counts = np.array([len(values) for values in logs], dtype=np.float64)
    lost = np.array([_diverged(record) for record in records], dtype=np.float64)
    alive = counts / (counts + lost)
    priced = np.array([[record.costs[name] for name in costs] for record in records])
    variances = _variances(scatter)
    found = []
    for i in range(len(records)):
        no_dearer = (priced <= priced[i]).all(axis=1)
        no_dearer[i] = False
        rivals = np.flatnonzero(no_dearer)
        chance = _first(means[i], counts[i], means[rivals], counts[rivals], alive[rivals], variances)
        rival = records[rivals[means[rivals].argmin()]].number if len(rivals) else None
        found.append(Standing(float(alive[i]) * chance, rival))
    return found


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
    scatter = Scatter.of(records)
    found = {}
    for record, standing in zip(records, standings(records, costs, scatter), strict=True):
        if not record.replicates and record.number not in front:
            continue
        logs = seed_logs(record)
        mean, half = float(logs.mean()), scatter.half_width * scatter.spread / math.sqrt(len(logs))
        found[record.number] = FrontMembership(
            mean=math.exp(mean),
            spread=scatter.spread,
            low=math.exp(mean - half),
            high=math.exp(mean + half),
            seeds=len(logs),
            diverged=_diverged(record),
            probability=standing.chance,
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


def _variances(scatter: Scatter) -> Array:
    """Midpoints of the posterior of a seed's variance."""
    levels = (np.arange(_VARIANCES) + 0.5) / _VARIANCES
    return np.asarray(scatter.freedom * scatter.spread**2 / chdtri(scatter.freedom, levels), dtype=np.float64)


def _diverged(record: Record) -> int:
    return sum(value is None for _, value in record.replicates)
