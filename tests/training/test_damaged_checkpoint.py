"""A checkpoint that is not what was written, in any way, costs its training the start and changes nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.training import checkpoint
from aero_search.training.checkpoint import CHECKPOINT_FILE
from aero_search.training.result import Result
from aero_search.training.run import train
from aero_search.training.tensor_tree import load_tree, save_tree
from tests.training.test_checkpoint import ARCHITECTURE, RUN, Cut, CutOffError, assert_same


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint at every step that may have one."""
    for name, value in (("EVERY_SECONDS", 0.0), ("REST", 0.0), ("LOOK_EVERY", 1)):
        monkeypatch.setattr(checkpoint, name, value)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Another state of the same training, as a whole file."""
    state = load_tree(path)
    change(state)
    save_tree(state, path)


def old_format(path: Path) -> None:
    """As an earlier version has written it: without a checksum."""
    with safe_open(str(path), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        said = {"tree": file.metadata()["tree"]}
    save_file(tensors, str(path), metadata=said)


def with_nan(path: Path) -> None:
    """A number that is none, in a weight, under the old checksum."""
    with safe_open(str(path), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        said = file.metadata()
    next(t for t in tensors.values() if t.dtype == torch.float32 and t.dim() == 2).view(-1)[0] = math.nan
    save_file(tensors, str(path), metadata=said)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").touch()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a weight": lambda path: flip(path, -5),
    "another number": lambda path: flip(path, path.stat().st_size * 2 // 3),
    "the description": lambda path: flip(path, 400),
    "not a number": with_nan,
    "no checksum": old_format,
    "a folder": a_folder,
    "another tree": lambda path: rewritten(path, lambda state: state.pop("state_dict")),
    "other weights": lambda path: rewritten(path, lambda state: state["state_dict"].popitem()),
    "another optimizer": lambda path: rewritten(path, lambda state: state.update(optimizer_states=[{"x": 1}])),
    "no random state": lambda path: rewritten(path, lambda state: state["random"].zero_()),
    "no loops": lambda path: rewritten(path, lambda state: state.update(loops=[])),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_checkpoint_starts_the_training_again(
    damage: Callable[[Path], None],
    corpus: Corpus,
    tmp_path: Path,
    whole_run: tuple[Result, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "parts"
    with pytest.raises(CutOffError):
        train(ARCHITECTURE, RUN, corpus, folder, (Cut(step=5),))
    damage(folder / CHECKPOINT_FILE)
    heard = Cut()
    again = train(ARCHITECTURE, RUN, corpus, folder, (heard,))
    assert heard.steps == list(range(1, 25))
    assert_same(whole_run[0], again, (whole_run[1], folder))
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aero-search: ")]
    assert said.endswith("this training starts again from step 0")
    assert str(folder / CHECKPOINT_FILE) in said


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(ARCHITECTURE, RUN, corpus, folder), folder
