"""`aero_paper` and the network `paper`: constants fitted to the rows of published.csv marked `calibrate`.

Bytes: five constants, least squares of relative errors. Lowerings, round trips and the constants that the rows
cannot tell apart are held, at what conf/protocol/aero_paper.yaml says of them:
    - no row drops ReLU without LayerNorm, so ReLU stays at SPU's 98.5 bytes and LayerNorm is fitted;
    - linears and attention products share one constant per element sent or returned: the published system
      shares its weights, and both are secret x secret products;
    - tokens are compared with the vocabulary and the logits are secret: both grow with seq_len x vocab_size,
      and the one-hot constant takes whatever the products leave of that.
The reason to believe them: the free constants come out near what SPU's older multiplication gives by first
principles (GELU 3463, LayerNorm 849, softmax 1559 bytes an element).

Seconds: three compute constants and the bandwidth, the same way, on the bytes just fitted. Compute of the
other operations grows with their bytes and cannot be told from transfer: the fitted bandwidth contains it.
Round trips were never published; they are those of SPU 0.9.5 Cheetah, and `paper` has a round-trip time of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aero_search.cost.batch import price_batch
from aero_search.cost.charge import uses
from aero_search.cost.inventory import inventory
from aero_search.cost.network import Network
from aero_search.cost.protocol import Constant, Protocol
from aero_search.cost.protocol_file import protocol_mapping, shipped_protocol
from aero_search.cost.published import PublishedRow, published_architecture, published_rows
from aero_search.errors import AeroSearchError
from aero_search.schema import to_mapping

FITTED_DATE = "2026-11"
_FIT = "fitted to the calibrate rows of AERO's tables 4 to 7 (arXiv 2410.13060v2)"

# Each fitted constant, and the primitives that share it.
_FITTED_BYTES: dict[str, tuple[str, ...]] = {
    "gelu": ("gelu",),
    "layernorm": ("layernorm",),
    "softmax": ("softmax",),
    "matmul": ("linear_element", "product_element"),
    "one_hot": ("one_hot",),
}
_FITTED_SECONDS = ("linear_element", "product_element", "one_hot")


@dataclass(frozen=True)
class Residual:
    """Relative errors (predicted / published - 1) of one row of the fit."""

    row: PublishedRow
    communication: float
    latency: float


@dataclass(frozen=True)
class Calibration:
    """A fit: the protocol and network that it gives, and what it leaves of the rows it used."""

    protocol: Protocol
    network: Network
    residuals: tuple[Residual, ...]

    @property
    def protocol_mapping(self) -> dict[str, Any]:
        """The content of conf/protocol/aero_paper.yaml, without fields left at their defaults."""
        return protocol_mapping(self.protocol)

    @property
    def network_mapping(self) -> dict[str, Any]:
        """The content of conf/network/paper.yaml."""
        return dict(to_mapping(self.network))


def calibrate_published(template: Protocol | None = None) -> Calibration:
    """Fit `aero_paper` and `paper` to the published rows; gives the same numbers every time.

    Args:
        template: whose lowerings, held constants and round trips are taken; None is the shipped `aero_paper`.

    Raises:
        AeroSearchError: the rows give a negative constant, so they no longer determine this model.
    """
    rows = [row for row in published_rows() if row.split == "calibrate"]
    template = shipped_protocol("aero_paper") if template is None else template
    elements = _elements(rows, template)
    fitted_names = {name for names in _FITTED_BYTES.values() for name in names}
    held_bytes = {n: p.bytes.value for n, p in template.primitives.items() if n not in fitted_names}
    comm = np.array([row.comm_gb * 1e9 for row in rows])
    held = sum((value * elements[name] for name, value in held_bytes.items()), np.zeros(len(rows)))
    columns = [
        sum((elements[name] for name in names), np.zeros(len(rows))) for names in _FITTED_BYTES.values()
    ]
    found = _relative_least_squares(np.stack(columns, axis=1), comm - held, comm, tuple(_FITTED_BYTES))
    fitted = {
        name: constant
        for names, constant in zip(_FITTED_BYTES.values(), found, strict=True)
        for name in names
    }
    predicted = np.stack(columns, axis=1) @ found + held

    latency = np.array([row.latency_min * 60 for row in rows])
    columns = [*(elements[name] for name in _FITTED_SECONDS), predicted]
    *compute, per_byte = _relative_least_squares(
        np.stack(columns, axis=1), latency, latency, (*_FITTED_SECONDS, "bandwidth")
    )
    network = Network(
        name="paper",
        bandwidth_mbps=_round(8e-6 / per_byte),
        rtt_ms=0.0,
        source=f"{_FIT}; compute that grows with bytes is in it, round trips are not identified",
    )
    protocol = _fitted(template, fitted, dict(zip(_FITTED_SECONDS, compute, strict=True)))
    return Calibration(protocol, network, _residuals(rows, protocol, network))


def _elements(rows: list[PublishedRow], protocol: Protocol) -> dict[str, NDArray[np.float64]]:
    """Elements every primitive runs on, by primitive: arrays of shape [rows]."""
    counts = {name: np.zeros(len(rows)) for name in protocol.primitives}
    for i, row in enumerate(rows):
        for operation in inventory(published_architecture(row)):
            for use in uses(operation, protocol):
                counts[use.primitive][i] += use.calls * use.elements
    return counts


def _relative_least_squares(
    columns: NDArray[np.float64],
    target: NDArray[np.float64],
    scale: NDArray[np.float64],
    names: tuple[str, ...],
) -> NDArray[np.float64]:
    """Minimize the sum of ((columns @ x - target) / scale)^2. Shapes: [rows, constants], [rows], [rows]."""
    size = columns.max(axis=0)
    solution = np.linalg.lstsq(columns / size / scale[:, None], target / scale, rcond=None)[0] / size
    rounded = np.array([_round(value) for value in solution])
    for name, value in zip(names, rounded, strict=True):
        if value <= 0:
            raise AeroSearchError(
                f"the calibrate rows give {name} a constant of {value:g}, which must be above 0"
            )
    return rounded


def _residuals(rows: list[PublishedRow], protocol: Protocol, network: Network) -> tuple[Residual, ...]:
    prices = price_batch([published_architecture(row) for row in rows], protocol, network)
    return tuple(
        Residual(
            row,
            float(prices.communication_bytes[i]) / (row.comm_gb * 1e9) - 1,
            float(prices.latency_seconds[i]) / (row.latency_min * 60) - 1,
        )
        for i, row in enumerate(rows)
    )


def _round(value: float) -> float:
    """Five significant digits, so that the shipped file reads well and loses nothing that is known."""
    return float(f"{value:.5g}")


def _fitted(template: Protocol, sent: dict[str, float], seconds: dict[str, float]) -> Protocol:
    """The template with the fitted constants in the places of its own."""
    primitives = dict(template.primitives)
    for name, value in sent.items():
        primitives[name] = replace(
            primitives[name], bytes=Constant(float(value), "B/element", _FIT, FITTED_DATE)
        )
    for name, value in seconds.items():
        primitives[name] = replace(
            primitives[name], seconds=Constant(float(value), "s/element", _FIT, FITTED_DATE)
        )
    return replace(template, primitives=primitives)


PROTOCOL_HEADER = (
    "SecretFlow as AERO (arXiv 2410.13060v2) ran it: constants fitted to its published tables.",
    "`aero-search calibrate source=published` writes the fitted constants; lowerings and the rest are held.",
    "docs/protocols.md says how it was fitted, what was held, and how well it predicts unseen rows.",
)
NETWORK_HEADER = (
    "The bandwidth at which AERO's published latencies fit, not the one its text states (docs/protocols.md).",
    "Written by `aero-search calibrate source=published`; use it with protocol=aero_paper.",
)
