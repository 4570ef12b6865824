"""SPU's profile log as numbers: bytes, messages and seconds of each operation of a run.

SPU 0.9.5 has no function that returns what a run sent. With `enable_pphlo_profile` it writes one line an
operation, and one line a run, to its log; the patterns below are those lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aero_search.errors import AeroSearchError

_SECTION = re.compile(r"\b(HLO|HAL|MPC) profiling: total time ([\d.e+-]+)")
_OPERATION = re.compile(
    r"- (\S+), executed (\d+) times, duration ([\d.e+-]+)s, "
    r"send bytes (\d+) recv bytes (\d+), send actions (\d+), recv actions (\d+)"
)
LINK = re.compile(
    r"Link details: total send bytes (\d+), recv bytes (\d+), send actions (\d+), recv actions (\d+)"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one operation cost in one run, all its calls together.

    Attributes:
        operation: SPU's name of it, for example `pphlo.multiply`; `total` for the whole run.
        count: how many times it ran.
        seconds: wall time on the party that read it.
        bytes_sent: by the party that read it.
        bytes_received: by that party, which is what the other one sent; of three parties what both others sent.
        messages: of both directions; several may travel at once, so they are no rounds.
    """

    operation: str
    count: int
    seconds: float
    bytes_sent: int
    bytes_received: int
    messages: int

    @property
    def bytes(self) -> int:
        """Both directions together."""
        return self.bytes_sent + self.bytes_received

    def less(self, other: Reading) -> Reading:
        """This reading without what `other` read, for example a first run without a second one's cost."""
        return Reading(
            self.operation,
            self.count,
            max(self.seconds - other.seconds, 0.0),
            max(self.bytes_sent - other.bytes_sent, 0),
            max(self.bytes_received - other.bytes_received, 0),
            max(self.messages - other.messages, 0),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One program run under two-party computation.

    Attributes:
        name: what the program called it.
        total: of the run; its seconds are wall time between two barriers.
        operations: by SPU's operation, those that sent nothing included, dearest first.
    """

    name: str
    total: Reading
    operations: tuple[Reading, ...]


def read_profile(text: str, name: str, seconds: float) -> Run:
    """Parse what SPU logged during one run.

    Args:
        text: of the log, from the run's first line to its last.
        name: of the run.
        seconds: wall time of the run.

    Raises:
        AeroSearchError: the log has no profile of a run, so SPU writes another format than 0.9.5.
    """
    section = None
    total = None
    operations: list[Reading] = []
    for line in text.splitlines():
        if found := _SECTION.search(line):
            section = found[1]
        elif section == "HLO" and (found := _OPERATION.search(line)):
            count, elapsed, sent, received, send_actions, recv_actions = found.groups()[1:]
            messages = int(send_actions) + int(recv_actions)
            operations.append(
                Reading(found[1], int(count), float(elapsed), int(sent), int(received), messages)
            )
        elif found := LINK.search(line):
            sent, received, send_actions, recv_actions = map(int, found.groups())
            total = Reading("total", 1, seconds, sent, received, send_actions + recv_actions)
    if total is None:
        raise AeroSearchError(
            f"SPU's log has no profile of the run {name}: this reads the log of spu==0.9.5, install that one"
        )
    return Run(name, total, tuple(sorted(operations, key=lambda r: (-r.bytes, -r.seconds, r.operation))))


def together(readings: Sequence[Reading]) -> Reading:
    """One reading of one operation by every party: what the first sent, and what all others did.

    Of two parties that is the first one's own reading. Seconds and messages are the first one's.
    """
    first, *others = readings
    return replace(first, bytes_received=sum(r.bytes_sent for r in others)) if others else first


def sum_readings(readings: Iterable[Reading], operation: str = "total") -> Reading:
    """Add readings up under one name."""
    total = Reading(operation, 0, 0.0, 0, 0, 0)
    for r in readings:
        total = Reading(
            operation,
            total.count + r.count,
            total.seconds + r.seconds,
            total.bytes_sent + r.bytes_sent,
            total.bytes_received + r.bytes_received,
            total.messages + r.messages,
        )
    return total
