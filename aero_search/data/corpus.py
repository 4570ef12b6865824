"""A packed corpus on disk: two flat files of tokens, their description, and the tokenizer that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aero_search.errors import RequestError
from aero_search.integrity import DamagedError, file_digest, read_sealed, require_regular

TOKEN_DTYPE = np.dtype("<u2")
LARGEST_VOCAB = 65_536
META, TRAIN, VALIDATION, TOKENIZER = "meta.json", "train.bin", "validation.bin", "tokenizer.json"
# What meta.json calls the digests of the other files, by name.
CHECKSUMS = "checksums"
# Files whose tokens have been seen to lie below a vocabulary size, by digest.
_below: set[tuple[str, int]] = set()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Packed tokens, ready to be trained on.

    Attributes:
        folder: holds train.bin and validation.bin (little-endian uint16, flat), meta.json and, unless a user
            packed it himself without, tokenizer.json.
        fingerprint: 32 hexadecimal digits; perplexities are comparable where it is equal, and only there.
        vocab_size: every token is below it.
        train_tokens, validation_tokens: tokens in each file, end-of-text tokens included.
        train_bytes_per_token, validation_bytes_per_token: UTF-8 bytes of text per token; None if meta.json
            does not say. Loss in nats / (ln 2 * bytes per token) is bits per byte, which compares
            vocabularies.
        chunk: None where texts lie end to end; else both files hold sequences of chunk + 1 tokens that were cut
            from one text each.
        labels: of a labelled set, each class and the token that answers for it, which ends each sequence and is
            its only target; else empty.
    """

    folder: Path
    fingerprint: str
    vocab_size: int
    train_tokens: int
    validation_tokens: int
    train_bytes_per_token: float | None
    validation_bytes_per_token: float | None
    chunk: int | None = None
    labels: tuple[tuple[str, int], ...] = ()

    @property
    def answers_only(self) -> bool:
        """Whether the last token of each sequence is its only target: a labelled set."""
        return bool(self.labels)

    @property
    def tokenizer_path(self) -> Path:
        """Where the tokenizer is; read it with `load_tokenizer`."""
        return self.folder / TOKENIZER

    @property
    def train_path(self) -> Path:
        """The tokens to train on."""
        return self.folder / TRAIN

    @property
    def validation_path(self) -> Path:
        """The tokens to validate on."""
        return self.folder / VALIDATION

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """Read `meta.json` again and check it against the files, whose every byte is read once a process.

        `vocab_size` is the only field that a folder packed by hand must have; without a `fingerprint`, one is
        made from the tokens. Without `checksums`, as in folders of earlier versions, tokens and sizes alone are
        checked.

        Raises:
            RequestError: a file is missing, or does not hold what meta.json says.
        """
        folder = Path(folder)
        meta = read_meta(folder)
        counts = {}
        for split, name in (("train", TRAIN), ("validation", VALIDATION)):
            try:
                size = require_regular(folder / name).st_size
            except DamagedError as problem:
                raise _not_packed(folder, f"{name}: {problem}") from None
            except OSError:
                raise _not_packed(folder, f"{name} is missing") from None
            counts[split] = size // TOKEN_DTYPE.itemsize
            told = meta.get(f"{split}_tokens", counts[split])
            if size % TOKEN_DTYPE.itemsize or told != counts[split]:
                raise _not_packed(folder, f"{name} has {size} bytes where meta.json says {told} tokens")
        vocab_size = meta.get("vocab_size")
        if not isinstance(vocab_size, int) or isinstance(vocab_size, bool):
            raise _not_packed(folder, "meta.json has no vocab_size")
        if not 1 <= vocab_size <= LARGEST_VOCAB:
            raise _not_packed(
                folder, f"meta.json has vocab_size {vocab_size}, which is outside 1 to {LARGEST_VOCAB}"
            )
        chunk = meta.get("chunk")
        if chunk is not None:
            if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
                raise _not_packed(folder, f"meta.json has chunk {chunk}, which is no number of tokens")
            if any(count % (chunk + 1) for count in counts.values()):
                raise _not_packed(
                    folder, f"its files are not whole sequences of chunk + 1 = {chunk + 1} tokens"
                )
        _check_content(folder, meta.get(CHECKSUMS) or {}, vocab_size)
        labels = meta.get("labels") or {}
        _check_labels(folder, labels, chunk)
        return cls(
            folder=folder,
            fingerprint=str(meta.get("fingerprint") or fingerprint_of_tokens(folder, vocab_size)),
            vocab_size=vocab_size,
            train_tokens=counts["train"],
            validation_tokens=counts["validation"],
            train_bytes_per_token=_number(meta.get("train_bytes_per_token")),
            validation_bytes_per_token=_number(meta.get("validation_bytes_per_token")),
            chunk=chunk,
            labels=tuple(labels.items()),
        )


def read_meta(folder: Path) -> dict[str, Any]:
    """Everything that meta.json says: counts, packages, versions.

    Raises:
        RequestError: there is none, or it is not the JSON object that was written.
    """
    try:
        return read_sealed(folder / META)
    except DamagedError as problem:
        raise _not_packed(folder, f"meta.json: {problem}") from None
    except OSError:
        raise _not_packed(folder, "meta.json is missing") from None


def open_tokens(path: Path) -> NDArray[np.uint16]:
    """The tokens of a .bin file as a read-only memory map of shape (n_tokens,)."""
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype=TOKEN_DTYPE)
    return np.memmap(path, dtype=TOKEN_DTYPE, mode="r")


def fingerprint_of_tokens(folder: Path, vocab_size: int) -> str:
    """The fingerprint of a folder that brings none: a hash of its tokens and vocabulary size."""
    digest = blake2b(f"tokens\n{vocab_size}\n".encode(), digest_size=16)
    for name in (TRAIN, VALIDATION):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        digest.update(b"\n" + name.encode())
    return digest.hexdigest()


def _check_content(folder: Path, checksums: object, vocab_size: int) -> None:
    """Refuse files that are not the packed ones, and tokens above the vocabulary.

    Raises:
        RequestError: says which file.
    """
    said = checksums if isinstance(checksums, Mapping) else {}
    for name in (TRAIN, VALIDATION, *([TOKENIZER] if TOKENIZER in said else [])):
        path = folder / name
        try:
            found = file_digest(path)
        except (OSError, DamagedError) as problem:
            raise _not_packed(folder, f"{name} cannot be read: {problem}") from None
        if said.get(name, found) != found:
            raise _not_packed(
                folder, f"{name} is not the file that was packed: it does not match its checksum"
            )
        if name == TOKENIZER or (found, vocab_size) in _below:
            continue
        tokens = open_tokens(path)
        if len(tokens) and int(tokens.max()) >= vocab_size:
            raise _not_packed(
                folder,
                f"{name} has token {int(tokens.max())}, which is not below vocab_size={vocab_size} of meta.json",
            )
        _below.add((found, vocab_size))


def _check_labels(folder: Path, labels: object, chunk: int | None) -> None:
    """Refuse labels that are no classes, or sequences that end in something else.

    Raises:
        RequestError: says what is wrong.
    """
    if labels == {}:
        return
    if not isinstance(labels, dict) or not all(type(token) is int for token in labels.values()):
        raise _not_packed(folder, "meta.json has labels that are not a token for each class")
    if len(labels) < 2 or len(set(labels.values())) < len(labels):
        raise _not_packed(folder, "meta.json has labels that are not two classes or more with a token each")
    if chunk is None:
        raise _not_packed(folder, "meta.json has labels and no chunk")
    for name in (TRAIN, VALIDATION):
        answers = open_tokens(folder / name)[chunk :: chunk + 1]
        if not np.isin(answers, list(labels.values())).all():
            raise _not_packed(folder, f"{name} has a sequence that ends in no label of meta.json")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _not_packed(folder: Path, why: str) -> RequestError:
    return RequestError(f"data.path={folder} is not a packed corpus: {why}; pack it again")
