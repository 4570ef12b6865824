"""Tokens a processor second of a training step: the whole tool beside bare loops of ours and of others.

Contenders take turns in blocks of steps, in one process and on one thread; start-up and the first step belong to no
block. Figures are medians over rounds, ratios have the interval of 95 % that the rounds give (see interleaved.py).

    OMP_NUM_THREADS=1 python -m benchmarks.training             # about 7 minutes
    OMP_NUM_THREADS=1 python -m benchmarks.training --quick     # about 1 minute: the proxy alone, few rounds

The contenders:
- whole tool: `aero-search train`, Lightning and MLflow tracking included, without its progress bar.
- bare loop: our model, loss, optimizer and schedule in a plain loop.
- nanoGPT: a re-implementation of its model and loop at the same sizes (benchmarks/peers/nanogpt.py).
- GPT2LMHeadModel: transformers' GPT-2 in a plain loop.
- HF Trainer: the same model under Trainer, where accelerate is installed.
- with entropy: the regularizer at every step of the same network; and transformers' GPT-2 with eager attention and
  the penalty head by head, which is how the AERO authors' stack does it.
- Muon: our bare loop with recipe.optimizer=muon.
- one product: our bare loop with queries, keys and values in one product.
- two seeds: both in one stacked pass; tokens of both.
- products alone: the matrix products of one step and nothing else.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aero_search.data.corpus import Corpus
from benchmarks.interleaved import Contender, Loop, Paced, Ratio, take_turns, times_as_fast
from benchmarks.peers import huggingface, nanogpt, ours
from benchmarks.write_report import processor

RESULTS = Path("benchmarks/results")
TOOL, BARE, NANOGPT, GPT2, TRAINER = "whole tool", "bare loop", "nanoGPT", "GPT2LMHeadModel", "HF Trainer"
TOOL_ENTROPY, BARE_ENTROPY = "whole tool, with entropy", "bare loop, with entropy"
EAGER = "eager GPT-2 with entropy"
MUON, SEEDS, PRODUCTS = "bare loop, Muon", "bare loop, two seeds", "products alone"
JOINED = "bare loop, one product"
# Whom a contender is compared with, and the goal where there is one.
PAIRS = (
    (TOOL, BARE, {"d=64": 0.97, "GPT-2 small": 0.99}),
    (TOOL, NANOGPT, {"d=64": 1.15, "GPT-2 small": 1.05}),
    (TOOL, GPT2, {}),
    (TOOL, TRAINER, {"d=64": 1.6, "GPT-2 small": 1.2}),
    (TOOL_ENTROPY, EAGER, {"d=64": 2.0, "GPT-2 small": 2.0}),
    (TOOL_ENTROPY, BARE_ENTROPY, {}),
    (MUON, BARE, {"d=64": 1 / 1.08}),
    (SEEDS, BARE, {"d=64": 2 / 1.6}),
    (JOINED, BARE, {}),
    (TOOL, PRODUCTS, {}),
)
PLAIN = (TOOL, BARE, NANOGPT, GPT2, TRAINER)
ENTROPY = (TOOL_ENTROPY, BARE_ENTROPY, EAGER)


@dataclass(frozen=True)
class Case:
    """A size, and who is measured at it.

    Attributes:
        overrides: as `aero-search train` takes them.
        steps: of a block.
        contenders: measured together.
    """

    name: str
    overrides: tuple[str, ...]
    rounds: int
    steps: int
    contenders: tuple[str, ...]


_PROXY = ("model=proxy", "recipe=proxy_adamw", "recipe.batch_size=16")
_SMALL = ("model=gpt2_small", "recipe=proxy_adamw", "recipe.batch_size=4")
FULL = (
    Case("d=64", _PROXY, 12, 6, (*PLAIN, *ENTROPY, MUON, JOINED, SEEDS, PRODUCTS)),
    Case("d=128", (*_PROXY, "model.d_model=128"), 8, 2, (*PLAIN, *ENTROPY, MUON, JOINED, PRODUCTS)),
    Case("GPT-2 small", _SMALL, 5, 1, (*PLAIN, JOINED, PRODUCTS)),
    Case("GPT-2 small, with entropy", _SMALL, 5, 1, ENTROPY),
)
QUICK = (Case("d=64", _PROXY, 8, 3, (*PLAIN, *ENTROPY, MUON, JOINED, SEEDS, PRODUCTS)),)


@dataclass(frozen=True)
class Measured:
    """A case that has been measured.

    Attributes:
        tokens: of a step, by contender.
        seconds: a step, one value a round, by contender.
        skipped: reasons, by contender.
    """

    case: Case
    tokens: Mapping[str, int]
    seconds: Mapping[str, Sequence[float]]
    skipped: Mapping[str, str]

    def speed(self, name: str) -> float:
        """Tokens a processor second."""
        return self.tokens[name] / statistics.median(self.seconds[name])

    def ratio(self, one: str, other: str) -> Ratio | None:
        """How many times the other's tokens one trains in a second; None where one of them was not measured."""
        if one not in self.seconds or other not in self.seconds:
            return None
        each = {name: [s / self.tokens[name] for s in self.seconds[name]] for name in (one, other)}
        return times_as_fast(each[one], each[other])


def make_corpus(folder: Path, vocab_size: int, seed: int = 0) -> Corpus:
    """Tokens by Zipf's law: speed does not depend on what they say."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, vocab_size + 1)
    folder.mkdir(parents=True)
    for name, count in (("train", 400_000), ("validation", 100_000)):
        tokens = random.choice(vocab_size, size=count, p=shares / shares.sum())
        tokens.astype("<u2").tofile(folder / f"{name}.bin")
    (folder / "meta.json").write_text(json.dumps({"vocab_size": vocab_size}))
    return Corpus.open(folder)


def contender(name: str, case: Case, corpus: Corpus, folder: Path) -> Contender:
    """Make one ready for its first block."""
    overrides = list(case.overrides)
    if name in (TOOL_ENTROPY, BARE_ENTROPY):
        overrides += ["regularizer=entropy", "regularizer.every=1"]
    if name == MUON:
        overrides += ["recipe.optimizer=muon", "recipe.adamw_lr=1e-3"]
    request = ours.request_of(overrides, folder / name, corpus.folder)
    a, batch_size = request.architecture, request.recipe.batch_size
    sizes = nanogpt.Sizes(a.vocab_size, a.seq_len, a.n_layer, a.n_head, a.d_model)
    if name in (TOOL, TOOL_ENTROPY):
        return Paced(functools.partial(ours.run_tool, request))
    if name == TRAINER:
        batches = ours.batches_of(request, corpus)
        return Paced(functools.partial(huggingface.run_trainer, sizes, batches, batch_size))
    makers: dict[str, Callable[[], Callable[[], None]]] = {
        NANOGPT: lambda: nanogpt.make_step(sizes, corpus.train_path, batch_size),
        GPT2: lambda: huggingface.make_step(sizes, ours.batches_of(request, corpus)),
        EAGER: lambda: huggingface.make_step(sizes, ours.batches_of(request, corpus), entropy=True),
        SEEDS: lambda: ours.make_stacked_step(request, corpus),
        JOINED: lambda: ours.make_step(request, corpus, joined=True),
        PRODUCTS: lambda: ours.make_products(request),
    }
    return Loop(makers.get(name, lambda: ours.make_step(request, corpus))())


def measure(case: Case, folder: Path) -> Measured:
    """Let the contenders of a case take turns."""
    request = ours.request_of(case.overrides, folder, folder)
    a, batch_size = request.architecture, request.recipe.batch_size
    corpus = make_corpus(folder / "corpus", a.vocab_size)
    without_trainer = huggingface.missing()
    skipped = {TRAINER: without_trainer} if without_trainer and TRAINER in case.contenders else {}
    with ExitStack() as stack:
        ready: dict[str, Contender] = {}
        for name in case.contenders:
            if name not in skipped:
                ready[name] = contender(name, case, corpus, folder)
                stack.callback(ready[name].close)
        seconds = take_turns(ready, case.rounds, case.steps)
    tokens = {name: batch_size * a.seq_len * (2 if name == SEEDS else 1) for name in seconds}
    return Measured(case, tokens, seconds, skipped)


def environment(command: str) -> dict[str, Any]:
    """Where it was measured, and how busy the machine was."""
    packages = ("torch", "lightning", "transformers", "numpy")
    return {
        "command": command,
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load average at the start": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def markdown(found: Sequence[Measured], where: Mapping[str, Any], minutes: float) -> str:
    """Tables of tokens a second and of ratios."""
    lines = ["# Training: tokens a processor second", "", f"`{where['command']}`", ""]
    facts = (f"{name} {value}" for name, value in where.items() if name != "command")
    lines += [", ".join(facts) + f"; {minutes:.1f} minutes.", ""]
    if where["load average at the start"] > 1.0:
        lines += ["Measured on a busy machine: ratios hold better than tokens a second do.", ""]
    names = list(dict.fromkeys(name for m in found for name in m.case.contenders))
    lines += [f"| | {' | '.join(m.case.name for m in found)} |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        cells = [f"{m.speed(name):,.0f}" if name in m.seconds else m.skipped.get(name, "") for m in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "Ratios of tokens a second, their intervals of 95 %, and goals:", ""]
    lines += ["| | size | ratio | goal |", "|---|---|---|---|"]
    for one, other, goals in PAIRS:
        for m in found:
            if (ratio := m.ratio(one, other)) is not None:
                goal = goals.get(m.case.name.removesuffix(", with entropy"))
                lines.append(
                    f"| {one} / {other} | {m.case.name} | {ratio} | {'' if goal is None else f'{goal:.2f}'} |"
                )
    lines += [
        "",
        "nanoGPT is a re-implementation of its model and loop at the same sizes. Muon's goal is a step of at most "
        "1.08 times AdamW's, that of two seeds 1.6 times the time of one. GPT-2 small has batches of 4 x 128 "
        "tokens, the others of 16 x 128.",
    ]
    return "\n".join(lines) + "\n"


def document(found: Sequence[Measured], where: Mapping[str, Any]) -> dict[str, Any]:
    """All of it as data."""
    cases = [
        {
            **asdict(m.case),
            "tokens_a_second": {name: round(m.speed(name), 1) for name in m.seconds},
            "seconds_a_step": {name: [round(s, 6) for s in each] for name, each in m.seconds.items()},
            "tokens_a_step": dict(m.tokens),
            "ratios": {
                f"{one} / {other}": [round(r.value, 4), round(r.low, 4), round(r.high, 4)]
                for one, other, _ in PAIRS
                if (r := m.ratio(one, other)) is not None
            },
            "skipped": dict(m.skipped),
        }
        for m in found
    ]
    return {"environment": dict(where), "cases": cases}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the proxy alone, few rounds")
    parser.add_argument("--only", help="names of cases, with commas between")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="folder of training.json and training.md"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = environment(" ".join(["OMP_NUM_THREADS=1 python -m benchmarks.training", *sys.argv[1:]]))
    cases = [c for c in (QUICK if options.quick else FULL) if not options.only or c.name in options.only]
    began, found = time.monotonic(), []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(case, Path(folder)))
    text = markdown(found, where, (time.monotonic() - began) / 60)
    print(text, end="")
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "training.md").write_text(text)
    (options.output / "training.json").write_text(json.dumps(document(found, where), indent=1) + "\n")


if __name__ == "__main__":
    main()
