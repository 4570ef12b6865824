"""The Lightning module: a decoder, its loss, its optimizer and schedule, validation in nats a token.

Shapes: B sequences, T = seq_len tokens, batches are (B, T + 1) so that inputs and targets are one shifted view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from aero_search.architecture import Architecture
from aero_search.data.datamodule import inputs_and_targets
from aero_search.model import Decoder, Loss, build_model
from aero_search.model.running_norms import measured_gaps
from aero_search.training.average import WeightAverage
from aero_search.training.distillation import Distillation
from aero_search.training.optimizer import build_optimizer, lr_factor
from aero_search.training.recipe import Recipe
from aero_search.training.validation import HeldOut, score


class CandidateModule(L.LightningModule):
    """One candidate in training.

    Attributes:
        held_out: what the last validation found; NaN before the first.
        entropy: mean attention entropy by layer and head of the last validation, nats.
        norm_gaps: of the norms with running statistics, by their names, on this rank's share of the first batch of
            the last validation.

    Args:
        prepare: changes the fresh decoder before anything is trained.
        distillation: what the loss follows beside the text.
        answers_only: the last token of each sequence is its only target.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        prepare: Callable[[Decoder], object] | None = None,
        distillation: Distillation | None = None,
        answers_only: bool = False,
    ) -> None:
        super().__init__()
        self.recipe, self.distillation, self.answers_only = recipe, distillation, answers_only
        self.decoder = build_model(architecture, seed=recipe.seed, init_std=recipe.init_std)
        if prepare is not None:
            prepare(self.decoder)
        self.average = WeightAverage(self.decoder, recipe.ema) if recipe.ema else None
        self.held_out = HeldOut()
        self.entropy: list[list[float]] = []
        self.norm_gaps: dict[str, float] = {}
        # Windows whose entropy was measured, and its mean over them, (n_layer, n_head).
        self._measured = 0
        self._entropy_lh = torch.zeros(())
        self._train_loss = torch.zeros(())
        self._train_steps = 0
        self._last_total, self._last_loss = torch.zeros(()), torch.zeros(())

    @property
    def trained(self) -> Decoder:
        """What is validated and kept: the decoder, or the average of its weights that the recipe asks for."""
        return self.decoder if self.average is None else cast(Decoder, self.average.module)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        super().optimizer_step(*arguments, **settings)
        # Here, and not at the end of the batch, which comes after a checkpoint of this step.
        if self.average is not None:
            self.average.update_parameters(self.decoder)

    def training_step(self, batch_bt: Tensor, batch_idx: int) -> Tensor:
        every = self.decoder.architecture.regularizer.every
        due = self.trainer.global_step % every == 0
        loss = self._loss(batch_bt, batch_idx, every if due else 0.0)
        total, ranks = loss.total, self.trainer.world_size
        if ranks > 1 and self.decoder.architecture.regularizer.reduction == "sum":
            # DDP takes the mean over ranks of what is a sum over the batch that they share.
            weight = self.decoder.architecture.regularizer.weight
            total = loss.total + (ranks - 1) * (every if due else 0.0) * weight * loss.penalty
        # Every rank knows the loss of the whole batch, so that all agree on when to stop.
        both = self._mean_over_ranks(torch.stack([total.detach().float(), loss.cross_entropy.detach()]))
        self._last_total, self._last_loss = both[0], both[1]
        self._train_loss = self._train_loss.to(both.device) + self._last_loss
        self._train_steps += 1
        return total

    def _loss(self, batch_bt: Tensor, batch_idx: int, penalty_scale: float) -> Loss:
        """The loss of one batch, with the part that follows a teacher in its total."""
        inputs_bt, targets_bt = inputs_and_targets(batch_bt, self.answers_only)
        if self.distillation is None:
            return self.decoder.loss(inputs_bt, targets_bt, penalty_scale)
        with self.distillation.watched(self.decoder) as seen:
            loss = self.decoder.loss(inputs_bt, targets_bt, penalty_scale, with_logits=True)
        assert loss.logits_btv is not None
        weight = self.distillation.spec.weight
        told = self.distillation.loss(batch_idx, inputs_bt, loss.logits_btv, seen)
        return loss._replace(total=loss.total + weight * (told - loss.cross_entropy))

    @property
    def last_total(self) -> float:
        """What the last batch minimized: its cross-entropy and penalty."""
        return float(self._last_total)

    @property
    def last_loss(self) -> float:
        """Cross-entropy of the last batch, nats a token."""
        return float(self._last_loss)

    def take_train_loss(self) -> float | None:
        """Mean cross-entropy since the last call, nats a token; None without a step in between."""
        if not self._train_steps:
            return None
        mean = float(self._train_loss) / self._train_steps
        self._train_loss, self._train_steps = torch.zeros_like(self._train_loss), 0
        return mean

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["train loss since the last validation"] = [self._train_loss, self._train_steps]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._train_loss, self._train_steps = checkpoint["train loss since the last validation"]

    def on_validation_epoch_start(self) -> None:
        self.held_out, self._measured = HeldOut(), 0
        architecture = self.decoder.architecture
        attending = sum(layer.attends for layer in architecture.layers)
        self._entropy_lh = torch.zeros(attending, architecture.n_head, device=self.device)

    def validation_step(self, batch_bt: Tensor, batch_idx: int) -> None:
        if not len(batch_bt):  # a last batch may have fewer windows than there are ranks
            return
        if batch_idx == 0:
            with measured_gaps(self.trained) as self.norm_gaps:
                entropy_lh = self.trained.head_entropy(batch_bt[:, :-1])
            self._entropy_lh, self._measured = entropy_lh.float(), len(batch_bt)
        self.held_out += score(self.trained, batch_bt, self.answers_only)

    def on_validation_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            self._sum_over_ranks()
        self.entropy = self._entropy_lh.cpu().tolist()

    def _mean_over_ranks(self, values: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return values
        return cast(Tensor, self.trainer.strategy.reduce(values, reduce_op="mean"))

    def _sum_over_ranks(self) -> None:
        """What all ranks found, and the mean entropy of all their windows."""
        mine = self.held_out
        counts = torch.tensor(
            [mine.nats, mine.hits, mine.targets, self._measured], device=self.device, dtype=torch.float64
        )
        entropy_lh = self._entropy_lh * self._measured
        counts = cast(Tensor, self.trainer.strategy.reduce(counts, reduce_op="sum"))
        entropy_lh = cast(Tensor, self.trainer.strategy.reduce(entropy_lh, reduce_op="sum"))
        self.held_out = HeldOut(float(counts[0]), int(counts[1]), int(counts[2]))
        self._measured = int(counts[3])
        self._entropy_lh = entropy_lh / max(self._measured, 1)

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        optimizer = build_optimizer(self.decoder, recipe)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, recipe))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
