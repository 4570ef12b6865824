"""Weights in safetensors files: names, shapes and numbers, nothing that could run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from aero_search.disk import require_room
from aero_search.errors import RequestError
from aero_search.integrity import write_whole


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write every tensor of the model once, the file whole or not at all.

    Tensors that layers share are written under their first name.

    Raises:
        RequestError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise RequestError("saving weights needs safetensors: pip install safetensors") from None
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(model).items()}
    require_room(Path(path), sum(tensor.nbytes for tensor in tensors.values()))
    write_whole(Path(path), lambda partial: save_file(tensors, str(partial), metadata={"format": "pt"}))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Copy a file's numbers into the model, in the model's precision and on its device.

    Raises:
        RequestError: there is no such file, it is not a safetensors file, it does not hold exactly the
            model's tensors, or safetensors is not installed. The model is then unchanged.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise RequestError("loading weights needs safetensors: pip install safetensors") from None
    if not Path(path).is_file():
        raise RequestError(f"there are no weights at {path}")
    try:
        found = load_file(str(path))
    except SafetensorError as problem:
        raise RequestError(f"{path} is not a safetensors file: {problem}") from None
    expected = _tensors(model)
    _require_same(expected, found, path)
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(found[name])


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    seen: set[int] = set()
    unique: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            unique[name] = tensor
    return unique


def _require_same(expected: dict[str, Tensor], found: dict[str, Tensor], path: str | Path) -> None:
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or foreign:
        problems = [f"lacks {name}" for name in missing[:1]] + [f"also has {name}" for name in foreign[:1]]
        raise RequestError(
            f"{path} belongs to another architecture: it {' and '.join(problems)} "
            f"({len(missing)} tensors missing, {len(foreign)} foreign)"
        )
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise RequestError(
                f"{path} belongs to another architecture: {name} is {tuple(found[name].shape)} there "
                f"and {tuple(tensor.shape)} here"
            )
