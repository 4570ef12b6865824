"""Estimated against measured private inference, candidate by candidate.

Trains small candidates on the default corpus (a few hundred steps, seconds each), runs each between two processes
under SPU's Cheetah, and compares bytes, seconds and next tokens. A candidate that is done is not done again: stop
it and start it again as often as needed; --again measures anew what is trained. Seconds mean something only if
nothing else runs on the machine; the load beside each row says how it was.

    OMP_NUM_THREADS=1 python -m benchmarks.measured [--beyond] [--python INTERPRETER_WITH_SPU] [--output FILE]

--beyond measures networks of choices that AERO's paper does not have, against a goal of 2 % of the bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aero_search.cli import main as aero_search
from aero_search.measure.measurement import rank_correlation

GOAL_BYTES, GOAL_TOKENS, GOAL_SECONDS_RANK = 0.05, 0.99, 0.8
SEQUENCES = 4
SIZES = ("model.n_layer=2", "model.seq_len=32", "recipe.steps=400", "recipe.validate_every=200")
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "sm_ln_g-64": ("variant=sm_ln_g", "model.vocab_size=512"),
    "sm_ln_r-64": ("variant=sm_ln_r", "model.vocab_size=512"),
    "sm_r-64": ("variant=sm_r", "model.vocab_size=512"),
    "sm_scfuffn-64": ("variant=sm_scfuffn", "model.vocab_size=512"),
    "sm_scffn-128": ("variant=sm_scffn", "model.vocab_size=1024", "model.d_model=128"),
    "pruned-96": ("variant=sm_scfuffn", "ffn.layers=1", "model.vocab_size=1024", "model.d_model=96"),
    "ereg_sm_t_scfuffn-64": ("variant=ereg_sm_t_scfuffn", "model.vocab_size=1024"),
    "sm_ln_g-128": ("variant=sm_ln_g", "model.vocab_size=1024", "model.d_model=128"),
    "sm_ln_r-128-8": ("variant=sm_ln_r", "model.vocab_size=512", "model.d_model=128", "model.n_head=8"),
    "llama_swiglu-64": ("model=llama_proxy", "norm=rmsnorm", "activation=silu", "model.vocab_size=512"),
    "pythia_ln_r-64": ("model.family=pythia", "variant=sm_ln_r", "norm.layers=1", "model.vocab_size=1024"),
    "sota_sm_scfuffn-64": ("variant=sota_sm_scfuffn", "model.vocab_size=512"),
}

_SMALL = ("model.vocab_size=512",)
BEYOND: Mapping[str, tuple[str, ...]] = {
    **{
        f"{kind}-64": ("variant=sm_scfuffn", f"attention.kind={kind}", *_SMALL)
        for kind in ("relu_sum", "relu_count", "square_sum", "power", "linear")
    },
    "relu_sum-128-8": (
        "variant=sm_ln_r",
        "attention.kind=relu_sum",
        "model.d_model=128",
        "model.n_head=8",
        *_SMALL,
    ),
    "softmax_head-64": ("variant=sm_r", "attention.kind=relu_count", "attention.softmax_heads=1", *_SMALL),
    "batchnorm-64": ("variant=sm_r", "norm=batchnorm", "norm.final=batchnorm", *_SMALL),
    "hard_dyt-64": ("variant=sm_r", "norm=hard_dyt", *_SMALL),
    "qk_norm-64": ("variant=sm_r", "attention.qk_norm=rmsnorm", *_SMALL),
    "quadratic-64": ("variant=sm_ln_g", "activation=quadratic_learned", *_SMALL),
    "rank_16-64": ("variant=sm_r", "ffn.rank=16", "model.n_kv_head=2", *_SMALL),
    "no_attention-64": ("variant=sm_ln_r", "attention.kind=[none,softmax]", *_SMALL),
    "public-64": ("variant=sm_r", "model.public_layers=1", *_SMALL),
}
GOAL_BYTES_BEYOND = 0.02


def measured(name: str, overrides: Sequence[str], folder: Path, python: str | None, again: bool) -> Any:
    """The document of one candidate's measurement, trained and measured if it is not there yet."""
    path = folder / f"{name}.json"
    if again:
        path.unlink(missing_ok=True)
    if not path.is_file():
        place = folder / name
        common = (f"output_dir={place}", "tracking=none")
        _run("train", *SIZES, *overrides, *common)
        (candidate,) = (p.parent for p in (place / "train").glob("*/result.json"))
        shutil.rmtree(place / "measure", ignore_errors=True)
        load = os.getloadavg()[0]
        where = () if python is None else (f"measure.python={python}",)
        _run("measure", f"bundle={candidate}", f"measure.sequences={SEQUENCES}", *common, *where)
        (written,) = (place / "measure").glob("*/measurement.json")
        document = {**json.loads(written.read_text()), "load": load}
        path.write_text(json.dumps(document, indent=1) + "\n")
    return json.loads(path.read_text())


def table(documents: Mapping[str, Mapping[str, Any]], goal: float = GOAL_BYTES) -> list[str]:
    """The readings beside the estimates, and what they say together."""
    lines = [
        f"{'candidate':22} {'notation':34} {'MB':>8} {'estimate':>8} {'error':>6} "
        f"{'seconds':>7} {'estimate':>8} {'logit error':>11} {'same token':>10} {'load':>5}"
    ]
    for name, d in documents.items():
        total, logits = d["total"], d["logits"]
        lines.append(
            f"{name:22} {d['notation'][:34]:34} {total['bytes'] / 1e6:8.2f} "
            f"{total['estimated_bytes'] / 1e6:8.2f} {total['bytes_error']:+6.1%} {total['seconds']:7.2f} "
            f"{total['estimated_seconds']:8.2f} {logits['largest_error']:11.2g} "
            f"{logits['same_next_token']:10.1%} {d['load']:5.1f}"
        )
    totals = [d["total"] for d in documents.values()]
    positions = sum(d["logits"]["positions"] for d in documents.values())
    same = sum(d["logits"]["same_next_token"] * d["logits"]["positions"] for d in documents.values())
    worst = max(abs(t["bytes_error"]) for t in totals)
    least = min(d["logits"]["same_next_token"] for d in documents.values())
    ranks = {
        what: rank_correlation([t[f"estimated_{what}"] for t in totals], [t[what] for t in totals])
        for what in ("bytes", "seconds")
    }
    return [
        *lines,
        "",
        f"largest error of bytes {worst:.1%} (goal {goal:.0%})",
        f"same next token: {same:.0f} of {positions}, at least {least:.1%} a candidate (goal {GOAL_TOKENS:.0%})",
        f"rank correlation, estimated with measured: bytes {ranks['bytes']:.3f} (goal 1), "
        f"seconds {ranks['seconds']:.3f} (goal {GOAL_SECONDS_RANK}, nothing else running)",
    ]


def parts_table(documents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Errors of the bytes by part: estimate / reading - 1."""
    parts = list(dict.fromkeys(part for d in documents.values() for part in d["parts"]))
    lines = [f"{'errors of bytes':22} " + " ".join(f"{part[:11]:>11}" for part in parts)]
    for name, d in documents.items():
        errors = (d["parts"].get(part, {}).get("bytes_error") for part in parts)
        lines.append(f"{name:22} " + " ".join(f"{'' if e is None else f'{e:+.1%}':>11}" for e in errors))
    return lines


def _run(*arguments: str) -> None:
    code = aero_search(arguments)
    if code:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", help="interpreter of an environment that has spu and jax")
    parser.add_argument(
        "--folder", type=Path, default=Path("outputs/measured"), help="candidates and documents"
    )
    parser.add_argument("--output", type=Path, help="write the table here as well")
    parser.add_argument("--beyond", action="store_true", help="networks of choices beyond AERO's")
    parser.add_argument("--only", nargs="*", choices=[*CANDIDATES, *BEYOND], help="these candidates alone")
    parser.add_argument("--again", action="store_true", help="measure anew what is trained")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    documents = {
        name: measured(name, overrides, arguments.folder.resolve(), arguments.python, arguments.again)
        for name, overrides in (BEYOND if arguments.beyond else CANDIDATES).items()
        if not arguments.only or name in arguments.only
    }
    versions = next(iter(documents.values()))["versions"]
    text = "\n".join(
        [
            f"$ OMP_NUM_THREADS=1 python -m benchmarks.measured{' --beyond' if arguments.beyond else ''}"
            + (f" --output {arguments.output}" if arguments.output else ""),
            "",
            f"SPU {versions['spu']} Cheetah, jax {versions['jax']}, two processes over 127.0.0.1, "
            f"{os.cpu_count()} cores, {platform.machine()}",
            f"2 layers, 32 tokens, private weights, trained 400 steps; mean of {SEQUENCES} passes, set-up apart",
            "",
            *table(documents, GOAL_BYTES_BEYOND if arguments.beyond else GOAL_BYTES),
            "",
            *parts_table(documents),
        ]
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
