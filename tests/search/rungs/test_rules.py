"""Rules for stopping: what will be on the front goes on, what is hopeless stops, early rungs are lenient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aero_search.errors import RequestError
from aero_search.front.pareto import nondominated
from aero_search.search.rungs import LearningCurve, RungsSpec, asha, decide, reconsider
from aero_search.search.rungs.margins import PRIOR_CURVES, Margins, prior_spread

DOMINANCE, ASHA, NONE = (RungsSpec(name) for name in ("dominance", "asha", "none"))  # type: ignore[arg-type]
UNIGRAM = 420.0
STEPS, RUNGS = 1200, (200, 400, 600, 800, 1000, 1200)


def learning_curve(
    number: int, ends: float, costs: tuple[float, ...] = (1.0,), until: int = 1200
) -> LearningCurve:
    """A training that falls to `ends`; two of them never cross."""
    gained = {200: 1.1, 400: 0.5, 600: 0.27, 800: 0.12, 1000: 0.04, 1200: 0.0}
    curve = tuple((step, ends * math.exp(gained[step])) for step in RUNGS if step <= until)
    return LearningCurve(number, costs, STEPS, curve, "finished" if until == STEPS else "running")


# Each training's curve lies above the one before it at every rung, by at least a rounding error.
curves = st.lists(
    st.tuples(st.floats(0.001, 0.5), st.floats(0.001, 0.5), st.floats(0.001, 0.5)), min_size=2, max_size=8
)
costs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(curves, st.data(), st.floats(0.001, 0.49))
def test_what_ends_on_the_front_is_never_stopped_where_curves_do_not_cross(
    gaps: list[tuple[float, float, float]], data: st.DataObject, chance: float
) -> None:
    spec = RungsSpec("dominance", first=0.3, chance=chance)
    logs = np.log(40) + np.cumsum(np.array(gaps), axis=0) + np.array([1.0, 0.4, 0.0])
    priced = [tuple(map(float, data.draw(costs))) for _ in gaps]
    whole = [
        LearningCurve(i, priced[i], 3, tuple((j + 1, float(np.exp(row[j]))) for j in range(3)), "finished")
        for i, row in enumerate(logs)
    ]
    front = nondominated(np.array([[training.curve[-1][1], *training.costs] for training in whole]))
    # The others are anywhere on their way, or have been stopped there.
    others = [
        c
        if (n := data.draw(st.integers(0, 3))) == 3
        else replace(c, curve=c.curve[:n], state=data.draw(st.sampled_from(["running", "stopped"])))
        for c in whole
    ]
    for own in (whole[i] for i in np.flatnonzero(front)):
        for reached in (1, 2):
            now = replace(own, curve=own.curve[:reached], state="running")
            assert not decide(spec, now, others, math.inf).stop


def test_what_is_far_behind_at_no_higher_cost_stops_and_names_the_better_one() -> None:
    own = learning_curve(7, 90.0, until=600)
    said = decide(DOMINANCE, own, [learning_curve(3, 50.0), learning_curve(4, 60.0)], UNIGRAM)
    assert (said.verdict, said.by) == ("stopped", 3)
    assert said.reason == "stopped at step 600 of 1,200: #3 costs no more and has 44 % less perplexity there"
    # Dearer ones do not count, nor those that cost less of one thing and more of another.
    both = learning_curve(7, 90.0, (1.0, 2.0), until=600)
    assert not decide(
        DOMINANCE, both, [learning_curve(3, 50.0, (2.0, 1.0)), learning_curve(4, 50.0, (1.5, 2.0))], UNIGRAM
    ).stop
    assert decide(DOMINANCE, both, [learning_curve(3, 50.0, (1.0, 2.0))], UNIGRAM).stop


def test_one_that_leads_and_is_still_running_counts_as_well_but_not_one_that_has_failed() -> None:
    own, ahead = learning_curve(7, 90.0, until=600), learning_curve(3, 50.0, until=800)
    assert decide(DOMINANCE, own, [ahead], UNIGRAM).stop
    assert not decide(DOMINANCE, own, [learning_curve(3, 50.0, until=400)], UNIGRAM).stop
    for state in ("diverged", "plateau", "stopped"):
        assert not decide(DOMINANCE, own, [replace(ahead, state=state)], UNIGRAM).stop


def test_a_lead_at_the_rung_that_the_end_has_taken_back_does_not_stop() -> None:
    # It led by 40 % at half of its steps and ended where others that trailed there end.
    spent = LearningCurve(3, (1.0,), STEPS, ((600, 50.0), (1200, 49.5)), "finished")
    others = [spent, *(learning_curve(10 + i, 70.0 + i, (9.0,)) for i in range(9))]
    own = LearningCurve(7, (1.0,), STEPS, ((600, 68.0),))
    assert not decide(DOMINANCE, own, others, UNIGRAM).stop
    assert decide(
        DOMINANCE, own, [replace(spent, curve=((600, 50.0),), state="running"), *others[1:]], UNIGRAM
    ).stop


def test_rungs_below_half_are_lenient() -> None:
    """The lead that stops at a rung shrinks from rung to rung, and early ones stop only the hopeless."""

    def stops(step: int, lead: float) -> bool:
        own = learning_curve(7, 50.0 * (1 + lead), until=step)
        return decide(DOMINANCE, own, [learning_curve(3, 50.0, until=min(step + 200, 1000))], UNIGRAM).stop

    least = [next(k / 100 for k in range(1, 400) if stops(step, k / 100)) for step in (400, 600, 800, 1000)]
    assert least == sorted(least, reverse=True)
    assert least[0] > 0.25
    assert least[-1] < 0.06
    assert not stops(200, 10.0)  # before `first`
    # Many equal curves narrow the margin from half on, but not below it.
    many = [learning_curve(20 + i, 60.0 + i, (9.0,)) for i in range(40)]
    half, third = Margins.of(many).gain((1, 2)), Margins.of(many).gain((1, 3))
    assert half.spread < prior_spread(1 / 2) / 2
    assert third.spread == prior_spread(1 / 3)


def test_the_spread_is_learned_from_finished_curves_and_falls_back_while_there_are_few() -> None:
    assert Margins.of([]).gain((2, 3)).spread == prior_spread(2 / 3)
    gains = [0.1, 0.2, 0.3, 0.4]
    finished = [
        LearningCurve(i, (1.0,), 3, ((2, 50 * math.exp(g)), (3, 50.0)), "finished")
        for i, g in enumerate(gains)
    ]
    gain = Margins.of(finished).gain((2, 3))
    expected = (PRIOR_CURVES * prior_spread(2 / 3) ** 2 + 0.05) / (PRIOR_CURVES + 3)
    assert gain.mean == pytest.approx(0.25)
    assert gain.spread == pytest.approx(math.sqrt(expected))
    # Trainings of another length are compared at the same share of their steps.
    longer = [replace(c, steps=6, curve=tuple((2 * step, p) for step, p in c.curve)) for c in finished]
    assert Margins.of(longer).gain((2, 3)) == gain
    assert Margins.of(finished).foreseen(LearningCurve(9, (1.0,), 3, ((2, 80.0),))) == pytest.approx(
        math.log(80) - 0.25
    )
    assert Margins.of(finished).foreseen(LearningCurve(9, (1.0,), 3, ((1, 80.0),))) is None


@pytest.mark.parametrize("spec", [NONE, ASHA, DOMINANCE])
def test_diverged_and_plateau_stop_under_every_rule(spec: RungsSpec) -> None:
    own = learning_curve(7, 40.0, until=600)
    assert decide(spec, replace(own, curve=((200, math.nan),)), [], UNIGRAM).verdict == "diverged"
    assert decide(spec, replace(own, curve=((200, math.inf),)), [], UNIGRAM).verdict == "diverged"
    stuck = replace(own, curve=((200, 400.0), (600, 400.0)))
    assert decide(spec, stuck, [], UNIGRAM).verdict == "plateau"
    assert not decide(spec, replace(stuck, curve=((200, 400.0),)), [], UNIGRAM).stop
    assert not decide(spec, own, [], UNIGRAM).stop
    assert not decide(spec, learning_curve(7, 90.0), [learning_curve(3, 50.0)], UNIGRAM).stop  # it has ended


def test_without_rungs_nothing_stops_and_all_that_was_stopped_goes_on() -> None:
    own = learning_curve(7, 100.0, until=1000)
    assert not decide(NONE, own, [learning_curve(3, 30.0)], UNIGRAM).stop
    assert reconsider(NONE, [replace(own, state="stopped"), learning_curve(3, 30.0)]) == [7]


def test_the_stopped_go_on_when_what_stopped_them_fails() -> None:
    stopped = [
        replace(learning_curve(n, end, until=600), state="stopped")
        for n, end in ((7, 90.0), (8, 80.0), (9, 85.0))
    ]
    leader = learning_curve(3, 50.0, until=800)
    assert reconsider(DOMINANCE, [*stopped, leader]) == []
    diverged = replace(leader, state="diverged")
    known = learning_curve(4, 95.0, (9.0,))
    # The best of them first, though it came second.
    assert reconsider(DOMINANCE, [*stopped, diverged, known]) == [8, 9, 7]
    # One that goes on is in training again, and stops those that it dominates as any other does.
    again = replace(stopped[1], state="running")
    assert reconsider(DOMINANCE, [stopped[0], stopped[2], again, diverged]) == [9, 7]


# Far enough apart that their logarithms differ.
perplexities = st.integers(30_000, 300_000).map(lambda thousandths: thousandths / 1000)


@given(st.lists(st.tuples(perplexities, st.floats(1, 9)), min_size=1, max_size=12), st.floats(1.1, 5))
def test_asha_keeps_one_in_eta_and_always_the_best(rows: list[tuple[float, float]], eta: float) -> None:
    spec = RungsSpec("asha", first=0.5, eta=eta)
    here = [LearningCurve(i, (cost,), 4, ((2, perplexity),)) for i, (perplexity, cost) in enumerate(rows)]
    goes_on = [c.number for c in here if not decide(spec, c, here, math.inf).stop]
    assert len(goes_on) == math.ceil(len(rows) / eta)
    assert set(goes_on) == asha.promoted(spec, here, (1, 2))
    assert min(rows, key=lambda row: (row[0], row[1]))[0] in {rows[i][0] for i in goes_on}
    stopped = [replace(c, state="stopped") for c in here]
    assert set(reconsider(spec, stopped)) == set(goes_on)


def test_asha_ranks_by_front_and_spreads_within_one() -> None:
    points = np.array([[1.0, 9.0], [2.0, 8.0], [5.0, 5.0], [9.0, 1.0], [3.0, 9.5], [9.0, 9.0]])
    assert asha.ranking(points) == [0, 3, 2, 1, 4, 5]


def test_asha_judges_at_its_rungs_alone() -> None:
    spec = RungsSpec("asha", first=1 / 3, eta=2)
    better = [learning_curve(i, 30.0 + i, until=1000) for i in range(4)]
    steps = [200, 400, 600, 800, 1000]
    assert [s for s in steps if decide(spec, learning_curve(9, 90.0, until=s), better, UNIGRAM).stop] == [
        400,
        800,
    ]
    # Where no validation lies at a rung, the next one counts.
    late = RungsSpec("asha", first=0.45, eta=2)
    assert [s for s in steps if decide(late, learning_curve(9, 90.0, until=s), better, UNIGRAM).stop] == [600]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("first", 0.0, "search.rungs.first=0 must lie above 0 and below 1"),
        ("first", 1.0, "search.rungs.first=1 must lie"),
        ("chance", 0.5, "search.rungs.chance=0.5 must lie above 0 and below 0.5"),
        ("eta", 1.0, "search.rungs.eta=1 must be above 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, value: float, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        RungsSpec(**{"name": "dominance", field: value})
