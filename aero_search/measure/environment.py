"""Which Python runs the two parties, and whether it can: SPU needs Python below 3.12 and numpy below 2."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from aero_search.errors import RequestError
from aero_search.invocation import install_mpc
from aero_search.user_path import user_path

INSTALL = f"{install_mpc()}, or that of another environment with spu==0.9.5 and jax==0.4.34 under Python 3.11"
_PROBE = """
import json, sys
from importlib.metadata import version, PackageNotFoundError
found = {"python": sys.version.split()[0]}
for name in ("spu", "jax", "numpy"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Environment:
    """A Python that can run a party.

    Attributes:
        python: its interpreter.
        versions: of python, spu, jax and numpy.
    """

    python: Path
    versions: dict[str, str]


def find_environment(python: str | Path | None = None) -> Environment:
    """Look for SPU, in this environment or in the one whose interpreter is given.

    Raises:
        RequestError: there is no such interpreter, or it has no SPU; says what to install.
    """
    if python is None and importlib.util.find_spec("spu") is None:
        raise RequestError(f"private inference needs SPU, which is not installed here: {INSTALL}")
    # Not resolved: the link inside a virtual environment is what makes it one.
    path = user_path(python or sys.executable).absolute()
    try:
        probe = subprocess.run(
            [str(path), "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True
        )
        versions: dict[str, str | None] = json.loads(probe.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError) as problem:
        raise RequestError(f"measure.python={python} is not a Python interpreter: {problem}") from problem
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        raise RequestError(f"{path} has no {' and no '.join(missing)}: {INSTALL}")
    return Environment(path, {name: str(version) for name, version in versions.items()})


def cores() -> int:
    """Hardware threads that may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """The processor and how many cores may be used; no name of the host."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {cores()} cores"
