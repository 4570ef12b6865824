"""A labelled set searched with accuracy as quality: front, page, hypervolume, export and verification."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from aero_search.cli import main
from aero_search.export.load import load_bundle
from aero_search.training.result import read_result
from tests.labelled_set import labelled_rows, write_csv

pytestmark = pytest.mark.slow

TINY = [
    "model.n_layer=2",
    "model.d_model=16",
    "model.n_head=2",
    "model.seq_len=16",
    "model.vocab_size=280",
    "data=classification",
    "data.path=set.csv",
    "workload=classify",
    "tracking=none",
    "recipe.steps=160",
    "recipe.lr=1e-2",
    "recipe.batch_size=16",
    "recipe.validate_every=80",
    "objective.metrics=[accuracy,latency_s]",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of three networks on a set of three classes."""
    folder = tmp_path_factory.mktemp("classified")
    write_csv(folder / "set.csv", labelled_rows(400, {"red": 2, "green": 1, "blue": 1}))
    (folder / "space.yaml").write_text(
        "description: test\nparameters:\n  norm: {choices: [layernorm, none]}\n"
        "  activation: {choices: [gelu, relu]}\n"
    )
    searched = [*TINY, "study.name=one", "space=space.yaml", "search/sampler=random", "search/rungs=none"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["search", *searched, "search.n_trials=3", "search.workers=1"]) == 0
    return folder


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


def front(capsys: pytest.CaptureFixture[str], *overrides: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["front", "study=one", "format=json", *overrides]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_the_front_and_its_hypervolume_are_those_of_the_accuracies(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = front(capsys)
    points, dominated = document["front"], document["dominated"]
    assert len(points) + len(dominated) == 3
    # Two of four rows are red: always red is right half of the time.
    reference = document["reference"]
    assert reference["accuracy"] == pytest.approx(0.5)
    for entry in [*points, *dominated]:
        result = read_result(here / entry["folder"])
        assert entry["accuracy"] == result.accuracy
        assert result.unigram_perplexity == pytest.approx(math.exp(1.5 * math.log(2)), rel=0.02)
        assert set(result.labels) == {"red", "green", "blue"}
        assert entry["accuracy"] > 0.7  # the words tell the class
    for entry in dominated:
        assert any(
            p["accuracy"] >= entry["accuracy"] and p["latency_s"] <= entry["latency_s"] for p in points
        )
    for a in points:
        for b in points:
            assert a is b or a["accuracy"] > b["accuracy"] or a["latency_s"] < b["latency_s"]
    # By hand: strips of the box from always red to always right, and from no cost to a tenth above the baseline.
    cost = 1.1 * reference["costs"]["latency_s"]
    area, reached = 0.0, 0.5
    for point in sorted(points, key=lambda p: p["latency_s"]):
        height = max(point["accuracy"], reached) - reached
        area += height / (1 - 0.5) * (1 - point["latency_s"] / cost)
        reached += height
    assert document["hypervolume"] == pytest.approx(area, rel=1e-6)


def test_prices_are_of_one_answer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, whole = front(capsys), front(capsys, "workload=prefill")
    costs = [{p["trial"]: p["latency_s"] for p in d["front"] + d["dominated"]} for d in (one, whole)]
    assert all(costs[0][trial] < costs[1][trial] for trial in costs[0])


def test_the_page_shows_the_accuracies(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = front(capsys)
    assert main(["report", "study=one", "to=page.html"]) == 0
    page = Path("page.html").read_text()
    [data] = re.findall(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    said = json.loads(data)
    assert said["metrics"] == ["accuracy", "latency_s"]
    told = {c["trial"]: c["accuracy"] for c in said["candidates"]}
    assert told == {p["trial"]: p["accuracy"] for p in document["front"] + document["dominated"]}


def test_a_classifier_is_exported_verified_and_answers(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    assert main(["export", "study=one", "pick=best", "to=bundle"]) == 0
    capsys.readouterr()
    assert main(["verify", "bundle", "format=json"]) == 0
    checks = {c["name"]: c["state"] for c in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["validation perplexity"] == "ok"
    assert "differs" not in checks.values()
    assert "A classifier" in Path("bundle/README.md").read_text()
    assert main(["evaluate", "bundle", "format=json", "tracking=none"]) == 0
    scores = {s["metric"]: s["value"] for s in json.loads(capsys.readouterr().out)["scores"]}
    metrics = json.loads(Path("bundle/metrics.json").read_text())
    assert scores["accuracy"] == pytest.approx(metrics["accuracy"])
    assert "bits_per_byte" not in scores
    # As the card says it, on the folded network.
    bundle = load_bundle(Path("bundle"))
    tokenizer = bundle.tokenizer()
    assert tokenizer is not None
    folded, labels, hits = bundle.folded(), metrics["labels"], 0
    rows = labelled_rows(400, {"red": 2, "green": 1, "blue": 1})
    for label, text in rows:
        row = [*tokenizer.encode(text).ids[:15], 0]
        with torch.no_grad():
            logits_btv = folded(torch.tensor([[0] * (16 - len(row)) + row]))
        hits += int(logits_btv[0, -1].argmax()) == labels[label]
    assert hits / len(rows) > 0.7


def test_a_classifier_starts_from_another(here: Path) -> None:
    best = min(Path("outputs/studies/one/candidates").iterdir())
    short = [o for o in TINY if not o.startswith("model.")]
    assert main(["train", *short, f"init.from={best}", "norm=none", "distill.weight=0.5"]) == 0
    [trained] = Path("outputs/train").iterdir()
    result = read_result(trained)
    before = read_result(best)
    assert result.fingerprint == before.fingerprint
    assert result.teacher is not None
    assert result.accuracy is not None
    assert result.accuracy > 0.7


def test_a_classifier_starts_from_a_network_of_text(home: Path, tiny: list[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(["train", *tiny, "recipe.steps=20", "tracking=none", "output_dir=text"]) == 0
        [text] = Path("text/train").iterdir()
        said = ["data=classification", f"data.path={home}/set.csv", "tracking=none", "recipe.steps=160"]
        said += ["recipe.lr=1e-2", "recipe.batch_size=16", "recipe.validate_every=80"]
        assert main(["train", *said, f"init.from={text}"]) == 0
        [trained] = Path("outputs/train").iterdir()
        result, before = read_result(trained), read_result(text)
    assert result.key == before.key
    assert result.fingerprint != before.fingerprint
    assert result.accuracy is not None
    assert result.accuracy > 0.7


def test_transformers_gives_the_label(here: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert main(["export", "study=one", "pick=best", "kind=hf", "to=hf"]) == 0
    result = read_result(min(Path("outputs/studies/one/candidates").iterdir()))
    model = AutoModelForCausalLM.from_pretrained("hf", trust_remote_code=True)
    row = torch.zeros(1, 16, dtype=torch.long)
    answer = model.generate(row, max_new_tokens=1, do_sample=False)
    assert answer.shape == (1, 17)
    assert int(answer[0, -1]) in result.labels.values()


def test_a_search_over_lengths_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lengths.yaml").write_text("description: t\nparameters:\n  model.seq_len: {choices: [8, 16]}\n")
    free = [override for override in TINY if "seq_len" not in override]
    assert main(["search", *free, "space=lengths.yaml", "study.name=two"]) == 2
    assert "varies model.seq_len, which needs a corpus of its own" in capsys.readouterr().err
