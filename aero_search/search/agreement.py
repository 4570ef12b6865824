"""Whether a ladder's measured order is the published one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy.stats import kendalltau

from aero_search.front.seed_scatter import TIE
from aero_search.search.ladder import Line


@dataclass(frozen=True)
class Agreement:
    """Measured against published perplexities.

    Attributes:
        kendall: Kendall's tau-b over all rows, diverged ones last; None with fewer than two rows.
        pairs: how many pairs of rows differ by more than 2 % here and differ in the publication.
        reversed: those of them that stand the other way round, by name, the better one here first.
    """

    kendall: float | None
    pairs: int
    reversed: tuple[tuple[str, str], ...]


def agreement(table: Sequence[Line]) -> Agreement | None:
    """Compare the lines that have a published perplexity and a training; None where fewer than two have."""
    known = [(line, _published(line), _measured(line)) for line in table if line.cell.published is not None]
    known = [entry for entry in known if entry[0].runs]
    if len(known) < 2:
        return None
    pairs, wrong = 0, []
    for (a, a_said, a_found), (b, b_said, b_found) in combinations(known, 2):
        low, high = sorted((a_found, b_found))
        if a_said == b_said or not high > (1 + TIE) * low:
            continue
        pairs += 1
        if (a_said < b_said) != (a_found < b_found):
            better, worse = (a, b) if a_found < b_found else (b, a)
            wrong.append((better.cell.name, worse.cell.name))
    said, found = [_rankable(e[1]) for e in known], [_rankable(e[2]) for e in known]
    tau = float(kendalltau(said, found).statistic)
    return Agreement(tau if math.isfinite(tau) else None, pairs, tuple(wrong))


def _published(line: Line) -> float:
    said = line.cell.published
    assert said is not None
    return math.inf if said == "diverged" else said


def _measured(line: Line) -> float:
    return math.inf if line.perplexity is None else line.perplexity


def _rankable(perplexity: float) -> float:
    """Only the order counts; scipy takes no infinity."""
    return min(perplexity, 1e300)
