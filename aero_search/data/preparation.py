"""From what a user asks for to a packed corpus: once, in one process, and never by halves.

A manifest (names, sizes and times of all candidate files) finds a corpus that was packed before without
reading a file. Else one process packs, into a folder that is renamed when complete, while others wait for its
lock.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from aero_search.data import huggingface, labelled, plugin_corpus, python_source, text_folder
from aero_search.data.corpus import Corpus, read_meta
from aero_search.data.files import Candidate, Document
from aero_search.data.pack import FORMAT, Side, entry, fingerprint, pack, samples, write_meta
from aero_search.data.plugin_corpus import plugin
from aero_search.data.progress import Reporter
from aero_search.data.spec import MB, CorpusSpec
from aero_search.data.tokenizer import (
    GivenTokenizer,
    check_vocab_size,
    encoder,
    end_of_text,
    train_tokenizer,
)
from aero_search.errors import AeroSearchError, RequestError
from aero_search.integrity import (
    DamagedError,
    file_digest,
    read_sealed,
    require_regular,
    tell,
    tell_if_open_to_all,
    write_sealed,
)
from aero_search.schema import to_mapping

# A tokenizer for a stream is trained on its first rows, which are kept in memory for that.
_STREAM_SAMPLE_BYTES = 24 * MB
# Of a stream with a tokenizer of its own, so much is held back to compare encoders on.
_ENCODER_SAMPLE_BYTES = MB


def prepare(
    spec: CorpusSpec, vocab_size: int, *, quiet: bool = False, given: GivenTokenizer | None = None
) -> Corpus:
    """Return the packed corpus, packing it first if this machine has not done so yet.

    Args:
        vocab_size: V of the model; the tokenizer is trained to it.
        quiet: say nothing on stderr.
        given: the tokenizer to pack with, instead of one that is trained on the text.

    Raises:
        RequestError: the text or the vocabulary cannot be what was asked for.
        AeroSearchError: the cache could not be written.
    """
    if spec.kind == "tokenized":
        return _open_tokenized(spec, vocab_size)
    check_vocab_size(vocab_size, 1 if spec.tokenizer or given else 257)
    root = spec.cache_folder()
    found = _candidates(spec)
    key = _manifest_key(spec, vocab_size, found, given)
    corpus = _cached(root, key, vocab_size)
    if corpus is None:
        with _lock(root, key):
            # Another process may have packed it while this one waited.
            corpus = _cached(root, key, vocab_size)
            if corpus is None:
                headline = f"Preparing the corpus data.kind={spec.kind} (once; kept in {root}) ..."
                with Reporter(headline, quiet=quiet) as reporter:
                    corpus = _build(spec, vocab_size, found, root, key, reporter, given)
    return corpus


def _candidates(spec: CorpusSpec) -> list[Candidate]:
    if spec.kind == "python_source":
        return python_source.candidates(spec)
    if spec.kind == "classification":
        return labelled.candidates(spec)
    return text_folder.candidates(spec) if spec.kind == "text_folder" else []


def _manifest_key(
    spec: CorpusSpec, vocab_size: int, found: list[Candidate], given: GivenTokenizer | None
) -> str:
    asked = to_mapping(spec)
    del asked["cache_dir"]
    # Packed corpora are older than this field, and found again without it.
    if not asked["options"]:
        del asked["options"]
    if spec.kind != "classification":
        del asked["label_field"]
    if (entry := plugin(spec)) is not None:
        asked["package"] = entry.package
    if given is not None:
        asked["given"] = [file_digest(given.path), given.end_of_text]
    if spec.path:
        asked["path"] = str(spec.file() if spec.kind == "classification" else spec.folder())
    files = [(candidate.name, candidate.size, candidate.mtime_ns) for candidate in found]
    return blake2b(json.dumps([FORMAT, asked, vocab_size, files]).encode(), digest_size=16).hexdigest()


def _cached(root: Path, key: str, vocab_size: int) -> Corpus | None:
    """The corpus that a manifest leads to; None where there is none, or a damaged one."""
    try:
        name = str(read_sealed(_manifest(root, key))["fingerprint"])
    except (OSError, DamagedError, KeyError):
        return None
    return _complete(root / name, vocab_size) if re.fullmatch("[0-9a-f]{32}", name) else None


def _complete(folder: Path, vocab_size: int) -> Corpus | None:
    """A whole corpus of that vocabulary, in the folder of its fingerprint."""
    if not folder.exists():
        return None
    try:
        corpus = Corpus.open(folder)
        require_regular(corpus.tokenizer_path)
    except (RequestError, DamagedError, OSError):
        return None
    return corpus if (corpus.fingerprint, corpus.vocab_size) == (folder.name, vocab_size) else None


def _manifest(root: Path, key: str) -> Path:
    return root / "manifests" / f"{key}.json"


@contextmanager
def _lock(root: Path, key: str) -> Iterator[None]:
    from filelock import FileLock

    tell_if_open_to_all(root, "data.cache_dir")
    try:
        for name in ("manifests", "locks"):
            (root / name).mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "locks" / f"{key}.lock")
        lock.acquire()
    except OSError as problem:
        raise RequestError(
            f"data.cache_dir={root} cannot be written ({problem.strerror}): "
            "set data.cache_dir to a folder that can"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _build(
    spec: CorpusSpec,
    vocab_size: int,
    found: list[Candidate],
    root: Path,
    key: str,
    reporter: Reporter,
    given: GivenTokenizer | None,
) -> Corpus:
    # Only the holder of the lock of `key` uses this folder, so what a killed process left in it can go.
    partial = root / f".{key}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if spec.kind == "huggingface" or plugin(spec) is not None:
            name = _pack_stream(spec, vocab_size, partial, reporter, given)
        else:
            name = _pack_files(spec, vocab_size, found, root, partial, reporter, given)
        corpus = _complete(root / name, vocab_size) or _publish(partial, root / name, vocab_size)
        write_sealed(_manifest(root, key), {"fingerprint": name})
    except OSError as problem:
        raise AeroSearchError(
            f"packing the corpus into {root} failed ({problem.strerror}): "
            "free some space or set data.cache_dir"
        ) from problem
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return corpus


def _publish(partial: Path, folder: Path, vocab_size: int) -> Corpus:
    if folder.exists() and _complete(folder, vocab_size) is None:
        tell(f"the packed corpus {folder} was damaged and has been prepared again")
        shutil.rmtree(folder, ignore_errors=True)  # it was complete when it was renamed to this
    try:
        partial.rename(folder)
    except OSError:
        # Another request with the same content came first; its folder is as good as ours.
        corpus = _complete(folder, vocab_size)
        if corpus is None:
            raise
        return corpus
    return Corpus.open(folder)


def _pack_files(
    spec: CorpusSpec,
    vocab_size: int,
    found: list[Candidate],
    root: Path,
    partial: Path,
    reporter: Reporter,
    given: GivenTokenizer | None,
) -> str:
    """Select, and pack unless the same content is packed already; returns the fingerprint."""
    documents = sorted(_selected(spec, found, reporter), key=lambda document: (document.name, document.split))
    train = [document for document in documents if document.split == "train"]
    validation = [document for document in documents if document.split == "validation"]
    where = "data.packages" if spec.kind == "python_source" else f"data.path={spec.path}"
    for split, side in (("train", train), ("validation", validation)):
        if not side:
            raise RequestError(
                f"{where} leaves no {split} text once duplicates are dropped: add text that differs"
            )
    loaded = given.load(vocab_size) if given is not None else None
    theirs = None if loaded is None else f"{loaded[0].to_str()}{loaded[1]}"
    name = fingerprint(map(entry, documents), vocab_size, theirs, spec.chunk, spec.kind == "classification")
    if _complete(root / name, vocab_size):
        return name
    if loaded is None:
        tokenizer = train_tokenizer(_told(train, reporter, "Tokenizer"), vocab_size)
        end = end_of_text(tokenizer)
    else:
        tokenizer, end = loaded
    encode = encoder(tokenizer, samples(train))
    advance = reporter.stage("Encode", sum(document.size for document in documents))
    labels = None
    if spec.kind == "classification":
        classes = sorted({document.unit for document in documents})
        labels = labelled.label_tokens(classes, encode, end, tokenizer.get_vocab_size())
    sides = pack(partial, (train, validation), tokenizer, encode, advance, end, spec.chunk, labels)
    _describe(partial, spec, name, vocab_size, end, sides, labels)
    return name


def _selected(spec: CorpusSpec, found: list[Candidate], reporter: Reporter) -> list[Document]:
    if spec.kind == "classification":
        return labelled.select(spec)
    select = python_source.select if spec.kind == "python_source" else text_folder.select
    return select(spec, found, reporter.stage("Select", (spec.train_mb + spec.validation_mb) * MB))


def _pack_stream(
    spec: CorpusSpec, vocab_size: int, partial: Path, reporter: Reporter, given: GivenTokenizer | None
) -> str:
    """Stream both sides once into `partial`; returns the fingerprint."""
    stream = huggingface.stream if plugin(spec) is None else plugin_corpus.stream
    rows = stream(spec, "train")
    tokenizer, end = given.load(vocab_size) if given is not None else (None, None)
    if spec.tokenizer:
        tokenizer = huggingface.hub_tokenizer(spec.tokenizer, vocab_size)
    brought = tokenizer is not None
    first: list[Document] = []
    size = 0
    for document in rows:
        first.append(document)
        size += document.size
        if size >= (_STREAM_SAMPLE_BYTES if tokenizer is None else _ENCODER_SAMPLE_BYTES):
            break
    if tokenizer is None:
        tokenizer = train_tokenizer(_told(first, reporter, "Tokenizer"), vocab_size)
    end = end_of_text(tokenizer) if end is None else end
    encode = encoder(tokenizer, samples(first))
    rows = itertools.chain(first, rows)
    advance = reporter.stage("Encode", None)
    held_out = stream(spec, "validation")
    sides = pack(partial, (rows, held_out), tokenizer, encode, advance, end, spec.chunk)
    for split, side in zip(("train", "validation"), sides, strict=True):
        if not side.entries:
            raise RequestError(f"{_side(spec, split)} has no rows within data.{split}_mb: raise it")
        if not side.tokens:
            raise RequestError(
                f"{_side(spec, split)} has no text of data.chunk={spec.chunk} tokens: lower it, or set null"
            )
    entries = sides[0].entries + sides[1].entries
    theirs = f"{tokenizer.to_str()}{'' if given is None else end}" if brought else None
    name = fingerprint(entries, vocab_size, theirs, spec.chunk)
    _describe(partial, spec, name, vocab_size, end, sides)
    return name


def _side(spec: CorpusSpec, split: str) -> str:
    return f"data.{split}_dataset" if plugin(spec) is None else f"the {split} side of data.kind={spec.kind}"


def _told(documents: list[Document], reporter: Reporter, stage: str) -> Iterator[str]:
    advance = reporter.stage(stage, sum(document.size for document in documents))
    for document in documents:
        yield document.text
        advance(document.size)


def _describe(
    folder: Path,
    spec: CorpusSpec,
    name: str,
    vocab_size: int,
    separator: int,
    sides: tuple[Side, Side],
    labels: Mapping[str, int] | None = None,
) -> None:
    write_meta(
        folder,
        kind=spec.kind,
        name=name,
        vocab_size=vocab_size,
        separator=separator,
        chunk=spec.chunk,
        labels=labels,
        train=sides[0],
        validation=sides[1],
    )


def _open_tokenized(spec: CorpusSpec, vocab_size: int) -> Corpus:
    folder = spec.folder()
    said = read_meta(folder).get("vocab_size")
    if isinstance(said, int) and said > vocab_size:
        raise RequestError(
            f"model.vocab_size={vocab_size} is below the {said} of data.path={spec.path}: set "
            f"model.vocab_size={said}"
        )
    return Corpus.open(folder)
