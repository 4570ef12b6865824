"""Writes the bundle of one trained candidate."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aero_search.architecture import BASELINE, key
from aero_search.cost import Network, Protocol
from aero_search.cost.document import cost_document
from aero_search.errors import AeroSearchError, RequestError
from aero_search.schema import to_mapping
from aero_search.search.files import ARCHITECTURE_FILE, CONFIG_FILE, write_yaml
from aero_search.search.front import Front
from aero_search.search.record import Record
from aero_search.training.result import WEIGHTS_FILE, Result, read_result

PROVENANCE_FILE = "provenance.json"


@dataclass(frozen=True)
class Choice:
    """The point that is taken home, and how it was picked."""

    study: str
    record: Record
    front: Front
    protocol: Protocol
    network: Network
    picked_by: str
    search_command: str


def write_bundle(choice: Choice, folder: Path) -> Path:
    """Write the bundle into `folder`; the files of an older bundle there are replaced.

    Raises:
        AeroSearchError: the candidate's own files are gone.
        RequestError: `folder` holds something that is no bundle.
    """
    record = choice.record
    result = read_result(record.folder)
    folder = folder.resolve()
    _check_replaceable(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        source = record.folder / name
        if not source.is_file():
            raise AeroSearchError(f"{source} is missing: train the candidate again before exporting it")
        shutil.copyfile(source, partial / name)
    write_yaml(partial / ARCHITECTURE_FILE, to_mapping(record.architecture), record.notation)
    _write_json(partial / "metrics.json", _metrics(choice, result))
    _write_json(partial / PROVENANCE_FILE, _provenance(choice, result))
    (partial / "README.md").write_text(_readme(choice, result))
    # File by file, so that what the user has put or trained beside them stays.
    folder.mkdir(exist_ok=True)
    for path in partial.iterdir():
        path.replace(folder / path.name)
    partial.rmdir()
    return folder


def _check_replaceable(folder: Path) -> None:
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not empty and not (folder / PROVENANCE_FILE).is_file():
        raise RequestError(f"to={folder} exists and is no bundle: name another folder")


def _metrics(choice: Choice, result: Result) -> dict[str, Any]:
    record, front = choice.record, choice.front
    return {
        "notation": record.notation,
        "perplexity": result.perplexity,
        "validation_loss_nats": result.validation_loss,
        "parameters": result.parameters,
        "entropy_nats_by_layer_and_head": to_mapping(result.entropy),
        "entropy_health": to_mapping(result.health),
        "curve": to_mapping(result.curve),
        "baseline": {"notation": BASELINE, "perplexity": front.baseline_perplexity, **front.baseline},
        "savings_against_baseline": {metric: front.saving(record, metric) for metric in front.baseline},
        "on_front": record in front.points,
        "cost": cost_document(record.architecture, choice.protocol, choice.network),
    }


def _provenance(choice: Choice, result: Result) -> dict[str, Any]:
    versions: Mapping[str, str] = result.versions
    return {
        "study": choice.study,
        "trial": choice.record.number,
        "picked_by": choice.picked_by,
        "key": key(choice.record.architecture),
        "candidate": choice.record.candidate,
        "search_command": choice.search_command,
        "overrides": list(choice.record.overrides),
        "seed": result.seed,
        "data_seed": result.data_seed,
        "corpus_fingerprint": result.fingerprint,
        "git": versions.get("git"),
        "versions": {name: version for name, version in versions.items() if name != "git"},
        "training_seconds": result.seconds,
        "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")


def _readme(choice: Choice, result: Result) -> str:
    record = choice.record
    perplexity = "none (diverged)" if result.perplexity is None else f"{result.perplexity:.2f}"
    costs = record.costs
    return f"""# {record.notation}

Trial {record.number} of study `{choice.study}`, picked by `{choice.picked_by}`.

| | |
|---|---|
| perplexity, held-out split | {perplexity} |
| private-inference latency | {costs["latency_s"]:.4g} s ({choice.protocol.name}, {choice.network.name}) |
| private-inference communication | {costs["communication_bytes"] / 1e9:.4g} GB |
| FLOPs of a forward pass | {costs["flops"] / 1e9:.4g} G |
| parameters | {result.parameters:,} |

Train it again, from this folder alone (same corpus, same seed, same perplexity):

    aero-search train --config-dir . --config-name candidate

Change something while doing so, for example the seed: add `recipe.seed=1`. The search that found it:

    {choice.search_command}

Files: `architecture.yaml` (the description), `candidate.yaml` (the composed config), `weights.safetensors`,
`metrics.json` (perplexity, curve, entropy, cost by part), `provenance.json` (versions, corpus, seeds).
The perplexity holds for the corpus with fingerprint `{result.fingerprint}` and no other.
"""
