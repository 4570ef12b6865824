"""One real store for all tests: the first creation takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aero_search.tracking.opening import open_tracker
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker
from aero_search.training.entropy_health import entropy_health
from aero_search.training.result import CurvePoint, Result

# Nats, of even attention at 4 nats: at first all heads but one are in the top quarter, then half of them.
EARLY = ((2.5, 3.1), (3.2, 3.9))
LATE = ((0.5, 2.0), (3.0, 3.5))
SPEC = TrackingSpec(kind="mlflow", uri=None, experiment="tests")


@pytest.fixture(scope="session")
def output_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder, with a space in its name, whose store is initialized."""
    folder = tmp_path_factory.mktemp("out puts")
    open_tracker(SPEC, folder).initialize()
    return folder


@pytest.fixture(scope="session")
def client(output_dir: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=SPEC.resolved_uri(output_dir))


@pytest.fixture
def tracker(output_dir: Path) -> Tracker:
    return open_tracker(SPEC, output_dir)


@pytest.fixture(scope="session")
def result() -> Result:
    return Result(
        key="k",
        notation="SM + LN + R",
        verdict="finished",
        reason="",
        perplexity=62.0,
        validation_loss=4.127,
        curve=(
            CurvePoint(50, 5.1, 5.0, 148.4, 3.0, EARLY, entropy_health(EARLY, 50, 4.0)),
            CurvePoint(100, 4.3, 4.127, 62.0, 6.0, LATE, entropy_health(LATE, 100, 4.0)),
        ),
        entropy=LATE,
        parameters=266_000,
        seconds=6.5,
        tokens=204_800,
        steps=100,
        lr=1.5e-3,
        seed=0,
        data_seed=0,
        fingerprint="f",
        unigram_perplexity=420.0,
        health=entropy_health(LATE, 100, 4.0),
    )
