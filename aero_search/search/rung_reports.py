"""What a worker reports at each validation of a search with rungs, and the answer that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aero_search.search.learning_curves import loss_of
from aero_search.search.spec import RungsSpec
from aero_search.training.result import CurvePoint

if TYPE_CHECKING:
    from aero_search.search.study import Study


class RungReports:
    """A listener of one training and its `Halt`: reports the curve to the study and asks whether to go on.

    What a checkpoint brings with it is heard again and reported with the next validation.
    """

    def __init__(self, study: Study, number: int, rungs: RungsSpec) -> None:
        self._study, self._number, self._rungs = study, number, rungs
        self._scale = study.scale
        self._curve: list[tuple[int, float]] = []

    def step(self, step: int, loss: float) -> None: ...

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        if (loss := loss_of(self._scale, point)) is not None:
            self._curve.append((point.step, loss))

    def __call__(self, point: CurvePoint) -> str:
        self._study.report(self._number, self._curve)
        return self._study.judge(self._number, self._rungs).reason
