"""What MLflow's page of a study says, and how each candidate stands."""

from __future__ import annotations

from dataclasses import replace

from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.invocation import BARE
from aero_search.report.study import LONGEST, space_markdown, study_markdown, verdicts
from aero_search.space import Categorical, Integer, Real, Space
from tests.report.studies import COSTS, STUDY, record

SPACE = Space(
    "mine",
    "a small\nspace",
    (
        Categorical("norm", ("layernorm", "none")),
        Integer("ffn.layers", 1, 4),
        Real("recipe.lr", 1e-3, 8e-3, log=True, when={"norm": ("none",)}),
    ),
)
COMMANDS = {"resume": "aero-search search study.name=s", "export": "aero-search export study=s"}


def front_of(rows: list[tuple[object, ...]]) -> Front:
    records = [replace(record(number, row), network=f"n{number}") for number, row in enumerate(rows)]
    return build_front(
        records, Objective(("perplexity", "latency_s")), Reference(420.0, {"latency_s": COSTS["latency_s"]})
    )


def test_every_parameter_is_one_line() -> None:
    assert space_markdown(SPACE).splitlines() == [
        "Varied (space `mine`): a small space",
        "",
        "* `norm`: layernorm, none",
        "* `ffn.layers`: 1 to 4",
        "* `recipe.lr`: 0.001 to 0.008, by its logarithm (where norm=none)",
    ]


def test_the_note_begins_with_the_front_and_says_how_to_go_on() -> None:
    front = front_of(list(STUDY))
    text = study_markdown(SPACE, front, ["Prices of `p`."], COMMANDS)
    assert text.startswith("| trial |")
    assert text.count("\n| ") > len(front.points)
    assert all(f"* {what}: `{command}`" in text for what, command in COMMANDS.items())
    assert BARE in text
    assert text.index("Hypervolume") < text.index("Prices of `p`.") < text.index("Varied")


def test_a_long_front_loses_its_dearest_rows_and_nothing_else() -> None:
    rows = [("SM + LN + G", "finished", 60.0 + n, 1 - n / 300, 1.0, 1.0, 1.0, 0.001) for n in range(200)]
    front = front_of(list(rows))
    assert len(front.points) == 200
    text = study_markdown(SPACE, front, ["Prices of `p`."], COMMANDS)
    assert len(text) <= LONGEST
    left_out = int(text.partition(" dearer points")[0].rpartition("\n")[2])
    kept = [line for line in text.splitlines() if line.startswith("| ") and "#" in line]
    assert len(kept) == len(front.points) - left_out
    assert f"#{front.points[0].number} " in kept[0]
    assert "* `ffn.layers`: 1 to 4" in text


def test_every_candidate_that_is_over_has_one_verdict() -> None:
    records = [record(number, row) for number, row in enumerate(STUDY)]
    front = front_of(list(STUDY))
    found = verdicts(front, records)
    assert found.keys() == {one.number for one in records}
    assert {number for number, verdict in found.items() if verdict == "front"} == {
        r.number for r in front.points
    }
    told = {record.number: record.state for record in records}
    assert all(told[number] == "diverged" for number, verdict in found.items() if verdict == "diverged")
    assert {told[number] for number, verdict in found.items() if verdict == "stopped"} == {"plateau"}
