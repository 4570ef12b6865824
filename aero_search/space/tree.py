"""The assignments of a space as a tree: counted, drawn evenly, listed, and stepped through one change at a time.

A continuous parameter counts as one value here: it has no number of values worth telling.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from aero_search.space.parameter import Assignment, Parameter, Value

_Memo = tuple[int, tuple[tuple[str, type, Value], ...]]


class Tree:
    """All assignments of some parameters, each of which waits only for those before it."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        # Which values a later condition may still look at: what the number of completions depends on.
        self._awaited = [
            frozenset(name for later in self.parameters[i:] for name in later.when)
            for i in range(len(self.parameters) + 1)
        ]
        self._counts: dict[_Memo, int] = {}

    @property
    def total(self) -> int:
        """The number of assignments, exact however large."""
        return self._count(0, {})

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """One assignment, each as probable as any other."""
        assignment: dict[str, Value] = {}
        for i, parameter in enumerate(self.parameters):
            if parameter.active(assignment):
                values = parameter.values()
                weights = [self._count(i + 1, {**assignment, parameter.name: v}) for v in values]
                # Exact however large the counts are: a float would round them.
                at = rng.randrange(sum(weights))
                for value, weight in zip(values, weights, strict=True):
                    if at < weight:
                        assignment[parameter.name] = value
                        break
                    at -= weight
        return assignment

    def __iter__(self) -> Iterator[dict[str, Value]]:
        """Every assignment, the last parameter varying fastest."""
        return self.completions({})

    def completions(self, given: Assignment) -> Iterator[dict[str, Value]]:
        """Every assignment that has the given values wherever their parameters count."""
        return self._complete({}, given, 0)

    def neighbours(self, assignment: Assignment, limit: int = 64) -> Iterator[dict[str, Value]]:
        """The assignments that differ in one parameter, and in those that it makes count or not.

        Args:
            limit: of completions a change may have; further ones are left out.
        """
        for parameter in self.parameters:
            if parameter.name not in assignment:
                continue
            for value in parameter.values():
                if value != assignment[parameter.name]:
                    changed = {**assignment, parameter.name: value}
                    for i, found in enumerate(self.completions(changed)):
                        if i == limit:
                            break
                        yield found

    def _complete(self, done: Mapping[str, Value], given: Assignment, i: int) -> Iterator[dict[str, Value]]:
        if i == len(self.parameters):
            yield dict(done)
            return
        parameter = self.parameters[i]
        if not parameter.active(done):
            yield from self._complete(done, given, i + 1)
            return
        values = (given[parameter.name],) if parameter.name in given else parameter.values()
        for value in values:
            yield from self._complete({**done, parameter.name: value}, given, i + 1)

    def _count(self, i: int, assignment: Assignment) -> int:
        if i == len(self.parameters):
            return 1
        known = {name: assignment[name] for name in sorted(self._awaited[i]) if name in assignment}
        # True == 1 in Python, but they are two values of a parameter.
        memo = (i, tuple((name, type(value), value) for name, value in known.items()))
        if memo not in self._counts:
            parameter = self.parameters[i]
            if not parameter.active(known):
                count = self._count(i + 1, known)
            elif parameter.name not in self._awaited[i + 1]:
                count = len(parameter.values()) * self._count(i + 1, known)
            else:
                count = sum(self._count(i + 1, {**known, parameter.name: v}) for v in parameter.values())
            self._counts[memo] = count
        return self._counts[memo]
