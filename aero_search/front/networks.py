"""A study's candidates sorted by the network that they train: the unit of a front.

How a network is trained (learning rate, steps, where a temperature starts) is a nuisance: the candidates of one
network are one point, represented by the best of its training settings. Trainings that differ in their seed alone
are one setting, whose perplexity is their geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from aero_search.front.record import Record, averaged
from aero_search.front.seed_scatter import KNOWN_SPREAD

_SEED = "recipe.seed"


@dataclass(frozen=True)
class TrainedNetwork:
    """One network of a study.

    Attributes:
        best: of its settings, with the perplexity of all its seeds; None where no training has a perplexity.
        trainings: its candidates that have ended, by trial number.
    """

    best: Record | None
    trainings: tuple[Record, ...]

    @property
    def settings(self) -> int:
        """How many training settings were tried."""
        return len({setting(record) for record in self.trainings})

    @property
    def rates(self) -> int:
        """How many learning rates were tried."""
        return len({record.lr for record in self.trainings})


def trained_networks(records: Sequence[Record]) -> list[TrainedNetwork]:
    """The networks of the candidates that have ended, each at its first one's place.

    The best setting has the lowest mean of log loss with one standard error of a seed added, so that a single
    lucky seed does not outdo a mean of several.
    """
    found: dict[Hashable, list[Record]] = {}
    for record in records:
        if record.state != "running":
            found.setdefault(_identity(record), []).append(record)
    return [TrainedNetwork(_best(trainings), tuple(trainings)) for trainings in found.values()]


def setting(record: Record) -> Hashable:
    """Equal for candidates that differ in their seed alone."""
    said = (o for o in record.overrides if o.partition("=")[0] != _SEED)
    return record.architecture, record.lr, record.steps, tuple(sorted(said))


def _identity(record: Record) -> Hashable:
    # Perplexities on different corpora do not compare.
    data = tuple(sorted(o for o in record.overrides if o.startswith("data")))
    return record.network or record.architecture, data


def _best(trainings: Sequence[Record]) -> Record | None:
    settings: dict[Hashable, list[Record]] = {}
    for record in trainings:
        settings.setdefault(setting(record), []).append(record)
    merged = [one for seeds in settings.values() if (one := _merged(seeds)) is not None]
    return min(merged, key=_cautious, default=None)


def _merged(seeds: Sequence[Record]) -> Record | None:
    """The trainings of one setting as one record, under the number of the first with a perplexity."""
    trained = [record for record in seeds if record.perplexity is not None]
    if not trained:
        return None
    pairs = tuple(pair for record in seeds for pair in record.replicates or ((record.seed, record.compared),))
    if len(seeds) == 1 or len({seed for seed, _ in pairs}) < len(pairs):
        return trained[0]
    return averaged(seeds)


def _cautious(record: Record) -> float:
    assert record.compared is not None, "only a trained setting is compared"
    return math.log(record.compared) + KNOWN_SPREAD / math.sqrt(record.seeds)
