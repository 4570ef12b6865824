"""What this machine can do: the checks behind `aero-search doctor`."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from aero_search.integrity import open_to_all
from aero_search.invocation import install, install_mpc, output_option, typed
from aero_search.tracking.journal import journals

_REQUIRED = (
    "torch",
    "lightning",
    "hydra-core",
    "optuna",
    "mlflow",
    "fvcore",
    "rich",
    "moocore",
    "tokenizers",
)
# extra: (module, what it is for)
_EXTRAS = {
    "mpc": ("spu", "real two-party private inference"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "workers on a Ray cluster"),
    "slurm": ("hydra_plugins.hydra_submitit_launcher", "workers on Slurm"),
    "postgres": ("psycopg", "a study shared by several machines"),
    "hf": ("datasets", "corpora from the Hugging Face hub, exports for transformers"),
    "onnx": ("onnxruntime", "exports as ONNX"),
    "eval": ("lm_eval", "tasks of lm-evaluation-harness"),
}


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        essential: whether commands fail without it.
        mend: what to do where it is not ok.
    """

    name: str
    ok: bool
    found: str
    mend: str = ""
    essential: bool = False


def diagnose(output_dir: Path, cache_dir: Path) -> list[Check]:
    """Look at everything; never raises for what it finds."""
    return [*_python(), *_libraries(), *_folders(output_dir, cache_dir), *_devices(), *_extras()]


def _python() -> Iterator[Check]:
    version = platform.python_version()
    yield Check(
        "python", sys.version_info >= (3, 11), version, "install Python 3.11 or later", essential=True
    )


def _libraries() -> Iterator[Check]:
    for name in _REQUIRED:
        try:
            yield Check(name, True, metadata.version(name), essential=True)
        except metadata.PackageNotFoundError:
            yield Check(name, False, "missing", install(), essential=True)


def _folders(output_dir: Path, cache_dir: Path) -> Iterator[Check]:
    for name, folder, mend in (
        ("output folder", output_dir, "give a writable folder with output_dir=FOLDER"),
        ("cache folder", cache_dir, "give a writable folder with AERO_SEARCH_CACHE or data.cache_dir="),
    ):
        yield Check(name, can_write(folder), str(folder), mend, essential=True)
        if open_to_all(folder):
            yield Check(name, False, "every user of this machine may write into it", f"chmod o-w {folder}")
    for name in ("optuna.db", "mlflow.db"):
        path = output_dir / name
        if path.exists():
            mend = f"move {path} away" if name == "mlflow.db" else typed(f"repair{output_option(output_dir)}")
            found = f"{path.stat().st_size / 1e6:.1f} MB"
            yield Check(name, path.is_file() and _sound(path), found, mend, essential=True)
        else:
            yield Check(name, True, "not there yet: the first search makes it")
    missed = journals(output_dir)
    yield Check(
        "tracking",
        not missed,
        "; ".join(f"{journal.count()} operations wait for {journal.destination[0]}" for journal in missed)
        or "all runs uploaded",
        typed(f"sync{output_option(output_dir)}"),
    )


def _devices() -> Iterator[Check]:
    yield Check("cores", True, str(os.cpu_count()))
    if util.find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        yield Check("cuda", True, torch.cuda.get_device_name(0))
    else:
        yield Check("cuda", True, "none: candidates train on the CPU")


def _extras() -> Iterator[Check]:
    for extra, (module, purpose) in _EXTRAS.items():
        found = _importable(module)
        yield Check(
            f"extra {extra}",
            found,
            purpose if found else f"aero-search[{extra}] is absent ({purpose})",
            install_mpc() if extra == "mpc" else install(extra),
        )


def _importable(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it does not exist yet."""
    try:
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False


def _sound(path: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False
