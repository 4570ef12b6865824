"""Recovery against training from scratch, on rows whose answers are known."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from aero_search.architecture import Architecture, Layer
from aero_search.data import CorpusSpec, prepare
from aero_search.model import build_model, save_weights
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from benchmarks import recovery
from benchmarks.tabular.rows import Row

WAY = recovery.Way(300, 0.5)


def row(
    network: tuple[str, ...], recipe: tuple[str, ...], seed: int, perplexity: float, seconds: float
) -> Row:
    overrides = (*network, *recipe, f"recipe.seed={seed}")
    return Row(overrides, network[0], seed, "finished", perplexity, seconds, 100, 1000, ())


def test_gain_and_interval_in_closed_form() -> None:
    rows = []
    for index, network in enumerate(recovery.NETWORKS[:3]):
        for seed, scatter in ((0, 1.02), (1, 1 / 1.02)):
            rows.append(row(network, recovery.SCRATCH, seed, 40.0 * scatter, 100.0))
            reached = 40.0 * scatter * math.exp(-0.05 + 0.01 * (index - 1))
            rows.append(row(network, recovery.recovery(WAY), seed, reached, 25.0))
    (found,) = recovery.compare(rows)
    assert (found.way, len(found.log_ratios)) == (WAY, 3)
    assert found.mean == pytest.approx(math.expm1(-0.05))
    assert found.seconds == pytest.approx(0.25)
    # Three values a step of 0.01 apart: deviation 0.01, t(2) = 4.303.
    assert found.interval == pytest.approx(
        (math.expm1(-0.05 - 4.303 * 0.01 / 3**0.5), math.expm1(-0.05 + 4.303 * 0.01 / 3**0.5)), rel=1e-3
    )
    shown = recovery.report(rows)
    assert "as good or better for 3 of 3 networks, in 25 % of the seconds" in shown
    assert recovery.compare(rows[:1]) == []


def test_every_training_is_its_own_and_starts_where_it_says(
    tmp_path: Path, tiny: list[str], text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "NETWORKS", recovery.NETWORKS[2:4])
    a = Architecture(n_head=2, d_model=16, seq_len=16, vocab_size=300, layers=(Layer(),) * 2)
    corpus = prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)
    teacher = tmp_path / "teacher"
    write_yaml(teacher / "architecture.yaml", to_mapping(a), "teacher")
    save_weights(build_model(a, seed=0), teacher / "weights.safetensors")
    shutil.copyfile(corpus.tokenizer_path, teacher / "tokenizer.json")
    data = [override for override in tiny if override.startswith(("data", "model.vocab"))]
    found, common = recovery.jobs(tmp_path, teacher, data)
    ways = len(recovery.WAYS)
    assert len({job.name for job in found}) == len(found) == 2 * (2 * ways + 2 + 1)
    assert len({job.candidate.identity for job in found}) == len(found)
    started = [job.candidate for job in found if job.candidate.recovery is not None]
    assert len(started) == 2 * 2 * ways
    assert {candidate.architecture.d_model for candidate in started} == {16}
    assert {candidate.notation for candidate in started} == {"SM + R", "SM + LN"}
    assert common["teacher"] == " ".join((*recovery.TEACHER, *recovery.SCRATCH))
