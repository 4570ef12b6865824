"""What is exported, and the folder that an export makes or replaces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.layout import PROVENANCE_FILE
from aero_search.fail_points import passes
from aero_search.front.front import Front
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record
from aero_search.training.result import WEIGHTS_FILE, check_weights, read_result

Kind = Literal["bundle", "hf", "onnx", "config"]


@dataclass(frozen=True)
class Choice:
    """The point that is exported, and how it was picked."""

    study: str
    record: Record
    front: Front
    pricing: Pricing
    picked_by: str
    search_command: str

    def file(self, name: str) -> Path:
        """A file of the candidate's own folder.

        Raises:
            AeroSearchError: it is gone, or weights are not those of the result beside them.
        """
        path = self.record.folder / name
        if not path.is_file():
            raise AeroSearchError(f"{path} is missing: train the candidate again before exporting it")
        if name == WEIGHTS_FILE:
            check_weights(self.record.folder, read_result(self.record.folder))
        return path


def write_folder(folder: Path, kind: Kind, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a folder beside `folder`, then move its files in.

    The files of an older export there are replaced; what the user has put or trained beside them stays.

    Raises:
        RequestError: `folder` holds something that is no export of this kind.
    """
    folder = folder.resolve()
    old = _files_of(folder, kind)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    passes("export filled")
    folder.mkdir(exist_ok=True)
    new = {path.name for path in partial.iterdir()}
    for name in old - new:
        (folder / name).unlink(missing_ok=True)
    # First what says that this is an export: where the rest is cut off, the next one goes on in its place.
    for name in sorted(new, key=lambda name: name != PROVENANCE_FILE):
        (partial / name).replace(folder / name)
        passes("export partial")
    partial.rmdir()
    passes("export written")
    return folder


def _files_of(folder: Path, kind: Kind) -> set[str]:
    """The files that the export which lies in `folder` has written."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return set()
    try:
        told = json.loads((folder / PROVENANCE_FILE).read_text())
        found, files = told.get("kind", "bundle"), told.get("files", [])
    except (OSError, ValueError, AttributeError):
        raise RequestError(f"to={folder} exists and is no export: name another folder") from None
    if found != kind:
        raise RequestError(f"to={folder} holds an export of kind={found}, not {kind}: name another folder")
    return {str(name) for name in files if Path(str(name)).name == name}
