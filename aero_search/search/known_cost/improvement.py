"""Expected hypervolume improvement in closed form, for one uncertain value beside costs that are exact.

A front cuts the space of costs into boxes in each of which the best value so far is one number b. A new point of
costs c and value Y improves the dominated volume by

    sum over boxes of  volume(box above c) * max(b - Y, 0)

because it only counts where costs are at least c. That is piecewise linear in Y, so for a normal Y its expectation
is the same sum with E[max(b - Y, 0)] = sd * h((b - mean) / sd), h(z) = phi(z) + z * Phi(z): no sampling and no
approximation, for any number of costs. Yang et al. (2019, doi 10.1007/s10898-019-00798-7) treat the case where
every objective is uncertain.

Shapes: n points of the front, m metrics (value first), k = m - 1 costs, r boxes, c candidates. All is minimized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, logsumexp, ndtr

from aero_search.front.pareto import nondominated

Array = npt.NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
# Below it 1 - sqrt(pi/2) |z| erfcx(|z|/sqrt 2) has lost its digits and its limit 1/z^2 is exact to them.
_FAR = -1e4
# Numbers held at once while volumes are added up.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Boxes:
    """The part of cost space below the reference, in boxes of one best value each.

    Attributes:
        low, high: corners, (r, k); the first low is -inf.
        best: the value to beat in each, (r,); the reference's where the front has nothing.
    """

    low: Array
    high: Array
    best: Array


def decompose(front: Array, reference: Array) -> Boxes:
    """Cut the cost space below `reference` by a front.

    Args:
        front: (n, m), in any order; dominated rows and rows outside the reference change nothing.
        reference: (m,).
    """
    inside = front[(front < reference).all(axis=1)]
    boxes = list(_cut(inside, reference))
    k = len(reference) - 1
    low = np.array([box[0] for box in boxes], dtype=np.float64).reshape(len(boxes), k)
    high = np.array([box[1] for box in boxes], dtype=np.float64).reshape(len(boxes), k)
    return Boxes(low, high, np.array([box[2] for box in boxes], dtype=np.float64))


_Box = tuple[tuple[float, ...], tuple[float, ...], float]


def _cut(points: Array, reference: Array) -> list[_Box]:
    """Slabs along the last cost, each cut along the others by the points that are no dearer than the slab."""
    if len(reference) == 1:
        return [((), (), float(min(points[:, 0].min(initial=reference[0]), reference[0])))]
    edges = [-math.inf, *np.unique(points[:, -1]), float(reference[-1])]
    slabs: list[tuple[float, float, Array]] = []
    for low, high in pairwise(edges):
        active = points[points[:, -1] <= low, :-1]
        active = active[nondominated(active)]
        if slabs and np.array_equal(slabs[-1][2], active):
            slabs[-1] = (slabs[-1][0], high, active)
        else:
            slabs.append((low, high, active))
    return [
        ((*inner_low, low), (*inner_high, high), best)
        for low, high, active in slabs
        for inner_low, inner_high, best in _cut(active, reference[:-1])
    ]


def log_expected_improvement(boxes: Boxes, costs: Array, mean: Array, sd: Array) -> Array:
    """The logarithm of the expected gain in dominated volume, (c,); -inf for costs beyond the reference.

    Logarithms keep order where the gain itself is too small for a float.

    Args:
        costs: exact, (c, k).
        mean, sd: of the normal prediction of the value, (c,); sd above 0.
    """
    levels, level_of = np.unique(boxes.best, return_inverse=True)
    order = np.argsort(level_of, kind="stable")
    starts = np.searchsorted(level_of[order], np.arange(len(levels)))
    low, high = boxes.low[order], boxes.high[order]
    gains = np.empty(len(costs))
    step = max(1, _CHUNK // len(low))
    for begin in range(0, len(costs), step):
        part = slice(begin, begin + step)
        volume = np.ones((len(costs[part]), len(low)))
        for d in range(low.shape[1]):
            volume *= np.clip(high[:, d] - np.maximum(low[:, d], costs[part, d, None]), 0.0, None)
        volume = np.add.reduceat(volume, starts, axis=1)
        z = (levels - mean[part, None]) / sd[part, None]
        with np.errstate(divide="ignore"):
            terms = np.log(volume) + np.log(sd[part, None]) + log_h(z)
        gains[part] = logsumexp(terms, axis=1)
    return gains


def log_h(z: Array) -> Array:
    """log(phi(z) + z * Phi(z)) for the standard normal, without losing the left tail.

    For z below -1 it factors phi(z) out and writes Phi by the scaled complementary error function, as
    log-improvements do in Ament et al. (2023, arXiv 2310.20708, section 4.1).
    """
    z = np.asarray(z, dtype=np.float64)
    near = np.maximum(z, -1.0)
    direct = np.log(np.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * ndtr(near))
    tail = np.clip(-z, 1.0, -_FAR)
    left = -0.5 * z**2 - _LOG_SQRT_2PI + np.log1p(-_SQRT_HALF_PI * tail * erfcx(tail / math.sqrt(2)))
    far = -0.5 * z**2 - _LOG_SQRT_2PI - 2 * np.log(np.maximum(-z, 1.0))
    logarithm: Array = np.where(z > -1.0, direct, np.where(z > _FAR, left, far))
    return logarithm
