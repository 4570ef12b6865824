"""The one-time cost of the parties, read apart: keys, base oblivious transfers, their first extension."""

from __future__ import annotations

from typing import Any

import numpy as np

from aero_search.measure.meter import Reading
from aero_search.measure.party import Party
from aero_search.schema import to_mapping


def set_up(party: Party) -> Reading:
    """Pay for the set-up now and tell the starter what it was.

    A program that uses every kind of operation runs twice. Both runs cost the same but for the set-up.

    Returns:
        The first run less the second one, as an operation named `setup`.
    """

    def every_kind(x: Any, y: Any, w: Any) -> Any:
        import jax

        return jax.nn.relu(x) + (x * x) @ w + x @ y

    rng = np.random.default_rng(0)
    x = party.enter(
        "client", rng.normal(size=(128, 64)).astype(np.float32) if party.role == "client" else None, False
    )
    y = party.enter(
        "client", rng.normal(size=(64, 64)).astype(np.float32) if party.role == "client" else None, False
    )
    w = party.enter("server", rng.normal(size=(64, 64)).astype(np.float32) if party.is_server else None)
    first, second = (party.run("setup", every_kind, x, y, w, quiet=True) for _ in range(2))
    party.forget(x, y, w, *first[0], *second[0])
    cost = first[1].total.less(second[1].total)
    reading = Reading("setup", 1, cost.seconds, cost.bytes_sent, cost.bytes_received, cost.messages)
    party.tell(setup=to_mapping(reading))
    return reading
