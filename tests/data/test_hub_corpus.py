from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch

from aero_search.data import CorpusSpec, load_tokenizer, prepare
from aero_search.data.corpus import open_tokens, read_meta
from aero_search.data.datamodule import TokenDataModule
from aero_search.data.tokenizer import encoder, train_tokenizer
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


def write_dataset(folder: Path, texts: list[str], split: str) -> str:
    folder.mkdir(parents=True)
    rows = "".join(json.dumps({"content": text, "path": f"{i}.py"}) + "\n" for i, text in enumerate(texts))
    (folder / f"{split}.jsonl").write_text(rows)
    return str(folder)


@pytest.mark.parametrize("streaming", [True, False])
def test_the_real_library_reads_a_local_dataset(
    tmp_path: Path, make_text, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    texts = [make_text(i, 3_000) for i in range(30)]
    train = write_dataset(tmp_path / "train", texts, "train")
    held_out = write_dataset(
        tmp_path / "held_out", [make_text(f"held out {i}") for i in range(3)], "validation"
    )
    mine = spec(
        tmp_path, train_dataset=train, validation_dataset=held_out, train_rows=10, stream=streaming, seed=0
    )
    corpus = prepare(mine, V, quiet=True)
    text = load_tokenizer(corpus.tokenizer_path).decode(
        open_tokens(corpus.train_path).tolist(), skip_special_tokens=False
    )
    read = text.split("<|endoftext|>")[:-1]
    assert len(read) == 10
    assert set(read) <= set(texts)
    whole = datasets.load_dataset(train, split="train")
    exact = whole.shuffle(seed=0).select(range(10))["content"]
    assert (sorted(read) == sorted(exact)) or streaming
    assert corpus.validation_tokens > 3_000


def test_an_exact_shuffle_takes_no_more_rows_than_there_are(
    tmp_path: Path, make_text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    pytest.importorskip("datasets")
    train = write_dataset(tmp_path / "train", [make_text(i, 3_000) for i in range(5)], "train")
    mine = spec(
        tmp_path, train_dataset=train, validation_dataset=train, validation_split="train", stream=False
    )
    corpus = prepare(replace(mine, train_rows=50), V, quiet=True)
    meta = read_meta(corpus.folder)
    assert (meta["train_files"], meta["validation_files"]) == (5, 5)


def test_each_file_is_cut_by_itself_and_its_tail_dropped(hub, tmp_path: Path, make_text) -> None:
    corpus = prepare(spec(tmp_path, chunk=64), V, quiet=True)
    assert corpus.chunk == 64
    rows = open_tokens(corpus.train_path).reshape(-1, 65)
    tokenizer = load_tokenizer(corpus.tokenizer_path)
    expected = []
    for i in range(12):
        ids = tokenizer.encode(make_text(i)).ids
        expected += [ids[at : at + 65] for at in range(0, len(ids) - 64, 64)]
    assert sorted(rows.tolist()) == sorted(expected)
    packed = prepare(spec(tmp_path), V, quiet=True)
    assert packed.fingerprint != corpus.fingerprint
    # Text per token does not depend on what is dropped; an end-of-text token per file is the difference.
    assert corpus.train_bytes_per_token == pytest.approx(packed.train_bytes_per_token, rel=2e-3)
    module = TokenDataModule(corpus, seq_len=64, batch_size=4, steps=50, seed=0)
    seen = {tuple(row.tolist()) for batch in module.train_dataloader() for row in batch}
    assert seen <= {tuple(row) for row in expected}
    held_out = torch.cat(list(module.val_dataloader()))
    assert {tuple(row.tolist()) for row in held_out} <= {
        tuple(row) for row in open_tokens(corpus.validation_path).reshape(-1, 65).tolist()
    }
    with pytest.raises(RequestError, match=r"model\.seq_len=32 .* set model\.seq_len=64, or data\.chunk=32"):
        TokenDataModule(corpus, seq_len=32, batch_size=4, steps=5, seed=0)
    with pytest.raises(RequestError, match=r"no text of data\.chunk=5000 tokens"):
        prepare(spec(tmp_path, chunk=5_000), V, quiet=True)


def test_a_plain_tokenizer_of_the_hub_is_encoded_fast(make_text) -> None:
    plain = train_tokenizer([make_text("another text", 9_000)], 280)
    samples = [make_text(i) for i in range(3)]
    assert encoder(plain, samples).__qualname__.startswith("fast_encoder")
    said = json.loads(plain.to_str())
    for field, value in (
        ("normalizer", {"type": "NFC"}),
        (
            "pre_tokenizer",
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        ),
        ("model", said["model"] | {"merges": said["model"]["merges"][::-1]}),
    ):
        other = tokenizers.Tokenizer.from_str(json.dumps(said | {field: value}))
        assert encoder(other, samples).__qualname__.startswith("slow_encoder"), field


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"-m pip install .*\[hf\]"):
        prepare(spec(tmp_path), V, quiet=True)
