from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers

from aero_search.data import CorpusSpec, load_tokenizer, prepare
from aero_search.data.corpus import open_tokens, read_meta
from aero_search.data.tokenizer import train_tokenizer
from aero_search.errors import RequestError

V = 300


class Rows:
    """As much of datasets.IterableDataset as is used."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)

    def shuffle(self, seed: int, buffer_size: int) -> Rows:
        return Rows([self.rows[i] for i in np.random.default_rng(seed).permutation(len(self.rows))])

    def take(self, n: int) -> Rows:
        return Rows(self.rows[:n])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, make_text) -> list[tuple[object, ...]]:
    """Two datasets; returns the calls made."""
    rows = {
        ("me/train", "train"): [{"content": make_text(i)} for i in range(12)],
        ("me/valid", "validation"): [{"content": make_text(f"held out {i}")} for i in range(3)],
    }
    calls: list[tuple[object, ...]] = []

    def load_dataset(name: str, *, split: str, streaming: bool) -> Rows:
        calls.append((name, split, streaming))
        if (name, split) not in rows:
            raise ConnectionError("offline")
        return Rows(rows[name, split])

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def spec(tmp_path: Path, **fields: object) -> CorpusSpec:
    chosen: dict[str, object] = {
        "kind": "huggingface",
        "train_dataset": "me/train",
        "validation_dataset": "me/valid",
        "cache_dir": str(tmp_path / "cache"),
    }
    return CorpusSpec(**(chosen | fields))  # type: ignore[arg-type]


def test_rows_are_streamed_once_and_packed(hub, tmp_path: Path, make_text) -> None:
    corpus = prepare(spec(tmp_path), V, quiet=True)
    assert hub == [("me/train", "train", True), ("me/valid", "validation", True)]
    tokenizer = load_tokenizer(corpus.tokenizer_path)
    for path, names in (
        (corpus.train_path, range(12)),
        (corpus.validation_path, [f"held out {i}" for i in range(3)]),
    ):
        text = tokenizer.decode(open_tokens(path).tolist(), skip_special_tokens=False)
        assert sorted(text.split("<|endoftext|>")[:-1]) == sorted(make_text(name) for name in names)
    assert prepare(spec(tmp_path), V, quiet=True) == corpus
    assert len(hub) == 2  # the second run did not go to the hub


def test_caps_and_order(hub, tmp_path: Path) -> None:
    corpus = prepare(spec(tmp_path, train_rows=5, validation_rows=1), V, quiet=True)
    meta = read_meta(corpus.folder)
    assert (meta["train_files"], meta["validation_files"]) == (5, 1)
    smaller = prepare(spec(tmp_path, train_mb=0.013), V, quiet=True)
    assert read_meta(smaller.folder)["train_files"] == 3
    others = [prepare(spec(tmp_path, seed=seed), V, quiet=True).fingerprint for seed in (0, 1)]
    assert len({corpus.fingerprint, smaller.fingerprint, *others}) == 4


def test_a_tokenizer_from_the_hub(hub, tmp_path: Path, make_text, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = train_tokenizer([make_text("another text", 9_000)], 280)

    def from_pretrained(name: str) -> tokenizers.Tokenizer:
        if name != "me/tokenizer":
            raise OSError("offline")
        return mine

    fake = SimpleNamespace(from_pretrained=from_pretrained, from_str=tokenizers.Tokenizer.from_str)
    monkeypatch.setattr(tokenizers, "Tokenizer", fake)
    corpus = prepare(spec(tmp_path, tokenizer="me/tokenizer"), V, quiet=True)
    assert corpus.vocab_size == V
    assert load_tokenizer(corpus.tokenizer_path).to_str() == mine.to_str()
    with pytest.raises(RequestError, match=r"model\.vocab_size=279 is below the 280 tokens"):
        prepare(spec(tmp_path, tokenizer="me/tokenizer"), 279, quiet=True)
    with pytest.raises(RequestError, match=r"data\.tokenizer=me/none could not be read"):
        prepare(spec(tmp_path, tokenizer="me/none"), V, quiet=True)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"train_dataset": "me/none"}, r"data\.train_dataset=me/none could not be read \(ConnectionError\)"),
        ({"validation_dataset": "me/none"}, r"data\.validation_dataset=me/none could not be read"),
        ({"text_field": "text"}, r"data\.text_field=text is no text"),
        ({"validation_mb": 0.001}, r"data\.validation_dataset has no rows within data\.validation_mb"),
    ],
)
def test_what_cannot_be_read_is_said(hub, tmp_path: Path, fields: dict[str, object], named: str) -> None:
    with pytest.raises(RequestError, match=named):
        prepare(spec(tmp_path, **fields), V, quiet=True)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"pip install 'aero-search\[hf\]'"):
        prepare(spec(tmp_path), V, quiet=True)
