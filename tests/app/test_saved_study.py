"""Studies of earlier versions: read where that is possible, else refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from aero_search.app.saved_study import read_told
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.errors import RequestError
from aero_search.schema import to_mapping


@pytest.fixture(scope="module")
def attrs() -> dict[str, Any]:
    """What a study remembers of its prices."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        request = read_request(compose("config"))
    return {
        "objective": request.objective.settings(),
        "protocol": to_mapping(request.protocol),
        "network": to_mapping(request.network),
        "target": None,
    }


def test_a_study_from_before_targets_and_limits_is_read(attrs: dict[str, Any]) -> None:
    objective, pricing = read_told("old", attrs)
    older = {name: value for name, value in attrs.items() if name != "target"}
    older["objective"] = {"metrics": list(objective.metrics)}
    assert read_told("older", older) == (objective, pricing)
    assert pricing.target is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"protocol": {"name": "x"}}, r"study=old was made by an earlier version .*protocol\.\w+ is missing"),
        ({"network": {"name": "x", "speed": 1}}, r"network\.speed is not a known field"),
    ],
)
def test_what_cannot_be_read_is_said_once(attrs: dict[str, Any], changed: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says) as problem:
        read_told("old", {**attrs, **changed})
    assert "\n" not in str(problem.value)
    with pytest.raises(RequestError, match="it has no 'protocol'"):
        read_told("old", {name: value for name, value in attrs.items() if name != "protocol"})
