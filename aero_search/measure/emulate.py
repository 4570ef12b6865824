"""What a system's arithmetic does to a network: the pass of `measure` in one process, which plays all parties.

SPU's reference protocol (REF2K) computes in the clear in the ring and with the fraction bits of the others, and its
compiler makes the same polynomials of the same lowerings. Only the last bit differs: Cheetah, SEMI2K, ABY3 and
SecureNN round at random where they truncate.

Shapes: N windows of T tokens and their T targets, V vocabulary entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aero_search.cost import Protocol
from aero_search.measure.arrays import server_arrays, server_pass
from aero_search.measure.mailbox import runtime_of
from aero_search.measure.measurement import run_lowerings
from aero_search.measure.pair import run_alone
from aero_search.measure.program import LOGITS_FILE, Pass, sequence_name, stages
from aero_search.model import Decoder, fold
from aero_search.schema import to_mapping

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Quality:
    """Next tokens of N windows under some arithmetic.

    Attributes:
        nats_n: mean cross-entropy of each window's targets.
        accuracy: share of the targets that are the most likely token.
    """

    nats_n: NDArray[np.float64]
    accuracy: float

    @property
    def loss(self) -> float:
        """Mean cross-entropy, nats a target."""
        return float(self.nats_n.mean())

    @property
    def spread(self) -> float:
        """Standard error of the loss over the windows; 0 of one window."""
        return standard_error(self.nats_n)


@dataclass(frozen=True)
class Emulation:
    """A network in floating point and in a system's fixed point, on the same windows.

    Attributes:
        forward: what was run: folded, with its lowerings.
        same_next_token: share of the targets where both have the same most likely token.
    """

    forward: Pass
    plain: Quality
    emulated: Quality
    same_next_token: float

    @property
    def change(self) -> float:
        """Log perplexity in fixed point less that in floating point."""
        return self.emulated.loss - self.plain.loss

    @property
    def change_error(self) -> float:
        """Standard error of the change over the windows; 0 of one window."""
        return standard_error(self.emulated.nats_n - self.plain.nats_n)


def standard_error(values_n: NDArray[np.float64]) -> float:
    """Of the mean of independent values; 0 of one value."""
    return float(values_n.std(ddof=1) / math.sqrt(len(values_n))) if len(values_n) > 1 else 0.0


def quality(logits_ntv: NDArray[Any], targets_nt: Tokens) -> Quality:
    """What logits say of the tokens that came next."""
    logits = logits_ntv.astype(np.float64)
    largest = logits.max(-1, keepdims=True)
    log_sum_nt = np.log(np.exp(logits - largest).sum(-1)) + largest[..., 0]
    of_target_nt = np.take_along_axis(logits, targets_nt[..., None].astype(np.int64), -1)[..., 0]
    hits = logits.argmax(-1) == targets_nt
    return Quality((log_sum_nt - of_target_nt).mean(-1), float(hits.mean()))


def emulate(
    model: Decoder,
    protocol: Protocol,
    windows_ns: Tokens,
    folder: Path,
    *,
    answers_only: bool = False,
    python: str | None = None,
    on_window: Callable[[int], None] | None = None,
) -> Emulation:
    """Run held-out windows through a network as a system computes it, and in floating point.

    Args:
        model: in evaluation mode.
        protocol: its trust model says which of SPU's protocols is meant, `use` the lowerings.
        windows_ns: tokens (N, T + 1), the last T of which are targets.
        folder: for the process's files; new or empty.
        answers_only: the last token of each window is its only target.
        python: interpreter of an environment with spu and jax; this one if None.
        on_window: called with how many windows are done.

    Raises:
        RequestError: SPU is not installed there, or has no protocol of that trust model.
        AeroSearchError: the model cannot be folded, or the process died.
    """
    runtime_of(protocol)
    folded = fold(model)
    forward = replace(server_pass(folded), lowerings=run_lowerings(protocol), weights=protocol.weights)
    inputs_nt, targets_nt = windows_ns[:, :-1], windows_ns[:, 1:]
    last = stages(forward)[-1].name
    done = 0

    def listen(role: str, event: Any) -> None:
        nonlocal done
        if on_window is not None and "run" in event and event["run"]["name"].endswith(f"/{last}"):
            done += 1
            on_window(done)

    alone = run_alone(
        "aero_search.measure.parties:forward_pass",
        folder,
        owned={**server_arrays(folded), **{sequence_name(i): row_t for i, row_t in enumerate(inputs_nt)}},
        settings={"forward": to_mapping(forward), "sequences": len(inputs_nt)},
        python=python,
        listener=listen,
    )
    found = alone.arrays(LOGITS_FILE)
    emulated_ntv = np.stack([found[sequence_name(i)] for i in range(len(inputs_nt))])
    with torch.no_grad():
        plain_ntv = model(torch.from_numpy(inputs_nt.astype(np.int64))).float().numpy()
    if answers_only:
        emulated_ntv, plain_ntv, targets_nt = emulated_ntv[:, -1:], plain_ntv[:, -1:], targets_nt[:, -1:]
    same = emulated_ntv.argmax(-1) == plain_ntv.argmax(-1)
    return Emulation(
        forward, quality(plain_ntv, targets_nt), quality(emulated_ntv, targets_nt), float(same.mean())
    )
