"""A training that was cut off goes on where its last checkpoint left it, to the same last bit.

Lightning says what a state consists of (weights, optimizer, schedule, loss scale, loops, callbacks); here it is
written and read without pickle, at times that cost less than a hundredth of the training.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError

from aero_search.architecture import key
from aero_search.disk import NoRoomError, room_sentence
from aero_search.integrity import tell
from aero_search.training.job import Job
from aero_search.training.tensor_tree import load_tree, save_tree

CHECKPOINT_FILE = "checkpoint.safetensors"
# The least between two checkpoints: no training loses more than this and what one checkpoint allows for.
EVERY_SECONDS = 30.0
# A checkpoint that took s seconds is followed by at least so many times s without one.
REST = 100.0
# A slow disk, for a guess before the first.
_BYTES_A_SECOND = 500e6
# How often the clock is looked at, in steps; several processes have to agree on it each time.
LOOK_EVERY = 10
_IDENTITY, _RANDOM = "training", "random"


class SafeCheckpointIO(CheckpointIO):
    """Lightning's checkpoints as safetensors and JSON."""

    # Whether a want of room was told: once a training is enough.
    _said = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        # A full disk is no reason to end a training: the next checkpoint may fit.
        with contextlib.suppress(OSError, SafetensorError):
            path = Path(path)
            if path.is_dir():
                path.rename(path.with_name(f"{path.name}.damaged"))
            try:
                save_tree(checkpoint, path)
            except NoRoomError as problem:
                if not self._said:
                    tell(f"no checkpoint of this training while there is no room: {room_sentence(problem)}")
                    self._said = True

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        state: dict[str, Any] = load_tree(Path(path))
        return state

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def checkpoint_path(folder: Path) -> Path:
    """Where a candidate's checkpoint lies while it trains."""
    return folder / CHECKPOINT_FILE


def checkpoint_of(job: Job) -> tuple[Path, int] | None:
    """The checkpoint that this training left in its folder, and the batches it has seen; None to start from 0.

    One of another architecture, recipe or corpus, or one that is damaged or has no checksum, does not count: it
    will be replaced.
    """
    path = checkpoint_path(job.folder)
    if not path.exists():
        return None
    try:
        # All of it is read: Lightning would go on with any number that a damaged file holds.
        state = load_tree(path)
        batches = int(state["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"])
        mine = state.get(_IDENTITY) == _identity(job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        start_again(path, problem)
        return None
    return (path, batches) if mine else None


def start_again(path: Path, problem: Exception) -> None:
    """Say why a checkpoint is not gone on from."""
    said = str(problem) if str(path) in str(problem) else f"{path}: {type(problem).__name__}: {problem}"
    tell(f"{' '.join(said.split())[:300]}; this training starts again from step 0")


def forget(folder: Path) -> None:
    """Delete the checkpoint of a training that has its result."""
    for path in folder.glob(f"{CHECKPOINT_FILE}*"):
        if not path.is_dir():
            path.unlink(missing_ok=True)


class Checkpoints(L.Callback):
    """Writes the checkpoint between steps, once enough time has passed; every process of a job calls it.

    Args:
        halted: whether the training has just been told to stop at a rung: then it may go on later, from there.
    """

    def __init__(self, job: Job, halted: Callable[[], bool] = lambda: False) -> None:
        self._job, self._halted = job, halted
        self._rest = 0.0
        self._last = time.monotonic()
        self._random: torch.Tensor | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Weights and two moments, until the first checkpoint has shown how long one takes.
        numbers = 3 * sum(parameter.numel() for parameter in pl_module.parameters())
        self._rest = self._rest_after(4 * numbers / _BYTES_A_SECOND)
        self._last = time.monotonic()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._random is not None:
            # Only now: opening the data has drawn from it.
            torch.set_rng_state(self._random)
            self._random = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        recipe = self._job.recipe
        batches = batch_idx + 1
        # Lightning takes a checkpoint from just before a validation for one from after it.
        validates = batches % trainer.val_check_batch == 0 if trainer.val_check_batch else False
        if batches % recipe.accumulate == 0 and not validates:
            self._look(trainer, batches // recipe.accumulate)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit":
            return
        if self._halted():
            trainer.save_checkpoint(checkpoint_path(self._job.folder))
        else:
            self._look(trainer, 0)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_IDENTITY] = _identity(self._job)
        checkpoint[_RANDOM] = torch.get_rng_state()

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._random = checkpoint[_RANDOM]
        torch.Generator().set_state(
            checkpoint[_RANDOM]
        )  # raises here what is no state, before the first step

    def _look(self, trainer: L.Trainer, step: int) -> None:
        if step % LOOK_EVERY or trainer.should_stop:
            return
        began = time.monotonic()
        due = began - self._last >= self._rest
        if trainer.world_size > 1:
            # Rank 0 has the clock: where it adds nothing to the sum, no process saves.
            mine = torch.tensor(float(due and trainer.is_global_zero), device=trainer.strategy.root_device)
            due = bool(trainer.strategy.reduce(mine, reduce_op="sum"))
        if not due:
            return
        trainer.save_checkpoint(checkpoint_path(self._job.folder))
        self._last = time.monotonic()
        self._rest = self._rest_after(self._last - began)

    @staticmethod
    def _rest_after(seconds: float) -> float:
        return max(EVERY_SECONDS, REST * seconds)


def _identity(job: Job) -> dict[str, Any]:
    """What a state belongs to."""
    said = {
        "architecture": key(job.architecture),
        "recipe": job.recipe.identifying(),
        "corpus": job.corpus.fingerprint,
    }
    return said if job.recovery is None else {**said, "start": job.recovery.identifying(job.recipe.seed)}
