"""A labelled set: a CSV or JSON Lines file of texts and labels, as rows whose last token is the answer.

A row of T + 1 tokens is read as T inputs and a target: end-of-text tokens in front where the text is short, the
first T - 1 tokens of the text, one end-of-text token, which asks for the label as GPT's extract token does (Radford
et al. 2018, section 3.3), and the label's token. So a decoder is the classifier, without a head of its own: the
answer is the next token after the last position, and one query is `workload=classify`.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from aero_search.data.corpus import TOKEN_DTYPE
from aero_search.data.duplicates import NearDuplicates
from aero_search.data.files import Candidate, Document, rank
from aero_search.data.spec import CorpusSpec
from aero_search.data.tokenizer import Encode, Tokens
from aero_search.errors import RequestError


def candidates(spec: CorpusSpec) -> list[Candidate]:
    """The one file, under a name that does not say where it lies.

    Raises:
        RequestError: it is missing or no such file.
    """
    if spec.chunk is None:
        raise RequestError("data.chunk is missing: give the tokens of model.seq_len, which texts are cut to")
    path = spec.file()
    stat = path.stat()
    return [Candidate(path.name, path.name, path, stat.st_size, stat.st_mtime_ns)]


def select(spec: CorpusSpec) -> list[Document]:
    """Read, drop duplicates, and hold out a share of each class: `Document.unit` is the label.

    Which texts are held out follows from their content and `seed`, not from the order of the rows. A text that
    comes twice is kept once, with the label of its first row.

    Raises:
        RequestError: the file cannot be read, or has too little of a class.
    """
    seen = NearDuplicates(spec.near_duplicate)
    classes: defaultdict[str, list[Document]] = defaultdict(list)
    rows = 0
    for label, text in _rows(spec):
        rows += 1
        if seen.keep(text):
            digest = Document("", label, "train", text).digest
            classes[label].append(Document(f"{label}/{digest}", label, "train", text))
        else:
            classes[label] += []
    about = f"data.path={spec.path}"
    if not rows:
        raise RequestError(f"{about} has no rows: name a file with a text and a label in each row")
    if len(classes) < 2:
        raise RequestError(
            f"{about} has one class, {next(iter(classes))!r}, in all its {rows} rows: name a file with two or more"
        )
    if scarce := sorted(label for label, texts in classes.items() if len(texts) < 2):
        raise RequestError(
            f"{about} has fewer than two different texts of class {scarce[0]!r}, of which one trains and one is "
            "held out: add rows, or check that data.label_field names the label"
        )
    return [document for texts in classes.values() for document in _divided(texts, spec)]


def label_tokens(labels: Sequence[str], encode: Encode, end: int, vocab_size: int) -> dict[str, int]:
    """The token that answers for each label: the first one of the label as a word, which a trained network knows.

    Where two labels begin with the same token, all take the lowest numbers of the vocabulary in their order.

    Args:
        end: the end-of-text token, which is no answer.

    Raises:
        RequestError: there are more labels than tokens.
    """
    words = [int(encode(f" {label}")[0]) for label in labels]
    if len(set(words)) == len(words) and end not in words:
        return dict(zip(labels, words, strict=True))
    free = [token for token in range(vocab_size) if token != end]
    if len(free) < len(labels):
        raise RequestError(
            f"model.vocab_size={vocab_size} is less than the {len(labels)} classes and an end of text"
        )
    return dict(zip(labels, free, strict=False))


def lay_out(tokens: Tokens, seq_len: int, end: int, answer: int) -> Tokens:
    """One row, shape (seq_len + 1,): see the head of this file."""
    row = np.full(seq_len + 1, end, dtype=TOKEN_DTYPE)
    kept = tokens[: seq_len - 1]
    row[seq_len - 1 - len(kept) : seq_len - 1] = kept
    row[seq_len] = answer
    return row


def _divided(texts: list[Document], spec: CorpusSpec) -> Iterator[Document]:
    """One class: at least one text on each side."""
    ordered = sorted(texts, key=lambda document: rank(document.name, spec.seed))
    held_out = min(max(1, round(spec.validation_share * len(texts))), len(texts) - 1)
    for place, text in enumerate(ordered):
        yield Document(text.name, text.unit, "validation" if place < held_out else "train", text.text)


def _rows(spec: CorpusSpec) -> Iterator[tuple[str, str]]:
    """Label and text of each row.

    Raises:
        RequestError: names the line.
    """
    path = spec.file()
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise RequestError(f"data.path={spec.path} cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError as problem:
        raise RequestError(
            f"data.path={spec.path} is not UTF-8 text (byte {problem.start}): save it as UTF-8"
        ) from None
    read = _csv if path.suffix.lower() == ".csv" else _json_lines
    for line, row in read(content, spec):
        yield (
            _field(row, spec.label_field, "label_field", line, spec),
            _field(row, spec.text_field, "text_field", line, spec),
        )


def _csv(content: str, spec: CorpusSpec) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}
    except csv.Error as problem:
        raise RequestError(
            f"data.path={spec.path} is not CSV after line {reader.line_num} ({problem}): save it again, with quotes"
        ) from None


def _json_lines(content: str, spec: CorpusSpec) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise RequestError(
                f"data.path={spec.path} line {line} is not a JSON object: write one such as "
                '{"text": "...", "label": "..."} in each line'
            )
        yield line, row


def _field(row: Mapping[str, object], name: str, setting: str, line: int, spec: CorpusSpec) -> str:
    about = f"data.path={spec.path} line {line}"
    if name not in row:
        columns = ", ".join(map(str, list(row)[:8]))
        raise RequestError(f"{about} has no {name!r}: set data.{setting} to one of its columns ({columns})")
    value = row[name]
    if isinstance(value, bool | int):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        what = "an empty" if value is None or isinstance(value, str) else f"a {type(value).__name__} as"
        raise RequestError(f"{about} has {what} {name!r}: each row needs a text and a label")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"{about} has half a character (a lone surrogate) in {name!r}: remove it"
        ) from None
    return value.strip() if setting == "label_field" else value
