"""What the entropy of attention costs on one CPU thread, forward and backward.

Two tables: one attention call, against scaled_dot_product_attention (which returns no entropy), and a whole
training step of the default proxy, regularized against plain. Contenders take turns, round by round, and each
timed call follows an untimed one of the same contender, so that all meet the same machine and a warm memory
allocator; figures are medians of the thread's processor time, which other processes disturb least.

    OMP_NUM_THREADS=1 python benchmarks/attention_entropy.py [--rounds N] [--output FILE]

Shapes: b batch, h head, t query position, d channel of a head.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aero_search.architecture import Architecture, Layer, Regularizer, parse_notation
from aero_search.model import attention_with_entropy, build_model, entropy_penalty, parameter_groups
from benchmarks.write_report import processor, say

SHAPES = ((16, 4, 128, 16), (4, 12, 128, 64), (1, 12, 512, 64))
GOAL_ATTENTION, GOAL_STEP = 1.50, 1.10
REGULARIZER = Regularizer(weight=1e-5, reference="log_t")
PROXY = Architecture(n_head=4, d_model=64, seq_len=128, vocab_size=1024, layers=(Layer(),) * 4)
PROXY_BATCH = 16
EVERY = 4

# An attention and the penalty it leads to, None without entropy.
Contender = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


def sdpa(q: Tensor, k: Tensor, v: Tensor, thresholds_h: Tensor) -> tuple[Tensor, None]:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True), None


def ours(q: Tensor, k: Tensor, v: Tensor, thresholds_h: Tensor) -> tuple[Tensor, Tensor]:
    out, entropy_bht = attention_with_entropy(q, k, v)
    return out, entropy_penalty(entropy_bht[None], thresholds_h[None], REGULARIZER)


def _logits(q: Tensor, k: Tensor) -> Tensor:
    length = q.shape[-2]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(future, -1e9)


def vectorized(q: Tensor, k: Tensor, v: Tensor, thresholds_h: Tensor) -> tuple[Tensor, Tensor]:
    """The definition in whole-tensor operations, differentiated by autograd."""
    log_a = _logits(q, k).log_softmax(-1)
    a = log_a.exp()
    entropy_bht = -(a * log_a).sum(-1)
    return a @ v, entropy_penalty(entropy_bht[None], thresholds_h[None], REGULARIZER)


def published_loop(q: Tensor, k: Tensor, v: Tensor, thresholds_h: Tensor) -> tuple[Tensor, Tensor]:
    """The shape of the published code's work: log of all probabilities, then a penalty head by head."""
    a = _logits(q, k).softmax(-1)
    entropy_bht = -torch.nansum(a * torch.log(a + 1e-9), dim=-1)
    e_max = math.log(q.shape[-2])
    penalty = q.new_zeros(())
    for h in range(q.shape[1]):
        deviation = entropy_bht[:, h] - thresholds_h[h] * e_max
        outside = deviation.abs() > REGULARIZER.margin * e_max
        penalty = penalty + torch.where(outside, deviation, torch.zeros_like(deviation)).square().sum()
    return a @ v, penalty / q.shape[1]


CONTENDERS: dict[str, Contender] = {
    "sdpa": sdpa,
    "ours": ours,
    "vectorized": vectorized,
    "published loop": published_loop,
}


def time_interleaved(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median seconds of each step over interleaved rounds; the first three rounds warm up."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(rounds + 3):
        for name, step in steps.items():
            step()
            start = time.thread_time()
            step()
            if i >= 3:
                taken[name].append(time.thread_time() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def attention_steps(shape: tuple[int, int, int, int]) -> dict[str, Callable[[], None]]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(shape, generator=generator).requires_grad_() for _ in range(3))
    thresholds_h = torch.full((shape[1],), 0.5).requires_grad_()

    def step(contender: Contender) -> None:
        for tensor in (q, k, v, thresholds_h):
            tensor.grad = None
        out, penalty = contender(q, k, v, thresholds_h)
        loss = out.square().sum()
        (loss if penalty is None else loss + penalty).backward()

    return {name: partial(step, contender) for name, contender in CONTENDERS.items()}


def training_steps(architecture: Architecture) -> dict[str, Callable[[], None]]:
    """`EVERY` steps each: without penalty, with it in each, and with it in one, `EVERY` times as large."""
    tokens = torch.randint(PROXY.vocab_size, (PROXY_BATCH, PROXY.seq_len + 1))

    def make(a: Architecture, scales: Sequence[float]) -> Callable[[], None]:
        model = build_model(a, seed=0)
        optimizer = torch.optim.AdamW(parameter_groups(model, 0.1), lr=1.5e-3)

        def steps() -> None:
            for scale in scales:
                optimizer.zero_grad()
                model.loss(tokens[:, :-1], tokens[:, 1:], penalty_scale=scale).total.backward()
                optimizer.step()

        return steps

    regularized = replace(architecture, regularizer=Regularizer(weight=0.02))
    return {
        "plain": make(architecture, [1.0] * EVERY),
        "every step": make(regularized, [1.0] * EVERY),
        f"every {EVERY}th": make(regularized, [float(EVERY), *[0.0] * (EVERY - 1)]),
    }


def report(rounds: int) -> str:
    lines = [
        f"torch {torch.__version__}, {torch.get_num_threads()} thread, {platform.machine()}, {processor()}",
        f"forward + backward, processor time, median of {rounds} interleaved rounds",
        "",
        f"attention: ms, and times sdpa (goal for ours: {GOAL_ATTENTION:.2f})",
        f"{'(B, H, T, d)':20}" + "".join(f"{name:>22}" for name in CONTENDERS),
    ]
    for shape in SHAPES:
        seconds = time_interleaved(attention_steps(shape), rounds)
        cells = (f"{s * 1e3:12.2f} x {s / seconds['sdpa']:7.2f}" for s in seconds.values())
        lines.append(f"{shape!s:20}" + "".join(cells))
    lines += [
        "",
        f"training step of the proxy (L 4, H 4, d 64, T 128, V 1024, batch {PROXY_BATCH}): ms, and times "
        f"plain (goal: {GOAL_STEP:.2f})",
        f"{'penalty':20}{'none':>22}{'every step':>22}{f'every {EVERY}th':>22}",
    ]
    for name in ("SM + LN + G", "SM + ScFuFFN", "SM(t) + ScFuFFN"):
        steps = time_interleaved(training_steps(parse_notation(name, PROXY)), rounds)
        seconds = {contender: total / EVERY for contender, total in steps.items()}
        cells = (f"{s * 1e3:12.2f} x {s / seconds['plain']:7.2f}" for s in seconds.values())
        lines.append(f"{name:20}" + "".join(cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--output", type=Path, help="also write the tables here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = "OMP_NUM_THREADS=1 python benchmarks/attention_entropy.py"
    say(report(arguments.rounds), arguments.output, command)


if __name__ == "__main__":
    main()
