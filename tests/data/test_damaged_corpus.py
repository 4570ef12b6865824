"""A packed corpus that is not what was packed: prepared again, or refused in one sentence, never trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.errors import RequestError

VOCAB = 300


def flip(path: Path, place: int = 1000) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def without_checksums(folder: Path, **changes: object) -> None:
    """As an earlier version has written it."""
    meta = json.loads((folder / "meta.json").read_text())
    meta = {k: v for k, v in meta.items() if k not in ("checksum", "checksums")} | changes
    (folder / "meta.json").write_text(json.dumps(meta))


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(np.full(8, 60_000, dtype="<u2").tobytes())


def tokens_above(folder: Path) -> None:
    """In an old cache, whose sizes were made to fit."""
    appended(folder / "train.bin")
    meta = json.loads((folder / "meta.json").read_text())
    without_checksums(folder, train_tokens=meta["train_tokens"] + 8)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def linked_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def to_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGE: dict[str, Callable[[Path], None]] = {
    "train flipped": lambda folder: flip(folder / "train.bin"),
    "train flipped at its end": lambda folder: flip(folder / "train.bin", -1),
    "validation flipped": lambda folder: flip(folder / "validation.bin", 0),
    "tokenizer flipped": lambda folder: flip(folder / "tokenizer.json"),
    "tokenizer a folder": lambda folder: a_folder(folder / "tokenizer.json"),
    "meta flipped": lambda folder: flip(folder / "meta.json", 60),
    "tokens appended": lambda folder: appended(folder / "train.bin"),
    "tokens above the vocabulary": tokens_above,
    "another vocabulary": lambda folder: without_checksums(folder, vocab_size=VOCAB + 1),
    "a vocabulary without end": lambda folder: without_checksums(folder, vocab_size=10**15),
    "meta a fifo": lambda folder: fifo(folder / "meta.json"),
    "validation linked to a fifo": lambda folder: linked_fifo(folder / "validation.bin"),
    "train linked to a device": lambda folder: to_device(folder / "train.bin"),
    "nested meta": lambda folder: (folder / "meta.json").write_text("[" * 100_000) and None,
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_prepared_again_as_it_was(
    damage: Callable[[Path], None], text_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = CorpusSpec("text_folder", str(text_folder), cache_dir=str(tmp_path))
    corpus = prepare(spec, VOCAB, quiet=True)
    train = corpus.train_path.read_bytes()
    damage(corpus.folder)
    again = prepare(spec, VOCAB, quiet=True)
    assert again == corpus
    assert again.train_path.read_bytes() == train
    assert not again.train_path.is_symlink()
    said = [line for line in capsys.readouterr().err.splitlines() if "prepared again" in line]
    assert said == [f"aero-search: the packed corpus {corpus.folder} was damaged and has been prepared again"]
    prepare(spec, VOCAB, quiet=True)
    assert "prepared again" not in capsys.readouterr().err


def test_a_cache_of_an_earlier_version_is_read_as_it_is(
    text_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = CorpusSpec("text_folder", str(text_folder), cache_dir=str(tmp_path))
    corpus = prepare(spec, VOCAB, quiet=True)
    without_checksums(corpus.folder)
    written = corpus.train_path.stat().st_mtime_ns
    assert prepare(spec, VOCAB, quiet=True) == corpus
    assert corpus.train_path.stat().st_mtime_ns == written
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: flip(f / "train.bin"), "train.bin is not the file that was packed"),
        (tokens_above, "train.bin has token 60000, which is not below vocab_size=300"),
        (lambda f: flip(f / "meta.json", 60), "meta.json: it does not match its checksum"),
        (lambda f: without_checksums(f, vocab_size=10**15), "outside 1 to 65536"),
        (lambda f: fifo(f / "meta.json"), "meta.json: it is no regular file"),
        (lambda f: linked_fifo(f / "validation.bin"), "validation.bin: it is no regular file"),
        (lambda f: to_device(f / "train.bin"), "train.bin: it is no regular file"),
        (lambda f: (f / "train.bin").unlink(), "train.bin is missing"),
    ],
)
def test_a_damaged_folder_of_one_s_own_is_refused(
    damage: Callable[[Path], None], says: str, text_folder: Path, tmp_path: Path
) -> None:
    spec = CorpusSpec("text_folder", str(text_folder), cache_dir=str(tmp_path / "cache"))
    folder = prepare(spec, VOCAB, quiet=True).folder
    damage(folder)
    with pytest.raises(RequestError, match=says) as refused:
        prepare(CorpusSpec("tokenized", str(folder)), 10**15 if "outside" in says else VOCAB)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(RequestError, match=says):
        Corpus.open(folder)
