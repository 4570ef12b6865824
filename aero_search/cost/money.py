"""What a query costs in money: bytes that leave a party, and the machines while they compute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aero_search.cost.protocol import Protocol
from aero_search.errors import RequestError

_HOUR = 3600.0
Figure = TypeVar("Figure", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class PriceList:
    """conf/price: US dollars for traffic and machines; the defaults are those of `price=aws_internet`.

    Attributes:
        name: as in `price=name`.
        usd_per_gb: for 1e9 bytes, whichever party sends them.
        usd_per_core_hour: of one hardware thread, as clouds count cores.
        usd_per_gpu_hour: of one GPU with the machine around it.
        source: where the numbers come from.
        date: when they held.
    """

    name: str = "aws_internet"
    usd_per_gb: float = 0.09
    usd_per_core_hour: float = 0.0425
    usd_per_gpu_hour: float = 1.006
    source: str = (
        "us-east-1, on demand; 0.09 USD a GB for the first 10 TB a month: https://www.egresscost.com/aws; "
        "c5.2xlarge 0.34 and g5.xlarge 1.006 USD an hour as widely quoted"
    )
    date: str = "2026-11"

    def __post_init__(self) -> None:
        for field in ("usd_per_gb", "usd_per_core_hour", "usd_per_gpu_hour"):
            value = getattr(self, field)
            if not 0 <= value < math.inf:
                raise RequestError(f"price.{field}={value:g} must be 0 or above, in US dollars, and finite")

    def egress(self, sent: Figure) -> Figure:
        """US dollars for `sent` bytes."""
        return sent * (self.usd_per_gb / 1e9)

    def a_second(self, protocol: Protocol) -> float:
        """US dollars for a second of compute of all parties; 0 where the protocol does not say their machines.

        Parties that wait for each other serve other queries meanwhile: waiting is not paid.
        """
        hourly = protocol.cores * self.usd_per_core_hour + protocol.gpus * self.usd_per_gpu_hour
        return hourly / _HOUR

    def usd(self, protocol: Protocol, sent: Figure, compute: Figure) -> Figure:
        """US dollars of a query: its bytes, and its seconds of compute on the machines of the protocol."""
        return self.egress(sent) + compute * self.a_second(protocol)


LIST_PRICES = PriceList()
"""Parties in different clouds."""
