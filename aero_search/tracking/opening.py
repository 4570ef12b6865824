"""The tracker that a request asks for."""

from __future__ import annotations

from pathlib import Path

from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker


def open_tracker(spec: TrackingSpec, output_dir: Path) -> Tracker:
    """The tracker of a spec; imports mlflow only where it is asked for, and connects to nothing yet."""
    if spec.kind == "none":
        return Tracker()
    from aero_search.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(spec, output_dir)
