"""Stops trainings that cannot reach the front any more: rules on curves and exact costs, no study, no torch."""

from aero_search.search.rungs.learning_curve import Decision, LearningCurve
from aero_search.search.rungs.rule import decide, reconsider
from aero_search.search.spec import RungsSpec

__all__ = ["Decision", "LearningCurve", "RungsSpec", "decide", "reconsider"]
