"""How many architectures a second the cost model prices, beside what tracing the same FLOPs takes.

Random per-layer mixes of GPT-2 small (12 layers, d_model 768, 128 tokens). `priced in a batch` gives bytes,
round trips, latency and FLOPs of each; `one by one` gives the full breakdown; `fvcore` and `FlopCounterMode`
build the PyTorch model on the meta device (no weights, no arithmetic), run it once and give FLOPs alone.

    OMP_NUM_THREADS=1 python benchmarks/cost_model.py [--output FILE]
"""

from __future__ import annotations

import argparse
import importlib
import logging
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aero_search.architecture import Architecture, Layer
from aero_search.cost import Network, Pricer, Protocol, estimate, flops
from benchmarks.shipped import shipped
from benchmarks.write_report import say

GOAL_MICROSECONDS = 100
BATCH, SINGLES, TRACES, ROUNDS = 2000, 50, 3, 5


def architectures(count: int) -> list[Architecture]:
    """Random mixes of norms, activations and feed-forwards by layer, seeded."""
    draw = random.Random(0)
    return [
        Architecture(
            n_head=12,
            d_model=768,
            seq_len=128,
            vocab_size=50257,
            layers=tuple(
                Layer(
                    draw.choice(("layernorm", "none")),
                    draw.choice(("gelu", "relu", "identity")),
                    draw.choice(("full", "fused", "none")),
                )
                for _ in range(12)
            ),
        )
        for _ in range(count)
    ]


def median_seconds(work: Callable[[], object], items: int) -> float:
    """Seconds an item, the median of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        rounds.append((time.perf_counter() - start) / items)
    return statistics.median(rounds)


def trace_with_fvcore(architecture: Architecture) -> int:
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(*model_on_meta(architecture))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return 2 * int(analysis.total())


def trace_with_flop_counter(architecture: Architecture) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, tokens = model_on_meta(architecture)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(tokens)
    counted = int(counter.get_total_flops())
    if counted != flops(architecture).total:
        raise AssertionError(f"FlopCounterMode counts {counted}, the inventory {flops(architecture).total}")
    return counted


def model_on_meta(architecture: Architecture) -> tuple[Any, Any]:
    """The PyTorch model and one sequence, neither with data."""
    import torch

    build = importlib.import_module("aero_search.model").build_model
    with torch.device("meta"):
        return build(architecture, seed=0).eval(), torch.zeros(1, architecture.seq_len, dtype=torch.long)


def report() -> str:
    protocol = shipped(Protocol, "protocol", "spu_cheetah_0_9_5")
    network = shipped(Network, "network", "lan")
    batch = architectures(BATCH)
    warm = Pricer(protocol, network)
    warm.price(batch)

    def one_by_one() -> None:
        for architecture in batch[:SINGLES]:
            estimate(architecture, protocol, network)
            flops(architecture)

    def traced(trace: Callable[[Architecture], int]) -> Callable[[], object]:
        trace(batch[0])
        return lambda: [trace(architecture) for architecture in batch[:TRACES]]

    warnings.simplefilter("ignore")
    timed: dict[str, tuple[Callable[[], object], int]] = {
        "priced in a batch, first time": (lambda: Pricer(protocol, network).price(batch), BATCH),
        "priced in a batch, layers known": (lambda: warm.price(batch), BATCH),
        "one by one, with parts and layers": (one_by_one, SINGLES),
        "fvcore on meta (FLOPs alone)": (traced(trace_with_fvcore), TRACES),
        "FlopCounterMode on meta (FLOPs alone)": (traced(trace_with_flop_counter), TRACES),
    }
    lines = [
        f"Python {platform.python_version()}, one thread, {platform.machine()}; median of {ROUNDS} rounds",
        f"goal: a batch in at most {GOAL_MICROSECONDS} microseconds an architecture",
        "",
        f"{'':40}{'microseconds each':>20}{'a second':>14}",
    ]
    for name, (work, items) in timed.items():
        seconds = median_seconds(work, items)
        lines.append(f"{name:40}{seconds * 1e6:20,.1f}{1 / seconds:14,.0f}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    say(report(), arguments.output, "OMP_NUM_THREADS=1 python benchmarks/cost_model.py")


if __name__ == "__main__":
    main()
