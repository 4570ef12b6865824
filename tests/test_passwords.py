"""Passwords and tokens in addresses, whatever way they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from aero_search import passwords
from aero_search.cli import main
from aero_search.errors import RequestError
from aero_search.passwords import keep, masked, without_password

SECRET = "s3cr3t"
# Each holds SECRET; the rest must still be there.
ADDRESSES = [
    ("postgresql://me:s3cr3t@h:5432/d", "postgresql://me:***@h:5432/d"),
    ("postgresql://me:s3cr3t%2Fword%40x@h/d?sslmode=require", "postgresql://me:***@h/d?sslmode=require"),
    ("postgresql://me:s3cr3t@s3cr3t@h/d", "postgresql://me:***@h/d"),
    ("postgresql://me:s3cr3t/s3cr3t@h/d", "postgresql://me:***@h/d"),
    ("postgresql://:s3cr3t@h/d", "postgresql://:***@h/d"),
    ("postgresql+psycopg://h:1/d?user=me&password=s3cr3t", "postgresql+psycopg://h:1/d?user=me&password=***"),
    ("postgresql://h/d?password=s3cr3t&user=me", "postgresql://h/d?password=***&user=me"),
    ("postgresql://h/d?p%61ssword=s3cr3t", "postgresql://h/d?p%61ssword=***"),
    ("postgresql://h/d?PASSWORD=s3cr3t", "postgresql://h/d?PASSWORD=***"),
    ("postgresql://h/d?sslpassword=s3cr3t", "postgresql://h/d?sslpassword=***"),
    ("http://me:s3cr3t@127.0.0.1:9/api?x=1", "http://me:***@127.0.0.1:9/api?x=1"),
    ("https://s3cr3t@h:5000", "https://***@h:5000"),
    ("https://s3cr3t:@h:5000", "https://***@h:5000"),
    ("HTTPS://s3cr3t@h", "HTTPS://***@h"),
    ("http://h:5000?access_token=s3cr3t", "http://h:5000?access_token=***"),
    ("http://h/p?a=1&token=s3cr3t#x", "http://h/p?a=1&token=***#x"),
    ("http://h/#id_token=s3cr3t", "http://h/#id_token=***"),
    ("s3://b/k?X-Amz-Signature=s3cr3t", "s3://b/k?X-Amz-Signature=***"),
    ("wasbs://c@h/p?sig=s3cr3t", "wasbs://c@h/p?sig=***"),
    ("http://h?api_key=s3cr3t&api-key=s3cr3t&apikey=s3cr3t", "http://h?api_key=***&api-key=***&apikey=***"),
]
TEXTS = [
    ("PGPASSWORD=s3cr3t aero-search search", "PGPASSWORD=*** aero-search search"),
    ("MLFLOW_TRACKING_PASSWORD='s3cr3t x' mlflow", "MLFLOW_TRACKING_PASSWORD=*** mlflow"),
    ("host=h user=me password=s3cr3t dbname=d", "host=h user=me password=*** dbname=d"),
    ("{'password': 's3cr3t', 'user': 'me'}", "{'password': ***, 'user': 'me'}"),
    ("Authorization: Basic czNjcjN0OnMzY3IzdA== sent", "Authorization: Basic *** sent"),
    ("Bearer s3cr3ts3cr3t", "Bearer ***"),
    ("HF_TOKEN=s3cr3t python", "HF_TOKEN=*** python"),
]
PLAIN = [
    "postgresql://me@h:5432/d?host=/run/postgresql&sslmode=require",
    "http://127.0.0.1:5000/path",
    "sqlite:////home/me/outputs/mlflow.db",
    "data.tokenizer=gpt2 keys=[a] author=x recipe.lr=1e-3",
    "no password supplied (PGPASSWORD or ~/.pgpass hold the password): check",
    "me@example.org: https://example.org/a?page=2&author=me&keyword=x&monkey=1#part",
]


@pytest.mark.parametrize(("said", "shown"), [*ADDRESSES, *TEXTS])
def test_what_is_shown_has_stars(said: str, shown: str) -> None:
    assert masked(said) == shown
    inside = f"API request to '{said}' failed: HTTPConnectionPool, url: {said} (try again)"
    assert SECRET not in masked(inside)
    assert masked(masked(inside)) == masked(inside)


@pytest.mark.parametrize("said", PLAIN)
def test_what_is_no_secret_is_shown_whole(said: str) -> None:
    assert masked(said) == said
    assert without_password(said) == said


@pytest.mark.parametrize(
    "said", [said for said, _ in ADDRESSES if "#" not in said and "http" not in said.lower()]
)
def test_what_is_kept_has_none(said: str) -> None:
    kept = without_password(f"search.storage={said} norm=none")
    assert SECRET not in kept
    assert "***" not in kept
    assert kept.endswith(" norm=none")


def test_a_query_keeps_its_other_entries() -> None:
    assert without_password("postgresql://h/d?password=p&user=me") == "postgresql://h/d?user=me"
    assert without_password("postgresql://h/d?user=me&password=p&x=1") == "postgresql://h/d?user=me&x=1"
    assert without_password("postgresql://h/d?password=p") == "postgresql://h/d"


def test_two_settings_cannot_put_two_passwords_into_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_kept", {})
    monkeypatch.setenv("PGPASSWORD", "from outside")
    keep("PGPASSWORD", "0ne", "search.storage")
    keep("PGPASSWORD", "0ne", "tracking.uri")
    assert os.environ["PGPASSWORD"] == "0ne"
    with pytest.raises(RequestError, match=r"storage and tracking\.uri have different passwords") as refused:
        keep("PGPASSWORD", "tw0", "tracking.uri")
    assert "0ne" not in str(refused.value)
    assert "tw0" not in str(refused.value)
    keep("PGPASSWORD", "tw0", "search.storage")
    assert os.environ["PGPASSWORD"] == "tw0"
    monkeypatch.setenv("PGPASSWORD", "changed outside")
    keep("PGPASSWORD", "thr33", "tracking.uri")
    assert os.environ["PGPASSWORD"] == "thr33"


@pytest.mark.parametrize(
    "flag", ["--cfg=job", "--cfg=all", "--cfg=hydra", "--info=all", "--info=config", "--help=all"]
)
def test_what_hydra_prints_of_a_configuration_has_no_password(
    flag: str, capfd: pytest.CaptureFixture[str]
) -> None:
    addresses = [
        "search.storage='postgresql://me:hunter2@db/studies?x=1&password=hunter2'",
        "tracking.uri='https://me:hunter2@host/mlflow'",
    ]
    assert main(["search", *addresses, flag]) == 0
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err
    assert "me:***@db" in out or flag in ("--cfg=hydra", "--info=all", "--help=all")
    assert "hydra" in out.lower() or flag in ("--cfg=job", "--info=config")


def test_a_printed_configuration_is_whole_and_visible(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["cost", "--cfg", "job", f"output_dir='{tmp_path}/a\u202eb'"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["model"]
    assert "a\\u202eb" in text
    assert "\u202e" not in text
