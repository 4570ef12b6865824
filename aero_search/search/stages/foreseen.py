"""The networks of a study at every stage: measured where they have been, foreseen at the last of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aero_search.front.record import Record
from aero_search.search.stages.forecast import Forecast

_SEED = "recipe.seed="
_ENDED = ("finished", "plateau")


@dataclass(frozen=True)
class StagedNetwork:
    """One network with one training setting.

    Attributes:
        reached: perplexity at each stage, the proxy first; None where it has not been, or did not train.
        foreseen: at the last stage where it has not been: the median, and the ends of the 95 % interval; None where
            too little is known.
    """

    notation: str
    reached: tuple[float | None, ...]
    foreseen: tuple[float, float, float] | None


def staged_networks(stages: Sequence[Sequence[Record]]) -> list[StagedNetwork]:
    """What was trained at the proxy, best at the last stage first, what is foreseen there among them.

    Networks are foreseen from the stages that they have been at; see `Forecast`.

    Args:
        stages: the records of each stage, the proxy first.
    """
    tables = [
        {_setting(r): r for r in records if r.state in _ENDED and r.perplexity is not None}
        for records in stages
    ]
    found = []
    for setting, record in tables[0].items():
        reached = tuple(at[setting].perplexity if setting in at else None for at in tables)
        found.append(StagedNetwork(record.notation, reached, _foresee(tables, setting)))
    return sorted(found, key=lambda network: network.reached[-1] or (network.foreseen or (np.inf,))[0])


def _foresee(
    tables: Sequence[dict[tuple[str, ...], Record]], setting: tuple[str, ...]
) -> tuple[float, float, float] | None:
    if setting in tables[-1]:
        return None
    # What stayed on the unigram plateau says nothing of what training would have made of it.
    learned = [{s: r for s, r in at.items() if r.state == "finished"} for at in tables]
    below = [at for at in learned[:-1] if setting in at]
    known = [other for other in learned[-1] if all(other in at for at in below)]
    if not known or not below:
        return None
    logs = np.log([[at[other].perplexity or np.nan for at in (*below, learned[-1])] for other in known])
    forecast = Forecast(logs[:, :-1], logs[:, -1])
    said = forecast(np.log([at[setting].perplexity or np.nan for at in below]))
    return said.perplexity, *said.interval()


def _setting(record: Record) -> tuple[str, ...]:
    return tuple(o for o in record.overrides if not o.startswith(_SEED))
