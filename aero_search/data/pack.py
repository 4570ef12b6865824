"""Documents to flat token files, and the fingerprint that says which text a perplexity was measured on."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aero_search.data.corpus import CHECKSUMS, META, TOKEN_DTYPE, TOKENIZER, TRAIN, VALIDATION
from aero_search.data.files import Document
from aero_search.data.labelled import lay_out
from aero_search.data.progress import Advance
from aero_search.data.tokenizer import Encode, Tokens
from aero_search.integrity import file_digest, write_sealed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Raised when the same documents would be packed differently; it is part of every fingerprint.
FORMAT = 1


@dataclass(slots=True)
class Side:
    """What was packed into one token file.

    Attributes:
        tokens: in the file, end-of-text tokens included.
        bytes, encoded: of the text, and the tokens it was encoded to, those of dropped tails included.
        entries: (name, digest, split) of each document, in the order packed.
        units: for each unit, its number of documents and bytes.
    """

    tokens: int = 0
    bytes: int = 0
    encoded: int = 0
    entries: list[tuple[str, str, str]] = field(default_factory=list)
    units: dict[str, list[int]] = field(default_factory=dict)


def fingerprint(
    entries: Iterable[tuple[str, str, str]],
    vocab_size: int,
    tokenizer: str | None = None,
    chunk: int | None = None,
    labelled: bool = False,
) -> str:
    """Hash which text is trained and validated on, and the vocabulary: 32 hexadecimal digits.

    Where the text came from does not enter, nor do caps, seed and thresholds: all they do is choose files,
    and the chosen files are what is hashed. So equal content has one fingerprint on every machine.

    Args:
        entries: (name, content digest, split) of each document, in any order.
        tokenizer: the JSON of a tokenizer that was not trained on this text; it changes the tokens.
        chunk: see `CorpusSpec.chunk`; it changes what is left of the text.
        labelled: whether the texts are of a labelled set; their names begin with the label.
    """
    form = [FORMAT, vocab_size, tokenizer] + ([] if chunk is None else [chunk]) + ["labelled"] * labelled
    digest = blake2b(json.dumps(form).encode(), digest_size=16)
    for entry in sorted(entries):
        digest.update(b"\n" + json.dumps(entry).encode())
    return digest.hexdigest()


def entry(document: Document) -> tuple[str, str, str]:
    """What the fingerprint sees of a document."""
    return document.name, document.digest, document.split


def pack_side(
    path: Path,
    documents: Iterable[Document],
    encode: Encode,
    separator: int,
    advance: Advance,
    chunk: int | None = None,
    labels: Mapping[str, int] | None = None,
) -> Side:
    """Encode documents into one flat file of little-endian uint16.

    Args:
        separator: the end-of-text token, written after each document unless `chunk` cuts them.
        advance: told the bytes of each document.
        chunk: see `chunks`; None writes documents whole.
        labels: of a labelled set, the token of each document's unit: see `lay_out`.
    """
    side = Side()
    end = np.asarray([separator], dtype=TOKEN_DTYPE)
    with path.open("wb") as file:
        for document in documents:
            tokens = encode(document.text)
            if chunk is None:
                written = np.concatenate([tokens, end])
            elif labels is None:
                written = chunks(tokens, chunk)
            else:
                written = lay_out(tokens, chunk, separator, labels[document.unit])
            file.write(written.astype(TOKEN_DTYPE, copy=False).tobytes())
            size = document.size
            side.tokens += len(written)
            side.encoded += len(tokens) + (chunk is None)
            side.bytes += size
            side.entries.append(entry(document))
            unit = side.units.setdefault(document.unit, [0, 0])
            unit[0] += 1
            unit[1] += size
            advance(size)
    return side


def chunks(tokens: Tokens, chunk: int) -> Tokens:
    """Sequences of `chunk` tokens, each with the token that follows it, end to end; a shorter tail is dropped.

    Neighbours share one token, so that every token but a text's first is a target once.

    Returns:
        Shape (n * (chunk + 1),) with n = (len(tokens) - 1) // chunk.
    """
    starts = np.arange(max(0, (len(tokens) - 1) // chunk)) * chunk
    sequences: Tokens = tokens[starts[:, None] + np.arange(chunk + 1)]
    return sequences.ravel()


def pack(
    folder: Path,
    sides: tuple[Iterable[Document], Iterable[Document]],
    tokenizer: Tokenizer,
    encode: Encode,
    advance: Advance,
    separator: int,
    chunk: int | None = None,
    labels: Mapping[str, int] | None = None,
) -> tuple[Side, Side]:
    """Write train.bin, validation.bin and tokenizer.json into a folder.

    Args:
        sides: train and validation documents, each iterated once.
        separator: the token that ends a text.
        chunk: see `CorpusSpec.chunk`.
        labels: see `pack_side`.
    """
    train = pack_side(folder / TRAIN, sides[0], encode, separator, advance, chunk, labels)
    validation = pack_side(folder / VALIDATION, sides[1], encode, separator, advance, chunk, labels)
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    return train, validation


def write_meta(
    folder: Path,
    *,
    kind: str,
    name: str,
    vocab_size: int,
    separator: int,
    chunk: int | None,
    train: Side,
    validation: Side,
    labels: Mapping[str, int] | None = None,
) -> None:
    """Write meta.json, the last file of a corpus, with checksums of all; `name` is its fingerprint.

    Bytes a token are not told of a labelled set, whose targets are not its text.
    """
    meta: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": name,
        "kind": kind,
        "vocab_size": vocab_size,
        "end_of_text": separator,
        "chunk": chunk,
    }
    if labels is not None:
        meta["labels"] = dict(labels)
    for split, side in (("train", train), ("validation", validation)):
        meta[f"{split}_tokens"] = side.tokens
        meta[f"{split}_bytes"] = side.bytes
        meta[f"{split}_bytes_per_token"] = (
            side.bytes / side.encoded if side.encoded and labels is None else None
        )
        meta[f"{split}_files"] = len(side.entries)
        meta[f"{split}_packages"] = _largest_units(side.units)
    libraries = ("numpy", "tokenizers", "tiktoken")
    meta["versions"] = {"python": platform.python_version()} | {name: version(name) for name in libraries}
    meta[CHECKSUMS] = {file: file_digest(folder / file) for file in (TRAIN, VALIDATION, TOKENIZER)}
    write_sealed(folder / META, meta)


def samples(documents: Sequence[Document], n: int = 32, n_characters: int = 8_000) -> list[str]:
    """The starts of `n` documents spread over a sequence: where encoders are compared."""
    stride = max(1, len(documents) // n)
    return [document.text[:n_characters] for document in documents[::stride]]


def _largest_units(units: dict[str, list[int]], most: int = 200) -> dict[str, dict[str, int]]:
    largest = sorted(units.items(), key=lambda item: (-item[1][1], item[0]))[:most]
    return {name: {"files": files, "bytes": size} for name, (files, size) in largest}
