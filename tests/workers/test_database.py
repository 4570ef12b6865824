"""The study's database: one fresh file, opened by several commands at the same moment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy import make_url

from aero_search.front.objective import Objective
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.store import sqlite_path
from aero_search.workers import database
from aero_search.workers.database import create_study, load_study, open_storage

METRICS = Objective(("perplexity", "latency_s")).metrics


def test_commands_that_start_together_create_one_database(tmp_path: Path) -> None:
    def begin(name: str) -> str:
        return create_study(open_storage(tmp_path), name, METRICS).study_name

    names = [f"study-{i}" for i in range(4)]
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(begin, names)) == names
    assert sorted(optuna.get_all_study_names(open_storage(tmp_path))) == names


@pytest.mark.parametrize("name", ["o{b}", "o{0}", "o%20x", "o%s", "o?x", "o#x", "a,b"])
def test_a_folder_of_any_name_holds_its_databases(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    create_study(open_storage(folder), "s", METRICS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert load_study(folder, "s")[0].study_name == "s"
    uri = TrackingSpec("mlflow", None, "e").resolved_uri(folder)
    assert sqlite_path(uri) == folder / "mlflow.db"
    assert make_url(uri).database == str(folder / "mlflow.db")


def test_a_folder_that_takes_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writable = open_storage(tmp_path)
    create_study(writable, "s", METRICS)
    writable.remove_session()
    writable.engine.dispose()  # the last connection that closes moves SQLite's log into the file
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(database, "os", SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK))
    monkeypatch.setattr(database, "FileLock", None)
    study, storage = load_study(tmp_path, "s")
    with pytest.raises(StorageInternalError):
        study.set_user_attr("archived", True)
    copy = Path(str(storage.engine.url.database))
    assert copy.is_file()
    assert copy.parent != tmp_path
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
