"""Money: bytes and the machines of all parties, at the prices of a list."""

from dataclasses import fields, replace

import pytest

from aero_search.architecture import Architecture, Layer
from aero_search.config.compose import compose_request, named_prices
from aero_search.cost import LIST_PRICES, PriceList, Pricer, estimate, shipped_protocol
from aero_search.errors import RequestError
from aero_search.front.objective import Constraint, Objective
from aero_search.front.pricing import Pricing

TINY = Architecture(
    n_head=2, d_model=32, seq_len=24, vocab_size=100, layers=(Layer(), Layer("none", "identity"))
)
SYSTEMS = ("aero_paper", "spu_aby3", "sigma", "shaft", "nimbus")
FREE = PriceList("free", 0.0, 0.0, 0.0)


def test_the_default_is_the_shipped_list():
    assert compose_request("cost", {}).prices == named_prices("aws_internet") == LIST_PRICES
    for name in ("aws_internet", "aws_zones"):
        shipped = named_prices(name)
        assert shipped.name == name
        assert shipped.source
        assert shipped.date


@pytest.mark.parametrize("name", SYSTEMS)
def test_money_is_bytes_and_core_hours(network, name):
    protocol = shipped_protocol(name)
    prices = PriceList("mine", 0.05, 3600 * 0.01, 3600 * 0.5)
    cost = estimate(TINY, protocol, network("lan"), prices=prices)
    assert cost.usd.egress == pytest.approx(0.05 * cost.communication_bytes.total / 1e9)
    a_second = 0.01 * protocol.cores + 0.5 * protocol.gpus
    assert cost.usd.compute == pytest.approx(a_second * cost.latency_seconds.compute)
    assert cost.usd.total == pytest.approx(cost.usd.egress + cost.usd.compute)
    assert cost.usd.prices == "mine"
    batch = Pricer(protocol, network("lan"), prices=prices).price([TINY, TINY])
    assert batch.usd == pytest.approx([cost.usd.total] * 2)
    assert estimate(TINY, protocol, network("lan"), prices=FREE).usd.total == 0


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_operation_less_costs_more_and_a_link_changes_nothing(network, name):
    protocol = shipped_protocol(name)
    less = replace(TINY, layers=(Layer("none", "identity"),) * 2, final_norm="none")
    prices = [Pricing(protocol, network(link))(a)["usd"] for link in ("lan", "wan") for a in (TINY, less)]
    assert prices[0] > prices[1]
    assert prices[:2] == prices[2:]


def test_every_shipped_system_names_its_machines():
    for name in (*SYSTEMS, "suf", "bumblebee", "bolt", "iron_secretflow", "spu_semi2k", "spu_cheetah_0_9_5"):
        protocol = shipped_protocol(name)
        assert protocol.cores or protocol.gpus, name


@pytest.mark.parametrize("field", [f.name for f in fields(PriceList) if f.name.startswith("usd_")])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_a_price_is_a_finite_amount(field, value):
    with pytest.raises(
        RequestError, match=rf"price\.{field}=.* must be 0 or above, in US dollars, and finite"
    ):
        PriceList(**{field: value})


@pytest.mark.parametrize("field", ["cores", "gpus"])
def test_machines_are_counted_from_0(field):
    with pytest.raises(RequestError, match=rf"protocol\.{field}=-1 must be 0 or above"):
        replace(shipped_protocol("sigma"), **{field: -1})


def test_money_is_a_metric_and_a_limit(network):
    objective = Objective(("perplexity", "usd"), {"usd": Constraint("5 cent")})
    assert objective.limits == {"usd": pytest.approx(0.05)}
    costs = Pricing(shipped_protocol("spu_aby3"), network("lan"))(TINY)
    assert not objective.over(costs)
    assert objective.over({**costs, "usd": 0.06}) == "usd above 5 cent"
    with pytest.raises(RequestError, match=r"objective\.constraints\.usd\.max=5 has no unit"):
        Objective(("perplexity", "usd"), {"usd": Constraint(5)})
