"""Which recipe tells networks apart: eight networks, each recipe at four rates, two seeds.

    nice python -m benchmarks.recipes train [--workers 2] [--only ROWS]     # resumable; adds rows to the results
    python -m benchmarks.recipes report [--output benchmarks/results/recipes.txt]

A recipe is judged by three figures:

- spread over scatter: the standard deviation of the logarithm of perplexity between networks, each at its best
  rate, over that between seeds of one network at one rate (pooled). Networks are told apart where it is large.
- how much a rate within a factor of two of a network's best costs it, in per cent of perplexity.
- processor seconds a training.

The rates of a recipe are chosen beforehand, in steps of two; a network whose best rate is the first or last of them
is said. Added after a look at the first seed: the rates half a step apart, around Muon's best ones, and the recipe
of batches of 8, which sees as many tokens as 600 steps of 16.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tabular.command import Jobs, composed_jobs, parser_of, rows_so_far, train_rows
from benchmarks.tabular.rows import Row
from benchmarks.write_report import processor, say

ROWS, META = Path("benchmarks/results/recipes.csv"), Path("benchmarks/results/recipes.json")
SEEDS = (0, 1)
# AERO's rows, and networks of the kind that fronts are made of.
NETWORKS = (
    ("variant=sm_ln_g",),
    ("variant=sm_ln_r",),
    ("variant=sm_r",),
    ("variant=sm_ln",),
    ("variant=sm_scfuffn", "attention.temperature=learned", "attention.temperature_init=0.1"),
    ("variant=sm_ln_r", "ffn.layers=2"),
    ("variant=sm_r", "ffn.layers=2"),
    ("variant=sm_ln", "ffn=fused", "ffn.layers=1"),
)


@dataclass(frozen=True)
class Contender:
    """A recipe and the rates at which it is tried.

    Attributes:
        first: the rates that are trained first, for every network.
    """

    name: str
    overrides: tuple[str, ...]
    rates: tuple[float, ...]
    first: tuple[float, ...]

    def of(self, rate: float) -> tuple[str, ...]:
        """Its overrides at one rate."""
        return (*self.overrides, f"recipe.lr={rate:g}")


_MUON = ("recipe.optimizer=muon", "recipe.adamw_lr=4e-3")
CONTENDERS = (
    Contender(
        "muon, 600 steps",
        (*_MUON, "recipe.steps=600"),
        (0.004, 0.008, 0.0113, 0.016, 0.0226, 0.032),
        (0.0113, 0.016, 0.008),
    ),
    Contender(
        "muon, 1,200 steps of 8 sequences",
        (*_MUON, "recipe.steps=1200", "recipe.batch_size=8"),
        (0.0056, 0.008, 0.0113, 0.016, 0.0226),
        (0.008, 0.0113, 0.016),
    ),
    Contender(
        "muon, 1,200 steps",
        (*_MUON, "recipe.steps=1200"),
        (0.004, 0.008, 0.0113, 0.016, 0.0226, 0.032),
        (0.016, 0.008, 0.0113),
    ),
    Contender("adamw, 1,200 steps", ("recipe.steps=1200",), (0.002, 0.004, 0.008, 0.016), (0.004, 0.008)),
)


def jobs(
    folder: Path,
    base: Sequence[str] = (),
    contenders: Sequence[Contender] = CONTENDERS,
    networks: Sequence[tuple[str, ...]] = NETWORKS,
) -> Jobs:
    """Every training, and what they have in common: each recipe's first rates, seed by seed, before all others.

    Args:
        base: overrides that come first.
    """
    wanted = [
        (*network, *contender.of(rate), f"recipe.seed={seed}")
        for early in (True, False)
        for seed in SEEDS
        for contender in contenders
        for rate in (contender.first if early else contender.rates)
        if early or rate not in contender.first
        for network in networks
    ]
    return composed_jobs(folder, wanted, base)


@dataclass(frozen=True)
class Verdicts:
    """What the rows say of one recipe.

    Attributes:
        perplexity: by network and rate, one value a seed; infinite where a training diverged.
    """

    contender: Contender
    perplexity: Mapping[tuple[str, ...], Mapping[float, tuple[float, ...]]]
    seconds: tuple[float, ...]
    names: Mapping[tuple[str, ...], str]

    def best(self, network: tuple[str, ...]) -> float:
        """The rate with the lowest mean of the logarithm of perplexity."""
        rates = self.perplexity[network]
        return min(rates, key=lambda rate: _log_mean(rates[rate]))

    def loss_within_two(self, network: tuple[str, ...]) -> float:
        """The most that a rate within a factor of two of the best one costs, as a share of perplexity."""
        rates, best = self.perplexity[network], self.best(network)
        near = [_log_mean(values) for rate, values in rates.items() if 0.49 < rate / best < 2.01]
        return math.expm1(max(near) - _log_mean(rates[best]))

    def spread(self) -> float:
        """Standard deviation between networks of the logarithm of perplexity at each one's best rate."""
        return statistics.stdev(_log_mean(self.perplexity[n][self.best(n)]) for n in self.perplexity)

    def scatter(self) -> float | None:
        """Standard deviation between seeds, pooled over networks at their best rates; None with one seed."""
        variances = [
            statistics.variance([math.log(p) for p in values])
            for network in self.perplexity
            if len(values := self.perplexity[network][self.best(network)]) > 1
            and all(map(math.isfinite, values))
        ]
        return math.sqrt(statistics.mean(variances)) if variances else None


def verdicts(
    rows: Sequence[Row],
    contenders: Sequence[Contender] = CONTENDERS,
    networks: Sequence[tuple[str, ...]] = NETWORKS,
) -> Iterator[Verdicts]:
    """One for each recipe of which at least two networks have a row."""
    by_overrides: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_overrides[row.overrides[:-1]].append(row)
    for contender in contenders:
        found: dict[tuple[str, ...], dict[float, tuple[float, ...]]] = {}
        seconds: list[float] = []
        names: dict[tuple[str, ...], str] = {}
        for network in networks:
            rates = {rate: by_overrides[*network, *contender.of(rate)] for rate in contender.rates}
            trained = {rate: tuple(_finite(row) for row in some) for rate, some in rates.items() if some}
            if trained:
                found[network] = trained
                seconds += [row.seconds for some in rates.values() for row in some]
                names[network] = next(row.notation for some in rates.values() for row in some)
        if len(found) > 1:
            yield Verdicts(contender, found, tuple(seconds), names)


def table(found: Verdicts) -> str:
    """A recipe's perplexities by network and rate, and its three figures."""
    rates = found.contender.rates
    lines = [
        f"{found.contender.name}: {' '.join(found.contender.overrides)}",
        "  " + f"{'network':24}" + "".join(f"{rate:>16g}" for rate in rates) + f"{'within x2':>12}",
    ]
    for network, values in found.perplexity.items():
        best = found.best(network)
        cells = "".join(f"{_cell(values.get(rate)) + ('*' if rate == best else ' '):>16}" for rate in rates)
        edge = "  best at the edge" if best in (rates[0], rates[-1]) else ""
        lines.append(
            f"  {found.names[network]:24}{cells}{100 * found.loss_within_two(network):>+11.1f}%{edge}"
        )
    spread, scatter = found.spread(), found.scatter()
    told = "one seed each" if scatter is None else f"{100 * scatter:.1f} %, ratio {spread / scatter:.1f}"
    flat = sum(found.loss_within_two(network) <= 0.015 for network in found.perplexity)
    lines.append(
        f"  between networks {100 * spread:.1f} %, between seeds {told}; rates within a factor of two cost at most "
        f"1.5 %\n  for {flat} of {len(found.perplexity)} networks; {statistics.mean(found.seconds):.0f} processor "
        f"seconds a training, {len(found.seconds)} trainings"
    )
    return "\n".join(lines)


def _cell(values: Sequence[float] | None) -> str:
    if not values:
        return "-"
    return " ".join("inf" if math.isinf(value) else f"{value:.2f}" for value in values)


def _finite(row: Row) -> float:
    return row.perplexity if row.perplexity is not None else math.inf


def _log_mean(values: Sequence[float]) -> float:
    return statistics.mean(math.log(value) for value in values)


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    if arguments.what == "report":
        rows = rows_so_far(ROWS)
        parts = "\n\n".join(table(found) for found in verdicts(rows))
        head = f"{len(rows)} trainings; * marks a network's best rate; one number a seed; {processor()}\n\n"
        say(head + parts + "\n", arguments.output, "python -m benchmarks.recipes")
        return
    train_rows("recipes", ROWS, META, jobs, arguments.workers, arguments.only)


if __name__ == "__main__":
    main()
