"""Estimated against measured bytes of a prompt and an answer: prefill, then tokens over a key-value cache.

Candidates of benchmarks/measured.py, trained where they are not yet, each under SPU's ABY3, SEMI2K and Cheetah
between real processes. What is done is not done again. Bytes do not depend on what else runs; seconds are left out.

    OMP_NUM_THREADS=1 python -m benchmarks.measured_chat [--python INTERPRETER_WITH_SPU] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aero_search.cli import main as aero_search
from aero_search.measure.environment import machine
from benchmarks.measured_systems import trained

GOAL = 0.05
CANDIDATES = ("sm_ln_g-64", "llama_swiglu-64", "ereg_sm_t_scfuffn-64")
SYSTEMS = ("spu_cheetah_0_9_5", "spu_semi2k", "spu_aby3")
PROMPT, GENERATE, SEQUENCES = 16, 4, 2


def measured(name: str, system: str, folder: Path, python: str | None) -> Any:
    """The document of one measurement, taken if it is not there yet."""
    path = folder / f"chat-{name}-{system}.json"
    if not path.is_file():
        place = folder / f"chat-{name}"
        shutil.rmtree(place, ignore_errors=True)
        where = () if python is None else (f"measure.python={python}",)
        chat = ("workload=chat", f"workload.prompt={PROMPT}", f"workload.generate={GENERATE}")
        code = aero_search(
            ("measure", f"bundle={trained(name, folder)}", f"protocol={system}", *chat, "tracking=none",
             f"measure.sequences={SEQUENCES}", f"output_dir={place}", *where)
        )  # fmt: skip
        if code:
            raise SystemExit(code)
        (written,) = (place / "measure").glob("*/measurement.json")
        shutil.move(written, path)
    return json.loads(path.read_text())


def report(documents: Sequence[tuple[str, Any]]) -> list[str]:
    """A line a measurement: MB and errors of the query, its prompt, and its further tokens."""
    versions = documents[0][1]["versions"]
    lines = [
        f"SPU {versions['spu']}, jax {versions['jax']}, {machine()}, {platform.machine()}",
        f"2 layers, a prompt of {PROMPT} tokens and {GENERATE} generated; mean of {SEQUENCES} queries",
        "",
        f"{'candidate':22}{'system':9}{'MB':>9}{'estimate':>9}{'error':>8}{'prompt':>9}{'error':>8}"
        f"{'a token':>9}{'error':>8}{'same token':>11}",
    ]
    for name, d in documents:
        passes = list(d["passes"].values())
        prompt, tokens = passes[0], passes[1:]
        token, estimate = (sum(t[what] for t in tokens) for what in ("bytes", "estimated_bytes"))
        total = d["total"]
        lines.append(
            f"{name:22}{d['ran']['spu_protocol']:9}{total['bytes'] / 1e6:9.2f}"
            f"{total['estimated_bytes'] / 1e6:9.2f}{total['bytes_error']:+8.1%}{prompt['bytes'] / 1e6:9.2f}"
            f"{prompt['bytes_error']:+8.1%}{token / len(tokens) / 1e6:9.2f}{estimate / token - 1:+8.1%}"
            f"{d['logits']['same_next_token']:11.0%}"
        )
    worst = max(abs(d["total"]["bytes_error"]) for _, d in documents)
    return [*lines, "", f"largest error of a query's bytes {worst:.1%} (goal {GOAL:.0%})"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", help="interpreter of an environment that has spu and jax")
    parser.add_argument("--folder", type=Path, default=Path("outputs/measured"), help="candidates, documents")
    parser.add_argument("--output", type=Path, help="write the table here as well")
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder = asked.folder.resolve()
    documents = [(n, measured(n, s, folder, asked.python)) for s in reversed(SYSTEMS) for n in CANDIDATES]
    command = (
        "$ OMP_NUM_THREADS=1 python -m benchmarks.measured_chat --output benchmarks/results/measured_chat.txt"
    )
    text = "\n".join([command, "", *report(documents)])
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
