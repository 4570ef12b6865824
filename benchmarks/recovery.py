"""Recovery from a trained network against training from scratch: ten networks, two seeds.

    nice python -m benchmarks.recovery train [--workers 2] [--only ROWS]    # resumable; adds rows to the results
    python -m benchmarks.recovery report [--output benchmarks/results/recovery.txt]

One teacher, the baseline SM + LN + G, is trained for 1,200 steps. Each network then starts from its weights
(`init.from`) and is trained for 100, 150, 230, 300 and 1,000 steps, with the teacher's logits as half of the loss,
the first two and 300 without them too; from scratch it is trained for 1,200 steps. A seed draws the weights from
scratch, and the order of batches from the teacher. Perplexity and processor seconds are compared. The teacher's
logits are computed by whichever training needs them first, and are in its seconds; the teacher is trained once for
a study, whatever the number of candidates, and told apart.

Chosen after looking: 1,000 steps, once the seconds of the others were known; 230 steps at half the rate, a quarter
of the seconds, after thirty trainings by hand with other rates, shares and batches; and the last three networks, of
which `SM + LN + R_i1` is on README's front.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from benchmarks.tabular.command import BASE, Jobs, parser_of, rows_so_far, train_rows
from benchmarks.tabular.rows import Row
from benchmarks.tabular.trainings import Job
from benchmarks.write_report import processor, say

ROWS, META = Path("benchmarks/results/recovery.csv"), Path("benchmarks/results/recovery.json")
SEEDS = (0, 1)
# Muon at the best of the rates of benchmarks/recipes.py; the teacher and all from scratch.
SCRATCH = ("recipe.optimizer=muon", "recipe.adamw_lr=4e-3", "recipe.lr=0.016", "recipe.steps=1200")
TEACHER = ("variant=sm_ln_g",)
NETWORKS = (
    ("variant=sm_ln_r",),
    ("variant=sm_g",),
    ("variant=sm_r",),
    ("variant=sm_ln",),
    ("variant=sm_scfuffn", "attention.temperature=learned", "attention.temperature_init=0.1"),
    ("variant=sm_r", "ffn.layers=2"),
    ("variant=sm_ln", "ffn=fused", "ffn.layers=1"),
    ("variant=sm_ln_r", "ffn.layers=1"),
    ("variant=sm_ln_r", "ffn.layers=2"),
    ("variant=sm_ln_r", "ffn.layers=3"),
)


@dataclass(frozen=True)
class Way:
    """How a network recovers: for so many steps at a rate, with the teacher's logits as a share of the loss."""

    steps: int
    weight: float
    rate: float = 0.008

    def __str__(self) -> str:
        rate = "" if self.rate == Way.rate else f" lr={self.rate:g}"
        return f"{self.steps} w={self.weight:g}{rate}"


# 230 steps take about a quarter of the seconds from scratch, 1,000 about as many.
WAYS = (
    Way(230, 0.5, 0.004),
    *(Way(steps, weight) for weight in (0.5, 0.0) for steps in (100, 150, 300)),
    Way(1000, 0.5),
)
# Recovered and trained from scratch on processors of different makes: their seconds are not compared.
APART = {WAYS[0]: NETWORKS[:7]}
# Two-sided, 95 %, by degrees of freedom: Student's t.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def recovery(way: Way) -> tuple[str, ...]:
    """The overrides of one way to recover, beside the network and the seed."""
    return (
        "recipe.optimizer=muon",
        "recipe.adamw_lr=4e-3",
        f"recipe.lr={way.rate:g}",
        f"recipe.steps={way.steps}",
        f"distill.weight={way.weight:g}",
    )


def train_teacher(folder: Path, base: Sequence[str] = ()) -> Path:
    """Train the teacher, or find it trained; returns its folder. A training that was cut off goes on.

    Args:
        base: overrides that come first.
    """
    from aero_search.api.training import train_request
    from aero_search.config.compose import compose_request

    said = [
        *BASE,
        *base,
        *TEACHER,
        *SCRATCH,
        "recipe.seed=0",
        "tracking=none",
        "search.threads=1",
        f"output_dir={folder}",
    ]
    began = time.process_time()
    done = train_request(compose_request("train", {}, said))
    if not done.reused:
        print(
            f"teacher: perplexity {done.result.perplexity:.2f}, {time.process_time() - began:.0f} s",
            flush=True,
        )
    return done.folder


def jobs(folder: Path, teacher: Path, base: Sequence[str] = ()) -> Jobs:
    """Every training, those of the first way and from scratch first, and what they have in common.

    Args:
        teacher: a trained network's folder.
        base: overrides that come first.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from aero_search.app.corpora import prepared
    from aero_search.app.sweeper import Compose
    from aero_search.config.hydra_main import read_request
    from aero_search.config.paths import conf_dir

    found: list[Job] = []
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        master = compose("config", return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        corpus = None
        first_way, *other_ways = [[(network, recovery(way)) for network in NETWORKS] for way in WAYS]
        scratch = [(network, SCRATCH) for network in (TEACHER, *NETWORKS)]
        carried = (f"init.from={teacher}", f"output_dir={folder}")
        for first, wanted in ((carried, first_way), ((), scratch), (carried, [*chain(*other_ways)])):
            fixed = (*BASE, *base, *first)
            request = read_request(compose("config", overrides=list(fixed)), fixed)
            corpus = prepared(request)
            build = Compose(loader, master, fixed, corpus.fingerprint).quick()
            found += [
                Job(build((*network, *recipe, f"recipe.seed={seed}")), corpus.folder, folder)
                for seed in SEEDS
                for network, recipe in wanted
            ]
        assert corpus is not None
        common = {
            "corpus fingerprint": corpus.fingerprint,
            # By its overrides: the same training ends in other last digits on another processor.
            "teacher": " ".join((*TEACHER, *SCRATCH)),
            "model": request.composed["model"],
        }
    return found, common


@dataclass(frozen=True)
class Comparison:
    """One way to recover against training from scratch, over the networks that have both.

    Attributes:
        log_ratios: of each network, the mean over seeds of log(perplexity recovered / from scratch).
        seconds: mean processor seconds of a recovery, as a share of those from scratch; NaN where they are apart.
    """

    way: Way
    log_ratios: Mapping[tuple[str, ...], float]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean change of perplexity, as a share."""
        return math.expm1(statistics.mean(self.log_ratios.values()))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % of its mean over networks (Student's t); None with fewer than two networks."""
        values = list(self.log_ratios.values())
        if len(values) < 2:
            return None
        half = _T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
        mean = statistics.mean(values)
        return math.expm1(mean - half), math.expm1(mean + half)


def compare(rows: Sequence[Row]) -> list[Comparison]:
    """Every way to recover of which at least one network has rows, in the order of `WAYS`."""
    by_name = {row.overrides: row for row in rows}

    def of(network: tuple[str, ...], recipe: tuple[str, ...], seed: int) -> Row | None:
        return by_name.get((*network, *recipe, f"recipe.seed={seed}"))

    found = []
    for way in WAYS:
        ratios: dict[tuple[str, ...], float] = {}
        shares: list[float] = []
        for network in NETWORKS:
            pairs = [(of(network, recovery(way), s), of(network, SCRATCH, s)) for s in SEEDS]
            both = [(a, b) for a, b in pairs if a is not None and b is not None]
            if both:
                ratios[network] = statistics.mean(_log(a) - _log(b) for a, b in both)
                shares += [a.seconds / b.seconds for a, b in both if network not in APART.get(way, ())]
        if ratios:
            found.append(Comparison(way, ratios, statistics.mean(shares) if shares else math.nan))
    return found


def report(rows: Sequence[Row]) -> str:
    """Perplexities by network and way, and what each way gains."""
    by_name = {row.overrides: row for row in rows}
    ways = [(str(way), recovery(way)) for way in WAYS]
    columns = [("scratch 1200", SCRATCH), *ways]
    lines = [
        "perplexity, one number a seed",
        f"{'network':26}" + "".join(f"{name:>20}" for name, _ in columns),
    ]
    for network in (TEACHER, *NETWORKS):
        cells, name = [], " ".join(network)
        for _, recipe in columns:
            found = [by_name.get((*network, *recipe, f"recipe.seed={seed}")) for seed in SEEDS]
            name = next((row.notation for row in found if row is not None), name)
            cells.append(" ".join("-" if row is None else _shown(row.perplexity) for row in found))
        lines.append(f"{name:26}" + "".join(f"{cell:>20}" for cell in cells))
    lines.append(
        "\nagainst 1,200 steps from scratch: change of perplexity, 95 % over networks; processor seconds"
    )
    for way in compare(rows):
        interval = way.interval
        told = (
            "one network" if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f} %"
        )
        better = sum(ratio <= 0 for ratio in way.log_ratios.values())
        lines.append(
            f"  {way.way}: {100 * way.mean:+.1f} % ({told}), as good or "
            f"better for {better} of {len(way.log_ratios)} networks, in {100 * way.seconds:.0f} % of the seconds"
        )
    teacher = by_name.get((*TEACHER, *SCRATCH, "recipe.seed=0"))
    if teacher is not None:
        lines.append(f"the teacher, once for all: {teacher.seconds:.0f} processor seconds")
    return "\n".join(lines)


def _log(row: Row) -> float:
    return math.log(row.perplexity) if row.perplexity is not None else math.inf


def _shown(perplexity: float | None) -> str:
    return "inf" if perplexity is None else f"{perplexity:.2f}"


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    if arguments.what == "report":
        rows = rows_so_far(ROWS)
        head = f"{len(rows)} trainings; {processor()}\n\n"
        say(head + report(rows) + "\n", arguments.output, "python -m benchmarks.recovery")
        return

    def all_jobs(folder: Path) -> Jobs:
        return jobs(folder, train_teacher(folder))

    train_rows("recovery", ROWS, META, all_jobs, arguments.workers, arguments.only)


if __name__ == "__main__":
    main()
