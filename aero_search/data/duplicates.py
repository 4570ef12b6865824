"""Near-duplicate files: an exact search for pairs whose sets of lines overlap.

Two line sets X and Y with Jaccard similarity |X & Y| / |X | Y| >= t satisfy t|X| <= |Y| <= |X|/t, and share
at least ceil(t|X|) lines. Under any one total order of all lines, they therefore share a line among the first
|X| - ceil(t|X|) + 1 of X and the first |Y| - ceil(t|Y|) + 1 of Y (prefix filtering: Chaudhuri et al., ICDE
2006; Bayardo et al., WWW 2007). Only pairs that do are compared: nothing is missed and little is compared.
"""

from __future__ import annotations

import math
from collections import defaultdict
from hashlib import blake2b


class NearDuplicates:
    """Remembers the texts it kept and says whether a new one is too close to any of them.

    Args:
        threshold: the least Jaccard similarity of two line sets that makes a duplicate; None looks for exact
            copies only. Lines are compared without surrounding blanks, empty lines not at all.

    Guarantee: no two kept texts are equal, and no two reach the threshold.
    """

    def __init__(self, threshold: float | None) -> None:
        self._threshold = threshold
        self._exact: set[bytes] = set()
        self._kept: list[frozenset[str]] = []
        self._by_line: defaultdict[str, list[int]] = defaultdict(list)

    def keep(self, text: str) -> bool:
        """Remember `text` and return True, or return False if it duplicates a text kept before."""
        digest = blake2b(text.encode(), digest_size=16).digest()
        if digest in self._exact:
            return False
        if self._threshold is not None:
            lines = line_set(text)
            # Long lines come first: they are rare, so that few pairs meet. Any order would be correct.
            prefix = sorted(lines, key=_rare_first)[: self._prefix_length(len(lines))]
            if self._close_to_kept(lines, prefix):
                return False
            for line in prefix:
                self._by_line[line].append(len(self._kept))
            self._kept.append(lines)
        self._exact.add(digest)
        return True

    def _close_to_kept(self, lines: frozenset[str], prefix: list[str]) -> bool:
        t = self._threshold or 1.0
        for index in {index for line in prefix for index in self._by_line.get(line, ())}:
            other = self._kept[index]
            shorter, longer = sorted((len(lines), len(other)))
            if shorter >= t * longer and jaccard(lines, other) >= t:
                return True
        return False

    def _prefix_length(self, n: int) -> int:
        # The small allowance keeps rounding of t * n from cutting the prefix one line short.
        return n - math.ceil((self._threshold or 1.0) * n - 1e-9) + 1 if n else 0


def line_set(text: str) -> frozenset[str]:
    """The distinct lines of a text, without surrounding blanks; empty lines do not count."""
    lines = {line.strip() for line in text.splitlines()}
    lines.discard("")
    return frozenset(lines)


def jaccard(x: frozenset[str], y: frozenset[str]) -> float:
    """|X & Y| / |X | Y|; two empty sets have nothing in common (0)."""
    shared = len(x & y)
    return shared / (len(x) + len(y) - shared) if shared else 0.0


def _rare_first(line: str) -> tuple[int, str]:
    return -len(line), line
