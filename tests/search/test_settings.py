"""A study resumes under a version that has more settings, and refuses what would change its trainings."""

from __future__ import annotations

import pytest

from aero_search.errors import RequestError
from aero_search.search.settings import check_settings

# As the first release wrote them, in part.
OLD = {"recipe.lr": 0.004, "protocol.use.gelu": "gelu", "attention.shaped": False}
NEW = {
    **OLD,
    "attention.kind": "softmax",
    "recipe.optimizer": "adamw",
    "protocol.use.softplus": "gelu",
    "protocol.lowerings.relu_sum": [{"primitive": "relu", "per": "element"}],
}


def test_settings_that_came_later_are_as_they_were_before_them() -> None:
    check_settings("old", OLD, NEW)
    check_settings("old", {"function": "f"}, {"function": "f"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention.kind", "relu_sum"),
        ("recipe.optimizer", "muon"),
        ("protocol.use.gelu", "gelu_puma"),
        ("recipe.lr", 0.008),
        ("unheard", 1),
    ],
)
def test_another_training_is_refused(field: str, value: object) -> None:
    with pytest.raises(RequestError, match=rf"study old was made with {field}=.*, not {value}"):
        check_settings("old", OLD, {**NEW, field: value})
