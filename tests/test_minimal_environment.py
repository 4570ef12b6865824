"""A training needs torch, lightning, hydra-core and safetensors with what they bring, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NEEDED = ("torch", "lightning", "hydra-core", "safetensors")
# Finds no module and no metadata of a distribution that the four do not bring, as if it were not installed.
BLOCKED = """
import sys
from importlib.machinery import PathFinder
absent, present = set({absent!r}), set({present!r})

class Present(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            return None
        return super().find_spec(name, path, target)

    @staticmethod
    def find_distributions(*context):
        for found in PathFinder.find_distributions(*context):
            if found.metadata["Name"].lower().replace("_", "-").replace(".", "-") in present:
                yield found

sys.meta_path[:] = [Present if finder is PathFinder else finder for finder in sys.meta_path]
from aero_search.cli import main
sys.exit(main(sys.argv[1:]))
"""


def brought() -> set[str]:
    """The distributions of the four and of all they depend on, by their canonical names."""
    pending, found = list(NEEDED), set()
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if name in found or (marker is not None and not marker.evaluate({"extra": ""})):
            continue
        try:
            pending += metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
    return found


def absent_modules() -> list[str]:
    """Top-level modules that only distributions outside of those provide."""
    present = brought()
    owners = metadata.packages_distributions()
    ours = {"aero_search", "hydra_plugins", "tests"}
    return sorted(
        module
        for module, distributions in owners.items()
        if module not in ours and not {canonicalize_name(name) for name in distributions} & present
    )


def run_without_the_rest(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = BLOCKED.format(absent=absent_modules(), present=sorted(brought()))
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=environment)


@pytest.fixture
def token_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tokens"
    folder.mkdir()
    for name, n in (("train", 5_000), ("validation", 900)):
        (np.arange(n) % 7).astype("<u2").tofile(folder / f"{name}.bin")
    (folder / "meta.json").write_text(json.dumps({"vocab_size": 10}))
    return folder


TINY = [
    "model.n_layer=1",
    "model.d_model=16",
    "model.n_head=2",
    "model.seq_len=16",
    "model.vocab_size=10",
    "recipe.steps=20",
    "recipe.lr=3e-2",
    "recipe.batch_size=4",
    "recipe.validate_every=20",
    "recipe.validation_sequences=16",
]


def test_the_block_covers_what_is_to_be_missing() -> None:
    absent = set(absent_modules())
    heavy = {
        "optuna",
        "mlflow",
        "rich",
        "matplotlib",
        "tokenizers",
        "tiktoken",
        "fvcore",
        "moocore",
        "plotly",
    }
    assert heavy | {"pandas", "platformdirs", "joblib", "scipy", "sqlalchemy"} <= absent
    assert not absent & {
        "torch",
        "lightning",
        "hydra",
        "omegaconf",
        "safetensors",
        "numpy",
        "yaml",
        "filelock",
    }


def test_a_training_needs_four_packages(token_folder: Path, tmp_path: Path) -> None:
    data = ["data=tokenized", f"data.path={token_folder}"]
    done = run_without_the_rest("train", "tracking=none", *data, *TINY, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 20 of 20: perplexity" in done.stdout
    assert float(re.search(r"perplexity \(held out\) +([\d.]+)", done.stdout)[1]) < 3  # type: ignore[index]
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "architecture.yaml",
        "candidate.yaml",
        "result.json",
        "weights.safetensors",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--multirun", "tracking=none", "norm=none,layernorm"],
            r"needs the package (optuna|rich|moocore)",
        ),
        (
            ["train", "tracking=none", "data=text_folder", "data.path=texts", "data.cache_dir=cache", *TINY],
            r"needs the package (tokenizers|tiktoken), .* data=tokenized",
        ),
    ],
)
def test_what_needs_more_says_what(
    arguments: list[str], said: str, token_folder: Path, text_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts").symlink_to(text_folder)
    done = run_without_the_rest(*arguments, "model.vocab_size=300", folder=tmp_path)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert re.search(said, line), done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_tracking_store_is_told_and_the_work_goes_on(token_folder: Path, tmp_path: Path) -> None:
    done = run_without_the_rest(
        "train", "data=tokenized", f"data.path={token_folder}", *TINY, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "No module named 'mlflow'" in done.stderr


def test_the_source_tree_needs_no_installation() -> None:
    assert (ROOT / "hydra_plugins" / "aero_search_sweeper" / "__init__.py").is_file()
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()
