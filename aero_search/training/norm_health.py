"""Health of norms by running statistics: how far batches are from what inference divides by; no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# In running deviations. Measured on the proxy at the peak of a rate that trains well: at most 0.24.
PARTED = 1.0


@dataclass(frozen=True)
class NormHealth:
    """The gap between batch and running statistics of every such norm, at one validation.

    Attributes:
        verdict: `parted` where a gap is above 1: the network is not validated as it was trained.
        reason: the verdict in words.
        gaps: by the norm's name in the model, in running deviations, 0 where a batch has the running statistics
            (`model.running_norms.RunningNorm.gap`).
    """

    verdict: Literal["sound", "parted"]
    reason: str
    gaps: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The largest gap."""
        return max(self.gaps.values())


def norm_health(gaps: Mapping[str, float]) -> NormHealth | None:
    """The health of norms with running statistics; None where there are none, or a gap is no number."""
    if not gaps or not all(map(math.isfinite, gaps.values())):
        return None
    worst = max(gaps, key=gaps.__getitem__)
    if gaps[worst] <= PARTED:
        return NormHealth("sound", "", dict(gaps))
    reason = f"batches of {worst} are {gaps[worst]:.2g} running deviations from its running statistics"
    return NormHealth("parted", reason, dict(gaps))
