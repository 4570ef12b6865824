"""Accumulation, precision and several devices: another way to the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aero_search.architecture import Architecture, Attention, Layer, Regularizer
from aero_search.cli import main
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.data.datamodule import TokenDataModule
from aero_search.errors import AeroSearchError, RequestError
from aero_search.training import ranks
from aero_search.training.compute import Compute
from aero_search.training.result import Result
from aero_search.training.run import train
from tests.search.fakes import RECIPE

ARCHITECTURE = Architecture(
    n_head=2,
    d_model=16,
    seq_len=16,
    vocab_size=300,
    layers=(Layer(),) * 2,
    attention=Attention(temperature="learned"),
    regularizer=Regularizer(weight=0.02),
)
SHORT = replace(RECIPE, steps=24, lr=4e-2, batch_size=8, validate_every=24, validation_sequences=19)
TWO = Compute("cpu", devices=2)


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


def test_shares_make_up_the_batch_that_one_process_reads(corpus: Corpus) -> None:
    def loaders(rank: int, of: int) -> TokenDataModule:
        return TokenDataModule(corpus, 16, 8, 5, seed=3, validation_sequences=19, rank=rank, ranks=of)

    for get in ("train_dataloader", "val_dataloader"):
        whole = list(getattr(loaders(0, 1), get)())
        for of in (2, 3, 4):
            shares = [list(getattr(loaders(rank, of), get)()) for rank in range(of)]
            assert all(len(share) == len(whole) for share in shares)
            assert all(
                torch.equal(torch.cat(parts), batch)
                for parts, batch in zip(zip(*shares, strict=True), whole, strict=True)
            )


def close(one: Result, other: Result, same_batch: bool = True) -> None:
    """The same but for rounding; entropies are of the first batch, so they need equal batches."""
    assert [point.step for point in one.curve] == [point.step for point in other.curve]
    for a, b in zip(one.curve, other.curve, strict=True):
        assert b.validation_loss == pytest.approx(a.validation_loss, rel=1e-4)
        assert b.train_loss == pytest.approx(a.train_loss, rel=1e-4)
    if same_batch:
        assert torch.tensor(other.entropy) == pytest.approx(torch.tensor(one.entropy), rel=1e-3)
    assert (one.steps, one.tokens) == (other.steps, other.tokens)


def close_weights(one: Path, other: Path) -> None:
    mine, theirs = (load_file(folder / "weights.safetensors") for folder in (one, other))
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_accumulation_is_a_larger_batch(corpus: Corpus, tmp_path: Path, clip: float) -> None:
    # Enough epsilon keeps Adam from enlarging rounding errors of gradients near 0.
    recipe = replace(SHORT, clip=clip, eps=1e-3)
    whole = train(ARCHITECTURE, replace(recipe, batch_size=16), corpus, tmp_path / "whole")
    parts = train(ARCHITECTURE, replace(recipe, accumulate=2), corpus, tmp_path / "parts")
    assert parts.steps == 24
    close(whole, parts, same_batch=False)
    close_weights(tmp_path / "whole", tmp_path / "parts")
    single = train(ARCHITECTURE, recipe, corpus, tmp_path / "single")
    assert single.validation_loss != pytest.approx(parts.validation_loss, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_two_processes_train_as_one(corpus: Corpus, tmp_path: Path, reduction: str) -> None:
    regularizer = Regularizer(weight=0.02 if reduction == "mean" else 1e-5, reduction=reduction)  # type: ignore[arg-type]
    # The statistics of the batch are those of both shares.
    layers = (Layer("batchnorm"), Layer())
    architecture = replace(ARCHITECTURE, layers=layers, regularizer=regularizer)
    recipe = replace(SHORT, lr=1e-2, eps=1e-3, accumulate=2)
    heard: list[float] = []

    class Ear:
        def step(self, step: int, loss: float) -> None:
            heard.append(loss)

        def validated(self, point: object, entropy: list[list[float]]) -> None: ...

    one = train(architecture, recipe, corpus, tmp_path / "one", (Ear(),))
    alone = heard.copy()
    heard.clear()
    two = train(architecture, recipe, corpus, tmp_path / "two", (Ear(),), threads=1, compute=TWO)
    close(one, two)
    close_weights(tmp_path / "one", tmp_path / "two")
    assert heard == pytest.approx(alone, rel=1e-4)
    assert len(heard) == 24
    assert two.versions["device"] == "2 x cpu"
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_a_process_that_dies_ends_the_training_with_a_sentence(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remember(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))  # type: ignore[call-overload]
        return started[-1]

    class Killer:
        def step(self, step: int, loss: float) -> None:
            if step == 3:
                os.kill(started[0].pid, signal.SIGKILL)

        def validated(self, point: object, entropy: list[list[float]]) -> None: ...

    monkeypatch.setattr(ranks.subprocess, "Popen", remember)
    with pytest.raises(AeroSearchError, match=r"process 1 of compute\.devices=2 failed"):
        train(ARCHITECTURE, replace(SHORT, steps=500), corpus, tmp_path, (Killer(),), 1, TWO)
    assert started[0].poll() is not None
    assert not (tmp_path / "result.json").exists()
    monkeypatch.undo()
    # The process goes on: the next training has a group of its own.
    assert train(ARCHITECTURE, SHORT, corpus, tmp_path).steps == 24


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_half_precision_trains_near_the_whole_one(corpus: Corpus, tmp_path: Path, precision: str) -> None:
    whole = train(ARCHITECTURE, SHORT, corpus, tmp_path / "whole")
    half = train(ARCHITECTURE, replace(SHORT, precision=precision), corpus, tmp_path / "half")  # type: ignore[arg-type]
    assert half.perplexity != whole.perplexity
    assert half.validation_loss == pytest.approx(whole.validation_loss, rel=0.03)
    dtypes = {tensor.dtype for tensor in load_file(tmp_path / "half" / "weights.safetensors").values()}
    assert dtypes == {torch.float32 if precision == "bf16-mixed" else torch.bfloat16}


@pytest.mark.parametrize(
    ("compute", "recipe", "named"),
    [
        (
            Compute("cpu"),
            replace(SHORT, precision="16-mixed"),
            r"recipe\.precision=16-mixed needs a CUDA GPU",
        ),
        (Compute("cpu", 3), SHORT, r"recipe\.batch_size=8 cannot be shared by compute\.devices=3"),
    ],
)
def test_what_cannot_be_trained_is_said_first(
    corpus: Corpus, tmp_path: Path, compute: Compute, recipe: object, named: str
) -> None:
    with pytest.raises(RequestError, match=named):
        train(ARCHITECTURE, recipe, corpus, tmp_path / "out", compute=compute)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_devices_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "compute.accelerator=cuda"]) == 2
    assert "compute.accelerator=cuda finds no CUDA GPU" in capsys.readouterr().err
    assert main(["train", "compute.devices=0"]) == 2
    assert "compute.devices=0 must be at least 1" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RequestError, match=r"compute\.devices=4 is more than the 2 CUDA GPUs found"):
        Compute("auto", 4).check(SHORT)
    Compute("cuda", 2).check(replace(SHORT, precision="16-mixed"))
