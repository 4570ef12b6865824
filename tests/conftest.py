"""What every test shares: one core a process, small architectures, and a corpus of a few kilobytes."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from aero_search.architecture import Architecture, Layer


@pytest.fixture
def proxy() -> Architecture:
    """The default proxy, SM + LN + G."""
    return Architecture(n_head=4, d_model=64, seq_len=128, vocab_size=1024, layers=(Layer(),) * 4)
