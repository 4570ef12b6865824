"""What lies in a candidate's folder beside result and weights, and how it is written."""

from __future__ import annotations

from pathlib import Path

import yaml

from aero_search.integrity import write_whole
from aero_search.schema import to_mapping
from aero_search.search.candidate import Candidate

CONFIG_FILE = "candidate.yaml"
ARCHITECTURE_FILE = "architecture.yaml"


def write_candidate(candidate: Candidate, folder: Path) -> list[Path]:
    """Write the composed config, which trains the candidate again, and its architecture.

    Returns:
        The files written. `aero-search train --config-dir FOLDER --config-name candidate` repeats the training.
    """
    return [
        write_yaml(folder / CONFIG_FILE, dict(candidate.config), f"{candidate.notation}, composed"),
        write_yaml(folder / ARCHITECTURE_FILE, to_mapping(candidate.architecture), candidate.notation),
    ]


def write_yaml(path: Path, data: object, comment: str) -> Path:
    """Write plain data as YAML under a one-line comment, whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"# {comment}\n" + yaml.safe_dump(data, sort_keys=False)
    return write_whole(path, lambda partial: partial.write_text(text))
