"""What a page knows: prices that add up to the estimate's, and what a study leaves in its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from pages import NETWORKS, PROTOCOLS, SMALL, ladder_document, page_source
from studies import BASE

from aero_search.architecture import parse_notation, retarget
from aero_search.architecture.operations import ATTENTIONS
from aero_search.cost import Pricer, estimate
from aero_search.errors import RequestError
from aero_search.front.objective import known_costs
from aero_search.front.pricing import Pricing
from aero_search.report.page.document import LADDER_FILE, page_document
from aero_search.report.page.prices import PageTariff
from aero_search.report.page.what_if import what_if
from aero_search.search.importance import importances
from aero_search.search.timeline import timeline

PAPER = Pricing(PROTOCOLS["aero_paper"], NETWORKS["paper"])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_three_numbers_give_the_estimate_for_every_link(tmp_path: Path, protocol: str, network: str) -> None:
    records = page_source(tmp_path).records
    link = NETWORKS[network]
    for record in records:
        told = PageTariff(PROTOCOLS)(record.architecture)
        ((sent, rounds, compute),) = told["by"][protocol]
        costs = known_costs(record.architecture, PROTOCOLS[protocol], link)
        latency = compute + sent / link.bytes_per_second + rounds * link.rtt_seconds
        assert latency == pytest.approx(costs["latency_s"], rel=1e-12)
        assert (sent, rounds, told["flops"]) == pytest.approx(
            (costs["communication_bytes"], costs["rounds"], costs["flops"]), rel=1e-12
        )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("ending", ["", " [attention.softmax_heads=1]"])
def test_every_attention_kind_has_the_estimate_s_price(protocol: str, ending: str) -> None:
    tariff, link = PageTariff(PROTOCOLS), NETWORKS["lan"]
    for term in ATTENTIONS.terms:
        # Without heads of another kind the ending says nothing.
        architecture = parse_notation(f"{term} + R{ending}", BASE)
        ((sent, rounds, compute),) = tariff(architecture)["by"][protocol]
        cost = estimate(architecture, PROTOCOLS[protocol], link)
        assert (sent, rounds) == pytest.approx((cost.communication_bytes.total, cost.rounds), rel=1e-12)
        latency = compute + sent / link.bytes_per_second + rounds * link.rtt_seconds
        assert latency == pytest.approx(cost.latency_seconds.total, rel=1e-12)


def test_what_a_protocol_cannot_run_has_no_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = page_source(tmp_path)
    price = Pricer.alternatives

    def refuse(self: Any, a: Any) -> Any:
        if self._protocol.name == "spu_semi2k" and a.layers[0].norm == "none":
            raise RequestError("no such operation")
        return price(self, a)

    monkeypatch.setattr(Pricer, "alternatives", refuse)
    entries = {entry["notation"]: entry for entry in page_document(source)["candidates"]}
    assert entries["SM + R"]["by"]["spu_semi2k"] is None
    assert entries["SM + R"]["by"]["aero_paper"] is not None
    assert entries["SM + LN + R"]["by"]["spu_semi2k"] is not None


def test_the_document_holds_the_front_s_own_and_everything_is_json(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    document = page_document(source)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["front"] == source.front_document
    assert [entry["trial"] for entry in document["candidates"]] == list(range(17))
    diverged = document["candidates"][15]
    assert (diverged["state"], diverged["perplexity"]) == ("diverged", None)
    assert len(document["candidates"][0]["entropy"]) == 4
    assert document["candidates"][0]["ended"] == 74.0
    assert document["provenance"]["corpus fingerprint"] == "abc"
    assert document["provenance"]["seeds"] == [0, 1]
    assert document["ladder"] is None
    # The baseline's prices are the reference's, by which savings and hypervolume are counted.
    ((sent, _, compute),) = document["baseline"]["by"]["aero_paper"]
    latency = compute + sent / NETWORKS["paper"].bytes_per_second
    assert latency == pytest.approx(source.front.reference.costs["latency_s"])


def test_results_that_are_gone_leave_the_record(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    (source.records[3].folder / "result.json").write_text("{")
    entry = page_document(source)["candidates"][3]
    assert "entropy" not in entry
    assert entry["perplexity"] == 70.18


def test_prices_are_the_target_s_where_there_is_one(tmp_path: Path) -> None:
    document = page_document(page_source(tmp_path, target=SMALL))
    record = page_source(tmp_path / "again", target=SMALL).records[4]
    costs = known_costs(retarget(record.architecture, SMALL), PROTOCOLS["aero_paper"], NETWORKS["paper"])
    assert document["candidates"][4]["by"]["aero_paper"][0][0] == pytest.approx(costs["communication_bytes"])
    assert document["target"] == SMALL.text
    assert {row["perplexity"] for row in document["published"]} == {None}
    assert page_document(page_source(tmp_path / "own"))["published"] == []


def test_what_if_prices_rows_at_sizes_and_knows_what_was_trained(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    tariff = PageTariff(PROTOCOLS)
    what = what_if(
        source.records,
        source.base,
        [SMALL, replace(SMALL, family="llama")],
        tariff,
        PAPER,
    )
    assert what is not None
    assert [size["name"] for size in what["sizes"]] == ["as trained", "gpt2_small"]
    row = next(i for i, row in enumerate(what["rows"]) if row["notation"] == "SM + LN + G")
    here, there = what["cells"][row]
    a = parse_notation("SM + LN + G", retarget(source.records[0].architecture, SMALL))
    costs = known_costs(a, PROTOCOLS["spu_semi2k"], NETWORKS["paper"])
    assert there["by"]["spu_semi2k"][0][0] == pytest.approx(costs["communication_bytes"])
    assert here["changes"]
    assert all(change["flops"] <= here["flops"] for change in here["changes"])
    assert all(change["trial"] is None for change in there["changes"])
    assert what_if([], None, [], tariff, PAPER) is None


def test_a_change_that_was_trained_names_its_trial(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    first = source.records[0]
    tariff = PageTariff(PROTOCOLS)
    changed = what_if([first], first.architecture, [], tariff, PAPER)
    assert changed is not None
    assert all(change["trial"] is None for change in changed["cells"][0][0]["changes"])
    layers = (*first.architecture.layers[:-1], replace(first.architecture.layers[-1], activation="relu"))
    other = replace(first, number=77, architecture=replace(first.architecture, layers=layers))
    told = what_if([first, other], first.architecture, [], tariff, PAPER)
    assert told is not None
    named = {change["description"]: change["trial"] for change in told["cells"][0][0]["changes"]}
    assert named["gelu to relu in one of layers 0-3"] == 77


def test_a_ladder_s_table_is_read_and_a_broken_one_is_not(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    (tmp_path / LADDER_FILE).write_text(json.dumps(ladder_document()))
    told = page_document(source)["ladder"]
    assert (told["name"], len(told["rows"])) == ("short", 2)
    for broken in ("{", "[]", '{"ladder": {}}', '{"ladder": null, "rows": []}'):
        (tmp_path / LADDER_FILE).write_text(broken)
        assert page_document(source)["ladder"] is None


@pytest.fixture
def studied() -> optuna.Study:
    """Thirty trials in which x decides, y does nothing, and z counts only where x is large."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=1)
    )

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if x > 0.5:
            trial.suggest_float("z", 0, 1)
        return 50 + 100 * x + 0.001 * y, 1 + x

    study.optimize(objective, n_trials=30)
    return study


def test_importance_finds_what_decides(studied: optuna.Study) -> None:
    found = importances(studied)
    assert (found.trials, found.best) == (30, 5)
    for shares in (found.front, found.perplexity):
        assert sum(shares.values()) == pytest.approx(1.0)
        assert set(shares) == {"x", "y", "z"}
        assert max(shares, key=lambda name: shares[name]) == "x"


def test_few_trials_tell_no_importance() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=4)
    found = importances(study)
    assert (found.front, found.perplexity, found.trials) == ({}, {}, 4)


def test_the_timeline_begins_with_the_first_trial(studied: optuna.Study) -> None:
    moments = timeline(studied)
    assert [moment.number for moment in moments] == list(range(30))
    assert moments[0].started == 0.0
    assert all(m.ended is not None and m.ended >= m.started for m in moments)
    studied.enqueue_trial({"x": 0.1})
    assert len(timeline(studied)) == 30
    studied.ask()
    assert timeline(studied)[-1].ended is None
    assert timeline(optuna.create_study()) == ()
