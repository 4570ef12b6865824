from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aero_search.data import Corpus
from aero_search.data.datamodule import TokenDataModule
from aero_search.data.windows import TrainWindows, train_windows, validation_starts
from aero_search.errors import RequestError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Token i is i, so that a batch shows where its windows begin."""
    np.arange(3_000, dtype="<u2").tofile(tmp_path / "train.bin")
    np.arange(500, dtype="<u2").tofile(tmp_path / "validation.bin")
    (tmp_path / "meta.json").write_text(json.dumps({"vocab_size": 3_000}))
    return Corpus.open(tmp_path)


def batches(corpus: Corpus, **fields: int) -> list[torch.Tensor]:
    chosen = {"seq_len": 16, "batch_size": 4, "steps": 60, "seed": 0} | fields
    return list(TokenDataModule(corpus, **chosen).train_dataloader())


@given(st.integers(1, 9), st.integers(0, 300), st.integers(1, 7), st.integers(0, 3))
def test_an_epoch_visits_each_window_once(seq_len: int, extra: int, batch_size: int, seed: int) -> None:
    n_tokens = 2 * seq_len + extra
    windows = TrainWindows(n_tokens, seq_len, batch_size, seed)
    per_epoch = windows.windows_per_epoch
    assert per_epoch == train_windows(n_tokens, seq_len) >= 1
    steps = -(-3 * per_epoch // batch_size)
    starts = np.concatenate([windows.starts(step) for step in range(steps)])
    for epoch in range(3):
        mine = np.sort(starts[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert 0 <= mine[0] < seq_len
        assert np.all(np.diff(mine) == seq_len)
        assert mine[-1] + seq_len + 1 <= n_tokens


def test_epochs_differ_and_come_back_in_any_order() -> None:
    windows = TrainWindows(1_000, 7, 5, seed=1)
    once = [windows.starts(step) for step in range(200)]
    again = TrainWindows(1_000, 7, 5, seed=1)
    for step in reversed(range(200)):
        assert np.array_equal(again.starts(step), once[step])
    epoch = windows.windows_per_epoch
    flat = np.concatenate(once)
    assert not np.array_equal(flat[:epoch], flat[epoch : 2 * epoch])


def test_batches_are_windows_of_the_file(corpus: Corpus) -> None:
    got = batches(corpus)
    assert len(got) == 60
    for batch in got:
        assert batch.dtype == torch.int64
        assert batch.shape == (4, 17)
        assert torch.equal(batch - batch[:, :1], torch.arange(17).expand(4, 17))


def test_batches_depend_on_the_seed_alone(corpus: Corpus) -> None:
    first = batches(corpus)
    # The global random state must not matter.
    torch.manual_seed(99)
    np.random.seed(99)
    assert all(map(torch.equal, first, batches(corpus)))
    assert all(map(torch.equal, first, batches(corpus, steps=500)))
    assert not torch.equal(first[0], batches(corpus, seed=1)[0])


@pytest.mark.parametrize("start", [0, 1, 45, 46, 60])
def test_a_run_goes_on_where_it_stopped(corpus: Corpus, start: int) -> None:
    rest = batches(corpus, start_step=start)
    assert len(rest) == 60 - start
    assert all(map(torch.equal, rest, batches(corpus)[start:]))


@given(st.integers(0, 3_000), st.integers(1, 50), st.integers(1, 40))
def test_held_out_windows_do_not_overlap_and_spread(n_tokens: int, seq_len: int, most: int) -> None:
    starts = validation_starts(n_tokens, seq_len, most)
    available = max(0, (n_tokens - 1) // seq_len)
    assert len(starts) == min(most, available)
    if len(starts):
        assert starts[0] == 0
        assert starts[-1] + seq_len + 1 <= n_tokens
        gaps = np.diff(starts) // seq_len
        assert np.all(gaps >= 1)
        assert np.ptp(gaps) <= 1 if len(gaps) else True
        assert starts[-1] // seq_len >= available - available // len(starts) - 1


def test_validation_is_the_same_for_every_run(corpus: Corpus) -> None:
    def held_out(**fields: int) -> torch.Tensor:
        chosen = {"seq_len": 16, "batch_size": 4, "steps": 9, "seed": 0} | fields
        return torch.cat(list(TokenDataModule(corpus, **chosen).val_dataloader()))

    whole = held_out()
    assert whole.shape == (31, 17)  # (500 - 1) // 16 windows
    assert torch.equal(whole[:, 1:].flatten(), torch.arange(1, 31 * 16 + 1))  # each target once
    assert torch.equal(whole, held_out(seed=5, batch_size=7, steps=1))
    assert held_out(validation_sequences=10)[:, 0].tolist() == [16 * (31 * i // 10) for i in range(10)]


def test_too_little_text_says_how_much_is_needed(corpus: Corpus) -> None:
    with pytest.raises(RequestError, match=r"500 validation tokens .* model.seq_len=128 needs 513"):
        TokenDataModule(corpus, seq_len=128, batch_size=4, steps=1, seed=0)
    TokenDataModule(corpus, seq_len=128, batch_size=4, steps=1, seed=0, validation_sequences=3)
    with pytest.raises(RequestError, match=r"3000 train tokens .* needs 3003"):
        TokenDataModule(corpus, seq_len=3, batch_size=1_000, steps=1, seed=0, validation_sequences=5)
    with pytest.raises(ValueError, match="start_step=3"):
        TokenDataModule(corpus, seq_len=8, batch_size=4, steps=2, seed=0, start_step=3)


def test_a_dataset_travels_as_a_path(corpus: Corpus) -> None:
    module = TokenDataModule(corpus, seq_len=16, batch_size=4, steps=60, seed=0)
    dataset = module.train_dataloader().dataset
    sent = pickle.dumps(dataset)
    assert len(sent) < 5_000  # the tokens are 6,000 bytes
    assert torch.equal(pickle.loads(sent)[7], dataset[7])


def test_lightning_trains_exactly_the_steps(corpus: Corpus) -> None:
    from lightning.pytorch import LightningModule, Trainer

    class Seen(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.train_batches: list[torch.Tensor] = []
            self.held_out = 0

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            self.train_batches.append(batch)
            return (self.weight * batch.float().mean()).sum()

        def validation_step(self, batch: torch.Tensor) -> None:
            self.held_out += len(batch)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1e-9)

    seen = Seen()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=12,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(seen, datamodule=TokenDataModule(corpus, seq_len=16, batch_size=4, steps=12, seed=0))
    assert len(seen.train_batches) == 12
    assert all(map(torch.equal, seen.train_batches, itertools.islice(batches(corpus), 12)))
    assert seen.held_out == 31


def test_training_needs_no_tokenizer_library(corpus: Corpus) -> None:
    script = f"""
import sys
import lightning, torch  # what they import themselves is their affair
for name in ("tokenizers", "tiktoken", "datasets", "filelock", "platformdirs", "rich", "omegaconf", "yaml"):
    sys.modules[name] = None
from aero_search.data.datamodule import TokenDataModule
from aero_search.data import Corpus
module = TokenDataModule(Corpus.open({str(corpus.folder)!r}), seq_len=16, batch_size=4, steps=1, seed=0)
assert next(iter(module.train_dataloader())).shape == (4, 17)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
