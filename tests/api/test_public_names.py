"""The Python API is frozen: its names, the parameters of each, and the fields of what they return."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import aero_search
from aero_search.cost import CommunicationBytes, Cost, LatencySeconds

SIGNATURES = {
    "parse_notation": ["text", "base"],
    "price": ["architecture", "protocol", "network", "decode", "workload", "prices"],
    "train": ["architecture", "data", "recipe", "output_dir", "progress", "overrides"],
    "search": [
        "space", "objective", "name", "n_trials", "workers", "model", "data", "protocol", "network", "output_dir",
        "progress", "overrides",
    ],
    "open_study": ["name", "output_dir", "protocol", "network", "overrides"],
    "load_bundle": ["path"],
}  # fmt: skip


def test_the_names_are_frozen() -> None:
    assert sorted(aero_search.__all__) == sorted([*SIGNATURES, "Architecture", "Study", "__version__"])
    assert set(aero_search.__all__) <= set(dir(aero_search))
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = aero_search.tarin


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_are_frozen(name: str) -> None:
    function = getattr(aero_search, name)
    assert callable(function)
    assert list(inspect.signature(function).parameters) == SIGNATURES[name]


def test_what_a_study_offers_is_frozen() -> None:
    public = {name for name in vars(aero_search.Study) if not name.startswith("_")}
    assert public == {"front", "records", "plot", "export"}
    assert list(inspect.signature(aero_search.Study.export).parameters) == ["self", "pick", "to", "kind"]


def test_the_fields_of_a_cost_are_frozen() -> None:
    assert {f.name for f in dataclasses.fields(Cost)} == {
        "communication_bytes", "rounds", "rounds_by_op", "latency_seconds", "flops", "nonlinear_ops", "usd",
    }  # fmt: skip
    assert {"total", "by_op"} <= {f.name for f in dataclasses.fields(CommunicationBytes)}
    assert {"total", "compute", "transfer", "round_trips"} <= {
        f.name for f in dataclasses.fields(LatencySeconds)
    }


def test_the_package_search_is_also_the_function() -> None:
    import aero_search.front.front as module
    from aero_search import search
    from aero_search.api.studies import search as function

    assert search is aero_search.search
    assert inspect.signature(search) == inspect.signature(function)
    assert module.Front is aero_search.front.front.Front
