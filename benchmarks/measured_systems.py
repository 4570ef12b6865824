"""Estimated against measured under SPU's other systems: ABY3 and SecureNN, three processes; SEMI2K, two.

The candidates of benchmarks/measured.py, trained where they are not yet, each measured under all. What is done is
not done again; --again measures anew. Seconds mean something only if nothing else runs on the machine; the load
beside each row says how it was.

    OMP_NUM_THREADS=1 python -m benchmarks.measured_systems [--python INTERPRETER_WITH_SPU] [--systems NAME ...]
        [--only CANDIDATE ...] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aero_search.cli import main as aero_search
from aero_search.measure.environment import machine
from benchmarks.measured import CANDIDATES, SIZES, parts_table, table

PROTOCOLS = ("spu_aby3", "spu_securenn", "spu_semi2k")
GOAL_BYTES = 0.02
SEQUENCES = 2


def trained(name: str, folder: Path) -> Path:
    """The folder of a candidate; it is trained if it is not there yet."""
    place = folder / name
    if not list((place / "train").glob("*/result.json")):
        _run("train", *SIZES, *CANDIDATES[name], f"output_dir={place}", "tracking=none")
    (result,) = (place / "train").glob("*/result.json")
    return result.parent


def measured(name: str, protocol: str, folder: Path, python: str | None, again: bool) -> Any:
    """The document of one measurement, taken if it is not there yet."""
    path = folder / f"{name}-{protocol}.json"
    if again or not path.is_file():
        candidate = trained(name, folder)
        place = folder / name
        shutil.rmtree(place / "measure", ignore_errors=True)
        load = os.getloadavg()[0]
        where = () if python is None else (f"measure.python={python}",)
        _run("measure", f"bundle={candidate}", f"protocol={protocol}", f"measure.sequences={SEQUENCES}",
             f"output_dir={place}", "tracking=none", *where)  # fmt: skip
        (written,) = (place / "measure").glob("*/measurement.json")
        document = {**json.loads(written.read_text()), "load": load}
        path.write_text(json.dumps(document, indent=1) + "\n")
    return json.loads(path.read_text())


def report(protocol: str, documents: dict[str, Any]) -> list[str]:
    """One system's tables; the goal of bytes is this benchmark's own."""
    versions = next(iter(documents.values()))["versions"]
    lines = table(documents, GOAL_BYTES)
    return [
        f"{protocol}: SPU {versions['spu']}, jax {versions['jax']}, processes over 127.0.0.1 on {machine()}, "
        f"{platform.machine()}",
        "",
        *lines,
        "",
        *parts_table(documents),
        "",
    ]


def _said(asked: argparse.Namespace) -> str:
    """The options that say what is measured and where the tables go."""
    systems = [] if tuple(asked.systems) == PROTOCOLS else ["--systems", *asked.systems]
    only = [] if asked.only == list(CANDIDATES) else ["--only", *asked.only]
    return " ".join([*systems, *only, *(["--output", str(asked.output)] if asked.output else [])])


def _run(*arguments: str) -> None:
    if code := aero_search(arguments):
        raise SystemExit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", help="interpreter of an environment that has spu and jax")
    parser.add_argument("--folder", type=Path, default=Path("outputs/measured"), help="candidates, documents")
    parser.add_argument("--output", type=Path, help="write the tables here as well")
    parser.add_argument("--only", nargs="*", choices=CANDIDATES, default=list(CANDIDATES), help="these alone")
    parser.add_argument(
        "--systems", nargs="*", choices=PROTOCOLS, default=list(PROTOCOLS), help="these alone"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what is trained")
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder = asked.folder.resolve()
    lines = [
        f"$ OMP_NUM_THREADS=1 python -m benchmarks.measured_systems {_said(asked)}",
        "",
        f"2 layers, 32 tokens, secret weights, trained 400 steps; mean of {SEQUENCES} passes, set-up apart",
        "",
    ]
    found: dict[str, dict[str, Any]] = {protocol: {} for protocol in asked.systems}
    for name in asked.only:
        for protocol in asked.systems:
            found[protocol][name] = measured(name, protocol, folder, asked.python, asked.again)
    for protocol, documents in found.items():
        lines += report(protocol, documents)
    text = "\n".join(lines).rstrip()
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
