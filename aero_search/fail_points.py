"""Named places at which a test ends the process as `kill -9` does; nothing happens at them otherwise.

Every write that a search or an export cannot do without has one before and one after it. `AERO_SEARCH_FAIL_POINT`
names the one to end at, with `@3` for its third passing. The test that goes through `POINTS` demands that each is
really met.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "AERO_SEARCH_FAIL_POINT"
POINTS = (
    "optuna.db made",
    "optuna.db written",
    "study created",
    "study described",
    "study.json partial",
    "study.json written",
    "study queued",
    "trial asked",
    "trial described",
    "1.json partial",
    "1.json written",
    "trial tracked",
    "candidate.yaml partial",
    "candidate.yaml written",
    "architecture.yaml partial",
    "architecture.yaml written",
    "checkpoint.safetensors partial",
    "checkpoint.safetensors written",
    "weights.safetensors partial",
    "weights.safetensors written",
    "result.json partial",
    "result.json written",
    "checkpoint forgotten",
    "run finished",
    "result told",
    "trial told",
    "front.png written",
    "export filled",
    "export partial",
    "export written",
)
_passed: dict[str, int] = {}


def passes(name: str) -> None:
    """Be at the place of that name."""
    armed = os.environ.get(VARIABLE)
    if armed is None:
        return
    wanted, _, time = armed.partition("@")
    if wanted != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(time or 1):
        os.kill(os.getpid(), signal.SIGKILL)
