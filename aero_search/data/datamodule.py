"""Packed tokens as Lightning batches. Needs torch, lightning and numpy; no tokenizer library.

Shape letters: B batch_size, T seq_len.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aero_search.data.corpus import Corpus, open_tokens
from aero_search.data.windows import TrainWindows, check_long_enough, validation_starts


class TokenDataModule(LightningDataModule):
    """Batches of windows, int64 of shape (B, T+1): inputs are `batch[:, :-1]`, targets `batch[:, 1:]`.

    Args:
        corpus: a packed corpus.
        seq_len: T.
        batch_size: B.
        steps: the step at which training ends; there are exactly `steps - start_step` train batches.
        seed: the only thing besides corpus, B and T that the train batches depend on.
        validation_sequences: at most so many held-out windows; they depend on corpus and T alone.
        start_step: the first batch is the one that step has in a run from 0, so that a stopped run goes on.
        num_workers: processes that read; 0 reads in this one, which a memory map makes cheap.
        rank, ranks: of every batch, train and validation, this process reads the rank-th of so many nearly equal
            parts; one after the other they are the batch that a single process reads.

    Raises:
        RequestError: the corpus is too short for one batch of either side, or was cut for another seq_len.
    """

    def __init__(
        self,
        corpus: Corpus,
        seq_len: int,
        batch_size: int,
        steps: int,
        seed: int,
        validation_sequences: int = 512,
        start_step: int = 0,
        num_workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        if not 0 <= start_step <= steps:
            raise ValueError(f"start_step={start_step} is outside 0..steps={steps}")
        self.corpus = corpus
        self.seq_len = seq_len
        self.batch_size = batch_size
        self.num_workers = num_workers
        check_long_enough(corpus, seq_len, batch_size, validation_sequences)
        chunked = corpus.chunk is not None
        self._validation_starts = validation_starts(
            corpus.validation_tokens, seq_len, validation_sequences, chunked
        )
        windows = TrainWindows(corpus.train_tokens, seq_len, batch_size, seed, chunked)
        self._share = Share(rank, ranks)
        self._train = TrainBatches(corpus.train_path, windows, seq_len, start_step, steps, self._share)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """`steps - start_step` batches of shape (B, T+1)."""
        return _TrainLoader(self._train, batch_size=None, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The held-out windows in file order, shape (B, T+1); the last batch may have fewer."""
        batches = ValidationBatches(
            self.corpus.validation_path, self._validation_starts, self.seq_len, self.batch_size, self._share
        )
        return DataLoader(batches, batch_size=None, num_workers=self.num_workers)


# What cross-entropy passes over.
IGNORED = -100


def inputs_and_targets(batch_bt: Tensor, answers_only: bool = False) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a batch (B, T+1), each (B, T).

    Args:
        answers_only: the last token alone is a target; the others are IGNORED.
    """
    inputs_bt, targets_bt = batch_bt[:, :-1], batch_bt[:, 1:]
    if answers_only:
        targets_bt = torch.full_like(targets_bt, IGNORED)
        targets_bt[:, -1] = batch_bt[:, -1]
    return inputs_bt, targets_bt


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes reads."""

    rank: int = 0
    ranks: int = 1

    def of(self, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Its consecutive part of a batch's windows; sizes differ by one at most, and may be 0."""
        first, last = (len(starts) * part // self.ranks for part in (self.rank, self.rank + 1))
        return starts[first:last]


class TrainBatches(Dataset[Tensor]):
    """Item i is this process's share of the batch of step `start_step + i`."""

    def __init__(
        self,
        path: Path,
        windows: TrainWindows,
        seq_len: int,
        start_step: int,
        steps: int,
        share: Share,
    ) -> None:
        self._share = share
        self._tokens = TokenFile(path)
        self._windows = windows
        self._seq_len = seq_len
        self.start_step = start_step
        self._length = steps - start_step

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self._length:
            raise IndexError(index)
        starts = self._share.of(self._windows.starts(self.start_step + index))
        return self._tokens.windows(starts, self._seq_len)


class ValidationBatches(Dataset[Tensor]):
    """Item i holds this process's share of windows i*B .. i*B+B-1."""

    def __init__(
        self, path: Path, starts: NDArray[np.int64], seq_len: int, batch_size: int, share: Share
    ) -> None:
        self._tokens = TokenFile(path)
        self._batches = [share.of(starts[i : i + batch_size]) for i in range(0, len(starts), batch_size)]
        self._seq_len = seq_len

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Tensor:
        return self._tokens.windows(self._batches[index], self._seq_len)


class _TrainLoader(DataLoader[Tensor]):
    """Counts the batches before `start_step` in its length: Lightning goes on counting where it stopped."""

    def __len__(self) -> int:
        batches = self.dataset
        assert isinstance(batches, TrainBatches)
        return batches.start_step + len(batches)


class TokenFile:
    """A memory map that travels to worker processes as a path, not as its content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens = open_tokens(path)

    def windows(self, starts: NDArray[np.int64], seq_len: int) -> Tensor:
        """The windows at `starts`, int64 of shape (len(starts), T+1)."""
        if not len(starts):
            return torch.empty((0, seq_len + 1), dtype=torch.int64)
        taken = [self._tokens[start : start + seq_len + 1] for start in starts]
        return torch.from_numpy(np.stack(taken).astype(np.int64))

    def __reduce__(self) -> tuple[type[TokenFile], tuple[Path]]:
        return TokenFile, (self._path,)
