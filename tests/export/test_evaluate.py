"""What a bundle reaches when it is evaluated: its own figures again, and tasks where the harness is installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search import load_bundle
from aero_search.errors import RequestError
from aero_search.export.bundle import write_bundle
from aero_search.export.evaluate import Subject, score_held_out, score_tasks
from tests.export.made import Made

HARNESS = importlib.util.find_spec("lm_eval") is not None
TASK = """
task: mine
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
target_delimiter: ""
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_held_out_text_gives_the_training_s_own_figures(made: Callable[[str], Made], tmp_path: Path) -> None:
    one = made("fused")
    bundle = load_bundle(write_bundle(one.choice, one.corpus, tmp_path / "bundle"))
    scores = {score.metric: score for score in score_held_out(bundle, one.corpus)}
    assert scores["perplexity"].value == pytest.approx(bundle.metrics["perplexity"], rel=1e-5)
    assert 0 < scores["accuracy"].value < 1
    assert scores["bits_per_byte"].value > 0
    assert [score.better for score in scores.values()] == ["lower", "higher", "lower"]


def test_a_task_file_must_name_its_task(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("output_type: multiple_choice\n")
    with pytest.raises(RequestError, match="names no task: write task: NAME"):
        score_tasks(Subject.of(load_bundle(bundle)), [str(path)], None)


@pytest.mark.skipif(HARNESS, reason="lm_eval is installed")
def test_without_the_harness_a_sentence_says_how_to_install_it(bundle: Path) -> None:
    with pytest.raises(RequestError, match=r"tasks=arc_easy needs lm_eval: .*\[eval\]"):
        score_tasks(Subject.of(load_bundle(bundle)), ["arc_easy"], None)


@pytest.mark.skipif(not HARNESS, reason="needs the extra eval")
def test_a_local_task_is_scored_by_the_harness(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = [{"text": "abcd", "choices": [" efgh", " zzzz"], "label": i % 2} for i in range(4)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(TASK.format(data=tmp_path / "data.jsonl"))
    (score,) = score_tasks(Subject.of(load_bundle(bundle)), [str(tmp_path / "task.yaml")], None)
    # The same question four times, with either answer the right one in half of them.
    assert (score.task, score.metric, score.value, score.better) == ("mine", "acc", 0.5, "higher")
    # The sample's standard deviation over the root of four.
    assert score.error == pytest.approx((1 / 3) ** 0.5 / 2)
    assert "git" not in capfd.readouterr().err
