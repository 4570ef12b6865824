"""Health of attention: quarters, the two ill states with layer and step, and the result that carries them."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aero_search.model.entropy_attention import attention_with_entropy
from aero_search.schema import from_mapping, to_mapping
from aero_search.training.entropy_health import (
    COLLAPSE_SHARE,
    OVERLOAD_SHARE,
    EntropyHealth,
    collapsed_layer,
    entropy_health,
    quarter_shares,
    uniform_entropy,
)

UNIFORM = uniform_entropy(128)
SOUND = [[2.0, 1.5], [1.2, 2.5]]
OVERLOADED = [[2.0, 1.5], [3.5, 3.6]]
COLLAPSED = [[3.5, 3.6], [0.03, 0.002]]


def test_even_attention_has_the_largest_entropy() -> None:
    assert uniform_entropy(128) == pytest.approx(0.80 * math.log(128), rel=2e-3)
    assert uniform_entropy(6) == pytest.approx(sum(math.log(i) for i in range(1, 7)) / 6)
    zeros = torch.zeros(1, 1, 128, 4)
    _, entropy_bht = attention_with_entropy(zeros, zeros, zeros)
    assert float(entropy_bht.mean()) == pytest.approx(UNIFORM, rel=1e-5)


def test_quarters_hold_their_lower_bound() -> None:
    assert quarter_shares([[0.0, 0.99], [1.0, 1.99]], 4.0) == (0.5, 0.5, 0.0, 0.0)
    assert quarter_shares([[2.0, 3.0, 4.0, 4.5]], 4.0) == (0.0, 0.0, 0.25, 0.75)
    # A layer may have fewer heads than another, and a head without a number is in no quarter.
    assert quarter_shares([[1.0], [math.nan, 1.0, 3.0]], 4.0) == (0.0, 0.5, 0.0, 0.25)
    assert quarter_shares([], 4.0) == (0.0, 0.0, 0.0, 0.0)


# Head entropies that lie in their quarters by construction, whatever the network's size.
spreads = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@given(spreads, st.integers(1, 8), st.floats(0.1, 20))
def test_shares_count_heads_in_any_unit(quarters: list[int], n_head: int, largest: float) -> None:
    heads = [largest * (quarter + 0.5) / 4 for quarter in quarters]
    layers = [heads[i : i + n_head] for i in range(0, len(heads), n_head)]
    shares = quarter_shares(layers, largest)
    assert sum(shares) == pytest.approx(1)
    health = entropy_health(layers, 1, largest)
    assert health.quarters == shares
    assert health.overloaded == quarters.count(3)
    assert health.balanced == pytest.approx((quarters.count(1) + quarters.count(2)) / len(quarters))
    # The middle of the lowest quarter is far above collapse.
    assert health.verdict == ("entropic_overload" if shares[3] > OVERLOAD_SHARE else "sound")
    if health.layer is not None:
        row = layers[health.layer]
        assert sum(head > 0.75 * largest for head in row) > OVERLOAD_SHARE * len(row)


def test_the_papers_overloaded_network_is_one_and_its_relu_network_is_none() -> None:
    def network(overloaded: int) -> list[list[float]]:
        heads = [3.4] * overloaded + [2.0] * (144 - overloaded)
        return [heads[i::12] for i in range(12)]

    gelu, relu = entropy_health(network(84), 1, UNIFORM), entropy_health(network(33), 1, UNIFORM)
    assert (round(gelu.overloaded_share, 2), gelu.verdict) == (0.58, "entropic_overload")
    assert (round(relu.overloaded_share, 2), relu.verdict) == (0.23, "sound")
    assert relu.layer is None
    assert relu.reason == ""


def test_the_published_quarters_are_of_the_largest_head() -> None:
    health = entropy_health([[1.0, 0.2], [0.6, 0.4]], 1, UNIFORM)
    assert health.quarters == (0.75, 0.25, 0.0, 0.0)
    assert health.published_quarters == (0.25, 0.25, 0.25, 0.25)
    # Heads that are all equally low are all in the published top quarter, and yet overload nothing.
    even = entropy_health([[1.2, 1.2]], 1, UNIFORM)
    assert even.published_quarters == (0.0, 0.0, 0.0, 1.0)
    assert even.verdict == "sound"


def test_collapse_is_a_layers_and_outranks_overload() -> None:
    health = entropy_health(COLLAPSED, 300, UNIFORM)
    assert (health.verdict, health.layer, health.step) == ("entropy_collapse", 1, 300)
    assert health.reason == "layer 1 attends with 0.016 nats, since step 300, first in layer 1"
    assert health.overloaded_share > OVERLOAD_SHARE
    zero = entropy_health([[0.0, 0.0]], 1, UNIFORM)
    assert (zero.verdict, zero.published_quarters) == ("entropy_collapse", (1.0, 0.0, 0.0, 0.0))


def test_one_head_that_looks_at_one_token_is_no_collapse() -> None:
    assert collapsed_layer([[2.0, 0.0], [1.0, 1.0]], UNIFORM) is None
    assert collapsed_layer([[2.0, 0.0], [math.nan, 0.0], [0.0, 0.0]], UNIFORM) == 1
    assert collapsed_layer([[math.nan, math.nan]], UNIFORM) is None
    edge = COLLAPSE_SHARE * UNIFORM
    assert collapsed_layer([[edge * 1.001]], UNIFORM) is None
    assert collapsed_layer([[edge * 0.999]], UNIFORM) == 0


def follow(*measured: list[list[float]]) -> list[EntropyHealth]:
    """The healths of validations at steps 100, 200, ..."""
    healths: list[EntropyHealth] = []
    for i, entropy in enumerate(measured):
        healths.append(entropy_health(entropy, 100 * (i + 1), UNIFORM, healths[-1] if healths else None))
    return healths


def test_a_verdict_keeps_layer_and_step_while_it_holds() -> None:
    spread = [[3.5, 3.6], [3.5, 3.6]]
    first, second, recovered, again = follow(OVERLOADED, spread, SOUND, spread)
    assert (first.layer, first.step) == (1, 100)
    assert (second.layer, second.step) == (1, 100)
    assert (
        second.reason == "4 of 4 heads in the top quarter (above 2.91 nats), since step 100, first in layer 1"
    )
    assert (recovered.verdict, recovered.layer, recovered.step) == ("sound", None, 300)
    assert (again.layer, again.step) == (0, 400)


def test_a_collapse_that_moves_names_where_it_is_and_where_it_began() -> None:
    _, last = follow(COLLAPSED, [[0.01, 0.01], [2.0, 2.0]])
    assert last.reason == "layer 0 attends with 0.01 nats, since step 100, first in layer 1"


@pytest.mark.parametrize("entropy", [SOUND, OVERLOADED, COLLAPSED])
def test_health_survives_json(entropy: list[list[float]]) -> None:
    health = entropy_health(entropy, 5, UNIFORM)
    assert from_mapping(EntropyHealth, json.loads(json.dumps(to_mapping(health)))) == health


def test_results_and_health_import_no_torch() -> None:
    code = (
        "import sys, aero_search.training.result as r; print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
