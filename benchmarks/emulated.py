"""Emulated fixed point beside real private inference: the same networks and the same held-out windows in both.

Four candidates of benchmarks/measured.py, trained where they are not yet, each run between real processes under
SPU's Cheetah, SEMI2K and ABY3 and emulated in one process. What is done is not done again. `float`, `real` and
`emulated` are perplexities; `spread` is the standard error of the real log perplexity over the windows; `same` is
the share of positions where real and emulated logits have the same most likely next token.

    OMP_NUM_THREADS=1 python -m benchmarks.emulated [--python INTERPRETER_WITH_SPU] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aero_search.app.measure_target import MeasureTarget
from aero_search.architecture import Architecture
from aero_search.cost import Network, shipped_protocol
from aero_search.data import prepare
from aero_search.data.spec import CorpusSpec
from aero_search.data.windows import held_out_windows
from aero_search.measure.emulate import emulate, quality
from aero_search.measure.environment import machine
from aero_search.measure.mailbox import read_arrays, runtime_of
from aero_search.measure.run import measure, plan
from aero_search.schema import from_mapping
from aero_search.search.files import CONFIG_FILE
from aero_search.user_files import read_settings
from benchmarks.measured_systems import trained

GOAL_TOKENS = 0.99
CASES = (
    ("sm_ln_g-64", "spu_cheetah_0_9_5", {}),
    ("sm_ln_g-64", "spu_semi2k", {}),
    ("sm_ln_g-64", "spu_aby3", {}),
    ("sm_ln_g-64", "spu_aby3", {"gelu": "gelu_puma", "softmax": "softmax_bumblebee"}),
    ("llama_swiglu-64", "spu_cheetah_0_9_5", {}),
    ("llama_swiglu-64", "spu_aby3", {}),
    ("pythia_ln_r-64", "spu_cheetah_0_9_5", {}),
    ("pythia_ln_r-64", "spu_semi2k", {}),
    ("ereg_sm_t_scfuffn-64", "spu_cheetah_0_9_5", {}),
    ("ereg_sm_t_scfuffn-64", "spu_semi2k", {}),
)


def compared(
    name: str, system: str, use: dict[str, str], windows: int, folder: Path, python: str | None
) -> Any:
    """The figures of one candidate under one system, taken if they are not there yet."""
    path = folder / f"emulated-{'-'.join([name, system, *use.values()])}-{windows}.json"
    if not path.is_file():
        place = trained(name, folder)
        architecture = from_mapping(Architecture, read_settings(place / "architecture.yaml"))
        model = MeasureTarget(name, architecture, place / "weights.safetensors", None).model(0)
        spec = from_mapping(CorpusSpec, read_settings(place / CONFIG_FILE)["data"])
        corpus = prepare(spec, architecture.vocab_size)
        windows_ns = held_out_windows(corpus, architecture.seq_len, windows)
        protocol = shipped_protocol(system)
        protocol = replace(protocol, use={**protocol.use, **use})
        parties = folder / "emulated-parties"
        shutil.rmtree(parties, ignore_errors=True)
        planned = plan(model, protocol, Network("loopback", 1e4, 0.0), windows, shaped=False)
        measured = measure(model, windows_ns[:, :-1], planned, parties / "real", python=python)
        found = emulate(model, protocol, windows_ns, parties / "alone", python=python)
        real, alone = (
            np.stack([read_arrays(parties / at / "logits.npz")[f"sequence{i}"] for i in range(windows)])
            for at in ("real/client", "alone/server")
        )
        of_real = quality(real, windows_ns[:, 1:])
        document = {
            "candidate": name,
            "system": runtime_of(protocol).protocol,
            "lowerings": ", ".join(use.values()) or "default",
            "positions": int(real[..., 0].size),
            "plain": found.plain.loss,
            "real": of_real.loss,
            "emulated": found.emulated.loss,
            "spread": of_real.spread,
            "same": float((real.argmax(-1) == alone.argmax(-1)).mean()),
            "same_as_plain": found.same_next_token,
            "largest_difference": float(np.abs(real - alone).max()),
            "versions": dict(measured.versions),
        }
        path.write_text(json.dumps(document, indent=1) + "\n")
        shutil.rmtree(parties)
    return json.loads(path.read_text())


def report(documents: Sequence[Any], windows: int) -> list[str]:
    """The table, and whether the goals are met."""
    versions = documents[0]["versions"]
    lines = [
        f"SPU {versions['spu']}, jax {versions['jax']}, {machine()}, {platform.machine()}",
        f"2 layers, 32 tokens, trained 400 steps; {windows} held-out windows",
        "",
        f"{'candidate':22}{'system':9}{'lowerings':30}{'float':>9}{'real':>9}{'emulated':>9}{'log diff':>10}"
        f"{'spread':>8}{'same':>8}{'logit diff':>11}",
    ]
    lines += [
        f"{d['candidate']:22}{d['system']:9}{d['lowerings']:30}{math.exp(d['plain']):9.3f}"
        f"{math.exp(d['real']):9.3f}{math.exp(d['emulated']):9.3f}{d['emulated'] - d['real']:+10.1e}"
        f"{d['spread']:8.3f}{d['same']:8.2%}{d['largest_difference']:11.1e}"
        for d in documents
    ]
    least = min(d["same"] for d in documents)
    shares = [abs(d["emulated"] - d["real"]) / d["spread"] for d in documents]
    positions = sum(d["positions"] for d in documents)
    return [
        *lines,
        "",
        f"same next token, emulated and real: at least {least:.2%} a row, "
        f"{sum(d['same'] * d['positions'] for d in documents):.0f} of {positions} (goal {GOAL_TOKENS:.0%} a row)",
        f"difference of log perplexity: at most {max(shares):.2%} of the spread of the windows (goal 100 %)",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", help="interpreter of an environment that has spu and jax")
    parser.add_argument("--folder", type=Path, default=Path("outputs/measured"), help="candidates, documents")
    parser.add_argument("--windows", type=int, default=8, help="held-out windows of 32 tokens")
    parser.add_argument("--output", type=Path, help="write the table here as well")
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder = asked.folder.resolve()
    documents = [compared(*case, asked.windows, folder, asked.python) for case in CASES]
    lines = [
        "$ OMP_NUM_THREADS=1 python -m benchmarks.emulated --output benchmarks/results/emulated.txt",
        "",
        *report(documents, asked.windows),
    ]
    text = "\n".join(lines)
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
