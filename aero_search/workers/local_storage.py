"""Optuna's storage on SQLite, whose every trouble is told in one sentence: damage, a full disk, a lock."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from aero_search.errors import AeroSearchError
from aero_search.integrity import DamagedError, require_regular
from aero_search.invocation import output_option, typed
from aero_search.workers.retrying_storage import reason, storage_methods

_TROUBLES = (SQLAlchemyError, StorageInternalError, sqlite3.Error, UnicodeDecodeError, json.JSONDecodeError)
# SQLite's words for what is no damage, and what helps.
_ELSEWHERE = {
    "database or disk is full": "make room on its disk, and the same command goes on",
    "locked": "end the other program that holds it, and the same command goes on",
    "readonly": "give this user the right to write it",
    "unable to open": "see whether its folder is there and can be written",
    "disk I/O error": "see whether its disk is full or failing",
}
# Of Optuna's tables these are in every version.
_TABLES = {"studies", "trials"}


class DamagedStoreError(AeroSearchError):
    """The database of the studies is not what was written.

    Attributes:
        found: what is wrong, without the mend.
    """

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(f"{found}: {mend}")
        self.found = found


def damaged(path: Path, why: str) -> DamagedStoreError:
    """The sentence that names the file and the mend."""
    return DamagedStoreError(
        f"{path} is damaged ({why})",
        f"{typed(f'repair{output_option(path.parent)}')} makes it again from {path.parent / 'studies'}",
    )


def translated(problem: BaseException, path: Path) -> AeroSearchError:
    """What went wrong with the database at `path`, in one sentence."""
    why = reason(problem)
    for words, mend in _ELSEWHERE.items():
        if words in why:
            return AeroSearchError(f"{path} cannot be used ({why}): {mend}")
    return damaged(path, why)


def check_file(path: Path, original: Path | None = None) -> None:
    """Refuse a database that SQLite finds damaged, or another program's; one that is not there yet is none.

    Args:
        original: what `path` is a copy of, for the sentence.

    Raises:
        DamagedStoreError: says what is wrong.
        AeroSearchError: it cannot be read now.
    """
    shown = original or path
    if not path.exists():
        return
    try:
        if not require_regular(path).st_size:
            return
        connection = sqlite3.connect(path, timeout=60)
        try:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            tables = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
        finally:
            connection.close()
    except (DamagedError, UnicodeDecodeError) as problem:
        raise damaged(shown, str(problem)) from problem
    except sqlite3.Error as problem:
        raise translated(problem, shown) from problem
    if said != "ok":
        raise damaged(shown, " ".join(str(said).split())[:200])
    if tables and not tables >= _TABLES:
        raise damaged(shown, "it holds the tables of another program")


class LocalStorage(RDBStorage):
    """Optuna's storage in a SQLite file.

    Args:
        path, url: where it is, for people and for Optuna.
        timeout: seconds to wait for another process's writing.

    Raises:
        AeroSearchError: from any method, where the file is damaged, locked, or its disk full.
    """

    def __init__(self, path: Path, url: str, timeout: float) -> None:
        self.path = path
        try:
            super().__init__(url, engine_kwargs={"connect_args": {"timeout": timeout}})
        except _TROUBLES as problem:
            raise translated(problem, path) from problem
        except (AssertionError, AttributeError, KeyError, TypeError) as problem:
            # Optuna trusts its tables of versions to have their rows.
            raise damaged(path, f"{type(problem).__name__}: {problem}") from problem


def _telling(name: str) -> Callable[..., object]:
    method = getattr(RDBStorage, name)

    @functools.wraps(method)
    def telling(self: LocalStorage, *args: object, **kwargs: object) -> object:
        try:
            return method(self, *args, **kwargs)
        except _TROUBLES as problem:
            raise translated(problem, self.path) from problem

    return telling


for _name in storage_methods():
    setattr(LocalStorage, _name, _telling(_name))
