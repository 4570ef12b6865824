"""A ladder: the list of variants that one table compares, and which trainings are still missing from it.

Every row walks a small grid of learning rates with the first seed, from its middle to whichever side is better,
until the best has a worse neighbour on both sides or the grid ends; there it is trained again with the other seeds.
No variant is judged at another's learning rate (see docs/ablate.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from aero_search.architecture import Architecture, key
from aero_search.errors import RequestError
from aero_search.front.record import Record
from aero_search.space import Assignment, Categorical, Integer, Real, Space
from aero_search.space.allowed import check_override

Published = float | Literal["diverged"] | None
# The parameters of a ladder's study.
ROW, LR, SEED = "row", "recipe.lr", "recipe.seed"
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class LadderRow:
    """One entry of `ladder.rows`.

    Attributes:
        overrides: Hydra overrides that make the variant, such as `variant=sm_ln_g`.
        published: the perplexity that the ladder's source gives for it.
    """

    overrides: tuple[str, ...]
    published: Published = None


@dataclass(frozen=True)
class Ladder:
    """conf/ladder/*.yaml

    Attributes:
        source: where the published numbers come from; empty where there are none.
        rows: variants by the name that the table prints, the reference first.
        cross: factors that every row is combined with: factor, level, the overrides of the level. The first
            level of each factor is the one that the others are compared with.
        lr: peak learning rates to choose from, rising.
        seeds: of the weights; the first one chooses the learning rate.
        confirm: which rows are trained with the other seeds: `all`, or `best`: of each row, the first
            combination of the levels, the best one, and the best along each factor alone.
    """

    name: str
    description: str
    rows: Mapping[str, LadderRow]
    lr: tuple[float, ...]
    seeds: tuple[int, ...]
    source: str = ""
    cross: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    confirm: Literal["all", "best"] = "all"

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        if not self.rows:
            yield "ladder.rows is empty: name at least one variant"
        for name in ("lr", "seeds"):
            values: Sequence[float] = getattr(self, name)
            if not values or len(set(values)) != len(values):
                yield f"ladder.{name}={list(values)} must hold at least one value and none twice"
        if list(self.lr) != sorted(self.lr):
            yield f"ladder.lr={list(self.lr)} must rise: a row walks from one to the next"
        if bad := [lr for lr in self.lr if not 0 < lr <= 1 or float(f"{lr:.3g}") != lr]:
            yield f"ladder.lr={bad[0]} must lie above 0, at most 1, and have at most three digits"
        if bad_seeds := [seed for seed in self.seeds if not 0 <= seed <= _LARGEST_SEED]:
            yield f"ladder.seeds={bad_seeds[0]} must be 0 or above"
        for factor, levels in self.cross.items():
            if not levels:
                yield f"ladder.cross.{factor} has no levels"
        try:
            self._check_overrides()
        except RequestError as problem:
            yield str(problem)

    def _check_overrides(self) -> None:
        """A ladder's rows differ in what makes a candidate, and in nothing else."""
        for row, entry in self.rows.items():
            for line in entry.overrides:
                check_override(line, f"ladder.rows.{row}")
        for factor, levels in self.cross.items():
            for level, lines in levels.items():
                for line in lines:
                    check_override(line, f"ladder.cross.{factor}.{level}")

    def cells(self) -> dict[str, Cell]:
        """Every combination of a row and one level of each factor, by name, in the table's order."""
        cells = {}
        for row, entry in self.rows.items():
            for levels in product(*(tuple(levels) for levels in self.cross.values())):
                chosen = dict(zip(self.cross, levels, strict=True))
                name = ", ".join([row, *(f"{factor} {level}" for factor, level in chosen.items())])
                added = [o for factor, level in chosen.items() for o in self.cross[factor][level]]
                published = None if chosen else entry.published
                cells[name] = Cell(name, row, chosen, (*entry.overrides, *added), published)
        return cells


@dataclass(frozen=True)
class Cell:
    """One line of the table.

    Attributes:
        row: the row of the ladder that it belongs to.
        levels: of the factors that rows are combined with; empty where there are none.
    """

    name: str
    row: str
    levels: Mapping[str, str]
    overrides: tuple[str, ...]
    published: Published


@dataclass(frozen=True)
class Line:
    """A cell with what its trainings have shown.

    Attributes:
        architecture: canonical.
        tried: finished trainings with the first seed, by learning rate.
        runs: those at the best learning rate, by the order of the seeds.
    """

    cell: Cell
    architecture: Architecture
    tried: tuple[Record, ...]
    runs: tuple[Record, ...]

    @property
    def lr(self) -> float | None:
        """The best learning rate; the lowest tried where no training has a perplexity."""
        return self.runs[0].lr if self.runs else None

    @property
    def perplexities(self) -> list[float]:
        """Of the runs that have one."""
        return [run.perplexity for run in self.runs if run.perplexity is not None]

    @property
    def perplexity(self) -> float | None:
        """Mean over the seeds; None where nothing is trained, or any seed diverged."""
        values = self.perplexities
        return sum(values) / len(values) if values and len(values) == len(self.runs) else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None with fewer than two."""
        values = self.perplexities
        if len(values) < 2:
            return None
        mean = sum(values) / len(values)
        return float((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5)

    @property
    def diverged(self) -> tuple[Record, ...]:
        """The trainings, at any learning rate, whose loss was no number."""
        either = {record.number: record for record in (*self.tried, *self.runs)}
        return tuple(record for record in either.values() if record.state == "diverged")


def ladder_space(ladder: Ladder) -> Space:
    """The parameters of a ladder's study; learning rates and seeds may be added to a study later."""
    return Space(
        ladder.name,
        ladder.description,
        (
            Categorical(ROW, tuple(ladder.cells())),
            Real(LR, 1e-6, 1.0, log=True),
            Integer(SEED, 0, _LARGEST_SEED),
        ),
    )


def lines(ladder: Ladder, architectures: Mapping[str, Architecture], records: Sequence[Record]) -> list[Line]:
    """The table so far, one line a cell, in the ladder's order.

    Args:
        architectures: canonical, by the cells' names. Cells with equal ones share their trainings.
    """
    done = [record for record in records if record.state != "running"]
    found = {(key(record.architecture), record.lr, record.seed): record for record in done}
    table = []
    for cell in ladder.cells().values():
        of = key(architectures[cell.name])
        tried = tuple(found[k] for lr in ladder.lr if (k := (of, lr, ladder.seeds[0])) in found)
        runs: tuple[Record, ...] = ()
        if tried:
            best = min(tried, key=_rank)
            runs = tuple(found[k] for seed in ladder.seeds if (k := (of, best.lr, seed)) in found)
        table.append(Line(cell, architectures[cell.name], tried, runs))
    return table


def first_points(ladder: Ladder) -> list[Assignment]:
    """Every cell at the two learning rates in the middle of the grid, with the first seed."""
    middle = len(ladder.lr) // 2
    start = ladder.lr[max(0, middle - 1) : middle + 1]
    return [{ROW: name, LR: lr, SEED: ladder.seeds[0]} for name in ladder.cells() for lr in start]


def next_points(ladder: Ladder, table: Sequence[Line]) -> list[Assignment]:
    """What follows from the trainings so far: the untried neighbours of each cell's best learning rate, or, where
    every cell to be confirmed has none left, the other seeds."""
    walking = [point for line in table for point in _neighbours(ladder, line)]
    # Which cells are confirmed may depend on all of them, so the seeds wait for the last one.
    return walking or [point for line in table for point in _other_seeds(ladder, table, line)]


def _neighbours(ladder: Ladder, line: Line) -> list[Assignment]:
    if not line.tried:
        return []
    tried = {record.lr for record in line.tried}
    at = ladder.lr.index(line.tried[0].lr if line.lr is None else line.lr)
    return [
        {ROW: line.cell.name, LR: lr, SEED: ladder.seeds[0]}
        for lr in ladder.lr[max(0, at - 1) : at + 2]
        if lr not in tried
    ]


def _other_seeds(ladder: Ladder, table: Sequence[Line], line: Line) -> list[Assignment]:
    # A variant that trains at no learning rate of the grid is not helped by another seed.
    if not line.runs or not _trained(line) or not _confirmed(ladder, table, line):
        return []
    known = {run.seed for run in line.runs}
    return [{ROW: line.cell.name, LR: line.lr, SEED: seed} for seed in ladder.seeds if seed not in known]


def marginal_bests(ladder: Ladder, table: Sequence[Line], row: str) -> dict[str, Line]:
    """Of one row: the `first` combination, the best `along` each factor with the others at their first level,
    and the `best` of all, by the first seed; combinations without a perplexity are left out."""
    of = [line for line in table if line.cell.row == row and line.runs and _trained(line)]
    first = {factor: next(iter(levels)) for factor, levels in ladder.cross.items()}
    chosen: dict[str, Line] = {}
    if start := [line for line in of if line.cell.levels == first]:
        chosen["first"] = start[0]
    for factor in ladder.cross:
        along = [
            line
            for line in of
            if all(line.cell.levels[other] == level for other, level in first.items() if other != factor)
        ]
        if along:
            chosen[factor] = min(along, key=lambda line: _rank(line.runs[0]))
    if of:
        chosen["best"] = min(of, key=lambda line: _rank(line.runs[0]))
    return chosen


def _confirmed(ladder: Ladder, table: Sequence[Line], line: Line) -> bool:
    if ladder.confirm == "all" or not ladder.cross:
        return True
    return any(line is chosen for chosen in marginal_bests(ladder, table, line.cell.row).values())


def _trained(line: Line) -> bool:
    return line.runs[0].perplexity is not None


def _rank(record: Record) -> tuple[float, float]:
    """Best perplexity first, at equal ones the lower learning rate; diverged last."""
    return (record.perplexity if record.perplexity is not None else float("inf"), record.lr)
