"""How a candidate is trained: optimizer, schedule, batch, steps, seeds; the same for every architecture.

`conf/recipe/proxy_adamw.yaml` follows the AERO authors' code (AdamW, linear decay, 5 % warm-up, decay 0.1 on
matrices, clip 1) at the proxy's size; `proxy.yaml`, the default, trains the matrices of the layers with Muon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from aero_search.errors import RequestError
from aero_search.schema import beyond

# Beyond any training, and within what counters and float32 hold.
_MOST = {
    "steps": 10**9,
    "batch_size": 10**6,
    "accumulate": 10**6,
    "validate_every": 10**9,
    "validation_sequences": 10**9,
}
_LARGEST = 1e6


@dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes:
        steps: optimizer steps.
        batch_size: sequences a batch, of `seq_len` tokens each.
        lr: peak learning rate; under muon, of the matrices of the layers.
        schedule: decay after the warm-up, from `lr` to `lr * lr_end_ratio`.
        warmup_ratio: share of the steps that rise linearly to `lr`.
        weight_decay: on matrices and embeddings; none on norms, biases, gains, temperatures, thresholds.
        clip: largest gradient norm; 0 does not clip.
        accumulate: batches a step.
        precision: Lightning's name, such as 32-true or bf16-mixed.
        init_std: standard deviation of linears and embeddings; None is 0.02 * sqrt(768 / d_model).
        validate_every: steps between validations; the last step always validates.
        validation_sequences: held-out windows of seq_len tokens.
        seed: of the weights; from a checkpoint, which has its own, of the order of batches with `data_seed`.
        data_seed: of the order of batches.
        optimizer: `adamw` for every parameter, or `muon` for the matrices of the layers and AdamW for the rest.
        momentum: of Muon.
        adamw_lr: peak rate of what Muon leaves to AdamW (embeddings, norms, gains, temperatures); None is `lr`.
        ema: decay a step of the average of the weights that is validated and kept; 0 keeps the last weights.
    """

    steps: int
    batch_size: int
    lr: float
    schedule: Literal["linear", "cosine"]
    lr_end_ratio: float
    warmup_ratio: float
    weight_decay: float
    beta1: float
    beta2: float
    eps: float
    clip: float
    accumulate: int
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true"]
    init_std: float | None
    validate_every: int
    validation_sequences: int
    seed: int
    data_seed: int
    # Fields with a default came after the first trainings; at their default they do not enter an identity.
    optimizer: Literal["adamw", "muon"] = "adamw"
    momentum: float = 0.95
    adamw_lr: float | None = None
    ema: float = 0.0

    def order_seed(self, from_checkpoint: bool) -> int:
        """The seed of the order of batches.

        What starts from given weights draws none, so that another seed would be the same training: there it is the
        order that a seed changes.
        """
        return self.data_seed + self.seed if from_checkpoint else self.data_seed

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        for name, most in _MOST.items():
            yield from beyond(f"recipe.{name}", getattr(self, name), 1, most)
        if self.lr <= 0:
            yield f"recipe.lr={self.lr:g} must be above 0"
        if self.adamw_lr is not None and self.adamw_lr <= 0:
            yield f"recipe.adamw_lr={self.adamw_lr:g} must be above 0, or null"
        if self.optimizer == "adamw" and self.adamw_lr is not None:
            yield (
                f"recipe.adamw_lr={self.adamw_lr:g} has no effect under recipe.optimizer=adamw: set recipe.lr, or "
                "choose recipe.optimizer=muon"
            )
        if self.optimizer == "adamw" and self.momentum != Recipe.momentum:
            yield (
                f"recipe.momentum={self.momentum:g} has no effect under recipe.optimizer=adamw: leave it out, or "
                "choose recipe.optimizer=muon"
            )
        for name in ("weight_decay", "clip", "eps", "seed", "data_seed"):
            if getattr(self, name) < 0:
                yield f"recipe.{name}={getattr(self, name)} must be 0 or above"
        for name in ("lr", "adamw_lr", "weight_decay", "clip", "eps", "init_std"):
            value = getattr(self, name)
            if value is not None and value > _LARGEST:
                yield f"recipe.{name}={value:g} must be at most {_LARGEST:g}"
        for name in ("lr_end_ratio", "warmup_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"recipe.{name}={getattr(self, name):g} must lie between 0 and 1"
        for name in ("beta1", "beta2", "momentum", "ema"):
            if not 0 <= getattr(self, name) < 1:
                yield f"recipe.{name}={getattr(self, name):g} must be at least 0 and below 1"
        if self.init_std is not None and self.init_std <= 0:
            yield f"recipe.init_std={self.init_std:g} must be above 0, or null"

    def tokens(self, seq_len: int) -> int:
        """Tokens seen in the whole run."""
        return self.steps * self.batch_size * self.accumulate * seq_len

    def identifying(self) -> dict[str, Any]:
        """What tells this training from others: fields without a default, and those that differ from theirs.

        So a training keeps its identity when a field is added whose default is what was done before.
        """
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.default is MISSING or getattr(self, field.name) != field.default
        }
