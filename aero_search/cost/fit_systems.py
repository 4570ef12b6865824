"""The constants of a catalogue file, fitted to the rows of data/systems.csv that are marked `calibrate`.

A constant is fitted where its `source` begins with `fit`; the others are held. `fit[NAME]` ties constants together:
they keep the ratio that they have in the file, and share one unknown. A price is linear in its constants, so each
quantity is one non-negative least-squares problem of relative errors: bytes first, then preprocessing, round trips
and, on those, seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aero_search.cost.protocol import Constant, Primitive, Protocol
from aero_search.cost.systems import Quantity, SystemRow, predict, system_rows
from aero_search.errors import AeroSearchError, RequestError

Field = Literal["bytes", "per_bit", "offline", "rounds", "seconds"]
_FIELDS: tuple[tuple[Quantity, tuple[Field, ...]], ...] = (
    ("bytes", ("bytes", "per_bit")),
    ("offline_bytes", ("offline",)),
    ("rounds", ("rounds",)),
    ("seconds", ("seconds",)),
)
_FITTED = re.compile(r"fit(?:\[(?P<group>\w+)\])?:")
ROUND = "round_seconds"


@dataclass(frozen=True, slots=True)
class _Place:
    """One constant: a field of a primitive, or the protocol's `round_seconds`."""

    primitive: str
    field: Field
    constant: Constant


def fit_system(protocol: Protocol) -> Protocol:
    """The protocol with its fitted constants fitted again; the shipped files come out as they are.

    Raises:
        RequestError: no rows of this system, or no constant to fit.
        AeroSearchError: the rows do not determine a constant.
    """
    rows = [row for row in system_rows() if row.system == protocol.name and row.split == "calibrate"]
    if not rows:
        known = ", ".join(sorted({row.system for row in system_rows()}))
        raise RequestError(
            f"calibrate source=systems has no rows of protocol={protocol.name} (choices: {known})"
        )
    if not any(_places(protocol, fields) for _, fields in _FIELDS):
        raise RequestError(
            f"protocol {protocol.name} marks no constant as fitted: begin its source with 'fit:'"
        )
    for quantity, fields in _FIELDS:
        groups = _groups(_places(protocol, fields))
        if groups:
            protocol = _fitted(protocol, groups, quantity, [r for r in rows if r.read(quantity) is not None])
    return protocol


def _fitted(
    protocol: Protocol, groups: dict[str, list[_Place]], quantity: Quantity, rows: list[SystemRow]
) -> Protocol:
    from scipy.optimize import nnls

    zero = _with(protocol, {place: 0.0 for places in groups.values() for place in places})
    read = np.array([row.read(quantity) for row in rows])
    held = np.array([predict(row, zero)[quantity] for row in rows])
    columns = []
    for places in groups.values():
        alone = _with(zero, {place: place.constant.value or 1.0 for place in places})
        columns.append(np.array([predict(row, alone)[quantity] for row in rows]) - held)
    matrix = np.stack(columns, axis=1)
    unseen = [name for name, column in zip(groups, matrix.T, strict=True) if not column.any()]
    if unseen:
        raise AeroSearchError(f"the rows of {protocol.name} say nothing of the {quantity} of {unseen[0]}")
    size = np.abs(matrix).max(axis=0)
    scales: NDArray[np.float64] = nnls(matrix / size / read[:, None], (read - held) / read)[0] / size
    values = {
        place: float(f"{scale * (place.constant.value or 1.0):.5g}")
        for places, scale in zip(groups.values(), scales, strict=True)
        for place in places
    }
    return _with(protocol, values)


def _places(protocol: Protocol, fields: tuple[Field, ...]) -> list[_Place]:
    return [
        place
        for place in _all_places(protocol)
        if place.field in fields and _FITTED.match(place.constant.source)
    ]


def _all_places(protocol: Protocol) -> Iterator[_Place]:
    for name, primitive in protocol.primitives.items():
        for field, constant, _ in primitive.constants():
            if field in ("bytes", "per_bit", "offline", "rounds", "seconds"):
                yield _Place(name, field, constant)  # type: ignore[arg-type]  # one of Field's
    if protocol.round_seconds is not None:
        yield _Place(ROUND, "seconds", protocol.round_seconds)


def _groups(places: list[_Place]) -> dict[str, list[_Place]]:
    """Constants by the unknown that they share, in the order of the file."""
    found: dict[str, list[_Place]] = {}
    for place in places:
        match = _FITTED.match(place.constant.source)
        group = match["group"] if match else None
        found.setdefault(group or f"{place.primitive}.{place.field}", []).append(place)
    return found


def _with(protocol: Protocol, values: dict[_Place, float]) -> Protocol:
    primitives: dict[str, Primitive] = dict(protocol.primitives)
    for place, value in values.items():
        constant = replace(place.constant, value=value)
        if place.primitive == ROUND:
            protocol = replace(protocol, round_seconds=constant)
        else:
            change: dict[str, Any] = {place.field: constant}
            primitives[place.primitive] = replace(primitives[place.primitive], **change)
    return replace(protocol, primitives=primitives)
