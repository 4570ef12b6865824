"""Axes free of any drawing library: a range around values, linear or logarithmic, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# From this ratio of largest to smallest on, equal distances are equal factors.
LOG_FROM = 8.0
# Share of an axis left free on each side of the values that it is around, the band's share on top of the panel, and
# how far from a border what lies beyond it is drawn.
MARGIN, BAND, BORDER = 0.09, 0.16, 0.02


@dataclass(frozen=True)
class Axis:
    """A range with its ticks; `log` axes hold values, not their logarithms."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value lies on the axis, 0 to 1."""
        low, high, at = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        return (at - low) / (high - low)

    def at(self, share: float) -> float:
        """The value at a share of the axis."""
        if self.log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)

    def beyond(self, value: float) -> int:
        """-1 below the axis, 1 above it, 0 on it."""
        return (value > self.high) - (value < self.low)

    def held(self, value: float) -> float:
        """The value where the axis reaches it, else the place at the border that stands for it."""
        return {0: value, 1: self.at(1 - BORDER), -1: self.at(BORDER)}[self.beyond(value)]


def axis_around(values: Sequence[float], band: bool = False, left: float = MARGIN) -> Axis:
    """An axis around positive values, with a margin, and room for the band above them."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > LOG_FROM
    start, end = (math.log(low), math.log(high)) if log else (low, high)
    room = end - start or abs(end) or 1.0
    start, end = start - room * left, end + room * MARGIN
    ticks = _log_ticks(math.exp(start), math.exp(end)) if log else round_ticks(start, end)
    if band:
        end += (end - start) * BAND / (1 - BAND)
    return Axis(math.exp(start), math.exp(end), True, ticks) if log else Axis(start, end, False, ticks)


def round_ticks(low: float, high: float, about: int = 6) -> tuple[float, ...]:
    """Round numbers within [low, high], about as many as asked for."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / width)
    return tuple(round(i * width, 10) for i in range(first, math.floor(high / width) + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    if high / low > 500:
        ticks = [10.0**power for power in powers]
    return tuple(tick for tick in ticks if low <= tick <= high)
