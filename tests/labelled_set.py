"""A labelled set that a small network learns: the words of a text tell its class."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = tuple[str, str]


def labelled_rows(count: int, shares: Mapping[str, int], seed: int = 0) -> list[Row]:
    """Different texts of five words, most of them of their class; classes come by their shares."""
    rng = random.Random(seed)
    words = {label: ["".join(rng.choices("abcdefghij", k=3)) for _ in range(8)] for label in shares}
    turns = [label for label, share in shares.items() for _ in range(share)]
    common = ["".join(rng.choices("klmnop", k=3)) for _ in range(8)]
    rows: dict[str, str] = {}
    while len(rows) < count:
        label = turns[len(rows) % len(turns)]
        text = " ".join([*rng.choices(words[label], k=3), *rng.choices(common, k=2)])
        rows.setdefault(f"{text} {rng.randrange(100)}", label)
    return [(label, text) for text, label in rows.items()]


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    lines = (json.dumps({"text": text, "label": label, "more": None}) for label, text in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
