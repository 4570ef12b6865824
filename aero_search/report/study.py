"""A study in Markdown: what MLflow's page of its parent run says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aero_search.report.front import front_markdown
from aero_search.report.palette import DIVERGED, DOMINATED, FRONT, PLATEAU
from aero_search.search.front import Front
from aero_search.search.record import Record
from aero_search.space import Categorical, Integer, Real, Space
from aero_search.space.parameter import Parameter

# Longer notes are cut by MLflow.
LONGEST = 8000
COLOURS = {"front": FRONT, "dominated": DOMINATED, "stopped": PLATEAU, "diverged": DIVERGED}


def study_markdown(space: Space, front: Front, told: Sequence[str], commands: Mapping[str, str]) -> str:
    """What was searched, how to go on, and the front as a table; its dearest rows go where it is too long.

    Args:
        told: further paragraphs, such as protocol and network.
        commands: to be typed, by what they do.
    """
    typed = "\n".join(f"    {command}    # {what}" for what, command in commands.items())
    head = "\n\n".join([*told, space_markdown(space), typed])
    rows = front_markdown(front).splitlines()
    first, last = 2, next(i for i, row in enumerate(rows) if not row.startswith("|"))
    left_out = 0
    while True:
        kept = [*rows[: last - left_out], *([""] if left_out else []), *rows[last:]]
        note = f"\n{left_out} dearer points: see front_table.json below.\n" if left_out else ""
        text = "\n\n".join([head, "\n".join(kept) + note])
        if len(text) <= LONGEST or last - left_out <= first + 1:
            return text
        left_out += 1


def space_markdown(space: Space) -> str:
    """What varied, one line a parameter."""
    lines = [f"Varied (space `{space.name}`): {' '.join(space.description.split())}", ""]
    return "\n".join([*lines, *(f"* `{p.name}`: {_values(p)}{_when(p)}" for p in space.parameters)])


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
