"""Assignments without an Optuna trial: drawn, read back, changed a little, counted out.

Most are the space's own `suggest` under another hand, so conditions and rounding hold everywhere alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from aero_search.space import Assignment, Categorical, Integer, Space, Value

# How far a changed number moves at most, as a share of its range.
_STEP = 0.2


def read(space: Space, params: Mapping[str, Value]) -> dict[str, Value]:
    """The assignment that a trial's stored parameters stand for.

    Raises:
        KeyError: a parameter that counts is missing.
    """
    return space.suggest(_Stored(params))


def draw(space: Space, rng: np.random.Generator, fixed: Assignment | None = None) -> dict[str, Value]:
    """A uniform draw; parameters in `fixed` take the value given there."""
    return space.suggest(_Drawn(rng, fixed or {}))


def change(
    space: Space,
    rng: np.random.Generator,
    assignment: Assignment,
    names: Collection[str],
    fixed: Assignment | None = None,
) -> dict[str, Value]:
    """The assignment with the named parameters changed, and what they bring with them drawn.

    Choices are drawn anew; numbers move by up to a fifth of their range or are drawn anew, each half of the time.
    """
    kept = {name: value for name, value in assignment.items() if name not in names}
    return space.suggest(_Changed(rng, {**kept, **(fixed or {})}, assignment))


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """What Optuna calls each parameter's values, whether it counts or not."""
    recorder = _Recorder()
    for parameter in space.parameters:
        parameter.suggest(recorder)
    return recorder.found


def every(space: Space, most: int) -> list[dict[str, Value]] | None:
    """Every assignment of the space; None where a parameter is continuous or there are more than `most`."""
    found: list[dict[str, Value]] = []
    for assignment in _every(space, 0, {}):
        if assignment is None or len(found) == most:
            return None
        found.append(assignment)
    return found


def _every(space: Space, index: int, chosen: dict[str, Value]) -> Iterator[dict[str, Value] | None]:
    if index == len(space.parameters):
        yield chosen
        return
    parameter = space.parameters[index]
    if not parameter.active(chosen):
        yield from _every(space, index + 1, chosen)
        return
    values: Iterable[Value]
    if isinstance(parameter, Categorical):
        values = parameter.choices
    elif isinstance(parameter, Integer):
        values = range(parameter.low, parameter.high + 1, parameter.step)
    else:
        yield None
        return
    for value in values:
        yield from _every(space, index + 1, {**chosen, parameter.name: value})


def _number(value: Value, name: str) -> float:
    if not isinstance(value, int | float):
        raise KeyError(name)
    return value


class _Stored:
    """Returns what a trial has stored."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        self._params = params

    def suggest_categorical(self, name: str, choices: tuple[Value, ...]) -> Value:
        return self._params[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(_number(self._params[name], name))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(_number(self._params[name], name))


class _Drawn:
    """Draws uniformly, from the logarithm where that is asked for."""

    def __init__(self, rng: np.random.Generator, fixed: Assignment) -> None:
        self._rng, self._fixed = rng, fixed

    def suggest_categorical(self, name: str, choices: tuple[Value, ...]) -> Value:
        return self._fixed[name] if name in self._fixed else choices[self._rng.integers(len(choices))]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name in self._fixed:
            return int(_number(self._fixed[name], name))
        # Half a step beyond both ends, so that the ends are as likely as the rest.
        raw = self._drawn(name, low - step / 2, high + step / 2, log)
        return min(max(low + step * round((raw - low) / step), low), low + (high - low) // step * step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if name in self._fixed:
            return float(_number(self._fixed[name], name))
        drawn = self._drawn(name, low, high, log)
        return drawn if step is None else min(low + step * round((drawn - low) / step), high)

    def _drawn(self, name: str, low: float, high: float, log: bool) -> float:
        if log:
            share = self._share(name, math.log(low), math.log(high), log)
            return min(max(math.exp(share), low), high)
        return min(max(self._share(name, low, high, log), low), high)

    def _share(self, name: str, low: float, high: float, log: bool) -> float:
        """A number between low and high; with log, of the logarithm."""
        return low + (high - low) * float(self._rng.random())


class _Changed(_Drawn):
    """Draws what is not kept; a number may stay near the one before."""

    def __init__(self, rng: np.random.Generator, kept: Assignment, before: Assignment) -> None:
        super().__init__(rng, kept)
        self._before = before

    def _share(self, name: str, low: float, high: float, log: bool) -> float:
        before = self._before.get(name)
        if isinstance(before, int | float) and self._rng.random() < 0.5:
            start = math.log(before) if log else float(before)
            return start + _STEP * (high - low) * float(self._rng.uniform(-1.0, 1.0))
        return super()._share(name, low, high, log)


class _Recorder:
    """Writes down what is asked for."""

    def __init__(self) -> None:
        self.found: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: tuple[Value, ...]) -> Value:
        self.found[name] = CategoricalDistribution(choices)
        return choices[0]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.found[name] = IntDistribution(low, high, log=log, step=step)
        return low

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.found[name] = FloatDistribution(low, high, log=log, step=step)
        return low
