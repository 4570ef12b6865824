"""What a private forward pass cost, beside what was estimated: by stage, by part, in total."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aero_search.architecture import Architecture, key, notation
from aero_search.cost import PARTS, PREFILL, Cost, Network, Protocol, Workload, estimate
from aero_search.cost.workload import sized
from aero_search.measure.lowering_names import lowering_names
from aero_search.measure.mailbox import runtime_of
from aero_search.measure.meter import Reading, sum_readings
from aero_search.measure.program import Pass, Stage
from aero_search.schema import to_mapping


@dataclass(frozen=True)
class StageReading:
    """One operation of one forward pass: what the server sent, and what the others did."""

    stage: Stage
    reading: Reading


@dataclass(frozen=True)
class Agreement:
    """The private logits against those of PyTorch in plaintext.

    Attributes:
        positions: next tokens compared.
        largest_error: largest absolute difference of a logit.
        largest_logit: largest absolute logit in plaintext.
        same_next_token: share of positions with the same most likely token.
    """

    positions: int
    largest_error: float
    largest_logit: float
    same_next_token: float


def agreement(private: NDArray[Any], plain: NDArray[Any]) -> Agreement:
    """Compare logits of shape (sequences, T, V)."""
    same = private.argmax(-1) == plain.argmax(-1)
    # A result that is no number is as wrong as can be, and must not hide behind a maximum.
    error = np.abs(private.astype(np.float64) - plain)
    return Agreement(
        positions=int(same.size),
        largest_error=float(np.where(np.isfinite(error), error, np.inf).max()),
        largest_logit=float(np.abs(plain).max()),
        same_next_token=float(same.mean()),
    )


@dataclass(frozen=True)
class Measurement:
    """A measured query: a forward pass, or a prompt and an answer.

    Attributes:
        architecture: the candidate.
        forward: what was run: folded, with its lowerings.
        protocol: whose estimate stands beside the readings.
        network: the link of the readings and of the estimate.
        shaped: whether the link was slowed down to `network`; else it was this machine's own loopback.
        readings: one list of stages a sequence.
        setup: what the parties paid once.
        agreement: of the logits.
        versions: of what the parties ran.
        workload: what was asked of the network.
    """

    architecture: Architecture
    forward: Pass
    protocol: Protocol
    network: Network
    shaped: bool
    readings: tuple[tuple[StageReading, ...], ...]
    setup: Reading
    agreement: Agreement
    versions: Mapping[str, str]
    workload: Workload = PREFILL

    @property
    def estimated(self) -> Cost:
        """The price of what was run."""
        priced = priced_architecture(self.forward)
        return estimate(priced, self.protocol, self.network, workload=self.workload)

    def total(self) -> Reading:
        """One pass, the mean over the sequences."""
        return self._mean(reading.reading for sequence in self.readings for reading in sequence)

    def by_part(self) -> dict[str, Reading]:
        """One pass by part of the model, in the order of the cost estimate, parts that ran."""
        ran = {reading.stage.part for sequence in self.readings for reading in sequence}
        return {
            part: self._mean(r.reading for seq in self.readings for r in seq if r.stage.part == part)
            for part in PARTS
            if part in ran
        }

    def by_pass(self) -> list[tuple[str, Reading, Cost]]:
        """What each pass of the query cost, and its estimate, in order."""
        a, found = priced_architecture(self.forward), []
        first = replace(self.workload, prompt=None, generate=min(1, self.workload.generate))
        for number, step in enumerate(self.workload.passes(a.seq_len)):
            name = f"token {number + 1}" if step.decode else "prompt"
            reading = self._mean(r.reading for seq in self.readings for r in seq if r.stage.step == number)
            priced = estimate(sized(a, step.tokens), self.protocol, self.network, step.decode, first)
            found.append((name, reading, priced))
        return found

    def by_stage(self) -> dict[str, Reading]:
        """One pass by stage, in the order they ran."""
        return {
            first.stage.name: self._mean(sequence[i].reading for sequence in self.readings)
            for i, first in enumerate(self.readings[0])
        }

    def document(self) -> dict[str, Any]:
        """Everything as one JSON document; bytes are both directions, errors are estimated / measured - 1."""
        cost, total = self.estimated, self.total()
        sent, latency = cost.communication_bytes, cost.latency_seconds
        layers = {stage.stage.name: stage.stage for stage in self.readings[0]}
        document: dict[str, Any] = {
            "notation": notation(self.architecture),
            "key": key(self.architecture),
            "architecture": self.architecture,
            "ran": {
                "notation": notation(self.forward.architecture),
                "weights": self.forward.weights,
                "spu_protocol": runtime_of(self.protocol).protocol,
                "lowerings": self._lowerings(),
            },
            "protocol": self.protocol.name,
            "trust": self.protocol.trust,
            "network": self.network.name,
            "network_shaped": self.shaped,
            "versions": dict(self.versions),
            "sequences": len(self.readings),
            "tokens": self.forward.architecture.seq_len
            if self.workload.prompt is None
            else self.workload.prompt,
            "generated": self.workload.generate,
            "total": {**_line(total, sent.total, latency.total), "estimated_rounds": cost.rounds},
            "parts": {
                part: _line(reading, sent.by_op.get(part, 0.0), latency.by_op.get(part, 0.0))
                for part, reading in self.by_part().items()
            },
            "passes": {
                name: _line(reading, priced.communication_bytes.total, priced.latency_seconds.total)
                for name, reading, priced in self.by_pass()
            },
            "setup": _line(self.setup, sent.setup, latency.setup),
            "logits": {name: _sayable(value) for name, value in vars(self.agreement).items()},
            "stages": [
                {"stage": name, "part": layers[name].part, "layer": layers[name].layer, **_read(reading)}
                for name, reading in self.by_stage().items()
            ],
        }
        plain: dict[str, Any] = to_mapping(document)
        return plain

    def metrics(self) -> dict[str, float]:
        """The numbers of a tracking run."""
        cost, total = self.estimated, self.total()
        return {
            "measured_bytes": float(total.bytes),
            "measured_seconds": total.seconds,
            "measured_messages": float(total.messages),
            "setup_bytes": float(self.setup.bytes),
            "setup_seconds": self.setup.seconds,
            "estimated_bytes": cost.communication_bytes.total,
            "estimated_seconds": cost.latency_seconds.total,
            "bytes_error": relative(cost.communication_bytes.total, total.bytes) or 0.0,
            "largest_logit_error": self.agreement.largest_error,
            "same_next_token": self.agreement.same_next_token,
            **{f"measured_bytes/{part}": float(r.bytes) for part, r in self.by_part().items()},
            **{f"measured_seconds/{part}": r.seconds for part, r in self.by_part().items()},
        }

    def _lowerings(self) -> dict[str, str]:
        ran = {reading.stage.kind for reading in self.readings[0]}
        return {kind: name for kind, name in (self.forward.lowerings or {}).items() if kind in ran}

    def _mean(self, readings: Iterable[Reading]) -> Reading:
        return _divided(sum_readings(readings), len(self.readings))


def priced_architecture(forward: Pass) -> Architecture:
    """The architecture whose price is that of the pass: folded, with its temperatures."""
    a = forward.architecture
    if not forward.tempered:
        return a
    return replace(a, attention=replace(a.attention, temperature="learned"))


def run_lowerings(protocol: Protocol) -> dict[str, str]:
    """The implementation of every operation kind under a protocol."""
    return lowering_names(protocol.use)


def relative(estimated: float, measured: float) -> float | None:
    """estimated / measured - 1; None where nothing was measured."""
    return estimated / measured - 1 if measured else None


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, ties sharing their mean rank."""
    a, b = (_ranks(np.asarray(values, dtype=float)) for values in (first, second))
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    return np.asarray(below + (equal - 1) / 2, dtype=float)


def _sayable(value: float) -> float | None:
    """JSON has no infinity and no NaN: null."""
    return value if math.isfinite(value) else None


def _read(reading: Reading) -> dict[str, float]:
    return {
        "bytes": reading.bytes,
        "to_client": reading.bytes_sent,
        "to_server": reading.bytes_received,
        "messages": reading.messages,
        "seconds": reading.seconds,
    }


def _line(reading: Reading, estimated_bytes: float, estimated_seconds: float) -> dict[str, Any]:
    return {
        **_read(reading),
        "estimated_bytes": estimated_bytes,
        "bytes_error": relative(estimated_bytes, reading.bytes),
        "estimated_seconds": estimated_seconds,
        "seconds_error": relative(estimated_seconds, reading.seconds),
    }


def _divided(reading: Reading, by: int) -> Reading:
    return replace(
        reading,
        seconds=reading.seconds / by,
        bytes_sent=round(reading.bytes_sent / by),
        bytes_received=round(reading.bytes_received / by),
        messages=round(reading.messages / by),
    )
