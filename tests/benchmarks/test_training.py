"""The benchmark of training steps at a tiny size, and that its contenders train what they say."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aero_search.model import build_model
from benchmarks import training
from benchmarks.interleaved import Loop, Paced, take_turns, times_as_fast
from benchmarks.peers import huggingface, nanogpt, ours
from benchmarks.training import BARE, EAGER, FULL, NANOGPT, PLAIN, PRODUCTS, SEEDS, TOOL, TRAINER, Case

TINY = (
    "model.n_layer=2",
    "model.d_model=16",
    "model.n_head=2",
    "model.seq_len=8",
    "model.vocab_size=40",
    "recipe.batch_size=2",
    "tracking=none",
)
EVERY = tuple(dict.fromkeys(name for case in FULL for name in case.contenders))
SIZES = nanogpt.Sizes(vocab_size=40, seq_len=8, n_layer=2, n_head=2, d_model=16)


def test_every_contender_takes_its_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = training.measure(Case("tiny", TINY, rounds=2, steps=2, contenders=EVERY), tmp_path)
    assert set(found.seconds) | set(found.skipped) == set(EVERY)
    assert (TRAINER in found.skipped) == bool(huggingface.missing())
    assert all(len(each) == 2 and min(each) > 0 for each in found.seconds.values())
    assert found.tokens[TOOL] == found.tokens[NANOGPT] == 16
    assert found.tokens[SEEDS] == 32
    where = training.environment("COMMAND")
    text = training.markdown([found], where, 0.1)
    assert "`COMMAND`" in text
    assert "| nanoGPT |" in text
    assert f"| {TOOL} / {BARE} | tiny |" in text
    said = json.loads(json.dumps(training.document([found], where)))
    assert said["cases"][0]["ratios"][f"{TOOL} / {NANOGPT}"][0] == pytest.approx(
        found.speed(TOOL) / found.speed(NANOGPT), rel=1e-3
    )


def test_the_quick_sizes_have_every_peer_that_the_full_ones_have() -> None:
    assert {name for case in training.QUICK for name in case.contenders} == set(EVERY)
    assert set(PLAIN) < set(EVERY)
    assert PRODUCTS in EVERY
    assert EAGER in EVERY


def test_contenders_are_the_same_network(tmp_path: Path) -> None:
    architecture = ours.request_of(TINY, tmp_path, tmp_path).architecture
    count = sum(p.numel() for p in build_model(architecture, seed=0).parameters())
    assert sum(p.numel() for p in nanogpt.Gpt(SIZES).parameters()) == count
    assert sum(p.numel() for p in huggingface.make_model(SIZES).parameters()) == count


def test_nanogpts_model_is_causal_and_starts_at_uniform_loss() -> None:
    torch.manual_seed(0)
    model = nanogpt.Gpt(SIZES)
    tokens_bt = torch.randint(40, (4, 9))
    inputs_bt, targets_bt = tokens_bt[:, :-1], tokens_bt[:, 1:]
    with torch.no_grad():
        assert float(model(inputs_bt, targets_bt)) == pytest.approx(math.log(40), abs=0.1)
        changed_bt = inputs_bt.clone()
        changed_bt[:, 5:] = (changed_bt[:, 5:] + 1) % 40
        before_btv, after_btv = model.logits(inputs_bt), model.logits(changed_bt)
    assert torch.allclose(before_btv[:, :5], after_btv[:, :5], atol=1e-6)
    assert not torch.allclose(before_btv[:, 5:], after_btv[:, 5:], atol=1e-3)


def test_one_product_trains_the_same_numbers(tmp_path: Path) -> None:
    architecture = ours.request_of(TINY, tmp_path, tmp_path).architecture
    apart, joined = (build_model(architecture, seed=0) for _ in range(2))
    found = dict(joined.named_parameters())
    ours.join_projections(joined)
    tokens_bt = torch.randint(40, (4, 9), generator=torch.Generator().manual_seed(0))
    for decoder in (apart, joined):
        decoder.loss(tokens_bt[:, :-1], tokens_bt[:, 1:]).total.backward()
    for name, parameter in apart.named_parameters():
        assert torch.allclose(found[name].grad, parameter.grad, atol=1e-6), name


def test_two_stacked_seeds_train_as_one_by_one(tmp_path: Path) -> None:
    corpus = training.make_corpus(tmp_path / "corpus", 40)
    request = ours.request_of(TINY, tmp_path, corpus.folder)
    stacked = ours.StackedGradients(request, seeds=2)
    batch_bt = next(ours.batches_of(request, corpus))
    found, losses_s = stacked(batch_bt)
    for seed in range(2):
        alone = build_model(request.architecture, seed=seed)
        loss = alone.loss(batch_bt[:, :-1], batch_bt[:, 1:]).total
        loss.backward()
        assert losses_s[seed].item() == pytest.approx(loss.item(), rel=1e-5)
        for name, parameter in alone.named_parameters():
            assert torch.allclose(found[name][seed], parameter.grad, atol=1e-5), name


def test_a_paced_loop_waits_for_its_turn() -> None:
    seen: list[int] = []

    def endless(tick: Callable[[], None]) -> None:
        while True:
            seen.append(len(seen))
            tick()

    paced = Paced(endless)
    assert len(seen) == 1
    assert paced.block(3) >= 0
    assert len(seen) == 4
    paced.close()
    assert len(seen) == 4


def test_what_goes_wrong_in_a_paced_loop_is_raised() -> None:
    def wrong(tick: Callable[[], None]) -> None:
        tick()
        raise ValueError("out of steps")

    paced = Paced(wrong)
    with pytest.raises(ValueError, match="out of steps"):
        paced.block(1)


def test_everyone_has_one_value_a_round() -> None:
    counts = {"a": 0, "b": 0}

    def step(name: str) -> Callable[[], None]:
        def count() -> None:
            counts[name] += 1
            until = time.process_time() + 1e-4
            while time.process_time() < until:
                pass

        return count

    found = take_turns({name: Loop(step(name)) for name in counts}, rounds=3, steps=2)
    assert {name: len(each) for name, each in found.items()} == {"a": 3, "b": 3}
    assert counts == {"a": 7, "b": 7}  # and one to warm up


def test_ratios_in_closed_form() -> None:
    even = times_as_fast([1.0] * 4, [1.5] * 4)
    assert (even.value, even.low, even.high) == (1.5, 1.5, 1.5)
    # Rounds are drawn for both together: what slows a whole round down leaves the ratio alone.
    slowed = times_as_fast([1.0, 5.0, 1.0], [2.0, 10.0, 2.0])
    assert (slowed.value, slowed.low, slowed.high) == (2.0, 2.0, 2.0)
    scattered = times_as_fast([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert scattered.value == 1.0
    assert scattered.low == pytest.approx(2 / 3)
    assert scattered.high == 2.0
