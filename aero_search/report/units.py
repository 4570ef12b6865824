"""Numbers as people read them: one unit a column, three significant digits, savings as a factor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aero_search.quantity import UNITS, perplexity_text

# metric: its name in a heading.
_NAMES = {
    "latency_s": "latency",
    "communication_bytes": "communication",
    "flops": "FLOPs",
    "rounds": "rounds",
    "usd": "money",
}


@dataclass(frozen=True)
class Scale:
    """How one metric is shown in a table's column or on an axis.

    Attributes:
        name: of the metric, for a heading.
        unit: its name; empty where a count has none.
        size: of the unit, in the metric's own unit (seconds, bytes, FLOPs).
    """

    name: str
    unit: str
    size: float

    @property
    def heading(self) -> str:
        """Name and unit, such as `latency (s)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def value(self, value: float) -> float:
        """A value of the metric in this unit."""
        return value / self.size

    def text(self, value: float) -> str:
        """The number alone, without its unit."""
        return significant(self.value(value))

    def with_unit(self, value: float) -> str:
        return f"{self.text(value)} {self.unit}".rstrip()


# As a share: what is larger has lost its numbers.
LARGEST_SHARE = 1e4


def scale(metric: str, values: Iterable[float]) -> Scale:
    """The unit in which the largest of `values` has one to three digits before its point.

    A metric that is not known here keeps its own unit and its name.
    """
    name, units = _NAMES.get(metric, metric.replace("_", " ")), UNITS.get(metric, ((1.0, ""),))
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    # A unit is taken from 2 of it on where it is not decimal: 90 s reads better than 1.5 min.
    fitting = [(size, unit) for size, unit in units if largest >= size * (2 if unit in ("min", "h") else 1)]
    size, unit = fitting[-1] if fitting else units[0]
    return Scale(name, unit, size)


def readable(metric: str, value: float) -> str:
    """One value with the unit that suits it best: `4.2 s`, `1.31 GB`, `2,304`."""
    return scale(metric, [value]).with_unit(value)


def quality_name(quality: str) -> str:
    """A quality in words."""
    return quality.replace("_", " ")


def quality_text(quality: str, value: float | None) -> str:
    """A quality's value: `63.31`, `1.204`, `38.4%`."""
    if value is None:
        return "-"
    return {"accuracy": f"{100 * value:.1f}%", "bits_per_byte": f"{value:.3f}"}.get(
        quality, perplexity_text(value)
    )


def quality_step(quality: str, change: float) -> str:
    """A change of a quality with its unit: `+0.80 perplexity`, `-1.2 points of accuracy`."""
    if quality == "accuracy":
        return f"{100 * change:+.1f} points of accuracy"
    return f"{change:+.3f} bits per byte" if quality == "bits_per_byte" else f"{_signed(change)} {quality}"


def quality_change(quality: str, value: float, known: float) -> str:
    """Against a known value: relative in percent, of an accuracy in points."""
    if quality == "accuracy":
        return f"{100 * (value - known):+.1f} points"
    return share_text(value / known - 1)


def share_text(share: float, half: float | None = None) -> str:
    """A relative change in percent, with half of its interval if there is one; a factor from `LARGEST_SHARE` on."""
    if share >= LARGEST_SHARE:
        return f"{1 + share:.0e} times"
    digits = 1 if abs(share) < 0.9995 else 0
    around = "" if half is None else f" ±{100 * half:.{digits}f}"
    return f"{100 * share:+.{digits}f}{around}%"


def _signed(change: float) -> str:
    return ("+" if change >= 0 else "-") + perplexity_text(abs(change))


def significant(value: float) -> str:
    """Three significant digits, never in powers of ten; whole numbers from 1,000 on."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    if value == 0 or abs(value) < 1e-4:
        return f"{value:.2g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    # 9.996 rounds up to a fourth digit; one decimal less keeps the column's width.
    text = f"{value:.{decimals}f}"
    return text[:-1].rstrip(".") if decimals and len(text.replace(".", "").lstrip("0-")) > 3 else text


def times(factor: float) -> str:
    """A saving: `4.2x`, `12x`; below 1 it is a loss and says so by its number."""
    return f"{factor:.0f}x" if factor >= 9.95 else f"{factor:.1f}x" if factor >= 0.995 else f"{factor:.2g}x"


def duration(seconds: float) -> str:
    """A length of time for a clock: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def compact(notation: str) -> str:
    """A notation for narrow places: fields in brackets without their group, `[weight=0.0035]`.

    The field's own name still tells which it is; only the group in front is dropped.
    """
    return re.sub(r"(?<=[\[ ])(?:attention|stabilizer|regularizer)\.(?=\w+=)", "", notation)
