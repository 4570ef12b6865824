"""A damaged database ends every command in one sentence that names the file, and is left as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.errors import AeroSearchError
from aero_search.front.objective import Objective
from aero_search.workers.database import DATABASE, create_study, load_study, open_storage
from aero_search.workers.local_storage import translated

METRICS = Objective(("perplexity", "latency_s")).metrics


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 16384 + content[24576:])


def text(path: Path) -> None:
    path.write_text("this is no database\n" * 50)


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(128, 256)) * 64)


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = (truncate, cut_header, overwrite, text, binary, foreign, folder)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    storage = open_storage(tmp_path / "outputs")
    study = create_study(storage, "mine", METRICS)
    study.set_user_attr("note", "x" * 30_000)
    storage.engine.dispose()
    path = tmp_path / "outputs" / DATABASE
    # Everything into the one file: no write-ahead log to recover from.
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_opening_a_damaged_database_names_the_file(database: Path, damage: Callable[[Path], None]) -> None:
    damage(database)
    before = database.read_bytes() if database.is_file() else b""
    with pytest.raises(AeroSearchError, match=r"optuna\.db is damaged \(.+\): .*studies") as told:
        load_study(database.parent, "mine")
    assert "\n" not in str(told.value)
    assert (database.read_bytes() if database.is_file() else b"") == before


@pytest.mark.parametrize(
    ("command", "damage"),
    [
        ("front study=mine", truncate),
        ("front study=mine", folder),
        ("report study=mine", text),
        ("export study=mine", foreign),
        ("studies", binary),
        ("search study.name=mine search.n_trials=1 tracking=none", overwrite),
    ],
)
def test_a_command_on_a_damaged_database_says_one_sentence(
    command: str,
    damage: Callable[[Path], None],
    database: Path,
    tiny: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(database)
    assert main([*command.split(), *(tiny if command.startswith("search") else [])]) == 1
    (sentence,) = (line for line in capsys.readouterr().err.splitlines() if not line.startswith("Preparing"))
    assert "optuna.db is damaged" in sentence


def test_damage_while_a_study_is_open_is_one_sentence(database: Path) -> None:
    study, storage = load_study(database.parent, "mine")
    study.enqueue_trial({"x": 1})
    storage.engine.dispose()
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE trial_system_attributes SET value_json = '{'")
        connection.commit()
    connection.close()
    with pytest.raises(AeroSearchError, match=r"optuna\.db is damaged"):
        load_study(database.parent, "mine")[0].get_trials()


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("database or disk is full", "make room"),
        ("database is locked", "end the other program"),
        ("attempt to write a readonly database", "right to write"),
    ],
)
def test_what_is_no_damage_is_not_called_damage(said: str, mend: str) -> None:
    told = str(translated(sqlite3.OperationalError(said), Path("outputs/optuna.db")))
    assert said in told
    assert mend in told
    assert "damaged" not in told
