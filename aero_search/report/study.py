"""A study in Markdown: what MLflow's page of its parent run says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aero_search.front.front import Front
from aero_search.front.record import Record
from aero_search.invocation import BARE
from aero_search.markdown import code, plain
from aero_search.report.front import front_markdown
from aero_search.report.palette import DIVERGED, DOMINATED, FRONT, PLATEAU
from aero_search.space import Categorical, Integer, Real, Space
from aero_search.space.allowed import LOWERING
from aero_search.space.parameter import Parameter

# Longer notes are cut by MLflow.
LONGEST = 8000
_HEADING = 2
COLOURS = {"front": FRONT, "dominated": DOMINATED, "stopped": PLATEAU, "diverged": DIVERGED}


def study_markdown(space: Space, front: Front, told: Sequence[str], commands: Mapping[str, str]) -> str:
    """The front as a table, how to go on, and what was searched.

    The front comes first, for the page shows three lines before it is asked for more. Where all is longer than
    a note may be, the front's dearest rows go.

    Args:
        told: paragraphs below the table, such as protocol and network.
        commands: to be typed, by what they do.
    """
    # Not as blocks: a long line of code would widen the page, and nothing else would be broken into lines.
    typed = "\n".join(f"* {what}: {code(command)}" for what, command in commands.items())
    rows = front_markdown(front).splitlines()
    end = next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))
    table, below = rows[:end], "\n".join(rows[end:]).strip()
    rest = "\n\n".join([below, *told, typed, BARE, space_markdown(space)])
    left_out = 0
    while True:
        note = [f"\n{left_out} dearer points are in front_table.json, below." if left_out else ""]
        text = "\n".join([*table[: len(table) - left_out], *note, rest])
        if len(text) <= LONGEST or len(table) - left_out <= _HEADING:
            return text
        left_out += 1


def space_markdown(space: Space) -> str:
    """What varied, one line a parameter."""
    lines = [f"Varied (space {code(space.name)}): {plain(space.description)}", ""]
    return "\n".join(
        [
            *lines,
            *(f"* {code(p.name)}: {plain(_values(p) + _when(p))}" for p in space.parameters),
            *(
                f"* {code(LOWERING + entry)}: {plain(', '.join(names))}, of which each network takes the cheapest"
                for entry, names in space.lowerings.items()
            ),
        ]
    )


def verdicts(front: Front, records: Sequence[Record]) -> dict[int, str]:
    """How each candidate that is over stands, by trial number: `front`, `dominated`, `stopped` or `diverged`."""
    best = {record.number for record in front.points}
    return {record.number: _verdict(record, best) for record in records if record.state != "running"}


def _verdict(record: Record, best: set[int]) -> str:
    if record.state == "diverged":
        return "diverged"
    if record.number in best:
        return "front"
    return "dominated" if record.state == "finished" else "stopped"


def _values(parameter: Parameter) -> str:
    match parameter:
        case Categorical(choices=choices):
            return ", ".join(map(str, choices))
        case Integer(low=low, high=high) | Real(low=low, high=high):
            return f"{low:g} to {high:g}" + (", by its logarithm" if parameter.log else "")
        case _:
            return ""


def _when(parameter: Parameter) -> str:
    said = (f"{name}={' or '.join(map(str, values))}" for name, values in parameter.when.items())
    text = ", ".join(said)
    return f" (where {text})" if text else ""
