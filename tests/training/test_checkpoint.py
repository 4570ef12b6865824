"""A training that was cut off and goes on is the training that was not, to the last bit."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.training import checkpoint
from aero_search.training.checkpoint import CHECKPOINT_FILE, checkpoint_of
from aero_search.training.compute import Compute
from aero_search.training.job import Job
from aero_search.training.recipe import Recipe
from aero_search.training.result import CurvePoint, Result
from aero_search.training.run import train
from aero_search.training.tensor_tree import load_tree, save_tree
from tests.search.fakes import RECIPE

# Buffers that training changes, weights that layers share, and thresholds: all of it has to come back.
ARCHITECTURE = Architecture(
    n_head=2,
    d_model=16,
    seq_len=16,
    vocab_size=300,
    layers=(Layer("batchnorm", "leaky_relu_shared"), Layer("none", "leaky_relu_shared")),
    attention=Attention(temperature="learned"),
    stabilizer=Stabilizer("spectral_norm"),
    regularizer=Regularizer(weight=0.02),
)
RUN = replace(RECIPE, steps=24, lr=3e-2, batch_size=8, validate_every=24, validation_sequences=16)


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint at every step that may have one."""
    for name, value in (("EVERY_SECONDS", 0.0), ("REST", 0.0), ("LOOK_EVERY", 1)):
        monkeypatch.setattr(checkpoint, name, value)


class CutOffError(Exception):
    pass


class Cut:
    """A listener that ends the training at a step, or at a validation, and remembers what it heard."""

    def __init__(self, step: int = 0, validation: int = 0) -> None:
        self._step, self._validation = step, validation
        self.steps: list[int] = []
        self.points: list[int] = []

    def step(self, step: int, loss: float) -> None:
        self.steps.append(step)
        if step == self._step:
            raise CutOffError

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self.points.append(point.step)
        assert len(entropy) == 2
        if point.step == self._validation:
            raise CutOffError


def assert_same(one: Result, other: Result, folders: tuple[Path, Path]) -> None:
    for field in ("perplexity", "validation_loss", "entropy", "verdict", "reason", "steps", "tokens"):
        assert getattr(one, field) == getattr(other, field), field
    for a, b in zip(one.curve, other.curve, strict=True):
        assert replace(a, seconds=0) == replace(b, seconds=0)
    mine, theirs = (load_file(folder / "weights.safetensors") for folder in folders)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def interrupted(recipe: Recipe, corpus: Corpus, folder: Path, *cuts: Cut) -> Result:
    for cut in cuts:
        with pytest.raises(CutOffError):
            train(ARCHITECTURE, recipe, corpus, folder, (cut,))
        assert (folder / CHECKPOINT_FILE).exists()
        assert not (folder / "result.json").exists()
    return train(ARCHITECTURE, recipe, corpus, folder)


@pytest.mark.parametrize(
    "recipe",
    [
        RUN,
        replace(RUN, accumulate=3, schedule="cosine"),
        replace(RUN, optimizer="muon", adamw_lr=1e-2, ema=0.9),
        replace(RUN, precision="bf16-mixed"),
        replace(RUN, precision="bf16-true"),
    ],
    ids=["plain", "accumulate", "muon with an average", "bf16-mixed", "bf16-true"],
)
def test_cut_off_twice_it_ends_the_same(recipe: Recipe, corpus: Corpus, tmp_path: Path) -> None:
    whole = train(ARCHITECTURE, recipe, corpus, tmp_path / "whole")
    # The second start is at step 6, whose checkpoint is the last that the first one wrote.
    first, second = Cut(step=7), Cut(step=19)
    parts = interrupted(recipe, corpus, tmp_path / "parts", first, second)
    assert_same(whole, parts, (tmp_path / "whole", tmp_path / "parts"))
    assert first.steps == list(range(1, 8))
    assert second.steps == list(range(7, 20))
    assert not list((tmp_path / "parts").glob(f"{CHECKPOINT_FILE}*"))


@pytest.mark.parametrize(("validate_every", "step"), [(1, 3), (4, 3), (4, 4), (4, 5)])
def test_around_a_validation(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validate_every: int, step: int
) -> None:
    monkeypatch.setattr("aero_search.training.health.on_plateau", lambda *_: False)
    recipe = replace(RUN, steps=10, validate_every=validate_every)
    whole = train(ARCHITECTURE, recipe, corpus, tmp_path / "whole")
    again = Cut()
    with pytest.raises(CutOffError):
        train(ARCHITECTURE, recipe, corpus, tmp_path / "parts", (Cut(step=step),))
    parts = train(ARCHITECTURE, recipe, corpus, tmp_path / "parts", (again,))
    assert_same(whole, parts, (tmp_path / "whole", tmp_path / "parts"))
    # A listener hears every validation, those before the cut again.
    assert again.points == [point.step for point in whole.curve]


def test_after_the_last_step(corpus: Corpus, tmp_path: Path) -> None:
    recipe = replace(RUN, steps=10, validate_every=7)
    whole = train(ARCHITECTURE, replace(recipe, validate_every=10), corpus, tmp_path / "whole")
    parts = interrupted(
        replace(recipe, validate_every=10), corpus, tmp_path / "parts", Cut(step=10), Cut(validation=10)
    )
    assert_same(whole, parts, (tmp_path / "whole", tmp_path / "parts"))


def test_the_random_state_goes_on_too(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(7)
    train(ARCHITECTURE, RUN, corpus, tmp_path / "whole")
    expected = torch.get_rng_state()
    torch.manual_seed(7)
    with pytest.raises(CutOffError):
        train(ARCHITECTURE, RUN, corpus, tmp_path / "parts", (Cut(step=9),))
    torch.manual_seed(8)
    train(ARCHITECTURE, RUN, corpus, tmp_path / "parts")
    assert torch.equal(torch.get_rng_state(), expected)


def test_a_strange_checkpoint_does_not_count(corpus: Corpus, tmp_path: Path) -> None:
    def job(recipe: Recipe = RUN, architecture: Architecture = ARCHITECTURE) -> Job:
        return Job(architecture, recipe, corpus, tmp_path, Compute(), None)

    assert checkpoint_of(job()) is None
    with pytest.raises(CutOffError):
        train(ARCHITECTURE, RUN, corpus, tmp_path, (Cut(step=5),))
    path, batches = checkpoint_of(job()) or (None, 0)
    assert path is not None
    assert batches == 4
    assert checkpoint_of(job(replace(RUN, lr=1e-3))) is None
    assert checkpoint_of(job(architecture=replace(ARCHITECTURE, n_head=4))) is None
    content = path.read_bytes()
    for damaged in (content[:-100], content[:100], b"", b"\0" * 50):
        path.write_bytes(damaged)
        assert checkpoint_of(job()) is None
    heard = Cut()
    assert train(ARCHITECTURE, RUN, corpus, tmp_path, (heard,)).steps == 24
    assert heard.steps[0] == 1


def test_checkpoints_rest_a_hundred_times_what_they_take(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    written: list[float] = []
    monkeypatch.undo()
    monkeypatch.setattr(checkpoint, "LOOK_EVERY", 1)
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    save = checkpoint.save_tree

    def slow_save(tree: object, path: Path) -> None:
        written.append(clock[0])
        clock[0] += 0.9
        save(tree, path)

    class Tick(Cut):
        def step(self, step: int, loss: float) -> None:
            clock[0] += 10.0

    monkeypatch.setattr(checkpoint, "save_tree", slow_save)
    train(ARCHITECTURE, replace(RUN, steps=40, validate_every=40), corpus, tmp_path, (Tick(),))
    assert written[0] == 30.0
    gaps = [later - earlier - 0.9 for earlier, later in itertools.pairwise(written)]
    assert gaps
    assert all(89.99 < gap < 100.01 for gap in gaps)


states = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=25)
@given(states)
def test_a_state_comes_back(tmp_path_factory: pytest.TempPathFactory, state: object) -> None:
    path = tmp_path_factory.mktemp("state") / "file"
    save_tree(state, path)
    assert load_tree(path) == state
    assert repr(load_tree(path)) == repr(state)


def test_tensors_come_back_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "file"
    shared = torch.randn(3, 4)
    state = {
        "a": shared,
        "b": shared.detach(),
        "rows": shared.t(),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 2),
        "half": torch.randn(2).bfloat16(),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "nan": math.nan,
    }
    save_tree(state, path)
    back = load_tree(path)
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            assert back[name].dtype == value.dtype
            assert torch.equal(back[name], value)
    assert math.isnan(back["nan"])
    assert back["a"] is back["b"]
    assert load_tree(path, with_tensors=False)["a"] is None
    for bad in ({"x": object()}, {1.5: 2}, {True: 1}):
        with pytest.raises(TypeError):
            save_tree(bad, path)
    (tmp_path / "other").write_bytes(b"no")
    with pytest.raises(ValueError, match="is not a saved state"):
        load_tree(tmp_path / "other")


@pytest.mark.slow
def test_two_processes_go_on_together(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in the other process, which looks when this one does; what the clock says is rank 0's alone.
    monkeypatch.setattr(checkpoint, "LOOK_EVERY", 10)
    two = Compute("cpu", 2)
    whole = train(ARCHITECTURE, RUN, corpus, tmp_path / "whole", threads=1, compute=two)
    with pytest.raises(CutOffError):
        train(ARCHITECTURE, RUN, corpus, tmp_path / "parts", (Cut(step=15),), 1, two)
    heard = Cut()
    parts = train(ARCHITECTURE, RUN, corpus, tmp_path / "parts", (heard,), 1, two)
    assert_same(whole, parts, (tmp_path / "whole", tmp_path / "parts"))
    assert heard.steps[0] == 11


@pytest.mark.slow
def test_a_killed_command_goes_on(tiny: list[str], tmp_path: Path) -> None:
    def command(folder: str, *more: str) -> list[str]:
        code = (
            "import sys; from aero_search.training import checkpoint as c; c.EVERY_SECONDS = c.REST = 0.0\n"
            "from aero_search.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        steps = ["recipe.steps=3000", "recipe.validate_every=3000", "tracking=none", f"output_dir={folder}"]
        return [sys.executable, "-c", code, "train", *tiny, *steps, *more]

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command("whole"), cwd=tmp_path, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(command("parts"), cwd=tmp_path, env=environment, start_new_session=True)
    until = time.monotonic() + 600
    while not list(tmp_path.glob(f"parts/train/*/{CHECKPOINT_FILE}")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(f"parts/train/*/{CHECKPOINT_FILE}"))
    assert not list(tmp_path.glob("parts/train/*/result.json"))
    subprocess.run(command("parts"), cwd=tmp_path, env=environment, check=True, capture_output=True)
    (whole,), (parts,) = (
        [*tmp_path.glob(f"{name}/train/*/weights.safetensors")] for name in ("whole", "parts")
    )
    assert whole.read_bytes() == parts.read_bytes()
