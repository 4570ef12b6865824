"""A quality and its direction: the front, its hypervolume and what is chosen where higher is better, by hand."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from aero_search.errors import RequestError
from aero_search.front.budget import Budget
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import COST_SLACK, Reference
from aero_search.front.quality import QualityScale
from aero_search.front.record import Record, averaged
from aero_search.front.tradeoffs import next_steps
from aero_search.report import page
from aero_search.report.chart import panels
from aero_search.report.front import front_markdown, front_rows
from aero_search.report.tradeoffs import choice_sentence, step_sentence
from tests.front.test_front import record

# Token frequencies alone: perplexity e^2, one token of five right. A cost of 11 is the reference.
SCALE = QualityScale("accuracy", math.exp(2.0), 0.2)
REFERENCE = Reference(math.exp(2.0), {"latency_s": 10.0}, None, SCALE)
OBJECTIVE = Objective(("accuracy", "latency_s"))


def scored(number: int, accuracy: float, latency: float) -> Record:
    made = record(number, 20.0, latency)
    return replace(made, accuracy=accuracy, loss=SCALE.loss(accuracy))


@pytest.fixture
def front() -> Front:
    # Shares of the box: (0.5, 0.4), (0.25, 0.8), and (0.625, 0.6), which the first dominates.
    return build_front([scored(1, 0.6, 4.4), scored(0, 0.8, 8.8), scored(2, 0.5, 6.6)], OBJECTIVE, REFERENCE)


def test_the_front_and_its_hypervolume_by_hand(front: Front) -> None:
    assert [r.number for r in front.points] == [1, 0]
    assert [r.number for r in front.dominated] == [2]
    assert front.hypervolume == pytest.approx((0.8 - 0.4) * (1 - 0.5) + (1 - 0.8) * (1 - 0.25))


def test_what_is_chosen_follows_the_direction(front: Front) -> None:
    assert front.best().number == 0
    assert front.cheapest().number == 1
    assert front.within({"accuracy": 0.55}).number == 1
    assert front.within({"accuracy": 0.55, "latency_s": 9.0}).number == 0
    assert front.within({"latency_s": 5.0}).number == 1
    with pytest.raises(RequestError, match=r"nearest, SM \+ LN \+ G  #0, has accuracy 0.8 \(limit 0.9\)"):
        front.within({"accuracy": 0.9})
    assert Budget(accuracy=0.4).limits() == {"accuracy": 0.4}
    with pytest.raises(RequestError, match=r"budget.accuracy=40 is a share"):
        Budget(accuracy=40)


def test_words_follow_the_direction(front: Front) -> None:
    best, cheap = front.best(), front.cheapest()
    assert choice_sentence(front, best, "best").startswith(
        "best: SM + LN + G  #0, accuracy 80.0% (+0.0 points"
    )
    (step,) = next_steps(front, best)
    assert (step.direction, step.to.number) == ("cheaper", 1)
    assert step_sentence(step) == "one step cheaper, SM 1  #1: -20.0 points of accuracy saves 50% of latency"
    assert step.document()["accuracy_change"] == pytest.approx(-0.2)
    (back,) = next_steps(front, cheap)
    assert (back.direction, back.to.number, back.change) == ("better", 0, pytest.approx(0.2))
    assert "| #1 |" in front_markdown(front).replace("◆ ", "")
    assert "60.0%" in front_markdown(front)
    assert "from accuracy 100.0% and no cost to the reference point, accuracy 20.0%" in front_markdown(front)
    assert [row["accuracy"] for row in front_rows(front)] == [0.6, 0.8]
    document = front_document(front)
    assert (document["baseline_accuracy"], document["reference"]["accuracy"]) == (0.8, 0.2)
    assert document["front"][0]["accuracy"] == 0.6


def test_pictures_draw_what_is_missing(front: Front) -> None:
    panel = panels(front)[0]
    assert panel.y_name == "1 - accuracy"
    heights = {mark.record.number: mark.y for mark in panel.marks}
    assert (heights[1], heights[0]) == pytest.approx((0.4, 0.2))
    assert panel.step[1] == pytest.approx((4.4, 0.4))
    assert panel.baseline[1] == pytest.approx(0.2)


def test_the_page_counts_the_same() -> None:
    script = (Path(page.__file__).parent / "assets/pareto.js").read_text()
    run = """
    const { data, points } = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const aero = { data, quality: "accuracy" };
    eval(SCRIPT);
    const front = aero.nondominated(points, data.metrics);
    console.log(JSON.stringify([front.map((c) => c.trial), aero.hypervolumeOf(front, data.baseline)]));
    """.replace("SCRIPT", json.dumps(script))
    points = [scored(1, 0.6, 4.4), scored(0, 0.8, 8.8), scored(2, 0.5, 6.6)]
    given = {
        "data": {
            "metrics": list(OBJECTIVE.metrics),
            "unigram_perplexity": REFERENCE.unigram_perplexity,
            "cost_slack": COST_SLACK,
            "baseline": {"latency_s": 10.0},
        },
        "points": [{"trial": p.number, "accuracy": p.accuracy, "loss": p.loss, **p.costs} for p in points],
    }
    done = subprocess.run(
        ["node", "-e", run], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [[1, 0], pytest.approx(0.35)]


def test_a_loss_and_its_value_are_one(front: Front) -> None:
    for accuracy in (0.0, 0.2, 0.7, 1.0):
        assert SCALE.value(SCALE.loss(accuracy)) == pytest.approx(accuracy)
    assert SCALE.loss(0.2) == pytest.approx(math.exp(2.0))
    assert SCALE.loss(1.0) == 1.0
    # Bits per byte are a loss in nats on another scale: theirs is the perplexity.
    bits = QualityScale("bits_per_byte", math.exp(6.0), 6.0 / math.log(2) / 3.5)
    assert bits.loss(4.0 / math.log(2) / 3.5) == pytest.approx(math.exp(4.0))
    assert QualityScale("perplexity", 400.0).loss(63.0) == 63.0
    assert QualityScale.of({"unigram_perplexity": 420.0, "costs": {}}) == QualityScale("perplexity", 420.0)


def test_seeds_are_averaged_in_each_quality() -> None:
    one, two = scored(1, 0.6, 4.4), replace(scored(1, 0.8, 4.4), seed=1, perplexity=5.0)
    both = averaged((one, two))
    assert both.accuracy == pytest.approx(0.7)
    assert both.perplexity == pytest.approx(10.0)
    assert both.loss == pytest.approx(SCALE.loss(0.7))
    assert [seed for seed, _ in both.replicates] == [0, 1]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (("latency_s", "accuracy"), "must begin with a quality"),
        (("accuracy", "perplexity", "flops"), "has one quality, accuracy: leave perplexity out"),
        (("accuracy",), "needs a cost beside accuracy"),
    ],
)
def test_an_objective_has_one_quality_and_costs(metrics: tuple[str, ...], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Objective(metrics)  # type: ignore[arg-type]
