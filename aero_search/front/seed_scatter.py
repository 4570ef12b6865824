"""How far one seed moves the logarithm of perplexity: what is known before a study, and what its own seeds add.

Log perplexity varies normally from seed to seed around a network's mean, with one variance v for all networks.
Before a study v is scaled inverse chi-squared with nu0 = KNOWN_FREEDOM degrees and scale s0^2, s0 = KNOWN_SPREAD,
measured with seeds that nothing had been chosen by (`benchmarks/seed_scatter.py`). A study with k_i seeds of
network i adds N = sum (k_i - 1) deviations with the pooled variance s^2. This is conjugate (Gelman et al., Bayesian
Data Analysis, 3rd ed., section 3.2; the moderated variance of limma, Smyth 2004, doi 10.2202/1544-6115.1027):

    v ~ scaled inverse chi-squared(nu0 + nu, (nu0 s0^2 + nu s^2) / (nu0 + nu)).

nu is less than N: the networks of a study share their seeds, and a share COMMON of v is what one seed does to all
of them, so that all pairs of a study may lie close by a single chance. Satterthwaite's approximation (1946, doi
10.2307/3002019) to the sum of squares, where networks with fewer seeds have the first ones of the others, is

    nu = N^2 / ((1 - COMMON^2) N + COMMON^2 sum_ij (min(k_i, k_j) - 1)),

and with n networks of equally many seeds N / (1 + (n - 1) COMMON^2). What is common cancels between two networks
with the same seeds. It is counted all the same, so that a comparison errs towards a tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from aero_search.front.record import Record

Array = npt.NDArray[np.float64]

# Eight networks with three fresh seeds each: standard deviation, effective degrees of freedom, and the share of the
# variance that networks have in common (benchmarks/results/seed_scatter.txt).
KNOWN_SPREAD, KNOWN_FREEDOM, COMMON = 0.0095, 10, 0.27
# Perplexities of one seed each that differ by less are ties. Where they differ by t(0.9, nu0) s0 sqrt(2), 1.8 %,
# one in ten such orders is wrong; rounded up.
TIE = 0.02


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
    """How far one seed moves log perplexity, by all that is known.

    Attributes:
        spread: standard deviation, the root of the posterior's scale; 0.01 is 1 %.
        freedom: degrees of freedom of the posterior.
        measured: the pooled standard deviation of the study's own seeds; None where nothing was repeated.
        pairs: how many deviations it is made of.
    """

    spread: float = KNOWN_SPREAD
    freedom: float = KNOWN_FREEDOM
    measured: float | None = None
    pairs: int = 0

    @classmethod
    def of(cls, records: Sequence[Record]) -> Scatter:
        """What is known before, and the seeds of all that were trained with several."""
        logs = [values for record in records if len(values := seed_logs(record)) > 1]
        if not logs:
            return cls()
        pairs = sum(len(values) - 1 for values in logs)
        own = sum(float(((values - values.mean()) ** 2).sum()) for values in logs) / pairs
        freedom = effective_freedom([len(values) for values in logs])
        whole = KNOWN_FREEDOM + freedom
        variance = (KNOWN_FREEDOM * KNOWN_SPREAD**2 + freedom * own) / whole
        return cls(math.sqrt(variance), whole, math.sqrt(own), pairs)

    @property
    def half_width(self) -> float:
        """Standard errors from a mean to an end of its 95 % interval."""
        return float(stdtrit(self.freedom, 0.975))

    def change(self, one: Record, other: Record) -> Change:
        """What a perplexity is against another, with Student's interval of the difference of their means:

        log(one / other) +- t(0.975, freedom) spread sqrt(1 / k_one + 1 / k_other).
        """
        a, b = seed_logs(one), seed_logs(other)
        middle = float(a.mean() - b.mean())
        half = self.half_width * self.spread * math.sqrt(1 / len(a) + 1 / len(b))
        return Change(math.expm1(middle), math.expm1(middle - half), math.expm1(middle + half))


def effective_freedom(seeds: Sequence[int], common: float = COMMON) -> float:
    """The degrees of freedom nu of a pooled variance whose networks share their seeds.

    Args:
        seeds: of each network, two or more.
        common: share of the variance that a seed has in common for all networks.
    """
    counts = np.array(seeds)
    pairs = float((counts - 1).sum())
    shared = float((np.minimum.outer(counts, counts) - 1).sum())
    return pairs**2 / ((1 - common**2) * pairs + common**2 * shared)


def seed_logs(record: Record) -> Array:
    """Logarithms of the loss under each seed that has one."""
    values = [value for _, value in record.replicates] or [record.compared]
    return np.log([value for value in values if value is not None])
