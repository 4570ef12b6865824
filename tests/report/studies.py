"""A study as a real one could be: perplexities of the proxy, costs in the paper's order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aero_search.architecture import Architecture, Layer, notation, parse_notation
from aero_search.front.front import Front, build_front
from aero_search.front.record import Record

BASE = Architecture(n_head=4, d_model=64, seq_len=128, vocab_size=1024, layers=(Layer(),) * 4)
COSTS = {"latency_s": 2.91, "communication_bytes": 1.83e9, "flops": 7.3e7, "rounds": 1480.0}

# notation, state, perplexity, share of the baseline's latency, traffic, FLOPs and rounds, learning rate
STUDY: tuple[tuple[str, str, float | None, float, float, float, float, float], ...] = (
    ("SM + LN + G", "finished", 61.42, 1.0, 1.0, 1.0, 1.0, 0.0015),
    ("SM + LN + R", "finished", 62.05, 0.74, 0.37, 1.0, 0.8, 0.0015),
    ("SM + R", "finished", 63.31, 0.68, 0.36, 1.0, 0.6, 0.0012),
    ("SM + ScFFN", "finished", 70.18, 0.55, 0.27, 1.0, 0.45, 0.00093),
    ("SM + ScFuFFN", "finished", 73.12, 0.41, 0.25, 0.55, 0.41, 0.0015),
    ("EReg(SM(t) + ScFuFFN)", "finished", 65.9, 0.415, 0.255, 0.56, 0.41, 0.0015),
    ("EReg(SM(t) + ScFuFFN_i1)", "finished", 67.4, 0.39, 0.2475, 0.52, 0.39, 0.0019),
    (
        "EReg(SM(t) + ScFuFFN_i2) [regularizer.weight=0.0035]",
        "finished",
        69.8,
        0.36,
        0.245,
        0.48,
        0.36,
        0.001,
    ),
    ("SM + ScFuFFN_i3", "finished", 81.2, 0.33, 0.24, 0.45, 0.33, 0.0007),
    ("SM + G", "finished", 70.6, 0.93, 0.93, 1.0, 0.8, 0.0015),
    ("SM + LN", "finished", 70.7, 0.62, 0.3, 1.0, 0.6, 0.0015),
    ("SM", "finished", 71.8, 0.53, 0.28, 1.0, 0.45, 0.0015),
    ("SM + LN + R_i2", "finished", 66.2, 0.6, 0.32, 0.75, 0.6, 0.002),
    ("SM + ScFuFFN_i2", "plateau", 397.0, 0.355, 0.243, 0.48, 0.35, 0.003),
    ("SM + ScFuFFN_i4", "plateau", 410.0, 0.30, 0.23, 0.41, 0.3, 0.003),
    ("SM", "diverged", None, 0.53, 0.28, 1.0, 0.45, 0.004),
    ("SM + G", "diverged", None, 0.93, 0.93, 1.0, 0.8, 0.0038),
)


def record(number: int, row: tuple[Any, ...]) -> Record:
    name, state, perplexity, *shares, lr = row
    architecture = parse_notation(name, BASE)
    return Record(
        number=number,
        candidate=f"key-{number}",
        architecture=architecture,
        notation=notation(architecture),
        state=state,
        reason=f"diverged at step 231, learning rate {lr:g}" if state == "diverged" else "",
        perplexity=perplexity,
        costs={name: cost * share for (name, cost), share in zip(COSTS.items(), shares, strict=True)},
        overrides=(f"recipe.lr={lr:g}",),
        lr=lr,
        seed=0,
        seconds=74.0 + number,
        folder=Path("outputs/study/trials") / f"{number:04d}",
        # Rows of one notation are networks of their own, as rows of different sizes would be.
        network=f"network {number}",
    )


def with_points(front: Front, points: Iterable[Record]) -> Front:
    """The front of a study whose front points are these, all else as it was."""
    others = (*front.dominated, *front.diverged, *front.stopped, *front.over)
    return build_front([*points, *others], front.objective, front.reference, front.target)
