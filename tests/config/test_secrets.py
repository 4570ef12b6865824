"""A password in an address is in nothing that is sent, saved or shown."""

from __future__ import annotations

import os

import pytest
from omegaconf import OmegaConf

from aero_search import passwords
from aero_search.config.request import Request
from aero_search.config.secrets import put_away
from aero_search.errors import RequestError

SECRET = "postgresql://me:s3cr3t@h/d"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(passwords, "_kept", {})
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


SERVER = "http://me:s3cr3t%40x@127.0.0.1:9/mlflow"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_tracking_server_s_password_goes_the_same_way(quote: str) -> None:
    lines = [f"+tracking.uri={quote}{SERVER}{quote}", f"other=[http://me:s3cr3t@h, {SECRET}?password=s3cr3t]"]
    overrides = {"task": lines, "hydra": []}
    config = OmegaConf.create({"tracking": {"uri": SERVER}, "hydra": {"overrides": overrides}})
    put, arguments = put_away(config, lines)
    assert put.tracking.uri == "http://127.0.0.1:9/mlflow"
    assert arguments[0] == f"+tracking.uri={quote}http://127.0.0.1:9/mlflow{quote}"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "s3cr3t@x"
    assert "s3cr3t" not in OmegaConf.to_yaml(put) + str(arguments)


def request(**parts: object) -> Request:
    composed = {
        "output_dir": "outputs",
        "format": "text",
        "space": "aero",
        "study": {"name": None},
        "tracking": {"kind": "mlflow", "uri": None, "experiment": "e"},
        **parts,
    }
    return Request(composed)


@pytest.mark.parametrize(
    ("said", "kept", "variable"),
    [
        (SERVER, "http://127.0.0.1:9/mlflow", "MLFLOW_TRACKING_PASSWORD"),
        ("postgresql://me:s3cr3t%40x@h/d", "postgresql://me@h/d", "PGPASSWORD"),
        (
            "postgresql+psycopg2://h/d?user=me&password=s3cr3t%40x",
            "postgresql+psycopg2://h/d?user=me",
            "PGPASSWORD",
        ),
    ],
)
def test_a_request_s_tracking_store_has_no_password(said: str, kept: str, variable: str) -> None:
    asked = request(tracking={"kind": "mlflow", "uri": said, "experiment": "e"})
    assert asked.tracking.uri == kept
    assert os.environ[variable] == "s3cr3t@x"


@pytest.mark.parametrize(
    "said", ["http://[::1", "http://me:s3cr3t@h:port/", "postgresql://me:s3cr3t@h:port/d"]
)
def test_an_address_that_cannot_be_read_is_told_without_its_password(said: str) -> None:
    with pytest.raises(RequestError, match=r"tracking\.uri=.* cannot be read") as refused:
        _ = request(tracking={"kind": "mlflow", "uri": said, "experiment": "e"}).tracking
    assert "s3cr3t" not in str(refused.value)


def test_what_trains_a_candidate_again_names_no_database() -> None:
    composed = {
        "output_dir": "outputs",
        "format": "text",
        "space": "aero",
        "study": {"name": None},
        "data": {"kind": "python_source", "packages": ["stdlib", "torch"]},
        "search": {"storage": SECRET, "n_trials": 1},
        "tracking": {"kind": "mlflow", "uri": SECRET, "experiment": "e"},
    }
    again = Request(composed).portable()
    assert "s3cr3t" not in str(again)
    assert again["search"]["storage"] is None
    assert again["tracking"]["uri"] is None
