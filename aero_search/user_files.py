"""Files of settings that the user names: read whole, within limits, or refused with file, line and reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aero_search.errors import AeroSearchError, RequestError
from aero_search.plain_yaml import parse_yaml

# A protocol of every operation is some 10 kB; a description of 1,000 layers is 100 kB.
LARGEST_BYTES = 2_000_000


def read_settings(path: Path) -> Mapping[str, Any]:
    """The mapping that a YAML file holds; an empty file holds an empty one.

    Raises:
        RequestError: it cannot be opened or read, or holds something else.
    """
    return settings_of(read_text(path), path)


def settings_of(text: str, path: Path) -> Mapping[str, Any]:
    """The same of a file whose text is known; raises as `read_settings`."""
    try:
        data = parse_yaml(text, str(path))
    except RequestError:
        raise
    except AeroSearchError as problem:
        # The user chose this file.
        raise RequestError(str(problem)) from problem
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        kind = "a list" if isinstance(data, list) else f"the value {str(data)[:60]}"
        raise RequestError(f"{path} holds {kind} where fields are meant: write NAME: VALUE, one a line")
    for key in data:
        if not isinstance(key, str):
            raise RequestError(f"{path} has the key {key}, which is no name: put it in quotes")
    return data


def read_text(path: Path) -> str:
    """The UTF-8 text of a regular file of bounded size; raises as `read_settings`."""
    try:
        if not path.is_file():
            raise RequestError(f"{path} is no file" if path.exists() else f"{path} does not exist")
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as problem:
        raise RequestError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    if len(data) > LARGEST_BYTES:
        raise RequestError(
            f"{path} has more than the {LARGEST_BYTES:,} bytes that a file of settings may have"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise RequestError(
            f"{path} (line {line}): the byte 0x{data[problem.start]:02X} is not UTF-8; save the file as UTF-8"
        ) from problem
