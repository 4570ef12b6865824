"""Lowerings to choose from: a network takes the cheapest, whatever else it is made of."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from aero_search.architecture import Architecture, Attention, Layer, parse_notation
from aero_search.cost import Lowerings, Network, Pricer, estimate
from aero_search.cost.batch import undominated
from aero_search.errors import RequestError
from aero_search.front.objective import metrics_of
from aero_search.front.pricing import Pricing

BASE = Architecture(n_head=4, d_model=64, seq_len=48, vocab_size=300, layers=(Layer(),) * 3)
NAMES = ("SM + LN + G", "SM + R", "SM + LN + G [activation=gelu/relu/gelu]", "SM + ScFuFFN")
CHOICES = {
    "gelu": ("gelu_puma", "gelu_segments", "gelu_tanh"),
    "softmax": ("softmax_divide", "softmax_broadcast", "softmax_bumblebee"),
}
LINKS = (Network("near", 10_000.0, 0.01), Network("far", 10_000.0, 300.0), Network("thin", 1.0, 0.01))


@pytest.mark.parametrize("by", ["latency_s", "communication_bytes", "rounds", "usd"])
@pytest.mark.parametrize("name", ["spu_aby3", "spu_semi2k", "spu_cheetah_0_9_5"])
def test_a_network_takes_the_cheapest_of_all_combinations(name, by, protocol):
    priced = protocol(name)
    for link in LINKS:
        pricing = Pricing(priced, link, lowerings=Lowerings(CHOICES, by))
        for text in NAMES:
            a = parse_notation(text, BASE)
            costs = [
                metrics_of(estimate(a, priced.with_use(dict(zip(CHOICES, use, strict=True))), link))
                for use in product(*CHOICES.values())
            ]
            assert pricing(a)[by] == pytest.approx(min(c[by] for c in costs), rel=1e-12)
            assert pricing.many([a, a])[1] == pytest.approx(pricing(a), rel=1e-9)
            of = pricing.of(a)
            assert not of.lowerings
            assert of(a) == pricing(a)


def test_which_is_cheapest_depends_on_the_link(protocol):
    a, cheetah = parse_notation("SM + LN + G", BASE), protocol("spu_cheetah_0_9_5")
    near, _, thin = (
        Pricing(cheetah, link, lowerings=Lowerings(CHOICES)).price(a).lowerings for link in LINKS
    )
    assert near == {"gelu": "gelu_segments", "softmax": "softmax_broadcast"}
    assert thin == {"gelu": "gelu_segments", "softmax": "softmax_bumblebee"}


def test_only_what_a_network_has_is_told(protocol, network):
    lowerings = Lowerings({**CHOICES, "rmsnorm": ("rmsnorm",)})
    pricing = Pricing(protocol("spu_aby3"), network("lan"), lowerings=lowerings)
    told = {text: set(pricing.price(parse_notation(text, BASE)).lowerings) for text in NAMES}
    assert told == {
        "SM + LN + G": {"gelu", "softmax"},
        "SM + R": {"softmax"},
        "SM + LN + G [activation=gelu/relu/gelu]": {"gelu", "softmax"},
        "SM + ScFuFFN": {"softmax"},
    }
    # A simple norm is built of RMSNorm where a protocol has no line of its own for it.
    simple = Architecture(
        n_head=4, d_model=64, seq_len=8, vocab_size=300, layers=(Layer(norm="simple_rms"),),
        final_norm="none", attention=Attention(),
    )  # fmt: skip
    assert pricing.price(simple).lowerings["rmsnorm"] == "rmsnorm"


@pytest.mark.parametrize("by", ["latency_s", "communication_bytes", "rounds"])
def test_the_alternatives_hold_the_cheapest_of_every_link(by, protocol):
    priced, a = protocol("spu_semi2k"), parse_notation("SM + LN + G", BASE)
    rows = np.array(Pricer(priced, LINKS[0], lowerings=Lowerings(CHOICES, by)).alternatives(a))
    assert 1 < len(rows) < 9
    assert undominated(rows) == list(range(len(rows)))
    for link in LINKS:
        costs = Pricing(priced, link, lowerings=Lowerings(CHOICES, by))(a)
        bytes_, rounds, compute = rows.T
        latency = compute + bytes_ / link.bytes_per_second + rounds * link.rtt_seconds
        least = {"latency_s": latency, "communication_bytes": bytes_, "rounds": rounds}[by].min()
        assert costs[by] == pytest.approx(least, rel=1e-9)


def test_without_choices_there_is_one_row(protocol, network):
    a = parse_notation("SM + LN + G", BASE)
    costs = Pricing(protocol("spu_aby3"), network("lan")).price(a)
    ((bytes_, rounds, _),) = Pricer(protocol("spu_aby3"), network("lan")).alternatives(a)
    assert (bytes_, rounds) == (costs.costs["communication_bytes"], costs.costs["rounds"])
    assert costs.lowerings == {}


def test_a_system_that_lacks_them_runs_its_own_and_says_so(protocol, network):
    a, sigma = parse_notation("SM + LN + G", BASE), protocol("sigma")
    lowerings = Lowerings(CHOICES)
    own = Pricing(sigma, network("lan"))
    assert Pricing(sigma, network("lan"), lowerings=lowerings)(a) == own(a)
    said = list(lowerings.unknown_to(sigma))
    assert [s.split(" lists for ")[1].split(":")[0] for s in said] == ["gelu", "softmax"]
    assert "protocol sigma has none of the lowerings gelu_puma, gelu_segments, gelu_tanh" in said[0]
    assert list(lowerings.unknown_to(protocol("spu_aby3"))) == []


def test_undominated_keeps_the_first_of_equals():
    rows = np.array([[1.0, 3.0], [1.0, 3.0], [3.0, 1.0], [2.0, 4.0], [0.5, 5.0]])
    assert undominated(rows) == [0, 2, 4]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"gelu": ("gelu_pum",)}, r"protocol.use.gelu=gelu_pum in the space is no lowering of protocol spu_aby3: "
         r"did you mean 'gelu_puma'\? \(choices: .*softmax_broadcast"),
        ({"gelo": ("gelu_puma",)}, r"protocol.use.gelo is not an operation: did you mean 'gelu'\? \(choices"),
        ({"matmul": ("softmax_broadcast",)}, r"charges compare per reduction, which matmul does not have"),
    ],
)  # fmt: skip
def test_choices_that_cannot_be_are_refused(choices, message, protocol):
    with pytest.raises(RequestError, match=message):
        Lowerings(choices).check(protocol("spu_aby3"))
