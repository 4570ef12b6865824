"""Writes the bundle of one trained candidate: the same choice gives the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

from aero_search.architecture import notation
from aero_search.data.corpus import Corpus
from aero_search.export.card import card
from aero_search.export.choice import Choice, write_folder
from aero_search.export.documents import metrics, write_json, write_provenance
from aero_search.export.layout import (
    ARCHITECTURE_FILE,
    CARD_FILE,
    CONFIG_FILE,
    FOLDED_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    NETWORK_FILE,
    PROTOCOL_FILE,
    TARGET_FILE,
    WEIGHTS_FILE,
)
from aero_search.export.manifest import write_manifest
from aero_search.export.tokens import write_tokenizer
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from aero_search.training.result import read_result


def write_bundle(choice: Choice, corpus: Corpus | None, folder: Path) -> Path:
    """Write the bundle into `folder`; the files of an older bundle there are replaced.

    Args:
        corpus: the one it was trained on, if it is still on this machine; its tokenizer goes along.

    Raises:
        AeroSearchError: the candidate's own files are gone, or its learned scales cannot be folded.
        RequestError: `folder` holds something that is no bundle.
    """
    return write_folder(folder, "bundle", lambda partial: _fill(choice, corpus, partial))


def _fill(choice: Choice, corpus: Corpus | None, folder: Path) -> None:
    record, pricing = choice.record, choice.pricing
    result = read_result(record.folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        shutil.copyfile(choice.file(name), folder / name)
    write_yaml(folder / ARCHITECTURE_FILE, to_mapping(record.architecture), record.notation)
    if pricing.target is not None:
        deployed = pricing.priced(record.architecture)
        name = f"{notation(deployed)} at the size of {pricing.target.name}"
        write_yaml(folder / TARGET_FILE, to_mapping(deployed), name)
    write_yaml(folder / PROTOCOL_FILE, to_mapping(pricing.protocol), pricing.protocol.title)
    write_yaml(folder / NETWORK_FILE, to_mapping(pricing.network), pricing.network.name)
    _write_folded(choice, folder / FOLDED_FILE)
    write_tokenizer(corpus, record.architecture.seq_len, folder)
    write_json(folder / METRICS_FILE, metrics(choice, result))
    write_provenance(choice, result, "bundle", folder, (CARD_FILE, MANIFEST_FILE))
    files = [path.name for path in folder.iterdir()]
    (folder / CARD_FILE).write_text(card(choice, result, files))
    write_manifest(folder)


def _write_folded(choice: Choice, path: Path) -> None:
    # torch takes seconds to import: only where something is written.
    from aero_search.export.models import trained_and_folded
    from aero_search.model import save_weights

    _, folded = trained_and_folded(choice)
    save_weights(folded, path)
    path.chmod(0o644)
