"""The tool's search against AERO's ladder: as many trainings each, then both fronts trained again with fresh seeds.

    nice python -m benchmarks.against_aero train [--workers 2] [--only ROWS]   # resumable; adds rows
    nice python -m benchmarks.against_aero larger                   # the fronts' networks at a larger size
    python -m benchmarks.against_aero report [--output benchmarks/results/against_aero.txt]

Both sides have the choices of search_spaces/aero.yaml and the default recipe. The ladder is what AERO walks by
hand: its rows, each from two middle learning rates on to its best one, as `aero-search ablate` does. The search may
train as many candidates as the ladder did, with the default sampler, and knows none of the ladder's results. Each
side's front is that of its first seeds; its networks then train with three seeds that neither side has seen, at the
proxy and at the larger size. What is compared is the hypervolume of a front under one fresh seed, in the study's
box and in the box that the trainings of both span: the geometric mean of the ratio over the seeds, with Student's
95 % interval. The budget is counted in trainings of equal length; the seconds that both sides took are printed.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from aero_search.config.request import Request
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference, nondominated
from benchmarks.boxes import volume_ratios
from benchmarks.tabular.command import Jobs, composed_jobs, parser_of, rows_so_far, train_rows
from benchmarks.tabular.rows import Row, read_rows
from benchmarks.write_report import processor, say

ROWS, META = Path("benchmarks/results/against_aero.csv"), Path("benchmarks/results/against_aero.json")
FRONTS = Path("benchmarks/results/against_aero_fronts.json")
RECIPE = "proxy"
RATES = (0.004, 0.0056, 0.008, 0.0113, 0.016)
FIRST_SEED = 0
FRESH = (101, 102, 103)
LARGER = ("model.n_layer=6", "model.d_model=128", "model.n_head=4")
OBJECTIVE = Objective(("perplexity", "latency_s", "flops"))
_T = ("attention.temperature=learned", "attention.temperature_init=0.1")
# AERO's rows, tables 2 to 4, as far as the space has their choices.
LADDER: Mapping[str, tuple[str, ...]] = {
    "SM + LN + G": ("variant=sm_ln_g",),
    "SM + LN + R": ("variant=sm_ln_r",),
    "SM + LN": ("variant=sm_ln",),
    "SM + G": ("variant=sm_g",),
    "SM + R": ("variant=sm_r",),
    "SM": ("variant=sm",),
    "SM + ScFFN": ("variant=sm_scffn",),
    "SM + ScFuFFN": ("variant=sm_scfuffn",),
    "SM + ScFuFFN_i6 of 12": ("variant=sm_scfuffn", "ffn.layers=0.5"),
    "EReg(SM(t) + ScFuFFN)": ("variant=ereg_sm_t_scfuffn", *_T),
    "EReg(SM(t) + ScFuFFN_i6 of 12)": ("variant=ereg_sm_t_scfuffn", *_T, "ffn.layers=0.5"),
}
Names = tuple[str, ...]


def at(network: Names, rate: float | None = None, seed: int = FIRST_SEED, size: Names = ()) -> Names:
    """The overrides of one training."""
    own = () if rate is None else (f"recipe.lr={rate:g}",)
    return (*size, *network, *own, f"recipe.seed={seed}")


def walk(rows: Sequence[Row]) -> list[Names]:
    """What the ladder trains next: every row at two middle rates, then the untried neighbours of its best one."""
    reached = {row.overrides: row.perplexity or math.inf for row in rows}
    middle = len(RATES) // 2
    wanted: list[Names] = []
    for network in LADDER.values():
        tried = {rate: reached[o] for rate in RATES if (o := at(network, rate)) in reached}
        start = RATES[middle - 1 : middle + 1]
        if not tried.keys() >= set(start):
            near: Sequence[float] = start
        else:
            best = RATES.index(min(tried, key=lambda rate: tried[rate]))
            near = RATES[max(0, best - 1) : best + 2]
        wanted += [at(network, rate) for rate in near if rate not in tried]
    return wanted


@dataclass(frozen=True)
class Point:
    """A network of a front, with the training setting that put it there.

    Attributes:
        overrides: without a seed.
        costs: in the objective's order, at the proxy's size and at the larger one.
    """

    notation: str
    overrides: Names
    costs: tuple[float, ...]
    larger: tuple[float, ...]


@dataclass(frozen=True)
class Found:
    """What both sides found.

    Attributes:
        trainings: of each side.
        ladder_seconds, search_seconds: processor seconds of the ladder, wall seconds of the search's trainings.
        unigram: perplexity of the corpus by token frequencies alone.
        baseline, baseline_larger: costs of SM + LN + G at both sizes.
    """

    trainings: int
    ladder_seconds: float
    search_seconds: float
    unigram: float
    baseline: tuple[float, ...]
    baseline_larger: tuple[float, ...]
    ladder: tuple[Point, ...]
    search: tuple[Point, ...]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Found:
        """What `write` wrote."""
        said = json.loads(path.read_text())
        for side in ("ladder", "search"):
            said[side] = tuple(
                Point(p["notation"], tuple(p["overrides"]), tuple(p["costs"]), tuple(p["larger"]))
                for p in said[side]
            )
        return cls(**said)


def search_and_compare(folder: Path, rows: Sequence[Row], base: Names = ()) -> Found:
    """Search with as many candidates as the ladder trained, and read both fronts.

    Args:
        base: overrides that come first, everywhere.
    """
    from aero_search import open_study, search

    study = search(
        "aero",
        name="against_aero",
        n_trials=len(rows),
        output_dir=folder,
        overrides=("search.confirm=0", "search/rungs=none", "tracking=none", *base),
    )
    front = open_study(study.name, folder).front()
    reached = {row.overrides: row for row in rows}
    rates = {
        network: min(
            (rate for rate in RATES if at(network, rate) in reached),
            key=lambda rate: reached[at(network, rate)].perplexity or math.inf,
        )
        for network in LADDER.values()
    }
    settings = [(*network, f"recipe.lr={rates[network]:g}") for network in LADDER.values()]
    ladder = _priced(folder, settings, base)
    values = [reached[at(o)].perplexity or math.inf for o in settings]
    keep = nondominated(np.array([(v, *p.costs) for v, p in zip(values, ladder, strict=True)]))
    unigram, own = _box(base)
    return Found(
        len(rows),
        sum(row.seconds for row in rows),
        sum(record.seconds or 0.0 for network in front.networks for record in network.trainings),
        unigram,
        own,
        _box((*base, *LARGER))[1],
        tuple(p for p, kept, v in zip(ladder, keep, values, strict=True) if kept and math.isfinite(v)),
        tuple(_priced(folder, [_without_seed(point.overrides) for point in front.points], base)),
    )


def _without_seed(overrides: Sequence[str]) -> Names:
    return tuple(o for o in overrides if not o.startswith("recipe.seed="))


def _priced(folder: Path, settings: Sequence[Names], base: Names) -> list[Point]:
    sizes = [composed_jobs(folder, settings, (*base, *size), RECIPE)[0] for size in ((), LARGER)]
    pricing = _request(base).pricing
    costs = [
        [
            tuple(found[m] for m in OBJECTIVE.costs)
            for found in pricing.many([j.candidate.architecture for j in jobs])
        ]
        for jobs in sizes
    ]
    return [
        Point(job.candidate.notation, setting, *both)
        for job, setting, *both in zip(sizes[0], settings, *costs, strict=True)
    ]


def _request(base: Names) -> Request:
    from hydra import compose, initialize_config_dir

    from aero_search.config.hydra_main import read_request
    from aero_search.config.paths import conf_dir

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return read_request(compose("config", overrides=[f"recipe={RECIPE}", *base]))


def _box(base: Names) -> tuple[float, tuple[float, ...]]:
    """The corpus's unigram perplexity, and the baseline's costs."""
    from aero_search.app.corpora import prepared
    from aero_search.training.health import Unigram

    request = _request(base)
    costs = request.pricing.baseline(request.architecture, OBJECTIVE)
    return Unigram.of(prepared(request)).perplexity, tuple(costs[m] for m in OBJECTIVE.costs)


def again(found: Found, size: Names = ()) -> list[Names]:
    """The trainings with fresh seeds, seed by seed, of what either front has."""
    settings = dict.fromkeys(point.overrides for point in (*found.ladder, *found.search))
    return [at(setting, seed=seed, size=size) for seed in FRESH for setting in settings]


def ratios(found: Found, rows: Sequence[Row], size: Names = (), own_box: bool = True) -> list[float]:
    """The search's hypervolume over the ladder's, a number a fresh seed that every network has.

    Args:
        own_box: in the box that the trainings of both fronts span over all seeds; else in the study's.
    """
    reached = {row.overrides: row.perplexity for row in rows}
    costs = found.baseline_larger if size else found.baseline
    reference = Reference(found.unigram, dict(zip(OBJECTIVE.costs, costs, strict=True)))

    def metrics(side: Sequence[Point], seed: int) -> list[list[float]] | None:
        names = [at(point.overrides, seed=seed, size=size) for point in side]
        if not all(name in reached for name in names):
            return None
        told = [(reached[name], p.larger if size else p.costs) for name, p in zip(names, side, strict=True)]
        return [[value, *costs] for value, costs in told if value is not None]

    pairs = [(metrics(found.search, seed), metrics(found.ladder, seed)) for seed in FRESH]
    return volume_ratios([(a, b) for a, b in pairs if a is not None and b is not None], reference, own_box)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean, and the ends of Student's 95 % interval of the logarithms; infinite ends with one value."""
    logs = [math.log(value) for value in values]
    middle, n = statistics.mean(logs), len(logs)
    half = stdtrit(n - 1, 0.975) * statistics.stdev(logs) / math.sqrt(n) if n > 1 else math.inf
    return math.exp(middle), math.exp(middle - half) if n > 1 else 0.0, math.exp(middle + half)


def report(found: Found, rows: Sequence[Row]) -> str:
    """Both fronts under fresh seeds, and the ratios."""
    reached = {row.overrides: row.perplexity for row in rows}
    lines = [
        f"{found.trainings} trainings a side; {processor()}",
        f"ladder: {found.ladder_seconds:.0f} processor seconds; search: {found.search_seconds:.0f} seconds of "
        "training on one core each",
        f"fresh seeds {', '.join(map(str, FRESH))}; perplexity by seed",
    ]
    for title, size in (("the proxy", ()), (" ".join(LARGER), LARGER)):
        if not any(
            at(p.overrides, seed=FRESH[0], size=size) in reached for p in (*found.ladder, *found.search)
        ):
            continue
        lines += ["", f"at {title}"]
        for name, side in (("AERO's ladder", found.ladder), ("search", found.search)):
            lines.append(f"  {name}")
            for point in side:
                values = [reached.get(at(point.overrides, seed=seed, size=size)) for seed in FRESH]
                told = " ".join("     -" if v is None else f"{v:6.2f}" for v in values)
                latency, flops = point.larger if size else point.costs
                lines.append(f"    {point.notation:32}{told}{latency:8.2f} s{flops / 1e6:8.1f} M")
        for box, own in (("both fronts' box", True), ("the study's box", False)):
            if found_ratios := ratios(found, rows, size, own):
                mean, low, high = interval(found_ratios)
                told = f"{mean:.3f} ({low:.3f} to {high:.3f}, {len(found_ratios)} seeds)"
                lines.append(f"  search over ladder in {box}: {told}")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parser_of(__doc__, "larger").parse_args()

    def go_on(wanted: Callable[[], Sequence[Names]]) -> None:
        def jobs(folder: Path) -> Jobs:
            return composed_jobs(folder, wanted(), (), RECIPE)

        train_rows("against_aero", ROWS, META, jobs, options.workers, options.only)

    def ladder_rows() -> list[Row]:
        own = {at(network, rate) for network in LADDER.values() for rate in RATES}
        return [row for row in (read_rows(ROWS) if ROWS.exists() else []) if row.overrides in own]

    if options.what in ("train", "larger"):
        while walk(ladder_rows()):
            go_on(lambda: walk(ladder_rows()))
            if options.only is not None:
                return
        if not FRONTS.exists():
            folder = Path("outputs/against_aero").resolve()
            search_and_compare(folder, ladder_rows()).write(FRONTS)
        found = Found.read(FRONTS)
        go_on(lambda: again(found, LARGER if options.what == "larger" else ()))
        return
    say(report(Found.read(FRONTS), rows_so_far(ROWS)), options.output, "python -m benchmarks.against_aero")


if __name__ == "__main__":
    main()
