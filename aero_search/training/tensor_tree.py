"""Nested states, such as an optimizer's, in one safetensors file: tensors as tensors, all else as JSON beside them.

Understood: dicts with keys of text or whole numbers, lists, tuples, tensors, numbers, text, booleans and None.
A checksum beside them covers every number. Nothing read here is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aero_search.disk import require_room
from aero_search.integrity import digest, require_regular, write_whole

_TREE, _CHECKSUM = "tree", "checksum"
# What makes two tensors the same numbers: address, type, shape, strides.
_Place = tuple[int, torch.dtype, tuple[int, ...], tuple[int, ...]]


def save_tree(tree: object, path: Path) -> None:
    """Write a state whole or not at all, also where the machine stops while it is written.

    Raises:
        TypeError: it holds something that is not understood.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    described = json.dumps(_describe(tree, tensors, {}))
    checksum = _checksum(described, tensors, tensors.__getitem__)

    def write(partial: Path) -> None:
        save_file(tensors, str(partial), metadata={_TREE: described, _CHECKSUM: checksum})
        with partial.open("rb") as file:
            os.fsync(file.fileno())

    require_room(path, sum(tensor.nbytes for tensor in tensors.values()) + len(described))
    write_whole(path, write)


def load_tree(path: Path, *, with_tensors: bool = True) -> Any:
    """Read a state again, its tensors on the CPU.

    Args:
        with_tensors: False reads all but the tensors, which become None; the checksum is then not verified.

    Raises:
        ValueError: this is not a file of `save_tree`, or it has no checksum, as those of earlier versions, or
            another one than its content.
        OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        require_regular(path)
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) if with_tensors else None for name in names}
        if with_tensors and metadata[_CHECKSUM] != _checksum(metadata[_TREE], names, tensors.__getitem__):
            raise ValueError("it does not match its checksum")
        return _restore(json.loads(metadata[_TREE]), tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as problem:
        what = f"it has no {problem}" if isinstance(problem, KeyError) else problem
        raise ValueError(f"{path} is not a saved state: {what}") from problem


def _checksum(described: str, names: Iterable[str], tensor: Callable[[str], Any]) -> str:
    """Of everything that a file holds, whatever the order of its tensors."""

    def parts() -> Iterator[bytes | memoryview]:
        yield described.encode()
        for name in sorted(names):
            value = tensor(name)
            yield f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode()
            yield memoryview(value.reshape(-1).view(torch.uint8).numpy())

    return digest(parts())


def _describe(value: object, tensors: dict[str, Tensor], names: dict[_Place, str]) -> Any:
    if isinstance(value, Tensor):
        # Weights that layers share appear under several names and are written once.
        place = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        name = names.setdefault(place, str(len(names)))
        if name not in tensors:
            tensors[name] = value.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        if any(not isinstance(key, str | int) or isinstance(key, bool) for key in value):
            raise TypeError(f"a state's keys must be text or whole numbers, not {list(value)}")
        return {"dict": [[key, _describe(item, tensors, names)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_describe(item, tensors, names) for item in value]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"a state cannot hold {type(value).__name__}")


def _restore(said: Any, tensors: dict[str, Tensor | None]) -> Any:
    if isinstance(said, list):
        return [_restore(item, tensors) for item in said]
    if not isinstance(said, dict):
        return said
    ((kind, content),) = said.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_restore(item, tensors) for item in content)
    return {key: _restore(item, tensors) for key, item in content}
