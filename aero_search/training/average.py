"""The average of a decoder's weights that a recipe may ask for."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aero_search.model.running_norms import running_statistics


class WeightAverage(AveragedModel):
    """Exponential averages of the weights, and of what norms know of their batches.

    A running statistic belongs to the weights that it was read under: that of the last weights would not fit their
    average. All other buffers are those of the last weights.
    """

    def __init__(self, decoder: nn.Module, decay: float) -> None:
        super().__init__(decoder, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call] # torch leaves it so
        self._decay = decay
        self.requires_grad_(False)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights and statistics after one optimizer step."""
        begun = bool(self.n_averaged > 0)
        before = [statistic.clone() for statistic in running_statistics(self.module)] if begun else []
        super().update_parameters(model)
        if begun:
            for average, old in zip(running_statistics(self.module), before, strict=True):
                average.copy_(old.lerp(average, 1 - self._decay))
