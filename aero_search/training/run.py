"""Trains one candidate from start to verdict; a diverged run is a result, not an error."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch

from aero_search.architecture import Architecture, key, notation
from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import Share, TokenDataModule
from aero_search.fail_points import passes
from aero_search.init.recovery import Recovery
from aero_search.integrity import file_digest
from aero_search.model import Decoder, count_parameters, save_weights
from aero_search.schema import from_mapping, to_mapping
from aero_search.training.adapters import merge_adapters
from aero_search.training.checkpoint import Checkpoints, SafeCheckpointIO, checkpoint_of, forget, start_again
from aero_search.training.compute import Compute
from aero_search.training.distillation import Distillation
from aero_search.training.entropy_health import (
    Entropy,
    EntropyHealth,
    collapsed_layer,
    entropy_health,
    uniform_entropy,
)
from aero_search.training.environment import versions
from aero_search.training.health import Unigram, bits_per_byte, divergence, judge_validation, perplexity
from aero_search.training.job import Job, Place
from aero_search.training.memory import is_out_of_memory, out_of_memory
from aero_search.training.module import CandidateModule
from aero_search.training.norm_health import norm_health
from aero_search.training.progress import Halt, Listener
from aero_search.training.ranks import Ranks, environment_plugins, trainer_devices
from aero_search.training.recipe import Recipe
from aero_search.training.recovery import limit, start
from aero_search.training.result import WEIGHTS_FILE, CurvePoint, Result, Teacher, Verdict


class Watch(L.Callback):
    """Records the curve, tells the listeners, and stops a run that has no future."""

    def __init__(
        self,
        module: CandidateModule,
        unigram: Unigram,
        listeners: Sequence[Listener],
        halt: Halt | None = None,
    ) -> None:
        self.module, self.unigram, self.listeners, self._halt = module, unigram, listeners, halt
        self.curve: list[CurvePoint] = []
        self.entropy: tuple[tuple[float, ...], ...] = ()
        self.health: EntropyHealth | None = None
        self._largest = uniform_entropy(module.decoder.architecture.seq_len)
        self.verdict: Verdict = "finished"
        self.reason = ""
        # Wall time of earlier starts of this training, seconds.
        self.earlier = 0.0
        # Whether the first step is near: whatever a checkpoint holds has been taken over.
        self.began = False
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, over all its starts."""
        return self.earlier + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"curve": to_mapping(self.curve), "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; listeners hear what came before it."""
        self.curve = [from_mapping(CurvePoint, point) for point in state_dict["curve"]]
        self.earlier = state_dict["seconds"]
        for point in self.curve:
            self.entropy, self.health = point.entropy or self.entropy, point.health or self.health
            for listener in self.listeners:
                listener.validated(point, [list(heads) for heads in point.entropy])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = True
        # A process that died at a rung may have written its checkpoint and not the answer.
        if self.curve and self.curve[-1].step == trainer.global_step < self.module.recipe.steps:
            self._ask(trainer, self.curve[-1])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not math.isfinite(self.module.last_total):
            self._diverged(trainer, trainer.global_step)
        elif (batch_idx + 1) % self.module.recipe.accumulate == 0:
            for listener in self.listeners:
                listener.step(trainer.global_step, self.module.last_loss)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        held_out, step, steps = self.module.held_out, trainer.global_step, self.module.recipe.steps
        loss = held_out.loss
        found = judge_validation(step, steps, perplexity(loss), self.unigram.perplexity)
        if found is not None and found[0] == "diverged":
            self._diverged(trainer, step)
            return
        measured = self.module.entropy
        entropy, health = _finite(measured), None
        # A single position attends to itself: there is no entropy to speak of.
        if entropy and self._largest > 0:
            health = self.health = entropy_health(entropy, step, self._largest, self.health)
        point = CurvePoint(
            step=step,
            train_loss=self.module.take_train_loss(),
            validation_loss=loss,
            perplexity=perplexity(loss),
            seconds=self.seconds,
            entropy=entropy,
            health=health,
            accuracy=held_out.accuracy,
            bits_per_byte=bits_per_byte(loss, self.unigram.bytes_per_token),
            norms=norm_health(self.module.norm_gaps),
        )
        self.entropy = entropy or self.entropy
        self.curve.append(point)
        for listener in self.listeners:
            listener.validated(point, measured)
        if found is not None:
            self.verdict, self.reason = found
            trainer.should_stop = True
        elif step < steps:
            self._ask(trainer, point)

    def _ask(self, trainer: L.Trainer, point: CurvePoint) -> None:
        """Stop here if that is what the answer is."""
        self.reason = self._halt(point) if self._halt is not None else ""
        stop = bool(self.reason)
        if trainer.world_size > 1:
            # Rank 0 alone is told; all stop at the same step.
            mine = torch.tensor(float(stop), device=trainer.strategy.root_device)
            stop = bool(trainer.strategy.reduce(mine, reduce_op="sum"))
        if stop:
            self.verdict = "stopped"
            trainer.should_stop = True

    def _diverged(self, trainer: L.Trainer, step: int) -> None:
        self.verdict = "diverged"
        # A validation without a number may still show the layer; if not, the one before it may.
        layers = (collapsed_layer(e, self._largest) for e in (self.module.entropy, self.entropy))
        layer = next((layer for layer in layers if layer is not None), None)
        self.reason = divergence(step, self.module.recipe.lr, layer)
        norms = norm_health(self.module.norm_gaps)
        if norms is not None and norms.reason:
            self.reason += f"; {norms.reason}"
        trainer.should_stop = True


def train(
    architecture: Architecture,
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    listeners: Sequence[Listener] = (),
    threads: int | None = None,
    compute: Compute | None = None,
    halt: Halt | None = None,
    recovery: Recovery | None = None,
) -> Result:
    """Train a candidate and write `result.json` and `weights.safetensors` into `folder`.

    Weights are not written for a diverged run, nor for one that `halt` has stopped: its checkpoint stays instead,
    from which the same call goes on. The result is written last, so a folder with a result is whole.
    Where the folder holds the checkpoint of this very training, which was cut off, it goes on from there, to the
    same last bit.

    Args:
        threads: cores a process uses; None leaves torch's setting.
        compute: the devices; None is one, the best there is.
        halt: may stop the training at a validation.
        recovery: how it starts from a trained network; None: from random weights.

    Raises:
        RequestError: the corpus is too small for seq_len, the weights do not fit, or these devices cannot
            train this recipe.
        AeroSearchError: a process of several devices failed.
        TrainingMemoryError: memory ran out.
    """
    compute = compute or Compute()
    compute.check(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    job = Job(architecture, recipe, corpus, folder, compute, threads, recovery)
    short = False
    try:
        with Ranks(job) as place:
            trainer, module, watch = fit(job, place, listeners, halt)
    except (MemoryError, RuntimeError) as problem:
        if not is_out_of_memory(problem):
            raise
        short = True
    if short:
        # Out of the handler: its traceback would hold on to every tensor of the training.
        raise out_of_memory(architecture, recipe)
    merge_adapters(module.trained)
    last = watch.curve[-1] if watch.curve and watch.verdict != "diverged" else None
    weights = ""
    if last is not None and watch.verdict != "stopped":
        save_weights(module.trained, folder / WEIGHTS_FILE)
        weights = file_digest(folder / WEIGHTS_FILE)
    result = Result(
        key=key(architecture),
        notation=notation(architecture),
        verdict=watch.verdict,
        reason=watch.reason,
        perplexity=last.perplexity if last else None,
        validation_loss=last.validation_loss if last else None,
        curve=tuple(watch.curve),
        entropy=watch.entropy,
        parameters=count_parameters(module.trained),
        seconds=watch.earlier + time.monotonic() - started,
        tokens=trainer.global_step * recipe.batch_size * recipe.accumulate * architecture.seq_len,
        steps=trainer.global_step,
        lr=recipe.lr,
        seed=recipe.seed,
        data_seed=recipe.data_seed,
        fingerprint=corpus.fingerprint,
        unigram_perplexity=watch.unigram.perplexity,
        versions=versions() | {"device": compute.describe()},
        health=watch.health,
        norms=watch.curve[-1].norms if watch.curve else None,
        weights_digest=weights,
        accuracy=last.accuracy if last else None,
        bits_per_byte=last.bits_per_byte if last else None,
        unigram_accuracy=watch.unigram.accuracy,
        teacher=None if recovery is None else Teacher.of(recovery, architecture),
        labels=dict(corpus.labels),
    )
    result.write(folder)
    if result.verdict != "stopped":
        forget(folder)
        passes("checkpoint forgotten")
    return result


def _finite(entropy: Entropy) -> tuple[tuple[float, ...], ...]:
    """Entropies as they are kept, empty where one is no number: JSON has none for it."""
    kept = tuple(tuple(heads) for heads in entropy)
    return kept if all(math.isfinite(head) for heads in kept for head in heads) else ()


def fit(
    job: Job, place: Place, listeners: Sequence[Listener], halt: Halt | None = None
) -> tuple[L.Trainer, CandidateModule, Watch]:
    """Train and validate in this process, which is one of `job.compute.devices`; writes nothing."""
    _quiet()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    found = checkpoint_of(job)
    try:
        return _fit(job, place, listeners, halt, found)
    except _UnusableCheckpointError as unusable:
        # One process of several would start again alone.
        if job.compute.devices > 1:
            raise unusable.problem from None
        start_again(unusable.path, unusable.problem)
        return _fit(job, place, listeners, halt, None)


class _UnusableCheckpointError(Exception):
    """What a checkpoint holds is not the state of this training."""

    def __init__(self, path: Path, problem: Exception) -> None:
        super().__init__(str(problem))
        self.path, self.problem = path, problem


def _fit(
    job: Job,
    place: Place,
    listeners: Sequence[Listener],
    halt: Halt | None,
    found: tuple[Path, int] | None,
) -> tuple[L.Trainer, CandidateModule, Watch]:
    """Train from a checkpoint and the number of its batch, or from the beginning."""
    recipe = job.recipe
    checkpoint, batches = found or (None, 0)
    data = TokenDataModule(
        job.corpus,
        seq_len=job.architecture.seq_len,
        batch_size=recipe.batch_size,
        steps=recipe.steps * recipe.accumulate,
        seed=recipe.order_seed(job.recovery is not None),
        validation_sequences=recipe.validation_sequences,
        start_step=batches,
        rank=place.rank,
        ranks=job.compute.devices,
    )
    recovered = _recovered(job, place, fresh=found is None)
    module = CandidateModule(job.architecture, recipe, *recovered, job.corpus.answers_only)
    watch = Watch(module, Unigram.of(job.corpus), listeners, halt)
    trainer = _trainer(job, place, watch)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
        if watch.verdict == "finished" and (not watch.curve or watch.curve[-1].step != recipe.steps):
            trainer.validate(module, datamodule=data, verbose=False)
    except SystemExit as stop:
        # Lightning answers Ctrl-C by ignoring the signal from then on and leaving the process.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    except Exception as problem:
        if found is not None and not watch.began:
            raise _UnusableCheckpointError(found[0], problem) from problem
        raise
    return trainer, module, watch


def _recovered(
    job: Job, place: Place, fresh: bool
) -> tuple[Callable[[Decoder], object] | None, Distillation | None]:
    """What a training from a checkpoint does to its decoder first, and what its loss follows.

    Args:
        fresh: whether it begins here; one that goes on has its weights in a file.
    """
    recovery = job.recovery
    if recovery is None:
        return None, None

    def prepare(decoder: Decoder) -> None:
        if fresh:
            start(decoder, recovery, job.corpus)
        limit(decoder, recovery.train, job.recipe.seed)

    if not recovery.distill.weight:
        return prepare, None
    share = Share(place.rank, job.compute.devices)
    return prepare, Distillation(recovery, job.recipe, job.corpus, job.architecture.seq_len, share)


def _trainer(job: Job, place: Place, watch: Watch) -> L.Trainer:
    recipe = job.recipe
    return L.Trainer(
        max_steps=recipe.steps,
        precision=recipe.precision,
        gradient_clip_val=recipe.clip or None,
        accumulate_grad_batches=recipe.accumulate,
        val_check_interval=min(recipe.validate_every, recipe.steps) * recipe.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch, Checkpoints(job, lambda: watch.verdict == "stopped")],
        plugins=[SafeCheckpointIO(), *environment_plugins(job, place)],
        use_distributed_sampler=False,
        **trainer_devices(job),
    )


def _quiet() -> None:
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning 2.6 asks torch for a class that torch 2.13 has renamed.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    # One in-process loader is the right number for memory-mapped windows and one core a worker.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Where Slurm is installed; our workers are its jobs already (docs/scaling.md), and others do not ask for it.
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")
    # Ours is: it begins where the checkpoint says.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__` defined.*")
