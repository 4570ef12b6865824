"""Runs one case in this process, whole or its reading alone, and says in one line what is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from omegaconf import OmegaConf

from aero_search.cli import main
from aero_search.config.file_source import StrictFileSource
from aero_search.config.flags import read_flags
from aero_search.config.overrides import check_overrides
from aero_search.config.paths import search_spaces_dir
from aero_search.cost import Network, Protocol
from aero_search.data.spec import CorpusSpec
from aero_search.errors import AeroSearchError
from aero_search.schema import from_mapping
from aero_search.space import load_space, space_base
from aero_search.training.recipe import Recipe
from tests.fuzz.mutate import Case

SECONDS = 20
# What tells of an error that no code foresaw.
_UNFORESEEN = ("the traceback is in", "shows where it was raised")

_TYPES: dict[str, type] = {"network": Network, "protocol": Protocol, "recipe": Recipe, "data": CorpusSpec}
_SIZES = {"n_layer": 4, "n_head": 4, "d_model": 64, "seq_len": 128}


class HangError(BaseException):
    """A case took longer than it may; no Exception, so that nothing takes it for one of its own."""


def complaint(case: Case) -> str:
    """What is wrong with how a case ended; empty where nothing is."""
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, _inside(Path(scratch)):
        for name, data in case.files:
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        before = _everything()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _limit():
                code = main(case.arguments)
        except HangError:
            return f"no end in {SECONDS} s"
        except BaseException as problem:
            return f"raised {type(problem).__name__}: {problem}"
        written = _everything() - before
    said = err.getvalue()
    if "Traceback" in said + out.getvalue():
        return f"a traceback: {said[-300:]}"
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if any(mark in said for mark in _UNFORESEEN):
        return f"unforeseen, exit code {code}: {said[:300]}"
    if code == 2 and written:
        return f"refused, but wrote {sorted(written)[:3]}"
    if code == 2 and not said.startswith("aero-search: "):
        return f"refused without a sentence: {said[:300]!r}"
    return ""


def reading_complaint(case: Case) -> str:
    """What is wrong with how the flags, overrides and files of a case are read, without Hydra's composition."""
    try:
        with _limit():
            _read(case)
    except AeroSearchError:
        return ""
    except HangError:
        return f"no end in {SECONDS} s"
    except BaseException as problem:
        return f"raised {type(problem).__name__}: {problem}"
    return ""


def _read(case: Case) -> None:
    if not case.files:
        _, overrides = read_flags(case.arguments[1:])
        check_overrides(overrides, [])
        return
    [(name, data)] = case.files
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        path = Path(scratch) / "fz.yaml"
        path.write_bytes(data)
        if name == "fz.yaml":
            space_base(str(path), search_spaces_dir())
            load_space(str(path), search_spaces_dir(), _SIZES)
            return
        kind = _TYPES.get(name.split("/")[1])
        config = StrictFileSource("fuzz", f"file://{scratch}").load_config("fz").config
        if kind is not None:
            from_mapping(kind, OmegaConf.to_container(config, resolve=False), "fz")


def _everything() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    """Raise HangError after `SECONDS` of this process's own time."""

    def end(_: int, __: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
