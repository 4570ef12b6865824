"""Sends operations, and keeps a store that fails from ever reaching the search: what is not taken is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aero_search.invocation import output_option, typed
from aero_search.passwords import masked
from aero_search.printing import print_line
from aero_search.tracking import store
from aero_search.tracking.delivery import Delivery, UnknownRunError, final, sentence
from aero_search.tracking.journal import Journal, journal_of
from aero_search.tracking.operations import Operation, without_secrets
from aero_search.tracking.spec import TrackingSpec

T = TypeVar("T")

# A call that failed after s seconds is followed by PATIENCE * s seconds without any (at most MAX_PAUSE): a
# server that does not answer costs a search 2 % of its time, and one that refuses at once is asked each time.
PATIENCE, MAX_PAUSE = 50.0, 600.0


class Sender:
    """Sends operations in order; never raises.

    Where one cannot be sent it is appended to the journal, and as long as the journal holds anything everything
    else is: `flush` sends it. The process that begins a journal says so once on stderr.
    """

    def __init__(self, spec: TrackingSpec, output_dir: Path) -> None:
        self._spec, self._output_dir = spec, output_dir
        self._delivery = Delivery(spec, output_dir)
        self._journal = journal_of(spec, output_dir)
        self._warned = False
        self._silent_until = 0.0
        self._problem = ""

    def initialize(self) -> None:
        """Make the store and its experiment, and send what an earlier search has left."""
        if self._guarded(self._initialized) is None:
            self._warn()
        else:
            self.flush()

    def run_id(self, run: str) -> str:
        """The store's id of a run, our own name where the store does not know it."""
        return self._delivery.known(run)

    def exists(self, run_id: str) -> bool | None:
        """Whether the store has a run, or is to get it; None where it cannot be asked."""
        if self._journal.mentions(run_id):
            return True
        return self._guarded(lambda: self._delivery.exists(run_id))

    def send(self, *operations: Operation) -> bool:
        """Deliver in order; False where one or more were kept for later."""
        left = [without_secrets(operation) for operation in operations]
        while left and not self._journal.exists and self._delivered(left[0]):
            left.pop(0)
        if left:
            self._keep(left)
        return not left

    def flush(self, at_once: bool = False) -> None:
        """Send what was kept, where the store answers again.

        Args:
            at_once: also in the pause that follows a failure; for the end of the work.
        """
        if self._journal.exists:
            self._silent_until = 0.0 if at_once else self._silent_until
            self._guarded(self._flushed)

    def _flushed(self) -> bool:
        store.load()
        left = send_kept(self._journal, self._delivery)
        if left.problem is not None:
            raise left.problem
        return True

    def _delivered(self, operation: Operation) -> bool:
        """Deliver one; also True where the store will never take it, which is said."""

        def deliver() -> bool:
            try:
                self._delivery.deliver(operation)
            except Exception as problem:
                # A run may be unknown because another process still has to create it.
                if not final(problem) or isinstance(problem, UnknownRunError):
                    raise
                path = self._journal.refuse(operation, sentence(problem))
                self._warn(f"refused a part ({sentence(problem)}), which is kept in {path}")
            return True

        return self._guarded(deliver) or False

    def _keep(self, operations: list[Operation]) -> None:
        try:
            if self._journal.append(operations, self._spec, self._output_dir):
                self._warn()
        except OSError as problem:
            self._warn(f"does not answer, and nothing can be kept for it ({sentence(problem)})")

    def _initialized(self) -> bool:
        self._delivery.initialize()
        return True

    def _guarded(self, call: Callable[[], T]) -> T | None:
        """The call's answer; None where it failed, or where the store is given a pause."""
        if time.monotonic() < self._silent_until:
            return None
        started = time.monotonic()
        try:
            store.load()
            started = time.monotonic()
            return call()
        except Exception as problem:
            now = time.monotonic()
            self._silent_until = now + min(MAX_PAUSE, PATIENCE * (now - started))
            self._problem = sentence(problem)
            return None

    def _warn(self, what: str = "") -> None:
        """Say once what the store does; without words, that it fails."""
        if self._warned:
            return
        self._warned = True
        uri = masked(self._spec.resolved_uri(self._output_dir))
        failing = (
            f"does not take what is logged ({self._problem}): the work goes on without it, and everything is kept; "
            f"once the store answers, send it with: {typed(f'sync{output_option(self._output_dir)}')}"
        )
        print_line(f"aero-search: the tracking store {uri} {what or failing}", stderr=True)


@dataclass
class Kept:
    """What became of a journal.

    Attributes:
        refused: operations that the store will never take.
        refused_in: the file they are kept in.
        problem: why sending ended before the journal did; None where nothing is left.
        busy: another process is sending.
    """

    sent: int = 0
    refused: int = 0
    refused_in: Path | None = None
    problem: Exception | None = None
    busy: bool = False


def send_kept(journal: Journal, delivery: Delivery, told: Callable[[], None] = lambda: None) -> Kept:
    """Send a journal in order, until its end or the first failure; any number of times, it doubles nothing.

    Args:
        told: called after each operation.
    """
    kept = Kept()
    with journal.sending() as alone:
        if not alone:
            return Kept(busy=True)
        for end, operation in journal.pending():
            try:
                if isinstance(operation, str):
                    raise UnknownRunError("the line is torn")
                delivery.deliver(operation, again=True)
                kept.sent += 1
            except Exception as problem:
                if not final(problem):
                    kept.problem = problem
                    return kept
                kept.refused += 1
                kept.refused_in = journal.refuse(operation, sentence(problem))
            journal.done(end)
            told()
    return kept
