"""Which point to take, in words, and what the next step costs and gains."""

from __future__ import annotations

from typing import Any

import pytest

from aero_search.front.budget import Budget
from aero_search.front.tradeoffs import next_steps
from aero_search.report.tradeoffs import budget_words, choice_lines, step_sentence


def row(name: str, perplexity: float, latency: float, flops: float) -> tuple[Any, ...]:
    return (name, "finished", perplexity, latency, 1.0, flops, 1.0, 0.0015)


CHAIN = (
    row("SM + LN + G", 60.0, 1.0, 1.0),
    row("SM + LN + R", 61.0, 0.8, 1.0),
    row("SM + R", 61.8, 0.552, 1.0),
    row("SM", 70.0, 0.5, 1.0),
)


def test_the_steps_are_the_neighbours_on_the_front(make_front: Any) -> None:
    front = make_front(("latency_s",), CHAIN)
    steps = next_steps(front, front.trial(1))
    assert [(step.direction, step.to.number, step.by) for step in steps] == [
        ("cheaper", 2, ("latency_s",)), ("better", 0, ("latency_s",)),
    ]  # fmt: skip
    assert (
        step_sentence(steps[0])
        == "one step cheaper, SM + R  #2: +0.80 perplexity (a tie) saves 31% of latency"
    )
    better = "one step better, SM + LN + G  #0: -1.00 perplexity (a tie) costs 25% more latency"
    assert step_sentence(steps[1]) == better
    assert steps[0].document()["cost_change_percent"]["latency_s"] == pytest.approx(-31.0)


def test_the_ends_of_a_front_say_that_they_are(make_front: Any) -> None:
    front = make_front(("latency_s",), CHAIN)
    cheapest = list(choice_lines(front, front.trial(3), next_steps(front, front.trial(3)), "cheapest"))
    assert (
        cheapest[0] == "cheapest: SM  #3, perplexity 70.00 (+16.7% against SM + LN + G), 1.46 s (2.0x less)"
    )
    assert "  nothing on the front is cheaper" in cheapest
    best = list(choice_lines(front, front.trial(0), next_steps(front, front.trial(0)), "best"))
    assert "  nothing on the front has a lower perplexity" in best


def test_costs_that_lead_elsewhere_are_steps_of_their_own(make_front: Any) -> None:
    rows = (
        row("SM + LN + G", 60.0, 1.0, 0.2),
        row("SM + LN + R", 65.0, 0.5, 1.0),
        row("SM + R", 62.0, 0.8, 0.5),
    )
    front = make_front(("latency_s", "flops"), rows)
    assert len(front.points) == 3
    steps = next_steps(front, front.trial(2))
    assert [(s.direction, s.to.number, s.by) for s in steps] == [
        ("cheaper", 1, ("latency_s",)), ("cheaper", 0, ("flops",)), ("better", 0, ("latency_s", "flops")),
    ]  # fmt: skip
    assert "saves 38% of latency and costs 2.0 times the FLOPs" in step_sentence(steps[0])


def test_a_step_is_never_dominated_and_keeps_its_promise(make_front: Any) -> None:
    front = make_front()
    for record in (*front.points, *front.dominated):
        for step in next_steps(front, record):
            assert step.to in front.points
            if step.direction == "better":
                assert step.change < 0
            else:
                assert all(step.shares[metric] < 0 for metric in step.by)


def test_budgets_in_the_metrics_own_units() -> None:
    limits = Budget(latency_s="2 s", communication_bytes="1.5 GB", perplexity=65.0).limits()
    assert limits == {"latency_s": 2.0, "communication_bytes": 1.5e9, "perplexity": 65.0}
    assert budget_words(limits) == "latency at most 2.00 s, bytes at most 1.50 GB, perplexity at most 65"
    assert Budget().limits() == {}


def test_ties_are_said_and_a_sure_step_goes_first(make_front: Any) -> None:
    front = make_front(("latency_s",), CHAIN)
    (cheaper, better) = next_steps(front, front.trial(2))
    assert (cheaper.to.number, better.to.number) == (3, 0)
    assert not better.tied
    assert "(a tie)" in step_sentence(next_steps(front, front.trial(0))[0])
    tie = next(step for step in next_steps(front, front.trial(1)) if step.direction == "better")
    assert tie.document()["tied"]
    assert step_sentence(tie).startswith("one step better, SM + LN + G  #0: -1.00 perplexity (a tie) costs")


def test_a_cheaper_step_that_costs_more_names_what_is_cheaper(make_front: Any) -> None:
    rows = (row("SM + LN + G", 60.0, 1.0, 0.2), row("SM + R", 65.0, 0.5, 0.212))
    front = make_front(("latency_s", "flops"), rows)
    (step,) = next_steps(front, front.trial(0))
    assert step_sentence(step) == (
        "one step cheaper in latency, SM + R  #1: +5.00 perplexity saves 50% of latency and costs 6% more FLOPs"
    )
