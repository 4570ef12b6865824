"""Contenders that take turns: blocks of steps in one process, so that all meet the same machine.

A block's time is the processor time of the process, of which other processes take nothing. A figure is the median
over rounds; a ratio is one of two medians, with the interval of 95 % that rounds drawn anew with replacement give
(percentile bootstrap; rounds are drawn for both contenders together, since a round is one moment of the machine).
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_RESAMPLES = 2000
_LEVEL = 0.95


class Contender(Protocol):
    """Whatever can train some steps when it is its turn."""

    def block(self, steps: int) -> float:
        """Train so many steps; the processor seconds that they took."""

    def close(self) -> None:
        """End it, and let go of its memory."""


class Loop:
    """A contender that is one function a step."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step: Callable[[], None] | None = step

    def block(self, steps: int) -> float:
        assert self._step is not None
        began = time.process_time()
        for _ in range(steps):
            self._step()
        return time.process_time() - began

    def close(self) -> None:
        self._step = None


class _OverError(Exception):
    """Ends the loop of a paced contender."""


class Paced:
    """A contender that has its own loop and calls `tick` after each step: it waits there for its turn.

    Args:
        run: runs the loop in a thread of its own; is given `tick`.
    """

    def __init__(self, run: Callable[[Callable[[], None]], None]) -> None:
        self._turn, self._ended = threading.Semaphore(0), threading.Semaphore(0)
        self._left, self._began, self._seconds = 1, 0.0, 0.0
        self._closing, self._problem = False, None
        self._run = run
        self._thread = threading.Thread(target=self._whole, daemon=True)
        self._thread.start()
        # The start, and the first step with it, belong to no block.
        self._wait()

    _problem: BaseException | None

    def _whole(self) -> None:
        try:
            self._run(self.tick)
            self._problem = RuntimeError("the loop of a contender ended before its last block")
        except BaseException as problem:
            self._problem = problem
        self._ended.release()

    def tick(self) -> None:
        """A step is over."""
        self._left -= 1
        if self._left:
            return
        self._seconds = time.process_time() - self._began
        self._ended.release()
        self._turn.acquire()
        if self._closing:
            raise _OverError
        self._began = time.process_time()

    def _wait(self) -> None:
        self._ended.acquire()
        if self._problem is not None:
            raise self._problem

    def block(self, steps: int) -> float:
        self._left = steps
        self._turn.release()
        self._wait()
        return self._seconds

    def close(self) -> None:
        self._closing = True
        self._turn.release()
        self._thread.join()


def take_turns(contenders: Mapping[str, Contender], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds a step, one value a round; the first round warms up and is not kept.

    The order turns by one from round to round: nobody always follows the same neighbour.
    """
    names = list(contenders)
    found: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    for number in range(rounds + 1):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            seconds = contenders[name].block(steps if number else 1) / (steps if number else 1)
            if number:
                found[name].append(seconds)
    return found


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one contender is as another, and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def times_as_fast(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Ratio:
    """Median seconds of the others over ours; both have one value a round, of the same rounds."""
    ours_r, theirs_r = np.asarray(ours), np.asarray(theirs)
    random = np.random.default_rng(seed)
    drawn = random.integers(len(ours_r), size=(_RESAMPLES, len(ours_r)))
    ratios = np.median(theirs_r[drawn], axis=1) / np.median(ours_r[drawn], axis=1)
    low, high = np.quantile(ratios, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Ratio(float(np.median(theirs_r) / np.median(ours_r)), float(low), float(high))
