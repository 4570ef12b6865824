"""Files that are read back: written whole, with a checksum, and refused where they are not what was written.

The hash is BLAKE2b of 16 bytes: a gigabyte takes about a second, and no damage by accident goes unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from aero_search.fail_points import passes
from aero_search.printing import print_line

# The key of a JSON object under which the checksum of everything else in it stands.
CHECKSUM = "checksum"
# Descriptions and results have kilobytes; a result with a long curve of entropies a few megabytes.
LARGEST_JSON = 256_000_000

_Print = tuple[str, int, int, int]
_known: dict[_Print, str] = {}
_told_of: set[Path] = set()


class DamagedError(ValueError):
    """A file is not what was written."""


def tell(sentence: str) -> None:
    """Say on stderr, in one line, what is done about a damaged file."""
    print_line(f"aero-search: {sentence}", stderr=True)


def open_to_all(folder: Path) -> bool:
    """Whether every user of this machine may replace what lies in a folder; one that is missing is not."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def tell_if_open_to_all(folder: Path, setting: str) -> None:
    """Warn once of a folder whose files a stranger may exchange, checksums and all."""
    if folder not in _told_of and open_to_all(folder):
        _told_of.add(folder)
        tell(
            f"every user of this machine may write into {setting}={folder} and so change results unseen: "
            f"chmod o-w {folder}"
        )


def digest(parts: Iterable[bytes | memoryview]) -> str:
    """32 hexadecimal digits of these bytes, one after the other."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def file_digest(path: Path) -> str:
    """The digest of a file's content; read once a process for as long as size, time and inode stay.

    Raises:
        DamagedError: it is no regular file.
        OSError: it is missing or cannot be read.
    """
    info = require_regular(path)
    key = (str(path.absolute()), info.st_size, info.st_mtime_ns, info.st_ino)
    if key not in _known:
        with path.open("rb") as file:
            _known[key] = digest(iter(lambda: file.read(1 << 20), b""))
    return _known[key]


def require_regular(path: Path) -> os.stat_result:
    """What the file system says of a regular file, links followed; a pipe would never end, nor would a device.

    Raises:
        DamagedError: it is a folder, a pipe or a device.
        OSError: it is missing.
    """
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise DamagedError("it is no regular file")
    return info


def seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the checksum of its content."""
    return {**document, CHECKSUM: _checksum(document)}


def unseal(document: object) -> dict[str, Any]:
    """The document without its checksum; one that has none, as files of earlier versions, is taken as it is.

    Raises:
        DamagedError: it is no object, or not the one that was sealed.
    """
    if not isinstance(document, dict):
        raise DamagedError("it is not a JSON object")
    content = {name: value for name, value in document.items() if name != CHECKSUM}
    if CHECKSUM in document and document[CHECKSUM] != _checksum(content):
        raise DamagedError("it does not match its checksum")
    return content


def write_sealed(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a JSON object with its checksum, whole or not at all."""
    text = json.dumps(seal(document), indent=1, allow_nan=False) + "\n"
    return write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_sealed(path: Path) -> dict[str, Any]:
    """The object that `write_sealed` wrote, or one without a checksum.

    Raises:
        DamagedError: it is something else by now; says what.
        OSError: it is missing or cannot be read.
    """
    if require_regular(path).st_size > LARGEST_JSON:
        raise DamagedError(f"it has more than {LARGEST_JSON:,} bytes")
    try:
        return unseal(json.loads(path.read_bytes()))
    except DamagedError:
        raise
    except (ValueError, RecursionError) as problem:
        raise DamagedError(f"it is not JSON: {problem}") from problem


def put_aside(path: Path) -> Path:
    """Give a damaged file or folder another name, beside where it was; nothing is deleted."""
    return path.rename(free_name(path))


def free_name(path: Path) -> Path:
    """The name that a damaged file or folder is kept under, which nothing has yet."""
    names = (
        path.with_name(f"{path.name}.damaged{end}") for end in ("", *(f"-{i}" for i in range(1, 10_000)))
    )
    return next(name for name in names if not name.exists())


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` make a file beside `path` and put it there: whole or not at all, and nothing is left behind."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        write(partial)
        passes(f"{path.name} partial")
        partial.replace(path)
        passes(f"{path.name} written")
        return path
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _checksum(document: Mapping[str, Any]) -> str:
    try:
        # Python's escapes stand for half a surrogate pair too, which UTF-8 has no bytes for.
        said = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError) as problem:
        raise DamagedError(f"it holds what JSON cannot say: {problem}") from problem
    return digest([said.encode()])
