"""The oldest versions that `make test-ranges` installs are those that the extras allow."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_oldest_versions_are_the_lower_ends_of_the_ranges() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    lowest = dict(entry.split(">=") for extra in ("hf", "onnx") for entry in extras[extra])
    assert oldest.keys() <= lowest.keys()
    assert {"transformers", "onnxruntime"} <= oldest.keys()
    for name, version in oldest.items():
        assert f"{version}.".startswith(f"{lowest[name]}."), name
