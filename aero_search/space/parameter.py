"""One thing that may vary: a choice, a whole number or a real number, perhaps under a condition."""

from __future__ import annotations

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

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...


@dataclass(frozen=True)
class Parameter(ABC):
    """What all parameters share.

    Attributes:
        name: the override it sets, such as `norm` or `recipe.lr`.
        when: other parameters and the values that make this one count; empty: always.
    """

    name: str
    when: Conditions = field(default_factory=dict, kw_only=True)

    def active(self, assignment: Assignment) -> bool:
        """Whether this parameter counts, given the parameters before it."""
        return all(assignment.get(name, _ABSENT) in values for name, values in self.when.items())

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

    def suggest(self, trial: Suggest) -> Value:
        return trial.suggest_int(self.name, self.low, self.high, step=self.step, log=self.log)

    def contains(self, value: Value) -> bool:
        return isinstance(value, int) and value in range(self.low, self.high + 1, self.step)


@dataclass(frozen=True)
class Real(Parameter):
    """A number between low and high, to three significant digits; `log` draws its logarithm uniformly."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.name, self.low, self.high, self.log)

    def suggest(self, trial: Suggest) -> Value:
        drawn = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        # People read, compare and retype these numbers; more digits than training noise can tell are noise.
        return min(max(float(f"{drawn:.{_DIGITS}g}"), self.low), self.high)

    def contains(self, value: Value) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high
