"""A cost with its unit, read strictly and written back: `2 GB`, `30 s`, `40 G`, `5000`; a perplexity as text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from aero_search.errors import RequestError, nearest

# metric: its units, smallest first, as (size in the metric's own unit, name). Prefixes are powers of 1,000.
UNITS: Mapping[str, tuple[tuple[float, str], ...]] = {
    "latency_s": ((1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h")),
    "communication_bytes": ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")),
    "flops": ((1.0, ""), (1e3, "K"), (1e6, "M"), (1e9, "G"), (1e12, "T")),
    "rounds": ((1.0, ""),),
    "usd": ((1e-2, "cent"), (1.0, "USD")),
}
_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(?P<unit>[A-Za-z]*)")


def parse_quantity(metric: str, value: float | str, where: str) -> float:
    """Read a quantity of a metric.

    Args:
        value: a number with its unit, such as `2 GB` or `2GB`; a bare number only where the metric is a count.
        where: the field's dotted name, used in messages.

    Returns:
        The value in the metric's own unit: seconds, bytes, FLOPs, round trips, US dollars.

    Raises:
        RequestError: the unit is missing, unknown or written differently (`gb` and `Gb` are not `GB`), or the
            number is not above 0.
    """
    sizes = {name: size for size, name in UNITS[metric]}
    match = _QUANTITY.fullmatch(str(value).strip())
    if isinstance(value, bool) or match is None:
        raise RequestError(
            f"{where}={value} must be a number above 0 with its unit, such as {_example(metric)}"
        )
    unit = match["unit"]
    if unit not in sizes:
        known = [name for name in sizes if name]
        if not known:
            raise RequestError(
                f"{where}={value} has a unit, but {metric} is a plain count: take {match['number']}"
            )
        if not unit:
            raise RequestError(
                f"{where}={value} has no unit: take one of {', '.join(known)}, as in {_example(metric)}"
            )
        # nearest() sees a difference in case as another letter.
        meant = next((name for name in known if name.lower() == unit.lower()), unit)
        raise RequestError(f"{where}={value} has the unit {unit}: {nearest(meant, known)}")
    amount = float(match["number"]) * sizes[unit]
    if not 0 < amount < math.inf:
        raise RequestError(f"{where}={value} must be above 0 and finite")
    return amount


def write_quantity(metric: str, amount: float) -> str:
    """The shortest text that `parse_quantity` reads as `amount`, in the largest unit that is not above it."""
    fitting = [pair for pair in UNITS[metric] if amount >= pair[0]] or [UNITS[metric][0]]
    for size, name in reversed(fitting):
        text = f"{amount / size:.15g}"
        if float(text) * size == amount:
            return f"{text} {name}".rstrip()
    size, name = fitting[0]
    return f"{amount / size!r} {name}".rstrip()


def _example(metric: str) -> str:
    return {"latency_s": "30 s", "communication_bytes": "2 GB", "flops": "40 G", "usd": "2 USD"}.get(
        metric, "5000"
    )


def perplexity_text(value: float) -> str:
    """`63.31`; in powers of ten from a million on, where a diverged network's may have hundreds of digits."""
    return f"{value:.2f}" if value < 1e6 else f"{value:.1e}"
