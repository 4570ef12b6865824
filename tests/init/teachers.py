"""A network that is trained in a second or two, for tests that start from one."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from pathlib import Path

import torch

from aero_search.architecture import Architecture, Layer
from aero_search.data import Corpus
from aero_search.data.datamodule import TokenDataModule
from aero_search.init.checkpoint import open_checkpoint
from aero_search.integrity import digest
from aero_search.model import Decoder, build_model, parameter_groups
from aero_search.training.recipe import Recipe
from aero_search.training.teacher_cache import TeacherCache
from aero_search.training.validation import held_out
from tests.search.fakes import RECIPE

ARCHITECTURE = Architecture(n_head=4, d_model=32, seq_len=16, vocab_size=300, layers=(Layer(),) * 3)
HELD_OUT = replace(RECIPE, batch_size=16, validation_sequences=64)


def trained(architecture: Architecture, corpus: Corpus, steps: int = 150) -> Decoder:
    """A decoder after some steps of AdamW, in evaluation mode."""
    model = build_model(architecture, seed=0)
    data = TokenDataModule(corpus, architecture.seq_len, 16, steps=steps, seed=0, validation_sequences=16)
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.1), lr=1e-2)
    for step, batch_bt in enumerate(data.train_dataloader()):
        loss = model.loss(batch_bt[:, :-1], batch_bt[:, 1:]).total
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, (step + 1) / 10) * (1 - step / steps)
        optimizer.step()
    return model.eval()


def perplexity(model: Decoder, corpus: Corpus, recipe: Recipe = HELD_OUT) -> float:
    """On the held-out windows; infinite where the loss is beyond floats."""
    loss = held_out(model.eval(), model.architecture, recipe, corpus).loss
    return math.exp(loss) if loss < 700 else math.inf


def read_block(root: str, teacher: str, corpus: str, marks: str) -> None:
    """In a process of its own: print the digest of a teacher's first block; whoever computes it leaves a mark.

    The first one that does waits then, to be killed while it holds the lock.
    """
    checkpoint = open_checkpoint(Path(teacher), "")

    def load() -> Decoder:
        first = not any(Path(marks).iterdir())
        (Path(marks) / str(os.getpid())).touch()
        if first:
            time.sleep(600)
        return checkpoint.model()

    cache = TeacherCache(Path(root), checkpoint.fingerprint, load, Corpus.open(corpus), 16, 4, 0, 1.0)
    print(digest([cache.batch(0).log_p_btk.numpy().tobytes()]))
