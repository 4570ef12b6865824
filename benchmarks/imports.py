"""Seconds until commands can begin: what they import, and the modules that take longest, by `python -X importtime`.

Each command's module is imported in a fresh interpreter, several times, in turns; figures are medians. Beside it is
`aero-search COMMAND --help`, which composes the command's settings as well.

    python -m benchmarks.imports [--rounds N] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training import RESULTS, environment

COMMANDS = ("cost", "front", "report", "export", "plan", "doctor")
# A line of -X importtime: own microseconds, cumulative ones, the module indented by its depth.
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")
_DEAREST = 3


@dataclass(frozen=True)
class Imports:
    """One fresh interpreter.

    Attributes:
        seconds: processor seconds of the interpreter, its own start included.
        own: microseconds of each module without what it imports.
    """

    seconds: float
    own: dict[str, int]


def imports_of(module: str) -> Imports:
    """Import a module in a fresh interpreter."""
    return _run([sys.executable, "-X", "importtime", "-c", f"import {module}"])


def help_of(command: str) -> Imports:
    """Ask a command for its help in a fresh interpreter."""
    return _run([sys.executable, "-X", "importtime", "-m", "aero_search", command, "--help"])


def _run(command: Sequence[str]) -> Imports:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = (match for line in told.splitlines() if (match := _LINE.match(line)))
    return Imports(seconds, {match[4]: int(match[1]) for match in found})


def packages(own: dict[str, int]) -> list[tuple[str, float]]:
    """Seconds by top-level package, dearest first."""
    totals: dict[str, float] = {}
    for module, microseconds in own.items():
        top = module.partition(".")[0]
        totals[top] = totals.get(top, 0.0) + microseconds / 1e6
    return sorted(totals.items(), key=lambda item: -item[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of imports.json and imports.md")
    options = parser.parse_args()
    where = environment(" ".join(["python -m benchmarks.imports", *sys.argv[1:]]))
    began = time.monotonic()
    modules: dict[str, list[Imports]] = {command: [] for command in COMMANDS}
    helps: dict[str, list[Imports]] = {command: [] for command in COMMANDS}
    for _ in range(options.rounds):
        for command in COMMANDS:
            modules[command].append(imports_of(f"aero_search.commands.{command}"))
            helps[command].append(help_of(command))
    where["minutes"] = round((time.monotonic() - began) / 60, 1)
    rows, said = [], {}
    for command in COMMANDS:
        imported = statistics.median(run.seconds for run in modules[command])
        helped = statistics.median(run.seconds for run in helps[command])
        dearest = packages(modules[command][-1].own)[:_DEAREST]
        said[command] = {"import_s": imported, "help_s": helped, "dearest": dict(dearest)}
        names = ", ".join(f"{name} {seconds:.2f}" for name, seconds in dearest)
        rows.append(f"| {command} | {imported:.2f} | {helped:.2f} | {names} |")
    lines = [
        "# Imports of commands: processor seconds",
        "",
        f"`{where['command']}`",
        "",
        ", ".join(f"{name} {value}" for name, value in where.items() if name != "command") + ".",
        "",
        f"Medians of {options.rounds} fresh interpreters. The dearest packages are wall seconds of one of them.",
        "",
        "| command | import | --help | dearest packages |",
        "|---|---|---|---|",
        *rows,
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "imports.md").write_text(text)
    document = {"environment": where, "commands": said}
    (options.output / "imports.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
