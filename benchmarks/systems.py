"""AERO's steps under every system, PUMA's rows by operation, and how fast a study is priced under ten systems.

Networks are GPT-2 small (12 layers, d_model 768, 128 tokens); prices are those of the shipped files. Nothing is
trained.

    OMP_NUM_THREADS=1 python -m benchmarks.systems [--output FILE]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from aero_search.architecture import Architecture, Layer, parse_notation
from aero_search.cost import Network, Protocol, estimate, shipped_protocol, systems
from aero_search.cost.charge import charge
from aero_search.cost.inventory import Operation
from aero_search.cost.systems import system_rows
from aero_search.errors import RequestError
from aero_search.front.pricing import Pricing
from aero_search.front.robust import priced_where_known
from aero_search.report.page.what_if import PAPER_ROWS
from benchmarks.write_report import say

GPT2 = Architecture(n_head=12, d_model=768, seq_len=128, vocab_size=50257, layers=(Layer(),) * 12)
# Without the row that removes half of the feed-forwards.
ROWS = tuple(row for row in PAPER_ROWS if "{half}" not in row)
NAMES = ("aero_paper", "spu_cheetah_0_9_5", *systems())
LAN = Network("lan", 1000.0, 1.0)
SECONDS_GOAL, CANDIDATES = 1.0, 1000


def table(quantity: str) -> Iterator[str]:
    """One line a row of AERO, one column a system; `-` where it has no lowering."""
    yield f"{'':24s}" + "".join(f"{name[:11]:>12s}" for name in NAMES)
    for text in ROWS:
        cells = []
        for name in NAMES:
            value = price(shipped_protocol(name), parse_notation(text, GPT2), quantity)
            cells.append("-" if value is None else f"{value:.2f}")
        yield f"{text:24s}" + "".join(f"{cell:>12s}" for cell in cells)


STEPS = (
    ("norms removed", "SM + LN + G", "SM + G"),
    ("GELU to ReLU", "SM + LN + G", "SM + LN + R"),
    ("activations removed", "SM + G", "SM"),
    ("feed-forwards fused", "SM + ScFFN", "SM + ScFuFFN"),
    ("all of them", "SM + LN + G", "SM + ScFuFFN"),
)


def steps() -> Iterator[str]:
    """Share of the bytes that each step saves, by system."""
    yield f"{'':24s}" + "".join(f"{name[:11]:>12s}" for name in NAMES)
    for what, before, after in STEPS:
        cells = []
        for name in NAMES:
            sent = [
                price(shipped_protocol(name), parse_notation(text, GPT2), "GB") for text in (before, after)
            ]
            cells.append("-" if sent[0] is None or sent[1] is None else f"{1 - sent[1] / sent[0]:.1%}")
        yield f"{what:24s}" + "".join(f"{cell:>12s}" for cell in cells)


def price(protocol: Protocol, architecture: Architecture, quantity: str) -> float | None:
    try:
        cost = estimate(architecture, protocol, LAN)
    except RequestError:
        return None
    return cost.communication_bytes.total / 1e9 if quantity == "GB" else cost.latency_seconds.total


def by_operation() -> Iterator[str]:
    """PUMA's BERT-base rows beside what SPU 0.9.5's ABY3 sends for the same operations."""
    aby3 = shipped_protocol("spu_aby3")
    puma = {
        row.shape[0]: row.bytes or 0.0
        for row in system_rows()
        if row.system == "spu_aby3" and row.what == "bert-base encoder"
    }
    heads, layers, d = 12, 12, 768
    a_score = (puma[128] - 2 * puma[64]) / (layers * heads * (128**2 - 2 * 64**2))
    a_token = (puma[64] - a_score * layers * heads * 64**2) / 64
    use = {**aby3.use, "softmax": "softmax_bumblebee"}
    chosen = replace(aby3, use=use)

    def of(kind: str, *shape: int, count: int = 1) -> float:
        return charge(Operation("activation", "-", kind, shape, count), chosen).bytes

    soft = of("softmax", 128, 128, count=heads) / (heads * 128**2)
    score = of("matmul", 128, 64, 128, count=heads) / (heads * 128**2)
    token = layers * (
        of("gelu", 1, 4 * d)
        + 2 * of("layernorm", 1, d)
        + of("linear", 1, d, 3 * d)
        + of("linear", 1, d, d)
        + of("matmul", 1, 128, d)
        + of("linear", 1, d, 4 * d)
        + of("linear", 1, 4 * d, d)
    )
    ours = f"SPU 0.9.5 {soft:.0f} B softmax + {score:.0f} B product"
    yield f"a score: PUMA {a_score:.0f} B (from 64 and 128 tokens), {ours}"
    yield f"a token: PUMA {a_token / 1e6:.1f} MB, SPU 0.9.5 {token / 1e6:.1f} MB in the layers"
    left = (a_token - token) / 30522
    one_hot = shipped_protocol("spu_aby3").primitives["equality"].bytes.value
    yield f"left for each of 30,522 vocabulary entries: {left:.0f} B; an equality test takes {one_hot:.0f} B today"
    predicted = {
        tokens: (a_token * tokens + a_score * layers * heads * tokens**2) / 1e9 for tokens in (64, 128, 256)
    }
    yield "PUMA's law of two lengths: " + ", ".join(
        f"{tokens} tokens {gb:.2f} GB (printed {puma[tokens] / 1e9:.2f})" for tokens, gb in predicted.items()
    )


def speed() -> str:
    draw = random.Random(0)
    kinds = [
        Layer(n, a, f) for n in ("layernorm", "none") for a in ("gelu", "identity") for f in ("full", "none")
    ]
    candidates = [replace(GPT2, layers=tuple(draw.choices(kinds, k=12))) for _ in range(CANDIDATES)]
    began = time.process_time()
    for name in NAMES[:10]:
        priced_where_known(candidates, Pricing(shipped_protocol(name), LAN))
    taken = time.process_time() - began
    return f"{CANDIDATES} candidates under 10 systems: {taken:.2f} s of CPU, files read (goal {SECONDS_GOAL:g} s)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    lines = [
        "GB of a forward pass of GPT-2 small at 128 tokens, all parties, online where preprocessing is apart",
        *table("GB"),
        "",
        "seconds of the same at 1 Gbps and 1 ms",
        *table("s"),
        "",
        "share of the bytes that each step saves",
        *steps(),
        "",
        "PUMA's rows by operation",
        *by_operation(),
        "",
        speed(),
    ]
    say("\n".join(lines) + "\n", arguments.output, "python -m benchmarks.systems")


if __name__ == "__main__":
    main()
