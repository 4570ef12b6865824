"""The files between the starter and its parties: JSON, JSON lines, and npz without pickling.

Each party has a folder of its own with `party.json` (what both may know), `owned.npz` (what it alone may know),
`events.jsonl` (what it reports while it runs), `spu.log` and `party.log`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aero_search.cost import TRUST, Protocol
from aero_search.errors import RequestError, nearest

Array = NDArray[Any]
Role = Literal["server", "client", "helper"]
ROLES: tuple[Role, ...] = ("server", "client", "helper")
"""By rank: the server is party 0; the helper, where there is one, owns nothing and learns nothing."""
SpuProtocol = Literal["CHEETAH", "SEMI2K", "ABY3", "SECURENN", "REF2K"]
SPU_PROTOCOLS: Mapping[str, tuple[SpuProtocol, ...]] = {
    "two_semi_honest": ("CHEETAH",),
    "dealer": ("SEMI2K",),
    "three_honest_majority": ("ABY3", "SECURENN"),
}
"""What SPU 0.9.5 runs for a trust model; the first is meant where a protocol file names none."""
THREE_PARTIES: tuple[SpuProtocol, ...] = ("ABY3", "SECURENN")


@dataclass(frozen=True)
class RuntimeSettings:
    """How SPU computes.

    Attributes:
        protocol: SPU's name of it; SEMI2K has a trusted dealer and is no two-party computation, ABY3 and SECURENN
            have three parties, REF2K one, which computes in the clear.
        fraction_bits: of fixed-point numbers; SPU's own 18 of 64 bits if 0.
        private_inputs: what one party owns alone stays with it, instead of being shared like activations.
        broadcast_denominator: SPU's compiler turns `x / sum(x)` into one reciprocal a row. Off, so that what is run
            is what was written: `softmax_broadcast` does so itself, `softmax_divide` divides every element.
        recv_timeout_s: how long a party waits for one message; a large product takes minutes.
    """

    protocol: SpuProtocol = "CHEETAH"
    fraction_bits: int = 0
    private_inputs: bool = True
    broadcast_denominator: bool = False
    recv_timeout_s: float = 6 * 3600.0

    @property
    def roles(self) -> tuple[Role, ...]:
        """The parties, by rank."""
        if self.protocol in THREE_PARTIES:
            return ROLES
        return ROLES[: 1 if self.protocol == "REF2K" else 2]


ALONE = RuntimeSettings(protocol="REF2K", private_inputs=False)
"""One process in the ring, fraction bits, truncation and polynomials of the others."""


def runtime_of(protocol: Protocol) -> RuntimeSettings:
    """How SPU runs what a protocol file prices: the protocol that it names, or SPU's first of that trust model.

    Only Cheetah keeps private inputs with their owner; the others share all that goes in.

    Raises:
        RequestError: SPU has none, or not the one that is named.
    """
    if protocol.trust not in SPU_PROTOCOLS:
        raise RequestError(
            f"protocol={protocol.name} is for {TRUST[protocol.trust]}, which SPU 0.9.5 does not run: take a "
            f"protocol with trust {', '.join(SPU_PROTOCOLS)}"
        )
    choices = SPU_PROTOCOLS[protocol.trust]
    name = (
        next((choice for choice in choices if choice == protocol.spu), None) if protocol.spu else choices[0]
    )
    if name is None:
        raise RequestError(
            f"protocol.spu={protocol.spu} is not what SPU 0.9.5 runs for {TRUST[protocol.trust]}: "
            f"{nearest(protocol.spu, choices)}"
        )
    return RuntimeSettings(protocol=name, private_inputs=name == "CHEETAH")


@dataclass(frozen=True)
class Assignment:
    """`party.json`: what one party has to do.

    Attributes:
        rank: of this party, 0 for the server.
        parent: process id of the starter.
        link: random name of this link; a message of another link is refused.
        addresses: host:port by rank, as this party reaches them.
        program: `module:function`, called with the Party.
        settings: what the program may know on both sides.
    """

    rank: int
    parent: int
    link: str
    addresses: tuple[str, ...]
    program: str
    settings: Mapping[str, Any]
    runtime: RuntimeSettings


class EventReader:
    """Reads the complete lines that a party has added to `events.jsonl` since the last look."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"
        self._position = 0

    def read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]
        self._position += len(complete)
        return [json.loads(line) for line in complete.splitlines()]


def append_event(folder: Path, event: Mapping[str, Any]) -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an npz; names may hold dots and slashes, as parameter names do."""
    names = list(arrays)
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"{name} holds Python objects, which only pickling could write")
    stored: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays.values())}
    np.savez(path, names=np.array(names, dtype=str), **stored)


def read_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {str(name): file[f"a{i}"] for i, name in enumerate(file["names"])}
