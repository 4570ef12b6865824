"""What a user can spend: the limits by which `front` and `export` choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The fields `max_*` of conf/front.yaml and conf/export.yaml; None is no limit.

    Attributes:
        max_latency_s: seconds.
        max_comm_gb: 1e9 bytes, both directions.
        max_flops: 2 x MACs.
        max_perplexity: on the held-out split.
    """

    max_latency_s: float | None
    max_comm_gb: float | None
    max_flops: float | None
    max_perplexity: float | None

    def limits(self) -> dict[str, float]:
        """The limits by metric name, in the metrics' own units; empty where none was given."""
        given = {
            "latency_s": self.max_latency_s,
            "communication_bytes": None if self.max_comm_gb is None else self.max_comm_gb * 1e9,
            "flops": self.max_flops,
            "perplexity": self.max_perplexity,
        }
        return {metric: limit for metric, limit in given.items() if limit is not None}
