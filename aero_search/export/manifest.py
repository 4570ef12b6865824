"""`manifest.json`: the SHA-256 of every file of a bundle, and of itself, so that a changed byte has a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aero_search.errors import AeroSearchError, UnsafeFileError
from aero_search.export.layout import LARGEST, MANIFEST_FILE, REQUIRED
from aero_search.schema import SchemaError, from_mapping, to_mapping
from aero_search.untrusted_files import carriers_of_code, read_text, regular_file

FORMAT = 1
MANIFEST_BYTES = 100_000


@dataclass(frozen=True)
class Digest:
    """One file: SHA-256 in hexadecimal digits, and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json` without the digest of itself."""

    format: int
    files: Mapping[str, Digest]


def write_manifest(folder: Path) -> Path:
    """Digest every file in `folder` and write the manifest beside them."""
    paths = sorted(path for path in folder.iterdir() if path.name != MANIFEST_FILE)
    manifest = Manifest(FORMAT, {path.name: _digest(path) for path in paths})
    path = folder / MANIFEST_FILE
    path.write_text(_text(manifest))
    return path


def check_manifest(folder: Path) -> Manifest:
    """Hold a bundle's files against its manifest.

    Raises:
        UnsafeFileError: it lists what is no file of a bundle, or the folder holds what could carry code.
        AeroSearchError: a file is missing or changed; names every one.
    """
    manifest = _read(folder)
    foreign = sorted(set(manifest.files) - LARGEST.keys())
    if foreign:
        raise UnsafeFileError(f"{MANIFEST_FILE} lists {foreign[0]!r}, which is no file of a bundle")
    carriers = carriers_of_code(folder)
    if carriers:
        raise UnsafeFileError(
            f"{carriers[0]} lies in the bundle and could carry code or lead out of it: it is no part of a bundle, "
            "so move it away"
        )
    unlisted = sorted(set(REQUIRED) - manifest.files.keys())
    if unlisted:
        raise AeroSearchError(f"{MANIFEST_FILE} does not list {unlisted[0]}, which every bundle has")
    changed = [
        name
        for name, told in sorted(manifest.files.items())
        if _digest(regular_file(folder, name, LARGEST[name])) != told
    ]
    if changed:
        verb = "is" if len(changed) == 1 else "are"
        raise AeroSearchError(
            f"{', '.join(changed)} {verb} not what {MANIFEST_FILE} has the SHA-256 of: changed"
        )
    return manifest


def _read(folder: Path) -> Manifest:
    text = read_text(folder, MANIFEST_FILE, MANIFEST_BYTES)
    try:
        data: Any = json.loads(text)
        manifest = from_mapping(Manifest, {key: value for key, value in data.items() if key != "sha256"})
    except (ValueError, AttributeError, RecursionError, SchemaError):
        raise AeroSearchError(f"{MANIFEST_FILE} is changed: it is no manifest of a bundle") from None
    if manifest.format != FORMAT:
        raise AeroSearchError(
            f"{MANIFEST_FILE} has the format {manifest.format}: this version reads {FORMAT}"
        )
    if text != _text(manifest):
        raise AeroSearchError(
            f"{MANIFEST_FILE} is changed: it does not have the SHA-256 that it tells of itself"
        )
    return manifest


def _text(manifest: Manifest) -> str:
    """The one way to write a manifest, so that any other byte shows."""
    data = to_mapping(manifest)
    own = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return json.dumps({**data, "sha256": own}, indent=1) + "\n"


def _digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
