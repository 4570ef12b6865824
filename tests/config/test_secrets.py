"""A password in an address is in nothing that is sent, saved or shown."""

from __future__ import annotations

import os

import pytest
from omegaconf import OmegaConf

from aero_search.config.request import Request
from aero_search.config.secrets import put_away

SECRET = "postgresql://me:s3cr3t@h/d"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.setenv("STUDIES", SECRET)


@pytest.mark.parametrize("said", [SECRET, "${oc.env:STUDIES}"])
def test_a_sweep_s_config_and_overrides_lose_it_and_the_environment_has_it(said: str) -> None:
    lines = [f"search.storage={SECRET}", "norm=none"]
    config = OmegaConf.create(
        {
            "search": {"storage": said},
            "hydra": {
                "sweeper": {"storage": None},
                "overrides": {"task": lines, "hydra": [f"hydra.sweeper.storage={SECRET}"]},
            },
        }
    )
    OmegaConf.set_readonly(config, True)
    put, arguments = put_away(config, lines)
    assert os.environ["PGPASSWORD"] == "s3cr3t"
    assert put.search.storage == "postgresql://me@h/d"
    assert arguments == ["search.storage=postgresql://me@h/d", "norm=none"]
    assert "s3cr3t" not in OmegaConf.to_yaml(put) + OmegaConf.to_yaml(put, resolve=True)


def test_what_trains_a_candidate_again_names_no_database() -> None:
    composed = {
        "output_dir": "outputs",
        "format": "text",
        "space": "aero",
        "study": {"name": None},
        "data": {},
        "search": {"storage": SECRET, "n_trials": 1},
        "tracking": {"kind": "mlflow", "uri": SECRET, "experiment": "e"},
    }
    again = Request(composed).portable()
    assert "s3cr3t" not in str(again)
    assert again["search"]["storage"] is None
    assert again["tracking"]["uri"] == "postgresql://me@h/d"
