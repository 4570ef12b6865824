"""One thing that may vary: a choice, a whole number or a real number, perhaps under a condition."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aero_search.errors import RequestError

Value = bool | int | float | str | None
Assignment = Mapping[str, Value]
Conditions = Mapping[str, tuple[Value, ...]]


def _check_range(name: str, low: float, high: float, log: bool) -> None:
    if low > high:
        raise RequestError(f"parameter {name} has low={low} above high={high}")
    if log and low <= 0:
        raise RequestError(f"parameter {name} has log: true, so low={low} must be above 0")


class Suggest(Protocol):
    """The part of an Optuna trial that draws values."""

    def suggest_categorical(self, name: str, choices: tuple[Value, ...]) -> Value: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Parameter(ABC):
    """What all parameters share.

    Attributes:
        name: the override it sets, such as `norm` or `recipe.lr`; `ffn.kind[2]` is the third of the list that
            the override `ffn.kind` takes, one value a layer.
        when: other parameters and the values that make this one count; empty: always.
    """

    name: str
    when: Conditions = field(default_factory=dict, kw_only=True)

    @property
    def override(self) -> str:
        """The override it sets, alone or with the same setting of the other layers."""
        return self.name.partition("[")[0]

    def active(self, assignment: Assignment) -> bool:
        """Whether this parameter counts, given the parameters before it."""
        return all(assignment.get(name, _ABSENT) in values for name, values in self.when.items())

    @property
    def first(self) -> Value:
        """The first value that it can take."""
        return self.values()[0]

    @property
    def usual(self) -> Value:
        """The value of a setting that nobody has tuned: of numbers the middle one, else the first."""
        values = self.values()
        numbers = sorted(v for v in values if isinstance(v, int | float) and not isinstance(v, bool))
        return numbers[len(numbers) // 2] if len(numbers) == len(values) else values[0]

    @abstractmethod
    def values(self) -> tuple[Value, ...]:
        """Every value it can take, in order; a continuous one has its middle alone."""

    @abstractmethod
    def suggest(self, trial: Suggest) -> Value:
        """Draw a value from an Optuna trial."""

    @abstractmethod
    def contains(self, value: Value) -> bool:
        """Whether the parameter can take this value."""


_ABSENT = object()
_DIGITS = 3


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of several values."""

    choices: tuple[Value, ...]

    def values(self) -> tuple[Value, ...]:
        return self.choices

    def suggest(self, trial: Suggest) -> Value:
        return trial.suggest_categorical(self.name, self.choices)

    def contains(self, value: Value) -> bool:
        return value in self.choices


@dataclass(frozen=True)
class Integer(Parameter):
    """A whole number from low to high, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.name, self.low, self.high, self.log)
        if self.step < 1 or (self.log and self.step > 1):
            raise RequestError(f"parameter {self.name} has step={self.step}: at least 1, and 1 with log")

    def values(self) -> tuple[Value, ...]:
        return tuple(range(self.low, self.high + 1, self.step))

    def suggest(self, trial: Suggest) -> Value:
        return trial.suggest_int(self.name, self.low, self.high, step=self.step, log=self.log)

    def contains(self, value: Value) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value in range(self.low, self.high + 1, self.step)


@dataclass(frozen=True)
class Real(Parameter):
    """A number between low and high, to three significant digits; `log` draws its logarithm uniformly.

    With `step` only low, low + step, ... up to high are drawn, as they are; without `digits` all digits count.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    digits: int | None = _DIGITS

    def __post_init__(self) -> None:
        _check_range(self.name, self.low, self.high, self.log)
        if self.step is not None and (self.step <= 0 or self.log):
            raise RequestError(f"parameter {self.name} has step={self.step:g}: above 0, and none with log")

    def values(self) -> tuple[Value, ...]:
        if self.step is None:
            middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
            return (self._rounded(middle),)
        return tuple(self.value(i) for i in range(self._last + 1))

    def suggest(self, trial: Suggest) -> Value:
        if self.step is not None:
            drawn = trial.suggest_float(self.name, self.low, self.value(self._last), step=self.step)
            return self.value(round((drawn - self.low) / self.step))
        drawn = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        return self._rounded(drawn)

    @property
    def continuous(self) -> bool:
        """Whether there is a value between any two."""
        return self.step is None and self.low < self.high

    @property
    def _last(self) -> int:
        """How many steps lie between low and high."""
        assert self.step is not None
        return int((self.high - self.low) / self.step + 1e-9)

    def _rounded(self, drawn: float) -> float:
        # People read, compare and retype these numbers; more digits than training noise can tell are noise.
        if self.digits is None:
            return drawn
        return min(max(float(f"{drawn:.{self.digits}g}"), self.low), self.high)

    def value(self, i: int) -> float:
        """The i-th value of a range with steps, without the dust that sums of steps leave."""
        assert self.step is not None
        return float(f"{self.low + i * self.step:.12g}")

    def contains(self, value: Value) -> bool:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            return False
        return self.step is None or value == self.value(round((value - self.low) / self.step))
