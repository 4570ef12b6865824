"""The part of a training's loss that follows its teacher.

Logits come from the cache of the study. Hidden states and attention would take several times the room, 300 times at
the size of GPT-2 small, so those kinds run the teacher at every step instead, about a third of a step's time.

Shapes: b batch, t position, c channel of the stream, v vocabulary entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import cycle

import torch
from torch import Tensor, nn

from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import Share
from aero_search.errors import AeroSearchError, RequestError
from aero_search.init.recovery import Recovery
from aero_search.model import Decoder
from aero_search.training.recipe import Recipe
from aero_search.training.teacher_cache import TeacherCache, Told

# What layers give, by the share of the depth that they end.
Outputs = dict[Fraction, Tensor]


class Distillation:
    """What a student is told by the checkpoint it started from, which stays as it is.

    Args:
        seq_len: of the student.
        share: the part of every batch that this process trains on.
    """

    def __init__(
        self, recovery: Recovery, recipe: Recipe, corpus: Corpus, seq_len: int, share: Share | None = None
    ) -> None:
        self.spec = recovery.distill
        self._recovery, self._recipe, self._corpus, self._seq_len = recovery, recipe, corpus, seq_len
        self._share = share or Share()
        self._cache: TeacherCache | None = None
        self._teacher: Decoder | None = None
        self._online = recovery.cache is None or self.spec.kind != "logits"

    @contextmanager
    def watched(self, student: Decoder) -> Iterator[Outputs]:
        """While the student runs, collects what this kind compares beside logits, layer by layer."""
        with _outputs(student, self.spec.kind) as found:
            yield found

    def loss(self, number: int, inputs_bt: Tensor, logits_btv: Tensor, seen: Outputs) -> Tensor:
        """The loss of one batch, a scalar: temperature^2 * KL, and the rest of the kind.

        Args:
            number: of the batch, from 0 over the whole training.
            seen: what `watched` collected.
        """
        temperature = self.spec.temperature
        if self._online:
            teacher = self._loaded(logits_btv.device)
            with torch.no_grad(), _outputs(teacher, self.spec.kind) as given:
                told = Told.of(teacher(inputs_bt), temperature)
        else:
            told, given = self._cached(number, logits_btv.device), {}
        if self._corpus.answers_only:
            told, logits_btv = told.last(), logits_btv[:, -1:]
        return temperature**2 * told.divergence(logits_btv, temperature) + _distance(seen, given)

    def _cached(self, number: int, device: torch.device) -> Told:
        if self._cache is None:
            recovery, recipe = self._recovery, self._recipe
            assert recovery.cache is not None
            self._cache = TeacherCache(
                recovery.cache,
                recovery.checkpoint.fingerprint,
                self._model,
                self._corpus,
                self._seq_len,
                recipe.batch_size,
                recipe.order_seed(from_checkpoint=True),
                self.spec.temperature,
                device,
            )
        told, share = self._cache.batch(number), self._share
        size = self._recipe.batch_size
        rows = slice(size * share.rank // share.ranks, size * (share.rank + 1) // share.ranks)
        return Told(
            told.tokens_btk[rows].to(device),
            told.log_p_btk[rows].to(device),
            told.log_rest_bt[rows].to(device),
        )

    def _loaded(self, device: torch.device) -> Decoder:
        if self._teacher is None:
            self._teacher = self._model().to(device).requires_grad_(False)
        return self._teacher

    def _model(self) -> Decoder:
        checkpoint = self._recovery.checkpoint
        try:
            return checkpoint.model(self._seq_len)
        except AeroSearchError as problem:
            raise RequestError(f"init.from={checkpoint.source}: {problem}") from problem


@contextmanager
def _outputs(model: Decoder, kind: str) -> Iterator[Outputs]:
    """What the layers of a decoder, or their attentions, give while it runs, each (B, T, d_model)."""
    found: Outputs = {}
    layers = model.decoder_layers()
    modules: list[nn.Module | None] = []
    if kind == "logits+hidden":
        modules = [*layers]
    elif kind == "logits+attention":
        modules = [layer.attention for layer in layers]

    # A module runs once for each layer that shares it, in the order of the layers.
    places = cycle([Fraction(i, len(layers)) for i, module in enumerate(modules, 1) if module is not None])

    def keep(module: nn.Module, given: object, output: tuple[Tensor, Tensor | None]) -> None:
        found[next(places)] = output[0]

    hooks = [m.register_forward_hook(keep) for m in dict.fromkeys(modules) if m is not None]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _distance(ours: Outputs, theirs: Outputs) -> Tensor:
    """The mean over layers of the square distance over the teacher's mean square.

    Of fewer layers each follows the last of those that it stands for (TinyBERT, arXiv 1909.10351, section 3).
    """
    parts = []
    for depth, own_btc in ours.items():
        reached = [place for place in theirs if place <= depth]
        if reached:
            theirs_btc = theirs[max(reached)]
            parts.append((own_btc - theirs_btc).square().mean() / theirs_btc.square().mean().clamp(min=1e-12))
    return torch.stack(parts).mean() if parts else torch.zeros(())
