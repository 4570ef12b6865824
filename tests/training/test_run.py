"""A training run: reproducible, honest about its end, and the same data for every architecture."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.integrity import write_sealed
from aero_search.model import Decoder, build_model, load_weights
from aero_search.schema import to_mapping
from aero_search.search.rungs import LearningCurve, RungsSpec, decide
from aero_search.training.health import (
    PLATEAU_SHARE,
    Unigram,
    bits_per_byte,
    divergence,
    judge_validation,
    on_plateau,
    perplexity,
    unigram_accuracy,
    unigram_loss,
)
from aero_search.training.optimizer import lr_factor
from aero_search.training.result import RESULT_FILE, WEIGHTS_FILE, CurvePoint, read_result
from aero_search.training.run import Watch, train
from aero_search.training.validation import HeldOut, held_out, score
from tests.search.fakes import RECIPE

ARCHITECTURE = Architecture(n_head=2, d_model=16, seq_len=16, vocab_size=300, layers=(Layer(),) * 2)
SHORT = replace(RECIPE, steps=60, lr=3e-2, batch_size=8, validate_every=30, validation_sequences=16)


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


class Recorder:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.points: list[CurvePoint] = []

    def step(self, step: int, loss: float) -> None:
        assert step == len(self.losses) + 1
        self.losses.append(loss)

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        assert len(entropy) == 2
        self.points.append(point)


def test_same_seed_same_digits_and_another_seed_others(corpus: Corpus, tmp_path: Path) -> None:
    first, second = (train(ARCHITECTURE, SHORT, corpus, tmp_path / name) for name in ("a", "b"))
    other = train(ARCHITECTURE, replace(SHORT, seed=1), corpus, tmp_path / "c")
    assert first.perplexity == second.perplexity
    assert [p.validation_loss for p in first.curve] == [p.validation_loss for p in second.curve]
    assert first.perplexity != other.perplexity


def test_what_a_finished_run_leaves(corpus: Corpus, tmp_path: Path) -> None:
    heard = Recorder()
    result = train(ARCHITECTURE, SHORT, corpus, tmp_path, listeners=(heard,))
    assert read_result(tmp_path) == result
    assert [point.step for point in result.curve] == [30, 60]
    assert result.verdict == "finished"
    assert heard.points == list(result.curve)
    assert len(heard.losses) == 60
    assert heard.losses[-1] < heard.losses[0]
    assert result.tokens == 60 * 8 * 16
    assert result.fingerprint == corpus.fingerprint
    assert result.entropy == result.curve[-1].entropy
    model = build_model(ARCHITECTURE, seed=0)
    load_weights(model, tmp_path / WEIGHTS_FILE)
    found = held_out(model.eval(), ARCHITECTURE, SHORT, corpus)
    assert result.accuracy == result.curve[-1].accuracy == found.accuracy
    assert found.accuracy > (result.unigram_accuracy or 1) > 0
    bits = found.loss / math.log(2) / (corpus.validation_bytes_per_token or math.nan)
    assert result.bits_per_byte == pytest.approx(bits)
    assert [len(point.entropy) for point in result.curve] == [2, 2]
    assert result.curve[0].entropy != result.curve[1].entropy
    # A fresh network attends almost evenly, and sixty steps do not change that.
    assert result.health == result.curve[-1].health
    assert result.health is not None
    assert (result.health.verdict, result.health.layer, result.health.step) == ("entropic_overload", 0, 30)
    assert result.health.largest == pytest.approx(math.lgamma(17) / 16)
    model: Decoder = build_model(ARCHITECTURE)
    load_weights(model, tmp_path / "weights.safetensors")
    assert not any(p.suffix in (".pt", ".ckpt", ".pkl") for p in tmp_path.iterdir())


def test_the_last_step_is_validated_whatever_the_interval(corpus: Corpus, tmp_path: Path) -> None:
    result = train(ARCHITECTURE, replace(SHORT, steps=70), corpus, tmp_path)
    assert [point.step for point in result.curve] == [30, 60, 70]
    assert result.perplexity == result.curve[-1].perplexity


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_reported_perplexity_is_the_saved_weights_own(ema: float, corpus: Corpus, tmp_path: Path) -> None:
    from aero_search.data.datamodule import TokenDataModule

    result = train(ARCHITECTURE, replace(SHORT, ema=ema), corpus, tmp_path)
    model = build_model(ARCHITECTURE).eval()
    load_weights(model, tmp_path / "weights.safetensors")
    nats, tokens = 0.0, 0
    with torch.no_grad():
        for batch in TokenDataModule(corpus, 16, 8, 60, 0, 16).val_dataloader():
            loss = model.loss(batch[:, :-1], batch[:, 1:]).cross_entropy
            nats, tokens = nats + float(loss) * batch[:, 1:].numel(), tokens + batch[:, 1:].numel()
    assert nats / tokens == pytest.approx(result.validation_loss, rel=1e-5)


def test_a_diverged_run_is_a_result(corpus: Corpus, tmp_path: Path) -> None:
    linear = replace(ARCHITECTURE, layers=(Layer("none", "quadratic"),) * 2, final_norm="none")
    result = train(linear, replace(SHORT, lr=1e4, clip=0.0, warmup_ratio=0.0), corpus, tmp_path)
    assert result.verdict == "diverged"
    assert result.perplexity is None
    assert "learning rate 10000" in result.reason
    assert "step" in result.reason
    assert not (tmp_path / "weights.safetensors").exists()
    assert read_result(tmp_path) == result


def test_a_run_that_learns_nothing_is_stopped_at_half_the_budget(corpus: Corpus, tmp_path: Path) -> None:
    result = train(ARCHITECTURE, replace(SHORT, lr=1e-9), corpus, tmp_path)
    assert (result.verdict, result.steps) == ("plateau", 30)
    assert result.perplexity is not None
    assert result.perplexity > result.unigram_perplexity**PLATEAU_SHARE


def test_a_result_of_an_earlier_version_is_read(corpus: Corpus, tmp_path: Path) -> None:
    result = train(ARCHITECTURE, replace(SHORT, steps=2), corpus, tmp_path)
    path = tmp_path / "result.json"
    old = json.loads(path.read_text())
    del old["health"], old["checksum"], old["weights_digest"]
    for point in old["curve"]:
        del point["health"], point["entropy"]
    path.write_text(json.dumps(old))
    read = read_result(tmp_path)
    assert (read.perplexity, read.entropy) == (result.perplexity, result.entropy)
    assert read.health is None
    assert read.curve[0].entropy == ()


def collapse(model: Decoder, layer: int) -> None:
    """Make every query of a layer look at the token with the largest key in one direction."""
    attention = model.decoder_layers()[layer].attention
    with torch.no_grad():
        for linear, scale in ((attention.query, 0.0), (attention.key, 1e4)):
            linear.weight.mul_(scale)
        assert attention.query.bias is not None
        attention.query.bias.fill_(1.0)


def test_a_collapsed_layer_is_named_and_the_run_goes_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsed(*arguments: Any, **options: Any) -> Decoder:
        model = build_model(*arguments, **options)
        collapse(model, 1)
        return model

    monkeypatch.setattr("aero_search.training.module.build_model", collapsed)
    result = train(ARCHITECTURE, replace(SHORT, steps=4, validate_every=2, lr=1e-9), corpus, tmp_path)
    assert result.health is not None
    assert (result.health.verdict, result.health.layer, result.health.step) == ("entropy_collapse", 1, 2)
    assert result.verdict == "plateau"


def test_entropies_without_a_number_are_left_out(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = torch.tensor([[1.0, float("nan")], [1.0, 1.0]])
    monkeypatch.setattr(Decoder, "head_entropy", lambda self, tokens_bt: broken)
    result = train(ARCHITECTURE, replace(SHORT, steps=2), corpus, tmp_path)
    assert (result.entropy, result.curve[0].entropy, result.health) == ((), (), None)
    assert read_result(tmp_path) == result


def test_the_regularized_model_trains_through_the_same_run(corpus: Corpus, tmp_path: Path) -> None:
    regularized = replace(
        ARCHITECTURE,
        layers=(Layer("none", "identity", "fused"),) * 2,
        attention=Attention(temperature="learned"),
        stabilizer=Stabilizer("scaled"),
        regularizer=Regularizer(weight=0.02),
    )
    result = train(regularized, SHORT, corpus, tmp_path)
    assert result.notation == "EReg(SM(t) + ScFuFFN)"
    assert result.perplexity is not None


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_lazy_penalty_is_taken_at_every_so_many_optimizer_steps(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    scales: list[float] = []
    plain = Decoder.loss

    def loss(self: Decoder, inputs_bt: torch.Tensor, targets_bt: torch.Tensor, penalty_scale: float) -> Any:
        scales.append(penalty_scale)
        return plain(self, inputs_bt, targets_bt, penalty_scale)

    monkeypatch.setattr(Decoder, "loss", loss)
    lazy = replace(ARCHITECTURE, regularizer=Regularizer(weight=0.02, every=3))
    recipe = replace(SHORT, steps=7, accumulate=accumulate)
    assert train(lazy, recipe, corpus, tmp_path).verdict != "diverged"
    assert scales == [scale for scale in (3, 0, 0, 3, 0, 0, 3) for _ in range(accumulate)]


def test_unigram_loss_in_closed_form(corpus: Corpus) -> None:
    import numpy as np

    train_tokens = np.asarray([0, 0, 0, 1], dtype=np.uint16)
    half = unigram_loss(train_tokens, np.asarray([0, 1], dtype=np.uint16), vocab_size=2)
    assert half == pytest.approx(-(np.log(4 / 6) + np.log(2 / 6)) / 2)
    assert 3.0 < Unigram.of(corpus).loss < np.log(300)
    assert on_plateau(50.0, 50.0)


def test_unigram_accuracy_in_closed_form() -> None:
    import numpy as np

    train_tokens, told = np.asarray([1, 0, 1], dtype=np.uint16), np.asarray([1, 0, 1, 1, 2], dtype=np.uint16)
    assert unigram_accuracy(train_tokens, told, vocab_size=3) == pytest.approx(3 / 5)


def test_bits_per_byte_in_closed_form() -> None:
    assert bits_per_byte(3 * math.log(2), 4.0) == pytest.approx(0.75)
    assert bits_per_byte(1.0, None) is None


def test_what_a_batch_scores_in_closed_form() -> None:
    """A network that is always as sure of token 0, of four, as log-odds 2 make it."""
    tokens_bt = torch.tensor([[3, 0, 0, 1], [2, 0, 3, 0]])

    class Sure(torch.nn.Module):
        def forward(self, tokens_bt: torch.Tensor) -> torch.Tensor:
            return torch.tensor([2.0, 0.0, 0.0, 0.0]).expand(*tokens_bt.shape, 4)

    found = score(Sure(), tokens_bt)
    whole = math.log(math.exp(2) + 3)
    assert (found.hits, found.targets) == (4, 6)
    assert found.nats == pytest.approx(4 * (whole - 2) + 2 * whole)
    assert (found + found).accuracy == found.accuracy == pytest.approx(4 / 6)
    assert (found + found).loss == pytest.approx(found.loss)


def test_a_result_of_an_earlier_version_says_nothing_of_accuracy(corpus: Corpus, tmp_path: Path) -> None:
    told = to_mapping(train(ARCHITECTURE, replace(SHORT, steps=1), corpus, tmp_path))
    for name in ("accuracy", "bits_per_byte", "unigram_accuracy"):
        del told[name]
    for point in told["curve"]:
        del point["accuracy"], point["bits_per_byte"]
    write_sealed(tmp_path / RESULT_FILE, told)
    old = read_result(tmp_path)
    assert (old.accuracy, old.bits_per_byte, old.curve[-1].accuracy) == (None, None, None)


def test_verdicts_name_layer_and_step() -> None:
    assert divergence(1200, 3e-3, 3) == "collapsed at layer 3, step 1,200, learning rate 0.003"
    assert divergence(7, 3e-3, None) == "diverged at step 7, learning rate 0.003"


def test_the_schedule_rises_and_falls() -> None:
    recipe = replace(RECIPE, steps=100, warmup_ratio=0.1, lr_end_ratio=0.2)
    factors = [lr_factor(step, recipe) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.6)
    assert factors[100] == pytest.approx(0.2)
    cosine = [lr_factor(step, replace(recipe, schedule="cosine")) for step in range(101)]
    assert cosine[55] == pytest.approx(0.6)
    assert cosine[100] == pytest.approx(0.2)


@pytest.mark.parametrize("step", [9, 10, 19, 20])
@pytest.mark.parametrize("loss", [3.0, 5.0 * PLATEAU_SHARE, 5.0 * PLATEAU_SHARE * (1 + 1e-15), 5.0, 800.0])
def test_a_training_and_the_rungs_of_its_search_give_one_verdict(step: int, loss: float) -> None:
    """Whatever the loss and the step, the last one and a threshold met to the last bit among them."""
    recipe = SimpleNamespace(steps=20, lr=1e-3, accumulate=1)
    module: Any = SimpleNamespace(
        decoder=SimpleNamespace(architecture=ARCHITECTURE),
        recipe=recipe,
        entropy=[],
        norm_gaps={},
        held_out=HeldOut(nats=loss, targets=1),
        take_train_loss=lambda: None,
    )
    trainer: Any = SimpleNamespace(global_step=step, should_stop=False, world_size=1)
    watch = Watch(module, Unigram(5.0, 0.1), ())
    watch.on_validation_end(trainer, module)
    curve = ((step, perplexity(loss)),)
    decision = decide(RungsSpec("none"), LearningCurve(0, (1.0,), 20, curve), [], perplexity(5.0))
    told = "finished" if decision.verdict == "go on" else decision.verdict
    assert watch.verdict == told
    late = "diverged" if loss == 800.0 else "plateau"
    if loss in (3.0, 5.0, 800.0):
        assert watch.verdict == (late if step >= 10 and loss > 3.0 else "finished")
    # What is told of numbers that are lost names layer and rate as well.
    assert (
        watch.reason.startswith("diverged at step") if told == "diverged" else watch.reason == decision.reason
    )
    assert len(watch.curve) == (0 if told == "diverged" else 1)


def test_far_worse_than_token_frequencies_is_no_plateau() -> None:
    """As where the running statistics of a norm leave those of the batches: the numbers are lost."""
    assert judge_validation(10, 20, 401.0**2, 400.0) == ("diverged", "diverged by step 10 of 20")
    assert judge_validation(10, 20, 399.0**2, 400.0) == (
        "plateau",
        "still at the unigram loss at step 10 of 20",
    )
    assert judge_validation(9, 20, 401.0**2, 400.0) is None
    # A sound classifier of two classes may be sure of itself and wrong.
    assert judge_validation(20, 20, 50.0, 2.0) is None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_diverges_wherever_it_is_looked_at(loss: float) -> None:
    assert judge_validation(5, 20, perplexity(loss), 400.0) == ("diverged", "diverged at step 5 of 20")
    curve = ((5, perplexity(loss)),)
    assert decide(RungsSpec("none"), LearningCurve(0, (1.0,), 20, curve), [], 400.0).verdict == "diverged"
