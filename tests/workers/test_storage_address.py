"""Addresses of databases: passwords stay out of sight, and what is wrong is said in one sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from aero_search import passwords
from aero_search.errors import RequestError
from aero_search.passwords import masked, without_password
from aero_search.workers import database as store
from aero_search.workers.storage_address import read_address

SAID = "postgresql://me:s3cr3t%2Fword@db.example:5433/studies?sslmode=require"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "another")
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.setattr(passwords, "_kept", {})


def test_a_password_moves_to_the_environment() -> None:
    assert read_address(SAID) == "postgresql://me@db.example:5433/studies?sslmode=require"
    assert os.environ["PGPASSWORD"] == "s3cr3t/word"


def test_a_password_in_the_query_moves_too() -> None:
    said = "postgresql://db.example:5433/studies?user=me&p%61ssword=s3cr3t%2Fword&sslmode=require"
    assert read_address(said) == "postgresql://db.example:5433/studies?user=me&sslmode=require"
    assert os.environ["PGPASSWORD"] == "s3cr3t/word"
    assert read_address("postgresql://me:first@h/d?password=s3cond") == "postgresql://me@h/d"
    assert os.environ["PGPASSWORD"] == "s3cond"


def test_another_secret_in_the_query_is_refused() -> None:
    with pytest.raises(RequestError, match="has a secret under sslpassword") as refused:
        read_address("postgresql://me@h/d?sslkey=k.pem&sslpassword=s3cr3t")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://me@h/d",
        "postgresql://h:1/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u@h/d",
    ],
)
def test_an_address_without_a_password_stays_as_it_is(said: str) -> None:
    assert read_address(said) == said == without_password(said)
    assert os.environ["PGPASSWORD"] == "another"


def test_other_spellings_of_the_scheme_are_one_address() -> None:
    assert (
        read_address("postgres://me@h/d")
        == read_address("postgresql+psycopg://me@h/d")
        == "postgresql://me@h/d"
    )
    assert read_address(None) is None


def test_messages_show_stars() -> None:
    line = f"aero-search search search.storage={SAID} tracking.uri=http://u:p@h:5000"
    assert "s3cr3t" not in masked(line)
    assert masked(line).endswith("tracking.uri=http://u:***@h:5000")
    assert masked("http://127.0.0.1:5000/path") == "http://127.0.0.1:5000/path"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("mysql://me:s3cr3t@h/d", "is no address of a PostgreSQL database: write postgresql://USER"),
        ("outputs/optuna.db", "is no address of a PostgreSQL database"),
        ("postgresql://me:s3cr3t@h", "names no database"),
        ("postgresql:///d", "names no host"),
        ("postgresql://me:s3cr3t@h:port/d", "cannot be read"),
        ("mysql://h/d?user=me&password=s3cr3t", "is no address of a PostgreSQL database"),
        ("postgresql:///d?user=me&password=s3cr3t", "names no host"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(said: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as refused:
        read_address(said)
    assert "s3cr3t" not in str(refused.value)
    assert str(refused.value).startswith("search.storage=")


def test_a_missing_driver_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aero_search.workers.storage_address.importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"needs the package psycopg: .*-m pip install .*\[postgres\]"):
        store.open_storage(tmp_path, "postgresql://me@h/d")


def test_a_server_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        RequestError, match=r"cannot be opened \(.*refused.*\): check that the server"
    ) as refused:
        store.open_storage(tmp_path, f"postgresql://me@127.0.0.1:{port}/d")
    assert "\n" not in str(refused.value)
