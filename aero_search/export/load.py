"""`load_bundle`: a bundle's architecture as data, and its module, tokenizer and figures where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aero_search.architecture import Architecture, canonical, validate
from aero_search.errors import AeroSearchError, RequestError, UnsafeFileError
from aero_search.export.layout import (
    ARCHITECTURE_FILE,
    CONFIG_FILE,
    FOLDED_FILE,
    LARGEST,
    METRICS_FILE,
    PROVENANCE_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from aero_search.export.manifest import Manifest, check_manifest
from aero_search.invocation import typed
from aero_search.schema import SchemaError, from_mapping
from aero_search.untrusted_files import check_header, read_json, read_yaml, regular_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from aero_search.model import Decoder, FoldedDecoder

# Rotary tables are made for every position and are in no file, so that no file's size bounds them.
LONGEST_CONTEXT = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says.

    Attributes:
        folder: where it lies.
        architecture: canonical.
        manifest: size and SHA-256 of every file.
    """

    folder: Path
    architecture: Architecture
    manifest: Manifest

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """`metrics.json`: perplexity, parameters, entropy in nats, curve, cost by part."""
        return read_json(self.folder, METRICS_FILE, LARGEST[METRICS_FILE])

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """`provenance.json`: study, seeds, corpus fingerprint, versions."""
        return read_json(self.folder, PROVENANCE_FILE, LARGEST[PROVENANCE_FILE])

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """`candidate.yaml`: the composed configuration it was trained with, as plain data."""
        return read_yaml(self.folder, CONFIG_FILE, LARGEST[CONFIG_FILE])

    def module(self) -> Decoder:
        """The trained decoder in evaluation mode, on the CPU. Imports torch.

        Raises:
            UnsafeFileError: the weights are no safetensors file, or not those of the architecture.
        """
        from aero_search.model import Decoder, build_model

        self._check_weights(WEIGHTS_FILE, Decoder)
        model = build_model(self.architecture, seed=0)
        self._load(model, WEIGHTS_FILE)
        return model.eval()

    def folded(self) -> FoldedDecoder:
        """The same function as a plain decoder for inference, in evaluation mode. Imports torch; raises alike."""
        import torch

        from aero_search.model import FoldedDecoder

        self._check_weights(FOLDED_FILE, FoldedDecoder)
        with torch.random.fork_rng(devices=[]):
            model = FoldedDecoder(self.architecture)
        self._load(model, FOLDED_FILE)
        return model.eval()

    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer the corpus was packed with; None where the corpus came without one."""
        if TOKENIZER_FILE not in self.manifest.files:
            return None
        from aero_search.data import load_tokenizer

        return load_tokenizer(regular_file(self.folder, TOKENIZER_FILE, LARGEST[TOKENIZER_FILE]))

    def _load(self, model: Decoder, name: str) -> None:
        from aero_search.model import load_weights

        try:
            load_weights(model, self.folder / name)
        except RequestError as problem:
            raise UnsafeFileError(str(problem)) from None

    def _check_weights(self, name: str, kind: type[Decoder]) -> None:
        """Compare names and shapes before anything is allocated: a small file must not ask for a large model."""
        import torch

        found = check_header(self.folder, name, LARGEST[name])
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            skeleton = kind(self.architecture)
        expected = {key: tuple(tensor.shape) for key, tensor in skeleton.state_dict().items()}
        wrong = [key for key, shape in found.items() if expected.get(key) != shape]
        size, told = (self.folder / name).stat().st_size, sum(p.numel() for p in skeleton.parameters())
        if wrong or not found or told > size:
            which = wrong[0] if wrong else "its size"
            raise UnsafeFileError(f"{name} does not hold the weights of {ARCHITECTURE_FILE}: {which} differs")


def load_bundle(path: str | Path) -> Bundle:
    """Open a bundle and check every file against its manifest; torch is imported only for a module.

    Raises:
        RequestError: there is no folder at `path`.
        UnsafeFileError: it holds something that could run code or lead out of the folder.
        AeroSearchError: a file is missing, changed or unreadable.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is no such folder"
        raise RequestError(
            f"{path} is not a bundle: {what}; name the folder that `{typed('export')}` has written"
        )
    manifest = check_manifest(folder)
    for name in manifest.files:
        # A tokenizer's keys are words of the text; it is read by the tokenizers library alone, which runs nothing.
        if name.endswith(".yaml"):
            read_yaml(folder, name, LARGEST[name])
        elif name.endswith(".json") and name != TOKENIZER_FILE:
            read_json(folder, name, LARGEST[name])
    return Bundle(folder, read_bundle_architecture(folder), manifest)


def read_bundle_architecture(folder: Path) -> Architecture:
    """`architecture.yaml`, in canonical form.

    Raises:
        AeroSearchError: it is no architecture.
    """
    data = read_yaml(folder, ARCHITECTURE_FILE, LARGEST[ARCHITECTURE_FILE])
    try:
        architecture = canonical(validate(from_mapping(Architecture, data, "architecture")))
    except SchemaError as problem:
        raise AeroSearchError(f"{ARCHITECTURE_FILE} is no architecture: {problem}") from None
    if architecture.seq_len > LONGEST_CONTEXT:
        raise UnsafeFileError(
            f"{ARCHITECTURE_FILE} has seq_len={architecture.seq_len}, above {LONGEST_CONTEXT}"
        )
    return architecture
