"""`init.from=`: the checkpoint that it names, and the network that a request then starts from."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aero_search.architecture import Architecture, validate
from aero_search.architecture.target import depths
from aero_search.config.architecture import GROUPS, ModelGroup, described_architecture, read_architecture
from aero_search.data.spec import CorpusSpec
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.layout import MANIFEST_FILE
from aero_search.export.manifest import check_manifest
from aero_search.init.checkpoint import Checkpoint, open_checkpoint
from aero_search.init.recovery import DistillSpec, Recovery, TrainSpec, make_recovery
from aero_search.init.sizes import misfits
from aero_search.invocation import install
from aero_search.schema import from_mapping, to_mapping
from aero_search.tracking import models
from aero_search.tracking.spec import TrackingSpec
from aero_search.user_path import user_path

# Beside studies, under output_dir: logits of teachers.
TEACHERS = "teachers"
_HUB = "hf:"
_TRIAL = re.compile(r"([\w.+-]+):(\d+)")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
# What is asked of the hub: no code, and no pickle.
_HUB_FILES = ("config.json", "tokenizer.json", "*.safetensors", "model.safetensors.index.json")


@lru_cache(maxsize=8)
def find_checkpoint(
    source: str, output_dir: Path, storage: str | None, tracking: TrackingSpec | None = None
) -> Checkpoint:
    """The trained network that `init.from` names; looked up once a process.

    Args:
        output_dir, storage: where studies are.
        tracking: the store that has models; None where there is none to ask.

    Raises:
        RequestError: there is none, or it cannot be read; one sentence that begins with init.from.
    """
    try:
        folder = _folder(source, output_dir, storage, tracking)
        if (folder / MANIFEST_FILE).is_file():
            check_manifest(folder)
        return open_checkpoint(folder, source)
    except (AeroSearchError, OSError) as problem:
        raise RequestError(f"init.from={source}: {problem}") from problem


def architecture_from(
    checkpoint: Checkpoint, composed: Mapping[str, Any], said: Collection[str]
) -> Architecture:
    """The network of a request that starts from a checkpoint; `said` are the names of its overrides.

    Raises:
        RequestError: it cannot be built, or not from these weights.
    """
    if composed.get("architecture") is not None:
        return check_fit(checkpoint, read_architecture(composed))
    own = checkpoint.architecture
    a = described_architecture(with_checkpoint(composed, own, said))
    # Public layers stay the checkpoint's, whatever is chosen for all layers.
    kept = max(a.public_layers, 0)
    return check_fit(checkpoint, validate(replace(a, layers=(*own.layers[:kept], *a.layers[kept:]))))


def recovery_of(
    composed: Mapping[str, Any], checkpoint: Checkpoint | None, output_dir: Path
) -> Recovery | None:
    """What a configuration says of starting from a checkpoint; raises as `make_recovery`."""
    return make_recovery(
        checkpoint,
        from_mapping(DistillSpec, composed.get("distill") or {}, "distill"),
        from_mapping(TrainSpec, composed.get("train") or {}, "train"),
        output_dir.resolve() / TEACHERS,
    )


def check_fit(checkpoint: Checkpoint, architecture: Architecture) -> Architecture:
    """Return the architecture if the checkpoint's weights can be carried into it.

    Raises:
        RequestError: they cannot; names the sizes.
    """
    if problems := list(misfits(checkpoint.architecture, architecture)):
        raise RequestError(f"init.from={checkpoint.source}: {'; '.join(problems)}")
    return architecture


def with_checkpoint(groups: Mapping[str, Any], own: Architecture, said: Collection[str]) -> dict[str, Any]:
    """The groups of a request, with the checkpoint's own network where nobody has said otherwise.

    A group that is chosen (`norm=none`) is taken whole, a field (`model.n_layer=3`) alone. A variant chooses all
    groups but the sizes. Fewer layers take the choices of those at the same relative depth.

    Args:
        groups: as composed.
        said: names of the overrides that made them.
    """
    chosen = {name for name in said if name in GROUPS}
    if "variant" in said:
        chosen |= set(GROUPS) - {"model"}
    merged = dict(groups)
    sizes = _sizes(own)
    if "model" not in chosen:
        merged["model"] = _merged("model", groups, sizes, said)
    n_layer = merged["model"]["n_layer"]
    layers = own.layers
    if isinstance(n_layer, int) and 1 <= n_layer != own.n_layer:
        layers = tuple(own.layers[i] for i in depths(own.n_layer, n_layer))

    def each(name: str) -> Any:
        kinds = [getattr(layer, name) for layer in layers]
        return kinds[0] if len(set(kinds)) == 1 else kinds

    theirs: Mapping[str, Mapping[str, Any]] = {
        "norm": {"kind": each("norm"), "layers": "all", "final": own.final_norm},
        "activation": {"kind": each("activation")},
        "ffn": {"kind": each("ffn"), "layers": "all", "rank": own.ffn_rank},
        "attention": {**to_mapping(own.attention), "kind": each("attention")},
        "stabilizer": to_mapping(own.stabilizer),
        "regularizer": to_mapping(own.regularizer),
    }
    for group, values in theirs.items():
        if group not in chosen:
            merged[group] = _merged(group, groups, values, said)
    return merged


def tokenizer_of(checkpoint: Checkpoint, data: CorpusSpec) -> Path | None:
    """The tokenizer that a checkpoint's tokens are of: its own, or that of the corpus it was trained on."""
    if checkpoint.tokenizer is not None or not checkpoint.corpus:
        return checkpoint.tokenizer
    from aero_search.data.corpus import TOKENIZER

    path = data.cache_folder() / checkpoint.corpus / TOKENIZER
    return path if path.is_file() else None


def _merged(
    group: str, groups: Mapping[str, Any], theirs: Mapping[str, Any], said: Collection[str]
) -> dict[str, Any]:
    composed = groups.get(group) or {}
    return {
        **composed,
        **{k: v for k, v in theirs.items() if f"{group}.{k}" not in said or k not in composed},
    }


def _sizes(own: Architecture) -> dict[str, Any]:
    return {field.name: getattr(own, field.name) for field in fields(ModelGroup)}


def _folder(source: str, output_dir: Path, storage: str | None, tracking: TrackingSpec | None) -> Path:
    path = user_path(source)
    if path.is_dir():
        return path
    if source.startswith(models.SCHEMES) and tracking is not None:
        return _inner(models.fetch(source, tracking, output_dir))
    if source.startswith(_HUB):
        return _download(source.removeprefix(_HUB))
    if trial := _TRIAL.fullmatch(source):
        return _trial(trial[1], int(trial[2]), output_dir, storage)
    raise RequestError(
        f"{'it is a file' if path.exists() else 'there is no such folder'}: name the folder of a bundle, of a "
        "candidate or of a transformers model, a trial as STUDY:NUMBER, models:/NAME/VERSION, or hf:NAME"
    )


def _inner(folder: Path) -> Path:
    """Where the network lies in a folder that MLflow kept: in `data`, beside MLflow's own description, or there."""
    data = folder / "data"
    inside = sorted(path for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
    return inside[0] if len(inside) == 1 else folder


def _trial(study: str, number: int, output_dir: Path, storage: str | None) -> Path:
    from aero_search.workers.database import load_study

    found, _ = load_study(output_dir, study, storage)
    trials = {trial.number: trial for trial in found.get_trials(deepcopy=False)}
    if number not in trials:
        raise RequestError(f"study {study} has no trial {number}: it has 0 to {max(trials, default=0)}")
    identity = trials[number].user_attrs.get("candidate")
    folder = output_dir / "studies" / study / "candidates" / str(identity)
    if not identity or not (folder / "weights.safetensors").is_file():
        raise RequestError(
            f"trial {number} of study {study} has no weights: name one that was trained to its end"
        )
    return folder


def _download(name: str) -> Path:
    if not _HUB_NAME.fullmatch(name):
        raise RequestError(f"{name} is no name on the hub: write hf:NAME or hf:OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise RequestError(
            f"the hub needs huggingface_hub: {install('hf')}, or name a local folder"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except Exception as problem:  # the library raises a different one for each way to be offline or misspelt
        raise RequestError(
            f"it could not be read from the hub ({type(problem).__name__}): check the name and the connection, or "
            "name a local folder"
        ) from problem
