"""What installed packages add: entry points, looked up when something unknown is asked for, never before.

A plug-in is trusted like every installed package: loading its entry point runs its code. Names in files that
users exchange (bundles, studies, spaces) only choose among what is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aero_search.errors import AeroSearchError

Group = Literal["aero_search.operations", "aero_search.corpora", "aero_search.samplers"]


Options = Mapping[str, bool | int | float | str]
"""What a configuration says to a plug-in: `options` of its group."""


@dataclass(frozen=True)
class Entry:
    """One entry point of a group.

    Attributes:
        name: as the package declares it.
        package: the distribution that brings it, with its version.
        load: imports it and returns the object it names.
    """

    group: Group
    name: str
    package: str
    load: Callable[[], Any]

    def loaded(self) -> Any:
        """The object that the entry point names.

        Raises:
            AeroSearchError: its code cannot be imported.
        """
        try:
            return self.load()
        except Exception as problem:  # a stranger's module may raise anything
            raise self.fault(f"{type(problem).__name__}: {problem}") from problem

    def call(self, *arguments: Any) -> Any:
        """Load the plug-in and call it.

        Raises:
            RequestError, AeroSearchError: as the plug-in says, or that it failed.
        """
        function = self.loaded()
        try:
            return function(*arguments)
        except AeroSearchError:
            raise
        except Exception as problem:  # a stranger's function may raise anything
            raise self.fault(f"{type(problem).__name__}: {problem}") from problem

    def fault(self, why: str) -> AeroSearchError:
        """The sentence for a plug-in that does not work."""
        return AeroSearchError(
            f"the plug-in {self.name} of {self.package} (entry point {self.group}) cannot be used ({why}): "
            "repair or uninstall it"
        )


class Names(Collection[str]):
    """The names that a setting may have: the tree's own, and those that plug-ins declare in a group."""

    def __init__(self, group: Group, *own: str) -> None:
        self._group: Group = group
        self._own = own

    def __contains__(self, name: object) -> bool:
        return name in self._own or any(entry.name == name for entry in entries(self._group))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._own, *(entry.name for entry in entries(self._group)))))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def entry(self, name: str) -> Entry | None:
        """The plug-in that brings a name; None where the name is the tree's own, or nobody's."""
        found = (entry for entry in entries(self._group) if entry.name == name)
        return None if name in self._own else next(found, None)


@functools.cache
def entries(group: Group) -> tuple[Entry, ...]:
    """The entry points of a group in all installed packages, by name; nothing of theirs is imported yet.

    Raises:
        AeroSearchError: two packages declare the same name.
    """
    # 30 ms of a start that needs no plug-in.
    from importlib.metadata import entry_points

    found: dict[str, Entry] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        of = point.dist
        package = "an installed package" if of is None else f"{of.name} {of.version}"
        entry = Entry(group, point.name, package, point.load)
        if point.name in found and found[point.name].package != package:
            raise entry.fault(f"{found[point.name].package} brings one of the same name")
        found[point.name] = entry
    return tuple(found.values())
