"""Small synthetic text, different for every seed, and folders made of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search.data import CorpusSpec

MakeText = Callable[..., str]
MakeFolder = Callable[..., Path]
MakeSpec = Callable[..., CorpusSpec]


def text(seed: object, n_bytes: int = 4_000) -> str:
    """`n_bytes` of lines of made-up words; the alphabet is small, so that merges are found."""
    source = random.Random(str(seed))
    vocabulary = ["".join(source.choices("abcdefgh", k=source.randint(2, 7))) for _ in range(200)]
    lines, size = [], 0
    while size < n_bytes:
        line = " ".join(source.choices(vocabulary, k=source.randint(3, 9)))
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)[: n_bytes - 1] + "\n"


@pytest.fixture
def make_text() -> MakeText:
    return text


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write {name: text} below a fresh folder; without names, twenty files of 4 kB."""

    def make(files: dict[str, str | bytes] | None = None, name: str = "texts") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        files = files if files is not None else {f"part{i % 3}/{i:02d}.txt": text(i) for i in range(20)}
        for relative, content in files.items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return make


@pytest.fixture
def make_spec(tmp_path: Path) -> MakeSpec:
    """A `text_folder` spec with its cache under tmp_path."""

    def make(path: Path | str, **fields: object) -> CorpusSpec:
        chosen = {"kind": "text_folder", "path": str(path), "cache_dir": str(tmp_path / "cache")} | fields
        return CorpusSpec(**chosen)  # type: ignore[arg-type]

    return make
