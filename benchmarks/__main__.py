"""Every benchmark that has a peer, one process after another, and one page of what they say.

    python -m benchmarks [--quick] [--output FOLDER]

`make bench` and `make bench-quick` call it. A benchmark that fails is named on the page and in the exit status; the
others go on. The page is README.md in the folder of results.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class Bench:
    """One benchmark.

    Attributes:
        against: its peers.
        full, quick: arguments of `python -m benchmarks.NAME`; FOLDER stands for the folder of results.
        page: what it writes into that folder.
    """

    name: str
    against: str
    full: tuple[str, ...]
    quick: tuple[str, ...]
    page: str


BENCHES = (
    Bench(
        "training",
        "nanoGPT, transformers, HF Trainer, the products alone",
        ("--output", "FOLDER"),
        ("--quick", "--output", "FOLDER"),
        "training.md",
    ),
    Bench(
        "attention_entropy",
        "scaled_dot_product_attention, the definition, the published loop",
        ("--rounds", "30", "--output", "FOLDER/attention_entropy.txt"),
        ("--rounds", "3", "--output", "FOLDER/attention_entropy.txt"),
        "attention_entropy.txt",
    ),
    Bench(
        "cost_model",
        "fvcore, FlopCounterMode",
        ("--output", "FOLDER/cost_model.txt"),
        ("--output", "FOLDER/cost_model.txt"),
        "cost_model.txt",
    ),
    Bench(
        "imports",
        "the bare interpreter",
        ("--output", "FOLDER"),
        ("--rounds", "1", "--output", "FOLDER"),
        "imports.md",
    ),
)


def run(bench: Bench, quick: bool, folder: Path) -> tuple[float, int]:
    """Wall seconds and exit status of one benchmark in a process of its own, on one thread."""
    arguments = [a.replace("FOLDER", str(folder)) for a in (bench.quick if quick else bench.full)]
    began = time.monotonic()
    code = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{bench.name}", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    ).returncode
    return time.monotonic() - began, code


def page(done: Sequence[tuple[Bench, float, int]], command: str) -> str:
    """One table of them all."""
    lines = ["# Benchmarks beside their peers", "", f"`{command}`", ""]
    lines += ["| benchmark | against | seconds | result |", "|---|---|---|---|"]
    for bench, seconds, code in done:
        result = f"failed with exit status {code}" if code else f"[{bench.page}]({bench.page})"
        lines.append(f"| {bench.name} | {bench.against} | {seconds:.0f} | {result} |")
    lines += [
        "",
        "Each result names its command, processor and versions. docs/research/performance.md says what follows.",
    ]
    return "\n".join(lines) + "\n"


def main(benches: Sequence[Bench] = BENCHES) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: minutes, and figures that say little"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    done = [(bench, *run(bench, options.quick, options.output)) for bench in benches]
    text = page(done, " ".join(["python -m benchmarks", *sys.argv[1:]]))
    print(text, end="")
    (options.output / "README.md").write_text(text)
    return int(any(code for _, _, code in done))


if __name__ == "__main__":
    sys.exit(main())
