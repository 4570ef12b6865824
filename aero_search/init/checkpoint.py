"""A trained network to start from: its architecture and fingerprint without torch, its weights with it.

Read are a folder that this program wrote (a bundle, a candidate of a study, what `train` leaves) and one that
transformers saved. Weights are safetensors alone: a pickle could run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aero_search.architecture import Architecture, canonical, key, notation, validate
from aero_search.errors import AeroSearchError, RequestError
from aero_search.init.huggingface import Read, our_tensors, read_config
from aero_search.integrity import digest, file_digest
from aero_search.schema import from_mapping
from aero_search.untrusted_files import check_header, read_json, read_yaml, regular_file

if TYPE_CHECKING:
    from torch import Tensor

    from aero_search.model import Decoder

ARCHITECTURE, OUR_WEIGHTS, RESULT, PROVENANCE = (
    "architecture.yaml", "weights.safetensors", "result.json", "provenance.json"
)  # fmt: skip
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
# Endings of weights that are pickled.
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TEXT_BYTES, _WEIGHT_BYTES = 4_000_000, 64_000_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A trained network on this machine.

    Attributes:
        source: as the user named it.
        folder: absolute.
        architecture: canonical.
        weights: names of the files in the folder that hold them.
        corpus: the fingerprint of the corpus it was trained on; empty where the folder does not say.
        tokenizer: the tokenizer.json of what it was trained on; None where the folder has none.
        read: what config.json says; None for a network of this program.
    """

    source: str
    folder: Path
    architecture: Architecture
    weights: tuple[str, ...]
    corpus: str = ""
    tokenizer: Path | None = None
    read: Read | None = None

    @property
    def name(self) -> str:
        """The network, for people."""
        return f"{self.folder.name} ({notation(self.architecture)})"

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of the network and its weights; every byte is read, once a process."""
        scale = "" if self.read is None else f" {self.read.stream_scale!r}"
        files = [file_digest(self._file(name)) for name in self.weights]
        return digest(
            [f"{key(self.architecture)}{scale}\n".encode(), *(f"{name}\n".encode() for name in files)]
        )

    def at(self, seq_len: int) -> Architecture:
        """Its architecture with a longer context, which rotary positions allow, or its own."""
        return self.architecture if seq_len <= self.architecture.seq_len else self._longer(seq_len)

    def model(self, seq_len: int = 0) -> Decoder:
        """The decoder in evaluation mode, on the CPU, for at least so many tokens. Imports torch.

        Raises:
            RequestError: the weights are not those of the architecture.
        """
        import torch

        from aero_search.model import Decoder, build_model

        architecture = self.at(seq_len)
        # Names and shapes before anything is allocated: a small file must not ask for a large model.
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            skeleton = Decoder(architecture)
        expected = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
        numbers = sum(file.stat().st_size for file in map(self._file, self.weights))
        if sum(p.numel() for p in skeleton.parameters()) > numbers:
            raise RequestError("its weights are too few for its architecture")
        found = self._tensors()
        wrong = sorted(
            n for n in {*expected, *found} if tuple(getattr(found.get(n), "shape", ())) != expected.get(n)
        )
        if wrong:
            raise RequestError(f"its weights are not those of its architecture: {wrong[0]} differs")
        model = build_model(architecture, seed=0)
        model.load_state_dict(found)
        return model.eval()

    def _tensors(self) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        found: dict[str, Tensor] = {}
        for name in self.weights:
            try:
                found |= load_file(str(self._file(name)))
            except SafetensorError as problem:
                raise RequestError(f"{name} is not a safetensors file: {problem}") from None
        if self.read is not None:
            return our_tensors(self.architecture, found, self.read.stream_scale)
        return found

    def _file(self, name: str) -> Path:
        return _real(self.folder, name, _WEIGHT_BYTES)

    def _longer(self, seq_len: int) -> Architecture:
        return replace(self.architecture, seq_len=seq_len)


def open_checkpoint(folder: Path, source: str) -> Checkpoint:
    """What lies in a folder; its weights are looked at, not read.

    Args:
        source: as the user named it.

    Raises:
        RequestError: there is no trained network in it that can be read, in one sentence without its name.
    """
    if not folder.is_dir():
        raise RequestError("there is no such folder: name one with a trained network in it")
    try:
        if (folder / ARCHITECTURE).is_file() and (folder / OUR_WEIGHTS).is_file():
            return _ours(folder, source)
        if (folder / CONFIG).is_file():
            return _theirs(folder, source)
    except RequestError:
        raise
    except AeroSearchError as problem:
        raise RequestError(str(problem)) from problem
    raise RequestError(
        f"{_pickled(folder)}it has neither {ARCHITECTURE} with {OUR_WEIGHTS} (a bundle, or a candidate of a "
        f"study) nor {CONFIG} with {WEIGHTS} (transformers)"
    )


def _ours(folder: Path, source: str) -> Checkpoint:
    data = read_yaml(folder, ARCHITECTURE, _TEXT_BYTES)
    check_header(folder, OUR_WEIGHTS, _WEIGHT_BYTES)
    told: Mapping[str, Any] = {}
    if (folder / RESULT).is_file():
        told = read_json(folder, RESULT, _WEIGHT_BYTES)
        if told.get("weights_digest") and told["weights_digest"] != file_digest(folder / OUR_WEIGHTS):
            raise RequestError(f"{OUR_WEIGHTS} does not match the checksum in {RESULT}: train it again")
    elif (folder / PROVENANCE).is_file():
        told = read_json(folder, PROVENANCE, _TEXT_BYTES)
    tokenizer = folder / TOKENIZER
    return Checkpoint(
        source,
        folder.resolve(),
        canonical(validate(from_mapping(Architecture, data, "architecture"))),
        (OUR_WEIGHTS,),
        str(told.get("fingerprint") or told.get("corpus_fingerprint") or ""),
        tokenizer.resolve() if tokenizer.is_file() else None,
    )


def _theirs(folder: Path, source: str) -> Checkpoint:
    text = _real(folder, CONFIG, _TEXT_BYTES)
    read = read_config(read_json(text.parent, text.name, _TEXT_BYTES))
    if (folder / WEIGHTS).is_file():
        names: tuple[str, ...] = (WEIGHTS,)
    elif (folder / INDEX).is_file():
        index = _real(folder, INDEX, _TEXT_BYTES)
        files = read_json(index.parent, index.name, _TEXT_BYTES).get("weight_map")
        if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
            raise RequestError(f"{INDEX} has no weight_map of file names")
        names = tuple(sorted(set(files.values())))
    else:
        raise RequestError(f"{_pickled(folder)}the folder has no {WEIGHTS}")
    for name in names:
        file = _real(folder, name, _WEIGHT_BYTES)
        check_header(file.parent, file.name, _WEIGHT_BYTES)
    corpus = ""
    if (folder / PROVENANCE).is_file():  # an export of this program
        corpus = str(read_json(folder, PROVENANCE, _TEXT_BYTES).get("corpus_fingerprint") or "")
    tokenizer = folder / TOKENIZER
    return Checkpoint(
        source,
        folder.resolve(),
        read.architecture,
        names,
        corpus,
        tokenizer.resolve() if tokenizer.is_file() else None,
        read,
    )


def _real(folder: Path, name: str, most: int) -> Path:
    """A file of the folder, links followed: those of the hub's own cache lead to its blobs."""
    if name != Path(name).name:
        raise RequestError(f"{name!r} leaves the folder")
    path = (folder / name).resolve()
    return regular_file(path.parent, path.name, most)


def _pickled(folder: Path) -> str:
    """A sentence's beginning about weights that are never read, where there are some."""
    found = sorted(path.name for path in folder.iterdir() if path.name.endswith(_PICKLED))
    if not found:
        return ""
    return f"{found[0]} is a pickle, which could run code: save the weights as safetensors (save_pretrained does); "


def same_tokenizer(one: Path, other: Path) -> bool:
    """Whether two tokenizer.json give every text the same tokens, as far as vocabulary, merges and rules tell."""
    try:
        said = [json.loads(path.read_text(encoding="utf-8")) for path in (one, other)]
        return bool(_deciding(said[0]) == _deciding(said[1]))
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _deciding(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said.get(name) for name in ("model", "normalizer", "pre_tokenizer", "added_tokens")}
