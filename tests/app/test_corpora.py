"""Whatever a sweep or a space varies, each candidate is trained on the corpus that its own request asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aero_search.cli import main

SHORT = ["recipe.steps=2", "recipe.validate_every=2", "tracking=none"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def results(pattern: str) -> dict[str, tuple[str, float]]:
    """Corpus and perplexity of every candidate by its identity."""
    read = {path.parent.name: json.loads(path.read_text()) for path in Path().glob(pattern)}
    return {name: (result["fingerprint"], result["perplexity"]) for name, result in read.items()}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("model.vocab_size", ["280", "300"], marks=pytest.mark.slow),
        ("model.vocab_size", ["300", "280"]),
        pytest.param("data.train_mb", ["0.02", "0.05"], marks=pytest.mark.slow),
    ],
)
def test_a_sweep_trains_what_single_trainings_do(name: str, values: list[str], tiny: list[str]) -> None:
    rest = [line for line in tiny if not line.startswith(f"{name}=")] + SHORT
    assert main(["train", "--multirun", f"{name}={','.join(values)}", "study.name=both", *rest]) == 0
    for value in values:
        assert main(["train", f"{name}={value}", *rest]) == 0
    swept, single = (
        results("outputs/studies/both/candidates/*/result.json"),
        results("outputs/train/*/result.json"),
    )
    assert swept == single
    assert len({fingerprint for fingerprint, _ in swept.values()}) == 2


@pytest.mark.slow
def test_a_cut_corpus_follows_the_length_that_is_swept(tiny: list[str]) -> None:
    rest = [line for line in tiny if not line.startswith("model.seq_len")] + SHORT
    cut = [*rest, "+data.chunk=${model.seq_len}"]
    assert main(["train", "--multirun", "model.seq_len=8,16", "study.name=both", *cut]) == 0
    for value in (8, 16):
        assert main(["train", f"model.seq_len={value}", *cut]) == 0
    assert results("outputs/studies/both/candidates/*/result.json") == results("outputs/train/*/result.json")


def test_a_length_that_the_corpus_is_not_cut_to_is_told_beside_those_that_are_trained(
    tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rest = [line for line in tiny if not line.startswith("model.seq_len")] + SHORT
    assert main(["train", "--multirun", "model.seq_len=8,16", "study.name=one", *rest, "+data.chunk=16"]) == 0
    assert "model.seq_len=8 is not the length that this corpus was cut to" in capsys.readouterr().out
    assert len(results("outputs/studies/one/candidates/*/result.json")) == 1


SPACE = """
description: varies what a corpus is made from
parameters:
  norm: {choices: [layernorm, none]}
  PARAMETER
"""


@pytest.mark.parametrize(
    ("command", "parameter", "swept", "says"),
    [
        ("search", "model.vocab_size: {choices: [280, 300]}", (), "varies model.vocab_size"),
        ("plan", "model.vocab_size: {int: {low: 280, high: 300}}", (), "varies model.vocab_size"),
        ("plan", "", ("model.vocab_size=300,280",), "varies model.vocab_size"),
        ("search", "", ("data.train_mb=interval(0.01,0.05)",), "varies data.train_mb"),
        ("plan", "", ("data=text_folder,python_source",), "varies data"),
    ],
)
def test_a_search_over_several_corpora_is_refused(
    command: str,
    parameter: str,
    swept: tuple[str, ...],
    says: str,
    tiny: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.yaml").write_text(SPACE.replace("PARAMETER", parameter))
    # A value on the command line is the only one.
    given = [line for line in tiny if line.partition("=")[0] not in ("model.vocab_size", "data")]
    given = ["data=text_folder", *given] if "data=text_folder,python_source" not in swept else given[:4]
    assert main([command, "space=mine.yaml", "search.n_trials=1", *given, *SHORT, *swept]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("aero-search: ")
    assert len(captured.err.splitlines()) == 1
    assert says in captured.err
    assert not list(Path().glob("outputs/*"))


def test_a_training_that_its_corpus_is_too_short_for_leaves_nothing(
    tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *tiny, *SHORT, "model.seq_len=8192"]) == 2
    assert "needs" in capsys.readouterr().err
    assert not list(Path().glob("outputs/train/*"))
