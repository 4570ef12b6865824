"""What a proxy tells of larger sizes: the same networks at three sizes and two lengths.

    nice python -m benchmarks.transfer train [--workers 2] [--only ROWS]  # resumable; adds rows to the results
    python -m benchmarks.transfer report [--output benchmarks/results/transfer.txt]

Each network is trained at every size for every length, at two rates, of which its best counts. Three figures for
each pair of a smaller and the largest training:

- Kendall's tau between the orders of the networks, with its 95 % interval from a bootstrap over networks
  (percentiles of 2,000 resamples); networks that diverge rank last.
- the error of the perplexity that is foreseen for the largest, in per cent: each network is left out in turn, and
  foreseen by the others (`aero_search.search.stages.forecast`).
- the same where five networks alone have been at the largest, over 200 draws of them, and how often the 95 %
  interval holds what was measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from aero_search.search.stages.forecast import Forecast
from benchmarks.tabular.command import Jobs, composed_jobs, parser_of, rows_so_far, train_rows
from benchmarks.tabular.rows import Row
from benchmarks.write_report import processor, say

Array = npt.NDArray[np.float64]
Network = tuple[str, ...]
# Perplexity of a network's best rate; infinite where every rate diverged.
Table = Mapping[Network, float]

ROWS, META = Path("benchmarks/results/transfer.csv"), Path("benchmarks/results/transfer.json")
RECIPE = ("recipe.optimizer=muon", "recipe.adamw_lr=4e-3", "recipe.batch_size=8")
# The first is trained for every network before the second.
RATES = (0.008, 0.0113)
# AERO's rows, and networks of the kind that fronts are made of; shares of the layers mean the same at every depth.
NETWORKS: tuple[Network, ...] = (
    ("variant=sm_ln_g",),
    ("variant=sm_ln_r",),
    ("variant=sm_ln",),
    ("variant=sm_g",),
    ("variant=sm_r",),
    ("variant=sm_scffn",),
    ("variant=sm_scfuffn",),
    ("variant=sm_scfuffn", "attention.temperature=learned", "attention.temperature_init=0.1"),
    ("variant=sm_scfuffn", "ffn.layers=0.5"),
    ("variant=sm_ln_r", "ffn.layers=0.5"),
    ("variant=sm_r", "ffn.layers=0.5"),
    ("variant=sm_ln", "ffn=fused", "ffn.layers=0.5"),
    ("variant=sm_ln_r", "norm=rmsnorm"),
    ("variant=sm_ln_r", "norm.layers=0.5"),
    ("variant=sm_ln_g", "activation=squared_relu"),
    ("variant=sm_ln_r", "attention.kind=relu_sum"),
)


@dataclass(frozen=True)
class Size:
    """One size of the model."""

    name: str
    overrides: tuple[str, ...]


SIZES = tuple(
    Size(f"{n_layer} layers, d={d_model}", (f"model.n_layer={n_layer}", f"model.d_model={d_model}"))
    for n_layer, d_model in ((2, 48), (4, 64), (6, 128))
)
LENGTHS = (600, 1200)


@dataclass(frozen=True)
class Place:
    """A size and a length."""

    size: Size
    steps: int

    @property
    def name(self) -> str:
        return f"{self.size.name}, {self.steps:,} steps"

    def of(self, network: Network, rate: float) -> tuple[str, ...]:
        """The overrides of a network here."""
        return (*RECIPE, *self.size.overrides, f"recipe.steps={self.steps}", *network, f"recipe.lr={rate:g}")


PLACES = tuple(Place(size, steps) for size in SIZES for steps in LENGTHS)
# A place tells something once so many networks have been there.
ENOUGH = 14


def jobs(folder: Path, base: Sequence[str] = ()) -> Jobs:
    """Every training, and what they have in common: the first rate at every place before the second,
    and of each the short ones first.

    Args:
        base: overrides that come first.
    """
    places = sorted(PLACES, key=lambda place: place.steps)
    wanted = [place.of(network, rate) for rate in RATES for place in places for network in NETWORKS]
    return composed_jobs(folder, wanted, base)


def tables(rows: Sequence[Row]) -> dict[Place, Table]:
    """The perplexity of each network's best rate at each place; networks without a row there are left out."""
    known = {row.overrides: row for row in rows}
    found: dict[Place, Table] = {}
    for place in PLACES:
        reached: dict[Network, float] = {}
        for network in NETWORKS:
            own = [known[o] for rate in RATES if (o := place.of(network, rate)) in known]
            if own:
                reached[network] = min(math.inf if r.perplexity is None else r.perplexity for r in own)
        found[place] = reached
    return found


def tau(small: Sequence[float], large: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Kendall's tau-b and the ends of its 95 % interval, from a bootstrap over networks."""
    a, b = (np.minimum(np.asarray(values, dtype=np.float64), 1e300) for values in (small, large))
    rng = np.random.default_rng(seed)
    draws = [kendalltau(a[i], b[i]).statistic for i in rng.integers(len(a), size=(2000, len(a)))]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(kendalltau(a, b).statistic), float(low), float(high)


@dataclass(frozen=True)
class Errors:
    """Of the perplexity foreseen for the largest: a share a network and turn, and how many intervals held."""

    shares: tuple[float, ...]
    held: float

    @property
    def median(self) -> float:
        return statistics.median(self.shares)

    @property
    def worst(self) -> float:
        return max(self.shares)


def foreseen(below: Array, above: Array, trained: Iterator[Sequence[int]]) -> Errors:
    """Foresee the networks that are not in each set of trained ones.

    Args:
        below: logarithms of perplexity at smaller places, nearest last, (n, q).
        above: at the largest, (n,).
    """
    shares, held = [], []
    for known in trained:
        forecast = Forecast(below[list(known)], above[list(known)])
        for i in set(range(len(above))) - set(known):
            said, measured = forecast(below[i]), float(np.exp(above[i]))
            low, high = said.interval()
            shares.append(abs(said.perplexity / measured - 1))
            held.append(low <= measured <= high)
    return Errors(tuple(shares), statistics.mean(held))


def leaving_one_out(n: int) -> Iterator[Sequence[int]]:
    """All but each in turn."""
    for left in range(n):
        yield [i for i in range(n) if i != left]


def few(n: int, count: int = 5, turns: int = 200, seed: int = 0) -> Iterator[Sequence[int]]:
    """Draws of a few."""
    rng = np.random.default_rng(seed)
    for _ in range(turns):
        yield [int(i) for i in rng.choice(n, size=count, replace=False)]


def report(rows: Sequence[Row]) -> str:
    """The table of perplexities, and what each smaller place tells of the largest."""
    found = tables(rows)
    names = {row.overrides: row.notation for row in rows}
    largest = largest_of(found)
    lines = ["perplexity at each network's best rate", ""]
    lines.append(f"{'network':34}" + "".join(f"{f'{p.size.name[:1]}L {p.steps}':>10}" for p in PLACES))
    for network in NETWORKS:
        cells = [found[place].get(network) for place in PLACES]
        if any(cell is not None for cell in cells):
            title = next(
                (names[o] for p in reversed(PLACES) for r in RATES if (o := p.of(network, r)) in names), ""
            )
            lines.append(f"{title[:33]:34}" + "".join(f"{_cell(cell):>10}" for cell in cells))
    lines += ["", f"what smaller trainings tell of the largest ({largest.name})", ""]
    for below in _chains(largest):
        line = _told(found, below, largest)
        if line:
            lines.append(line)
    seconds = sum(row.seconds for row in rows)
    lines += ["", f"{len(rows)} trainings, {seconds / 3600:.1f} processor hours; {processor()}"]
    return "\n".join(lines) + "\n"


def largest_of(found: Mapping[Place, Table]) -> Place:
    """The largest place that enough networks have been at; the last of all where none has."""
    return next((place for place in reversed(PLACES) if len(found[place]) >= ENOUGH), PLACES[-1])


def _chains(largest: Place) -> Iterator[tuple[Place, ...]]:
    """The smaller places by themselves, and those of both smaller sizes together."""
    for place in PLACES[: PLACES.index(largest)]:
        yield (place,)
    if largest.size == SIZES[-1]:
        yield (PLACES[1], PLACES[3])


def _told(found: Mapping[Place, Table], below: tuple[Place, ...], largest: Place) -> str:
    shared = [n for n in NETWORKS if all(n in found[place] for place in (*below, largest))]
    title = " and ".join(place.name for place in below)
    if len(shared) < 4:
        return f"  {title}: {len(shared)} networks have been at both"
    nearest = below[-1]
    value, low, high = tau([found[nearest][n] for n in shared], [found[largest][n] for n in shared])
    finite = [n for n in shared if all(math.isfinite(found[place][n]) for place in (*below, largest))]
    logs = np.log([[found[place][n] for place in (*below, largest)] for n in finite])
    lines = [f"  {title}: tau {value:.2f} [{low:.2f}, {high:.2f}] over {len(shared)} networks"]
    ways = [("all others", leaving_one_out(len(finite)))]
    if len(finite) > 5:
        ways.append(("five", few(len(finite))))
    for who, trained in ways:
        errors = foreseen(logs[:, :-1], logs[:, -1], trained)
        lines.append(
            f"    foreseen by {who}: median error {100 * errors.median:.1f} %, worst {100 * errors.worst:.1f} %, "
            f"{errors.held:.0%} of the 95 % intervals hold"
        )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return "diverged" if math.isinf(value) else f"{value:.2f}"


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    if arguments.what == "report":
        say(report(rows_so_far(ROWS)), arguments.output, "python -m benchmarks.transfer")
        return
    train_rows("transfer", ROWS, META, jobs, arguments.workers, arguments.only)


if __name__ == "__main__":
    main()
