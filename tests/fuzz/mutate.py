"""Seeded mutations of command lines and of files: what hands, editors and disks make of valid ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aero_search.config.paths import conf_dir, search_spaces_dir

# Commands that train nothing; `search` and `train` are asked in a way that ends before the corpus is prepared.
COMMANDS = ("cost", "plan", "front", "export", "verify", "report", "search", "train", "ablate")
_UNTRAINED = {
    "search": ["output_dir=/proc/none"],
    "train": ["output_dir=/proc/none"],
    "ablate": ["output_dir=/proc/none"],
    "plan": ["space=tiny", "limit=3", "samples=3"],
}
_GROUPS = (
    "model", "norm", "activation", "ffn", "stabilizer", "attention", "regularizer", "variant", "data", "recipe",
    "compute", "objective", "protocol", "network", "search", "search/sampler", "search/rungs",
    "objective/constraints", "tracking", "architecture", "hydra/launcher",
)  # fmt: skip
_FIELDS = (
    "model.n_layer", "model.n_head", "model.d_model", "model.seq_len", "model.vocab_size", "model.ffn_ratio",
    "model.n_kv_head", "model.family", "norm.kind", "norm.layers", "ffn.kind", "ffn.layers",
    "attention.temperature",
    "attention.temperature_init", "regularizer.weight", "regularizer.margin", "regularizer.every", "recipe.steps",
    "recipe.lr", "recipe.seed", "recipe.batch_size", "recipe.precision", "search.seed", "search.threads",
    "search.workers", "search.n_trials", "search.storage", "search.sampler.n_startup", "objective.metrics",
    "objective.constraints.latency_s.max", "objective.constraints.communication_bytes.max", "objective.target",
    "network.bandwidth_mbps", "network.rtt_ms", "network.name", "data.path", "data.exclude", "data.train_mb",
    "output_dir", "format", "space", "study.name", "study", "hydra.verbose", "hydra.run.dir", "hydra.searchpath",
    "hydra.sweeper._target_", "hydra.launcher.n_jobs", "hydra.job.env_copy", "protocol.title", "table", "decode",
    "limit", "samples", "seed", "pick", "to", "bundle", "kind", "architecture", "tracking.uri", "ladder",
)  # fmt: skip
VALUES = (
    "", "0", "1", "-1", "2", "7", "1e309", "-1e309", "1e-400", "nan", "inf", "null", "true", "false", "1e300",
    "18446744073709551616", "9223372036854775807", "99999999999", "[]", "{}", "[1,2]", "[null]",
    "{a: 1}", "[[1]]",
    "{a: {b: [1]}}", "all", "full", "none", "gelu", "gpt2_small", "proxy", "tiny", "aero", "1 ns", "2 GB", "30 s",
    "'a b'", "'${x}'", "${oc.env:HOME}", "${oc.env:NOPE}", "${model.d_model}", "${python_version:nope}",
    "${", "a,b",
    "1,2,x", "range(1,4)", "range(1,10,0)", "range(0,1e12)", "interval(0,1)", "interval(1,0)", "choice(1,2)",
    "tag(log,interval(1e-4,1e-2))", "tag(x,1,2)", "shuffle(range(1,5))", "sort(3,1)", "glob(*)",
    "int(3.7)", "int(x)",
    "str(1)", "float(nan)", "json_str(1)", "extend_list(1)", ".", "..", "/", "../..", "/proc/none",
    "-0.0", "'", '"', "\\",
    "a{b}", "o%20x", "%s", "\x1b[31m", "é", "漢字", "\u202e", "a\nb", "x" * 300, "9" * 400, "9" * 5000,
    "[" * 500, "{" * 100,
    "0x1f", "1_000", "2026-11-28", "~", "!!python/object:os.system", "postgresql://u:p@h/d",
    "http://u:p@127.0.0.1:9",
)  # fmt: skip
_FLAGS = (
    "--run", "--multirun", "-m", "--cfg", "--cfg=job", "--cfg=hydra", "--resolve", "--info",
    "--info=defaults", "--help",
    "--hydra-help", "--shell-completion", "-sc", "--config-dir=.", "--config-dir=none", "--config-name=cost",
    "--config-name=none", "--package=model", "--experimental-rerun=x", "--", "-", "-x", "--cfg=x",
)  # fmt: skip
# Kinds of files, and the command that reads one of the name `fz`.
KINDS = {
    "network": ["cost", "network=fz"],
    "protocol": ["cost", "protocol=fz"],
    "model": ["cost", "model=fz"],
    "norm": ["cost", "norm=fz"],
    "variant": ["cost", "variant=fz"],
    "recipe": ["plan", "recipe=fz", *_UNTRAINED["plan"]],
    "objective": ["plan", "objective=fz", *_UNTRAINED["plan"]],
    "search": ["plan", "search=fz", *_UNTRAINED["plan"]],
    "ladder": ["ablate", "ladder=fz", *_UNTRAINED["ablate"]],
    "data": ["train", "data=fz", *_UNTRAINED["train"]],
    "space": ["plan", "space=fz.yaml", "limit=3", "samples=3"],
}
_LINES = (
    b"defaults: ..", b"defaults: [[a, b]]", b"defaults: [{a: 1}]", b"defaults: [fz]",
    b"defaults: [none]", b"defaults:",
    b"defaults: [override model: proxy]", b"defaults: [optional x: y]", b"hydra: {run: {dir: x}}",
    b"_target_: os.system",
    b"# @package", b"# @package _global_", b"# @package a b", b"name: ${name}", b"x: ${oc.env:HOME}",
    b"a: &a [*a]",
    b"<<: {a: 1}", b"? [x]", b"---", b"...", b"%YAML 9.9", b"!!set {a}", b"\tx: 1", b"x:" + b"[" * 2000,
    b"x: " + b"9" * 5000,
    b"base: {output_dir: x}", b"low: 1e-3", b"true: 1", b"1: 2", b"null: 3", b"'': x",
    b"x: !!binary zz", b"- x", b"x: |",
    b"int: {low: 0, high: 1e12}", b"choices: []", b"when: {norm: none}", b"each: layer", b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One command line, with the files that lie in its folder."""

    arguments: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = field(default=())


def command_line(rng: random.Random) -> Case:
    """A command with one to three settings or flags, some of which it can take."""
    command = rng.choice(COMMANDS)
    arguments = [command, *_UNTRAINED.get(command, ())]
    count = rng.choice((1, 1, 1, 2, 3))
    settings = [_flag(rng) if rng.random() < 0.08 else _setting(rng) for _ in range(count)]
    arguments += settings
    if any("output_dir" in setting for setting in settings):
        # One that can be written would let hours of training begin; the last one counts.
        arguments += _UNTRAINED.get(command, ())
    return Case(tuple(argument.replace("\0", "0") for argument in arguments))


def _flag(rng: random.Random) -> str:
    return rng.choice(_FLAGS)


def _setting(rng: random.Random) -> str:
    name = rng.choice(_GROUPS if rng.random() < 0.4 else _FIELDS)
    text = f"{rng.choice(('', '', '', '', '+', '++', '~'))}{name}={rng.choice(VALUES)}"
    if rng.random() < 0.3:
        text = _cut(rng, text.encode(), VALUES).decode("utf-8", "replace")
    return text


def file_case(rng: random.Random) -> Case:
    """A command that reads one file, mutated from those that ship."""
    kind = rng.choice(list(KINDS))
    data = rng.choice(_seeds(kind)).read_bytes()
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = _mutated(rng, data)
    if kind == "space":
        return Case(tuple(KINDS[kind]), (("fz.yaml", data),))
    return Case((*KINDS[kind], "--config-dir", "mine"), ((f"mine/{kind}/fz.yaml", data),))


def _seeds(kind: str) -> Sequence[Path]:
    folder = search_spaces_dir() if kind == "space" else conf_dir() / kind
    return sorted(folder.glob("*.yaml"))


def _mutated(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    way = rng.randrange(6)
    if way == 0:
        lines.insert(at, rng.choice(_LINES))
    elif way == 1:
        lines[at] = lines[at] + b"\n" + lines[at]
    elif way == 2:
        key, colon, _ = lines[at].partition(b":")
        lines[at] = key + colon + b" " + rng.choice(VALUES).encode()
    elif way == 3:
        del lines[at]
    elif way == 4:
        return data[: rng.randrange(len(data) + 1)]
    else:
        return _cut(rng, data, VALUES)
    return b"\n".join(lines)


def _cut(rng: random.Random, data: bytes, values: Sequence[str]) -> bytes:
    """A byte changed, dropped or doubled, or a value put in the middle."""
    at = rng.randrange(len(data) + 1)
    way = rng.randrange(4)
    if way == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if way == 1:
        return data[:at] + data[at + 1 :]
    if way == 2:
        return data[:at] + data[at : at + 9] * 2 + data[at + 9 :]
    return data[:at] + rng.choice(values).encode() + data[at:]


def cases(seed: int, count: int) -> list[Case]:
    """`count` cases of a seed, half command lines and half files."""
    rng = random.Random(seed)
    return [command_line(rng) if i % 2 else file_case(rng) for i in range(count)]
