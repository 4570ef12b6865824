"""One study under many systems: who stays on the front, and who loses least at worst."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aero_search.architecture import Architecture, Layer, notation
from aero_search.cost import Network, shipped_protocol
from aero_search.errors import RequestError
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record
from aero_search.front.robust import priced_where_known, robustness

LAN = Network("lan", 1000.0, 1.0)
OBJECTIVE = Objective(("perplexity", "communication_bytes"))
BASE = Architecture(n_head=2, d_model=32, seq_len=16, vocab_size=300, layers=(Layer(),) * 2)


def record(number: int, perplexity: float, norm: str, activation: str) -> Record:
    layer = Layer(norm, activation)
    architecture = replace(BASE, layers=(layer,) * 2, final_norm=norm)
    return Record(
        number=number, candidate=f"c{number}", architecture=architecture, notation=notation(architecture),
        state="finished", reason="", perplexity=perplexity, costs={}, overrides=(), lr=1e-3, seed=0, seconds=1.0,
        folder=Path("nowhere"),
    )  # fmt: skip


RECORDS = [
    record(0, 60.0, "layernorm", "gelu"),
    record(1, 61.0, "none", "gelu"),
    record(2, 80.0, "none", "identity"),
    record(3, 62.0, "layernorm", "relu"),
]


def under(*names: str):
    pricings = {name: Pricing(shipped_protocol(name), LAN) for name in names}
    return robustness(RECORDS, OBJECTIVE, 300.0, BASE, pricings), pricings


def test_regret_is_what_the_best_point_is_worth_more():
    found, pricings = under("aero_paper", "spu_aby3")
    assert found.systems == ("aero_paper", "spu_aby3")
    for name, pricing in pricings.items():
        reference = Reference(300.0, pricing.baseline(BASE, OBJECTIVE))
        rows = {r.number: [r.perplexity, pricing(r.architecture)["communication_bytes"]] for r in RECORDS}
        worth = {number: reference.hypervolume([row]) for number, row in rows.items()}
        for standing in found.standings:
            number = standing.record.number
            assert standing.regret[name] == pytest.approx(max(worth.values()) - worth[number])
            dominated = any(a[0] <= rows[number][0] and a[1] < rows[number][1] for a in rows.values())
            assert standing.on_front[name] is not dominated
    worst = [s.regret[s.worst] for s in found.standings]
    assert worst == sorted(worst)
    assert "three_honest_majority" in found.warning


def test_what_a_system_cannot_run_is_worth_nothing_there():
    """BOLT has no ReLU."""
    found, pricings = under("aero_paper", "bolt")
    relu = next(s for s in found.standings if s.record.number == 3)
    assert relu.on_front["bolt"] is None
    assert (
        relu.regret["bolt"]
        == max(s.regret["bolt"] for s in found.standings)
        == pytest.approx(
            max(
                Reference(300.0, pricings["bolt"].baseline(BASE, OBJECTIVE)).hypervolume(
                    [[r.perplexity, pricings["bolt"](r.architecture)["communication_bytes"]]]
                )
                for r in RECORDS[:3]
            )
        )
    )
    assert [c is None for c in priced_where_known([r.architecture for r in RECORDS], pricings["bolt"])] == [
        False, False, False, True,
    ]  # fmt: skip
    assert found.warning == ""
    assert (
        yaml.safe_load(yaml.safe_dump(found.document()))["points"][0]["trial"]
        == found.standings[0].record.number
    )


def test_a_system_that_cannot_run_the_baseline_is_left_out():
    rotary = replace(BASE, family="pythia")
    pricings = {name: Pricing(shipped_protocol(name), LAN) for name in ("aero_paper", "bolt")}
    found = robustness(RECORDS, OBJECTIVE, 300.0, rotary, pricings)
    assert found.systems == ("aero_paper",)
    assert "bolt does not say how to run public_scale" in found.left_out["bolt"]
    with pytest.raises(RequestError, match="no system of systems= runs the baseline"):
        robustness(RECORDS, OBJECTIVE, 300.0, rotary, {"bolt": pricings["bolt"]})
    with pytest.raises(RequestError, match="needs a candidate that has learned something"):
        robustness([], OBJECTIVE, 300.0, rotary, pricings)
