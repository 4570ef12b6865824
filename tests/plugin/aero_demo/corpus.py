"""A corpus that is made up: sentences that count."""

from __future__ import annotations

from collections.abc import Iterator

from aero_search.plugins import Options


def texts(split: str, options: Options) -> Iterator[str]:
    """Texts of one side; `options` are those of `data.options`."""
    start = 0 if split == "train" else 100_000
    for number in range(start, start + int(options["sentences"])):
        yield f"{number} comes before {number + 1}, and {number % 7} days after {number // 7} weeks.\n"
