"""A user's own text: a folder of UTF-8 files, divided by file, or by position if one is nearly all of it."""

from __future__ import annotations

from aero_search.data.duplicates import NearDuplicates
from aero_search.data.files import Candidate, Document, read_text, walk
from aero_search.data.progress import Advance
from aero_search.data.select import choose_validation, fill, head, head_and_tail
from aero_search.data.spec import MB, CorpusSpec
from aero_search.errors import RequestError


def candidates(spec: CorpusSpec) -> list[Candidate]:
    """The files of the folder that the spec lets through, sorted by name.

    Raises:
        RequestError: the folder does not exist, is not a folder, or has no such file.
    """
    found = walk(
        spec.folder(),
        prefix="",
        suffixes=spec.suffixes,
        exclude=spec.exclude,
        min_bytes=spec.min_file_bytes,
        max_bytes=spec.max_file_bytes,
    )
    names = sorted(found, key=lambda c: c.name)
    if not names:
        raise RequestError(
            f"data.path={spec.path} has no file ending in {' '.join(spec.suffixes)}: "
            "name another folder, or set data.suffixes"
        )
    return names


def select(spec: CorpusSpec, found: list[Candidate], advance: Advance) -> list[Document]:
    """Choose validation files, then read and deduplicate both sides up to their caps.

    Where no set of whole files makes a sensible validation part, the largest file is divided by position:
    its head trains, its tail validates, and every other file trains.

    Raises:
        RequestError: no file is UTF-8 text.
    """
    train_cap, validation_cap = round(spec.train_mb * MB), round(spec.validation_mb * MB)
    seen = NearDuplicates(spec.near_duplicate)

    def read(candidate: Candidate) -> str | None:
        advance(candidate.size)
        text = read_text(candidate.path)
        return text if text and text.strip() and seen.keep(text) else None

    # Only what is text counts: a folder may hold files that bear the ending and are something else.
    texts = [c for c in found if (text := read_text(c.path)) and text.strip()]
    if not texts:
        raise RequestError(
            f"data.path={spec.path} has no UTF-8 text in {len(found)} files: name another folder"
        )
    sizes = {c.unit: c.size for c in texts}
    target = min(spec.validation_mb * MB, spec.validation_share * sum(sizes.values()))
    chosen = choose_validation(sizes, target, spec.seed)
    if sum(sizes[unit] for unit in chosen) >= target / 2:
        valid = [c for c in texts if c.unit in chosen]
        train = [c for c in texts if c.unit not in chosen]
        documents = fill(valid, "validation", validation_cap, read, seed=spec.seed, cut=True)
        return documents + fill(train, "train", train_cap, read, seed=spec.seed, cut=True)

    largest = max(texts, key=lambda c: (c.size, c.name))
    text = read(largest) or ""
    before, after = head_and_tail(text, max(1, round(target)))
    before = head(before, train_cap)
    halves = (
        Document(f"{largest.name}[head]", largest.unit, "train", before),
        Document(f"{largest.name}[tail]", largest.unit, "validation", after),
    )
    documents = [half for half in halves if half.text]
    others = [c for c in texts if c is not largest]
    room = train_cap - halves[0].size
    return documents + fill(others, "train", room, read, seed=spec.seed, cut=True)
