"""`aero_paper` and the network `paper`: constants fitted to the rows of published.csv marked `calibrate`.

Bytes: five constants, least squares of relative errors. What the rows cannot tell apart is held:
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
from aero_search.cost.protocol import Constant, Primitive, Protocol, Setup, Term
from aero_search.cost.protocol_file import protocol_mapping
from aero_search.cost.published import PublishedRow, published_architecture, published_rows
from aero_search.errors import AeroSearchError
from aero_search.schema import to_mapping

FITTED_DATE = "2026-11"
_FIT = "fitted to the calibrate rows of AERO's tables 4 to 7 (arXiv 2410.13060v2)"
_OLD_SPU = "SPU 0.9.5 Cheetah reading; its multiplication of before September 2024 (two evaluations)"
_ROUNDS = "SPU 0.9.5 Cheetah, see spu_cheetah_0_9_5"

# Each fitted constant, and the primitives that share it.
_FITTED_BYTES: dict[str, tuple[str, ...]] = {
    "gelu": ("gelu",),
    "layernorm": ("layernorm",),
    "softmax": ("softmax",),
    "matmul": ("linear_element", "product_element"),
    "one_hot": ("one_hot",),
}
_FITTED_SECONDS = ("linear_element", "product_element", "one_hot")
_HELD_BYTES = {
    "relu": (98.5, "SPU 0.9.5 Cheetah reading; no row drops ReLU without LayerNorm"),
    "multiply": (282.5, _OLD_SPU),
    "truncate": (3.125, "SPU 0.9.5 Cheetah reading"),
    "private_multiply": (0.0, "EReg rows cost what rows without temperatures do"),
    "maximum_level": (0.0, "in softmax"),
}
# Those of spu_cheetah_0_9_5 at the sizes of a GPT-2 small layer, 128 tokens.
_ROUND_TRIPS = {
    "gelu": 78.4,
    "layernorm": 37.1,
    "softmax": 84.5,
    "linear_element": 2.14,
    "product_element": 4.57,
    "one_hot": 5.27,
    "relu": 9.97,
    "multiply": 5.2,
    "truncate": 1.02,
    "private_multiply": 4.07,
    "maximum_level": 9.97,
}
_ROUND_SOURCES = {"private_multiply": "one evaluation and one truncation, as SPU would need"}


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


def calibrate_published() -> Calibration:
    """Fit `aero_paper` and `paper` to the published rows; gives the same numbers every time.

    Raises:
        AeroSearchError: the rows give a negative constant, so they no longer determine this model.
    """
    rows = [row for row in published_rows() if row.split == "calibrate"]
    draft = _protocol({}, {})
    elements = _elements(rows, draft)
    comm = np.array([row.comm_gb * 1e9 for row in rows])
    held = sum((value * elements[name] for name, (value, _) in _HELD_BYTES.items()), np.zeros(len(rows)))
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
    protocol = _protocol(fitted, dict(zip(_FITTED_SECONDS, compute, strict=True)))
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


def _protocol(fitted_bytes: dict[str, float], fitted_seconds: dict[str, float]) -> Protocol:
    primitives = {}
    for names in _FITTED_BYTES.values():
        for name in names:
            primitives[name] = _primitive(name, fitted_bytes.get(name, 0.0), _FIT)
    for name, (value, source) in _HELD_BYTES.items():
        primitives[name] = _primitive(name, value, source)
    for name, value in fitted_seconds.items():
        constant = Constant(float(value), "s/element", _FIT, FITTED_DATE)
        primitives[name] = replace(primitives[name], seconds=constant)
    return Protocol(
        name="aero_paper",
        title="fitted to AERO's published tables",
        trust="two semi-honest parties, no third one",
        offline="included",
        weights="secret",
        machine="the paper's, inferred from its latencies",
        setup=Setup(
            Constant(0.0, "B", "in the published totals, if counted", FITTED_DATE),
            Constant(0.0, "s", "in the published totals, if counted", FITTED_DATE),
        ),
        primitives=primitives,
        lowerings=_LOWERINGS,
        use=_USE,
    )


def _primitive(name: str, sent: float, source: str) -> Primitive:
    return Primitive(
        bytes=Constant(float(sent), "B/element", source, FITTED_DATE),
        rounds=Constant(
            _ROUND_TRIPS[name], "round trips/call", _ROUND_SOURCES.get(name, _ROUNDS), FITTED_DATE
        ),
        seconds=Constant(0.0, "s/element", "grows with bytes: in the fitted bandwidth", FITTED_DATE),
    )


def _each(*primitives: str) -> tuple[Term, ...]:
    return tuple(Term(primitive, "element") for primitive in primitives)


_LOWERINGS: dict[str, tuple[Term, ...]] = {
    "one_hot": _each("one_hot"),
    "linear": (Term("linear_element", "smaller"), Term("linear_element", "output")),
    "product": (Term("product_element", "smaller"), Term("product_element", "output")),
    "public_factor": _each("truncate"),
    "private_factor": _each("private_multiply"),
    "multiply": _each("multiply"),
    "softmax": (Term("softmax", "element"), Term("maximum_level", "reduction")),
    "layernorm": _each("layernorm"),
    "gelu": _each("gelu"),
    "relu": _each("relu"),
    "leaky_relu": _each("relu", "truncate"),
    "leaky_relu_learned": _each("relu", "private_multiply"),
    "squared_relu": _each("relu", "multiply"),
    "quadratic": _each("multiply", "truncate"),
}
_USE = {
    "one_hot": "one_hot",
    "lookup_secret": "linear",
    "linear_secret": "linear",
    "matmul": "product",
    "public_scale": "public_factor",
    "private_scale": "private_factor",
    "multiply": "multiply",
    "softmax": "softmax",
    "layernorm": "layernorm",
    "rmsnorm": "layernorm",  # three multiplications an element, as LayerNorm
    "gelu": "gelu",
    "gelu_tanh": "gelu",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "leaky_relu_learned": "leaky_relu_learned",
    "leaky_relu_shared": "leaky_relu_learned",
    "squared_relu": "squared_relu",
    "quadratic": "quadratic",
    "silu": "gelu",  # its tanh is GELU's costly part; an upper bound
}

PROTOCOL_HEADER = (
    "SecretFlow as AERO (arXiv 2410.13060v2) ran it: constants fitted to its published tables.",
    "Written by `aero-search calibrate source=published`; change aero_search/cost/calibrate.py instead.",
    "docs/protocols.md says how it was fitted, what was held, and how well it predicts unseen rows.",
)
NETWORK_HEADER = (
    "The bandwidth at which AERO's published latencies fit, not the one its text states (docs/protocols.md).",
    "Written by `aero-search calibrate source=published`; use it with protocol=aero_paper.",
)
