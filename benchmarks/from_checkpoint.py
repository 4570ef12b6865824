"""A search from a trained network against a search from scratch, with as many processor seconds.

    nice python -m benchmarks.from_checkpoint train       # resumable, one core
    python -m benchmarks.from_checkpoint report [--output benchmarks/results/from_checkpoint.txt]

Both searches have the space aero, the default sampler and one worker. From scratch 16 candidates are trained for
1,200 steps each, as `make search` does. The other search starts from one teacher, SM + LN + G after 1,200 steps,
and trains its candidates for 300 steps with the teacher's logits as half of the loss, until the processor seconds
of the whole command and of its teacher are those of the first. Steps and share were chosen before either ran;
they are the slowest of benchmarks/recovery.py, a quarter of the steps from scratch. The networks of both fronts
are then trained again as they were, with three seeds that neither search has seen: other weights from scratch,
another order of the text from the teacher. What is compared is the hypervolume of a front under one fresh seed,
in the study's box and in the box that both span. Processor seconds of a step that is cut off are not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aero_search.front.pareto import Reference
from benchmarks.against_aero import interval
from benchmarks.boxes import volume_ratios
from benchmarks.recovery import train_teacher
from benchmarks.write_report import processor, say

FOUND = Path("benchmarks/results/from_checkpoint.json")
FOLDER = Path("outputs/from_checkpoint")
SCRATCH, CHECKPOINT = "from scratch", "from a checkpoint"
TRIALS = 16
# Candidates that the search from the checkpoint trains before its processor seconds are read again.
_STEP = 4
RECOVERY = ("recipe.steps=300", "distill.weight=0.5")
FRESH = (101, 102, 103)
Names = tuple[str, ...]


@dataclass
class Point:
    """A network of a front.

    Attributes:
        overrides: with the training settings, without a seed.
        costs: in the objective's order.
        perplexity: in the search.
        fresh: by fresh seed; None where it diverged.
    """

    notation: str
    overrides: Names
    costs: tuple[float, ...]
    perplexity: float
    fresh: dict[str, float | None] = field(default_factory=dict)


@dataclass
class Side:
    """One search.

    Attributes:
        seconds: of processor time, of the whole command; of the teacher apart.
    """

    trials: int = 0
    seconds: float = 0.0
    teacher: float = 0.0
    points: list[Point] = field(default_factory=list)

    @property
    def spent(self) -> float:
        """Its own processor seconds and the teacher's."""
        return self.seconds + self.teacher


@dataclass
class Found:
    """Both searches; `unigram` and `costs` span the study's box, the baseline's costs by name."""

    unigram: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    sides: dict[str, Side] = field(default_factory=lambda: {SCRATCH: Side(), CHECKPOINT: Side()})

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Found:
        """What `write` wrote, or nothing yet."""
        if not path.is_file():
            return cls()
        said = json.loads(path.read_text())
        sides = {
            name: Side(
                side["trials"],
                side["seconds"],
                side["teacher"],
                [
                    Point(**{**p, "overrides": tuple(p["overrides"]), "costs": tuple(p["costs"])})
                    for p in side["points"]
                ],
            )
            for name, side in said["sides"].items()
        }
        return cls(said["unigram"], said["costs"], sides)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def train(found: Found, path: Path, folder: Path, base: Names = (), only: int | None = None) -> None:
    """Go on with both searches, and with the fresh seeds; written after each step.

    Args:
        base: overrides that come first, everywhere.
        only: how many steps; None to the end.
    """
    steps = 0
    while only is None or steps < only:
        if not _next(found, folder, base):
            return
        found.write(path)
        steps += 1


def _next(found: Found, folder: Path, base: Names) -> bool:
    """One step, False where nothing is left."""
    scratch, checkpoint = found.sides[SCRATCH], found.sides[CHECKPOINT]
    if not checkpoint.teacher:
        began = processor_seconds()
        train_teacher(folder, base)
        checkpoint.teacher = processor_seconds() - began
        return True
    if scratch.trials < TRIALS:
        _search(found, SCRATCH, folder, base)
        return True
    if checkpoint.spent < scratch.spent:
        _search(found, CHECKPOINT, folder, base)
        return True
    for seed in map(str, FRESH):
        for name, side in found.sides.items():
            for point in side.points:
                if seed not in point.fresh:
                    point.fresh[seed] = _again(name, point, seed, folder, base)
                    return True
    return False


def _settings(name: str, folder: Path, base: Names) -> Names:
    if name == SCRATCH:
        return base
    return (*base, f"init.from={train_teacher(folder, base)}", *RECOVERY)


def _search(found: Found, name: str, folder: Path, base: Names) -> None:
    """Some candidates more of one side, and its front so far."""
    from aero_search import open_study, search

    side = found.sides[name]
    began = processor_seconds()
    wanted = min(side.trials + _STEP, TRIALS) if name == SCRATCH else side.trials + _STEP
    study = search(
        "aero",
        name=name.replace(" ", "_"),
        n_trials=wanted,
        workers=1,
        output_dir=folder,
        overrides=("search.confirm=0", "search/rungs=none", "tracking=none", *_settings(name, folder, base)),
    )
    side.trials, side.seconds = wanted, side.seconds + processor_seconds() - began
    front = open_study(study.name, folder).front()
    found.unigram, found.costs = front.reference.unigram_perplexity, dict(front.reference.costs)
    side.points = [
        Point(
            record.notation,
            tuple(o for o in record.overrides if not o.startswith("recipe.seed=")),
            tuple(record.costs[m] for m in front.objective.costs),
            record.perplexity or 0.0,
        )
        for record in front.points
    ]


def _again(name: str, point: Point, seed: str, folder: Path, base: Names) -> float | None:
    """The perplexity of a network with a fresh seed; None where it diverged."""
    from aero_search.api.training import train_request
    from aero_search.config.compose import compose_request

    said = (*_settings(name, folder, base), *point.overrides, f"recipe.seed={seed}")
    fixed = ("tracking=none", "search.threads=1", f"output_dir={folder}")
    return train_request(compose_request("train", {}, [*said, *fixed])).result.perplexity


def ratios(found: Found, own_box: bool) -> list[float]:
    """The hypervolume from the checkpoint over that from scratch, a number a fresh seed that both fronts have."""

    def rows(side: Side, seed: str) -> list[list[float]]:
        told = [(point.fresh[seed], point.costs) for point in side.points]
        return [[value, *costs] for value, costs in told if value is not None]

    seeds = [
        seed
        for seed in map(str, FRESH)
        if all(side.points and all(seed in p.fresh for p in side.points) for side in found.sides.values())
    ]
    pairs = [(rows(found.sides[CHECKPOINT], seed), rows(found.sides[SCRATCH], seed)) for seed in seeds]
    return volume_ratios(pairs, Reference(found.unigram, found.costs), own_box)


def report(found: Found) -> str:
    """Both fronts, under fresh seeds too, and the ratios."""
    lines = [f"{processor()}, one thread a training"]
    for name, side in found.sides.items():
        told = f" and {side.teacher:.0f} of the teacher" if side.teacher else ""
        lines += [
            f"{name}: {side.trials} candidates, {side.seconds:.0f} processor seconds{told}",
            f"  {'':44}{'search':>8}{'fresh seeds ' + ', '.join(map(str, FRESH)):>26}{'latency':>10}{'FLOPs':>10}",
        ]
        for point in side.points:
            values = [point.fresh.get(str(seed), 0.0) for seed in FRESH]
            fresh = " ".join("diverged" if v is None else f"{v:8.2f}" if v else "       -" for v in values)
            costs: Mapping[str, float] = dict(zip(found.costs, point.costs, strict=True))
            tail = f"{costs['latency_s']:8.2f} s{costs['flops'] / 1e6:8.1f} M"
            lines.append(f"  {point.notation:44}{point.perplexity:8.2f}{fresh}{tail}")
    for box, own in (("both fronts' box", True), ("the study's box", False)):
        values = ratios(found, own)
        if values and 0 < min(values) <= max(values) < math.inf:
            mean, low, high = interval(values)
            lines.append(
                f"from a checkpoint over from scratch in {box}: {mean:.3f} ({low:.3f} to {high:.3f}, {len(values)} "
                f"seed{'s' if len(values) > 1 else ''})"
            )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["train", "report"])
    parser.add_argument("--only", type=int, help="train so many steps (four candidates, or one fresh seed)")
    parser.add_argument("--output", type=Path, help="write the report here")
    options = parser.parse_args(arguments)
    found = Found.read(FOUND)
    if options.what == "train":
        train(found, FOUND, FOLDER.resolve(), only=options.only)
        return
    say(report(found), options.output, "python -m benchmarks.from_checkpoint")


if __name__ == "__main__":
    main()
