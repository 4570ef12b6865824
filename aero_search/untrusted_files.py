"""Reading files that someone else wrote: plain data or a refusal, and nothing that could run.

What is read here is a regular file of bounded size inside its folder; YAML is scalars, lists and mappings (see
`plain_yaml`); nothing asks Hydra or transformers to import something.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aero_search.errors import AeroSearchError, UnsafeFileError
from aero_search.plain_yaml import parse_yaml

# A safetensors header names each tensor in about 100 bytes; the format's own limit is 100 MB.
HEADER_BYTES = 8_000_000
# Endings that hold pickled objects or code; none belongs to a bundle.
CODE_ENDINGS = (
    ".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".pyc", ".py", ".so",
)  # fmt: skip
# Keys that make Hydra or transformers import or run what they name.
RUNNING_KEYS = (
    "_target_", "_partial_", "_args_", "auto_map", "trust_remote_code", "custom_pipelines", "chat_template",
)  # fmt: skip
HYDRA_KEYS = ("hydra", "defaults")


def regular_file(folder: Path, name: str, most: int) -> Path:
    """The path of `name` directly in `folder`.

    Raises:
        UnsafeFileError: the name leaves the folder, or it is a link, no regular file, or above `most` bytes.
        AeroSearchError: it is missing.
    """
    if name != Path(name).name or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise UnsafeFileError(f"{name!r} leaves the bundle's folder: a bundle's files lie directly in it")
    path = folder / name
    try:
        info = path.lstat()
    except OSError:
        raise AeroSearchError(f"{name} is missing from the bundle {folder}") from None
    if stat.S_ISLNK(info.st_mode):
        raise UnsafeFileError(f"{name} is a symbolic link: a bundle's files are its own")
    if not stat.S_ISREG(info.st_mode):
        raise UnsafeFileError(f"{name} is no regular file")
    if info.st_size > most:
        raise UnsafeFileError(f"{name} has {info.st_size:,} bytes, more than the {most:,} it may have")
    return path


def read_text(folder: Path, name: str, most: int) -> str:
    """UTF-8 text; raises as `regular_file`, and where it is no text."""
    path = regular_file(folder, name, most)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AeroSearchError(f"{name} is not UTF-8 text") from None


def read_json(folder: Path, name: str, most: int) -> dict[str, Any]:
    """A JSON object without keys that make a library run code; raises as `read_text`."""
    try:
        data = json.loads(read_text(folder, name, most))
    except (ValueError, RecursionError) as problem:
        raise AeroSearchError(f"{name} is not JSON: {_first_line(problem)}") from None
    return plain_mapping(data, name)


def read_yaml(folder: Path, name: str, most: int) -> dict[str, Any]:
    """A YAML mapping of plain data; raises as `read_text`.

    Raises:
        UnsafeFileError: tags, anchors or aliases, several documents, interpolations, or keys that make Hydra
            run or load something.
    """
    mapping = plain_mapping(parse_yaml(read_text(folder, name, most), name), name)
    for key in HYDRA_KEYS:
        if key in mapping:
            raise UnsafeFileError(f"{name} has the key {key}, with which Hydra loads or runs other things")
    return mapping


def check_header(folder: Path, name: str, most: int) -> dict[str, tuple[int, ...]]:
    """Read the header of a safetensors file and nothing more.

    Returns:
        The shape of every tensor by name.

    Raises:
        UnsafeFileError: pickled or otherwise no safetensors file, or a header that is too large.
    """
    path = regular_file(folder, name, most)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        start = file.read(2)
        if size < 10 or start[:1] != b"{":
            raise UnsafeFileError(f"{name} is not a safetensors file: pickled weights are never read")
        longest = min(HEADER_BYTES, size - 8)
        if length > longest:
            raise UnsafeFileError(
                f"{name} has a header of {length:,} bytes, more than the {longest:,} it may have"
            )
        header = start + file.read(length - 2)
    try:
        entries = json.loads(header)
        shapes = {
            key: tuple(int(extent) for extent in entry["shape"])
            for key, entry in entries.items()
            if key != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UnsafeFileError(f"{name} has a header that is no safetensors header") from None
    return shapes


def carriers_of_code(folder: Path) -> list[str]:
    """Entries of the folder, listed or not, that could carry code or lead out of it, in order."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_symlink() or (entry.name.lower().endswith(CODE_ENDINGS) and entry.is_file())
    )


def plain_mapping(data: object, name: str) -> dict[str, Any]:
    """The data of a file, if it is a mapping of plain data.

    Raises:
        UnsafeFileError: it has an interpolation, or a key that makes Hydra or transformers import something.
        AeroSearchError: it is no mapping.
    """
    if not isinstance(data, dict):
        raise AeroSearchError(f"{name} is not a mapping of fields")
    for path, value in _entries(data):
        if path.rpartition(".")[2] in RUNNING_KEYS:
            raise UnsafeFileError(f"{name} has the key {path}, with which a library imports code: remove it")
        for text in (path, value):
            if isinstance(text, str) and "${" in text:
                raise UnsafeFileError(
                    f"{name} has the interpolation {text[:80]!r} under {path[:80]}: only plain data is read"
                )
    return data


def _entries(data: object) -> Iterator[tuple[str, object]]:
    """Every value with its dotted key, however deep, without recursion; items of lists under their index."""
    waiting: list[tuple[str, object]] = [("", data)]
    while waiting:
        where, node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            path = f"{where}.{key}" if where else str(key)
            yield path, value
            if isinstance(value, dict | list):
                waiting.append((path, value))


def _first_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
