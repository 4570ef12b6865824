"""Which tokens a step sees: a function of seed and step alone, the same for every architecture.

Shape letters: B batch_size, T seq_len, N tokens in the file. A window has T + 1 tokens: T inputs, and the
same shifted by one as targets. Neighbouring windows share one token, so that each token is a target once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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


def _stride(seq_len: int, chunked: bool) -> int:
    """From one window of a file to the next; those of a chunked file bring their last target themselves."""
    return seq_len + 1 if chunked else seq_len
