"""A network as data: the link between client and server. `conf/network/*.yaml` are such files."""

from __future__ import annotations

from dataclasses import dataclass

from aero_search.errors import RequestError


@dataclass(frozen=True, slots=True)
class Network:
    """A link.

    Attributes:
        name: as in `network=name`.
        bandwidth_mbps: 1e6 bits a second, both directions together; above 0.
        rtt_ms: round-trip time in milliseconds; 0 or above.
        source: where the two numbers come from.
    """

    name: str
    bandwidth_mbps: float | None
    rtt_ms: float | None
    source: str = ""

    def __post_init__(self) -> None:
        if self.bandwidth_mbps is None:
            raise RequestError(
                f"network={self.name} has no bandwidth: give network.bandwidth_mbps=300, in 1e6 bits a second"
            )
        if self.rtt_ms is None:
            raise RequestError(
                f"network={self.name} has no round-trip time: give network.rtt_ms=20, in milliseconds"
            )
        if self.bandwidth_mbps <= 0:
            raise RequestError(f"network.bandwidth_mbps={self.bandwidth_mbps:g} must be above 0")
        if self.rtt_ms < 0:
            raise RequestError(f"network.rtt_ms={self.rtt_ms:g} must be 0 or above")

    @property
    def bytes_per_second(self) -> float:
        assert self.bandwidth_mbps is not None
        return self.bandwidth_mbps * 1e6 / 8

    @property
    def rtt_seconds(self) -> float:
        assert self.rtt_ms is not None
        return self.rtt_ms / 1e3
