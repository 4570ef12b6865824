"""What a space holds: exact where it is listed, and an estimate whose interval holds the truth where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aero_search.architecture import Architecture, Layer, ModelShape, canonical
from aero_search.cost import Network, calibrate_published
from aero_search.errors import RequestError
from aero_search.front.objective import Constraint, Objective, known_costs
from aero_search.front.pricing import Pricing
from aero_search.search.forecast import FORWARDS_A_STEP, MEASURED, STEP_SECONDS, find_pace
from aero_search.search.run import write_candidate
from aero_search.search.space_summary import SpaceSummary, summarize_space
from aero_search.space import Assignment, Categorical, Parameter, Tree
from tests.search.fakes import BASE, RECIPE, trained
from tests.search.fakes import compose as compose_fake

PRICING = Pricing(calibrate_published().protocol, Network("test", 1000.0, 1.0))
OBJECTIVE = Objective(("perplexity", "latency_s"))
DEPTH = 4


def layered(conditional: bool) -> tuple[Parameter, ...]:
    """Per-layer choices; without the condition an activation may be chosen where it has no effect."""
    found: list[Parameter] = []
    for i in range(DEPTH):
        when = {f"ffn{i}": ("full",)} if conditional else {}
        found.append(Categorical(f"ffn{i}", ("full", "fused", "none")))
        found.append(Categorical(f"act{i}", ("gelu", "relu"), when=when))
    return tuple(found)


def build(x: Assignment) -> Architecture:
    layers = tuple(
        Layer("none", str(x.get(f"act{i}", "identity")), str(x[f"ffn{i}"]))  # type: ignore[arg-type]
        for i in range(DEPTH)
    )
    if layers[0].ffn == "none" and layers[1].ffn == "none":
        raise RequestError("the first two layers need a feed-forward between them")
    return replace(BASE, layers=layers)


def look(
    conditional: bool, limit: int, objective: Objective = OBJECTIVE, pricing: Pricing = PRICING
) -> SpaceSummary:
    return summarize_space(Tree(layered(conditional)), build, pricing, objective, limit, samples=300, seed=0)


# Of 4^4 layer patterns, 4^2 begin with two layers without a feed-forward.
DISTINCT = 4**4 - 4**2


@pytest.mark.parametrize("conditional", [True, False])
def test_a_listed_space_is_counted_exactly(conditional: bool) -> None:
    found = look(conditional, limit=10_000)
    assert found.exact
    assert found.assignments == found.looked_at == (4 if conditional else 6) ** 4
    assert found.architectures.value == found.fitting.value == DISTINCT
    assert found.architectures.exact
    assert found.why_impossible.startswith("the first two layers")
    # Every layer of the two is none: 1 of 4 patterns, or 2 of 6 assignments.
    assert found.impossible == pytest.approx((1 / 4) ** 2 if conditional else (2 / 6) ** 2)


@pytest.mark.parametrize("conditional", [True, False])
def test_an_estimate_holds_the_truth_in_its_interval(conditional: bool) -> None:
    found = look(conditional, limit=10)
    assert not found.exact
    assert found.looked_at == 300
    count = found.architectures
    assert count.low < DISTINCT < count.high
    assert count.value == pytest.approx(DISTINCT, rel=0.15)


def test_a_sample_s_ends_are_the_space_s() -> None:
    assert look(False, limit=10).spans == look(False, limit=10_000).spans


def networks() -> Iterator[Architecture]:
    for x in Tree(layered(True)):
        try:
            yield canonical(build(x))
        except RequestError:
            continue


def test_spans_and_limits_are_those_of_the_cost_model() -> None:
    costs = [known_costs(a, PRICING.protocol, PRICING.network) for a in set(networks())]
    limit = sorted(cost["latency_s"] for cost in costs)[len(costs) // 3]
    objective = replace(OBJECTIVE, constraints={"latency_s": Constraint(f"{limit * 1.000001:.12g} s")})
    found = look(True, limit=10_000, objective=objective)
    for span in found.spans:
        assert span.low == pytest.approx(min(cost[span.metric] for cost in costs))
        assert span.high == pytest.approx(max(cost[span.metric] for cost in costs))
    fitting = sum(cost["latency_s"] <= limit * 1.000001 for cost in costs)
    assert found.fitting.value == fitting
    estimated = look(True, limit=10, objective=objective).fitting
    assert estimated.low < fitting < estimated.high
    nothing = replace(OBJECTIVE, constraints={"latency_s": Constraint("1 ms")})
    assert look(True, limit=10_000, objective=nothing).fitting.value == 0


def test_a_target_s_prices_are_told() -> None:
    shape = ModelShape("large", "gpt2", 8, 4, None, 64, 16, 500, True)
    small, large = look(True, 10_000), look(True, 10_000, pricing=replace(PRICING, target=shape))
    assert large.architectures == small.architectures
    assert all(b.low > a.low for a, b in zip(small.spans, large.spans, strict=True))
    # Three of four layers without a feed-forward are six of eight.
    assert (small.spans[0].cheapest, large.spans[0].cheapest) == ("SM + FuFFN_i3", "SM + FuFFN_i6")


def test_the_pace_is_the_median_of_trainings_of_the_same_size(tmp_path: Path) -> None:
    assert find_pace(tmp_path, BASE).source == MEASURED
    for i, seconds in enumerate((1.0, 2.0, 4.0)):
        candidate = compose_fake(["norm=none", "ffn=fused", f"lr=0.00{i + 1}"])
        folder = tmp_path / "studies" / "s" / "candidates" / candidate.identity
        write_candidate(candidate, folder)
        replace(trained(candidate), seconds=seconds, tokens=8000).write(folder)
    (tmp_path / "studies" / "s" / "candidates" / "broken").mkdir()
    (tmp_path / "studies" / "s" / "candidates" / "broken" / "result.json").write_text("{")
    pace = find_pace(tmp_path, BASE)
    assert pace.source == f"3 trainings of this size under {tmp_path}"
    # 8,000 tokens are 1,000 sequences of 8; the recipe's 4 steps of 2 are 8, in 2 s / 125.
    assert RECIPE.steps * RECIPE.batch_size == 8
    forward = pace.flops_per_second * 2.0 / (FORWARDS_A_STEP * 1000)
    assert pace.seconds(forward, RECIPE) == pytest.approx(2.0 * 8 / 1000)
    other = find_pace(tmp_path, replace(BASE, d_model=32))
    assert other.source.startswith("3 trainings of other sizes, by FLOPs")
    # A narrow network's seconds are mostly its steps, whatever their FLOPs; of its own size they are in the pace.
    assert pace.step_seconds == 0
    assert other.seconds(0.0, RECIPE) == 4 * STEP_SECONDS
    assert other.flops_per_second > pace.flops_per_second


def test_the_measured_pace_gives_back_what_it_is_from(tmp_path: Path) -> None:
    pace = find_pace(tmp_path, BASE)
    assert pace.seconds(83.9e6, replace(RECIPE, steps=1200, batch_size=8)) == pytest.approx(56)
    assert 4 < pace.seconds(3.9e6, replace(RECIPE, steps=600, batch_size=16)) < 12
