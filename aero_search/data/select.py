"""Which units validate, and which files are read where not all of them fit."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping

from aero_search.data.files import Candidate, Document, Split, rank

Read = Callable[[Candidate], str | None]


def choose_validation(sizes: Mapping[str, int], target: float, seed: int) -> frozenset[str]:
    """The units that validate, chosen by bytes because sizes are heavy-tailed.

    Units are taken in a seeded order until the target is reached, passing over those larger than a quarter
    of it, so that validation has several units; where these do not suffice, over those larger than half of
    it, or than all of it. Where the small units do not reach three quarters of the target, the smallest unit
    that has half of it is taken alone, if it leaves half of all bytes to train. Where there is none, what was
    taken is returned, which may be nothing. The result has less than twice the target, or is one unit.

    Args:
        sizes: bytes of each unit.
        target: bytes wanted.
    """
    order = sorted(sizes, key=lambda unit: rank(unit, seed))
    chosen: set[str] = set()
    for largest in (target / 4, target / 2, target):
        chosen, total = set(), 0
        for unit in order:
            if total < target and sizes[unit] <= largest:
                chosen.add(unit)
                total += sizes[unit]
        if total >= 0.75 * target:
            return frozenset(chosen)
    alone = [unit for unit in order if target / 2 <= sizes[unit] <= sum(sizes.values()) / 2]
    return frozenset({min(alone, key=lambda unit: sizes[unit])} if alone else chosen)


def fill(
    candidates: Iterable[Candidate], split: Split, cap: int, read: Read, *, seed: int, cut: bool = False
) -> list[Document]:
    """Read files until `cap` bytes are kept, so that one giant package does not fill the corpus.

    The next file comes from the unit whose kept bytes are smallest relative to the square root of its size:
    shares grow with the root of the size, as languages are commonly sampled for multilingual models (Lample
    & Conneau 2019, alpha = 0.5). Within a unit, files come in a seeded order.

    Args:
        read: the text of a file, or None to pass over it.
        cut: shorten the first file that does not fit, at a line end, and stop; otherwise pass over it.
    """
    files: dict[str, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: rank(c.name, seed), reverse=True):
        files.setdefault(candidate.unit, []).append(candidate)
    root = {unit: math.sqrt(sum(c.size for c in members)) for unit, members in files.items()}
    kept = dict.fromkeys(files, 0)
    heap = [(0.0, rank(unit, seed), unit) for unit in files]
    heapq.heapify(heap)
    documents: list[Document] = []
    room = cap
    while heap and room > 0:
        _, order, unit = heapq.heappop(heap)
        candidate = files[unit].pop()
        fits = candidate.size <= room
        if (fits or cut) and (text := read(candidate)):
            document = Document(candidate.name, unit, split, text if fits else head(text, room))
            if document.text:
                documents.append(document)
                kept[unit] += document.size
                room -= document.size
            if not fits:
                break
        if files[unit]:
            heapq.heappush(heap, (kept[unit] / root[unit], order, unit))
    return documents


def head(text: str, n_bytes: int) -> str:
    """At most the first `n_bytes` bytes of a text, ended at a line end where one is near."""
    return _cut(text.encode(), n_bytes, near=n_bytes // 2)[0]


def head_and_tail(text: str, tail_bytes: int) -> tuple[str, str]:
    """Divide a text so that the second part has about `tail_bytes` bytes, at a line end where one is near."""
    data = text.encode()
    return _cut(data, max(0, len(data) - tail_bytes), near=tail_bytes // 2)


def _cut(data: bytes, at: int, near: int) -> tuple[str, str]:
    if at >= len(data):
        return data.decode(), ""
    line_end = data.rfind(b"\n", max(0, at - near), at) + 1
    if line_end:
        at = line_end
    else:
        while at > 0 and data[at] & 0xC0 == 0x80:  # never inside a character
            at -= 1
    return data[:at].decode(), data[at:].decode()
