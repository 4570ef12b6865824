"""Which tokens a step sees: a function of seed and step alone, the same for every architecture.

Shape letters: B batch_size, T seq_len, N tokens in the file. A window has T + 1 tokens: T inputs, and the
same shifted by one as targets. Neighbouring windows share one token, so that each token is a target once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aero_search.data.corpus import Corpus, open_tokens
from aero_search.errors import RequestError


def check_long_enough(corpus: Corpus, seq_len: int, batch_size: int, validation_sequences: int) -> None:
    """Refuse a corpus that has no batch of B windows of T tokens on either side.

    Raises:
        RequestError: it is too short, or was cut for another seq_len.
    """
    chunked = corpus.chunk is not None
    if chunked and corpus.chunk != seq_len:
        raise RequestError(
            f"model.seq_len={seq_len} is not the length that this corpus was cut to: set "
            f"model.seq_len={corpus.chunk}, or data.chunk={seq_len} and pack it again"
        )
    # A labelled set may be small: its last validation batch is as short as it is.
    needed = 1 if corpus.answers_only else min(batch_size, validation_sequences)
    found = len(validation_starts(corpus.validation_tokens, seq_len, validation_sequences, chunked))
    if found < needed:
        raise _too_short("validation", corpus.validation_tokens, needed * seq_len + 1, needed, seq_len)
    windows = train_windows(corpus.train_tokens, seq_len, chunked)
    if windows < batch_size and corpus.answers_only:
        raise RequestError(
            f"data.path has {windows} texts to train on where one batch needs recipe.batch_size={batch_size}: "
            "add rows, or lower it"
        )
    if windows < batch_size:
        raise _too_short("train", corpus.train_tokens, (batch_size + 1) * seq_len, batch_size, seq_len)


class TrainWindows:
    """Batches of window starts, drawn without replacement within an epoch.

    Every epoch shifts all windows by its own offset in 0..T-1 and visits them in its own permutation. Batches
    run on across epochs: batch s holds windows s*B .. s*B+B-1 of the endless sequence of epochs.

    Args:
        n_tokens: N, at least 2T.
        chunked: the file is cut into windows already, one after the other: nothing is shifted.
    """

    def __init__(
        self, n_tokens: int, seq_len: int, batch_size: int, seed: int, chunked: bool = False
    ) -> None:
        self.windows_per_epoch = train_windows(n_tokens, seq_len, chunked)
        self._chunked = chunked
        self._seq_len = seq_len
        self._batch_size = batch_size
        self._seed = seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def starts(self, step: int) -> NDArray[np.int64]:
        """Where the windows of batch `step` (from 0) begin, shape (B,), each at most N - T - 1."""
        places = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs, slots = np.divmod(places, self.windows_per_epoch)
        starts = np.empty(self._batch_size, dtype=np.int64)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            starts[mine] = self._epoch(int(epoch))[slots[mine]]
        return starts

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._epochs:
            if len(self._epochs) > 1:  # a batch needs two at most, unless epochs are shorter than batches
                self._epochs.clear()
            random = np.random.default_rng([self._seed, epoch])
            offset = 0 if self._chunked else int(random.integers(self._seq_len))
            order = random.permutation(self.windows_per_epoch)
            self._epochs[epoch] = offset + _stride(self._seq_len, self._chunked) * order
        return self._epochs[epoch]


def train_windows(n_tokens: int, seq_len: int, chunked: bool = False) -> int:
    """Windows in an epoch, the same for every offset: the last token of the last one is below N."""
    return n_tokens // (seq_len + 1) if chunked else max(0, (n_tokens - seq_len) // seq_len)


def validation_starts(n_tokens: int, seq_len: int, most: int, chunked: bool = False) -> NDArray[np.int64]:
    """Where the held-out windows begin: at most `most`, non-overlapping, spread evenly over the file.

    Returns:
        Starts in ascending order, shape (min(most, (N - 1) // T),); N // (T + 1) where `chunked`.
    """
    available = n_tokens // (seq_len + 1) if chunked else max(0, (n_tokens - 1) // seq_len)
    count = min(most, available)
    places = np.arange(count, dtype=np.int64) * available // max(1, count)
    return places * _stride(seq_len, chunked)


def held_out_windows(corpus: Corpus, seq_len: int, most: int) -> NDArray[np.int64]:
    """The held-out windows themselves, shape (min(most, all there are), T + 1)."""
    tokens = open_tokens(corpus.validation_path)
    starts = validation_starts(len(tokens), seq_len, most, corpus.chunk is not None)
    windows_ns: NDArray[np.int64] = tokens[starts[:, None] + np.arange(seq_len + 1)].astype(np.int64)
    return windows_ns


def _stride(seq_len: int, chunked: bool) -> int:
    """From one window of a file to the next; those of a chunked file bring their last target themselves."""
    return seq_len + 1 if chunked else seq_len


def _too_short(split: str, tokens: int, needed: int, batch_size: int, seq_len: int) -> RequestError:
    return RequestError(
        f"the corpus has {tokens} {split} tokens where one batch of {batch_size} sequences of "
        f"model.seq_len={seq_len} needs {needed}: "
        "add text to data.path, or lower model.seq_len or recipe.batch_size"
    )
