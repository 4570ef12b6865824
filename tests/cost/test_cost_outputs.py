"""The JSON document, the what-if list, tables and plots, and how fast and light all of it is."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from aero_search.architecture import Architecture, Layer, key
from aero_search.cost import (
    Pricer,
    compare_published,
    cost_document,
    estimate,
    published_architecture,
    published_rows,
    single_changes,
)
from aero_search.cost.charge import charge
from aero_search.errors import RequestError
from aero_search.report.costs import bars, comparisons, tables


@pytest.fixture
def gpt2_small():
    return Architecture(n_head=12, d_model=768, seq_len=128, vocab_size=50257, layers=(Layer(),) * 12)


@pytest.fixture
def paper(protocol, network):
    return protocol("aero_paper"), network("paper")


def text(renderable):
    from rich.console import Console

    console = Console(width=160, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_document_has_the_promised_fields(gpt2_small, paper):
    document = json.loads(json.dumps(cost_document(gpt2_small, *paper), allow_nan=False))
    assert document["notation"] == "SM + LN + G"
    assert document["key"] == key(gpt2_small)
    assert document["architecture"]["d_model"] == 768
    assert {"ffn", "attention", "embedding", "lm_head", "total"} <= set(document["flops"])
    assert document["nonlinear_ops"]["gelu"] == {"count": 12, "shape": [128, 3072]}
    assert (document["protocol"], document["network"]) == ("aero_paper", "paper")
    sent, latency = document["communication_bytes"], document["latency_seconds"]
    assert sum(sent["by_op"].values()) == pytest.approx(sent["total"])
    assert latency["compute"] + latency["transfer"] + latency["round_trips"] == pytest.approx(
        latency["total"]
    )
    assert document["rounds"] > 0


def test_changes_are_sorted_and_priced_as_the_architectures_they_give(gpt2_small, paper):
    changes = single_changes(gpt2_small, *paper)
    assert 0 < len(changes) <= 10
    saved = [change.seconds_saved for change in changes]
    assert saved == sorted(saved, reverse=True)
    before = estimate(gpt2_small, *paper)
    for change in changes:
        after = estimate(change.architecture, *paper)
        assert change.bytes_saved == pytest.approx(
            before.communication_bytes.total - after.communication_bytes.total, rel=1e-9
        )
        assert change.seconds_saved == pytest.approx(
            before.latency_seconds.total - after.latency_seconds.total, rel=1e-9
        )
    by_text = {change.description: change for change in changes}
    relu = by_text["gelu to relu in one of layers 0-11"]
    assert relu.layers == tuple(range(12))
    assert relu.architecture == replace(
        gpt2_small, layers=(*gpt2_small.layers[:-1], Layer(activation="relu"))
    )
    kinds = {"norm", "activation", "attention", "fuse", "feed_forward", "layer"}
    assert {change.kind for change in single_changes(gpt2_small, *paper, limit=20)} == kinds


def test_changes_tell_layers_apart_where_they_differ(gpt2_small, paper):
    layers = (Layer(activation="relu"), Layer("none", "identity", "fused"), Layer(activation="relu"))
    changes = single_changes(replace(gpt2_small, layers=layers), *paper, limit=20)
    by_text = {change.description: change.layers for change in changes}
    assert by_text["relu to identity in one of layers 0, 2"] == (0, 2)
    assert by_text["feed-forward pruned in layer 1"] == (1,)
    assert by_text["deepest layer removed"] == (2,)


def test_layers_that_share_weights_change_together_and_the_norm_of_queries_goes(gpt2_small, paper):
    attention = replace(gpt2_small.attention, qk_norm="rmsnorm")
    a = replace(gpt2_small, layers=gpt2_small.layers[:4], share_layers=2, attention=attention)
    by_text = {change.description: change for change in single_changes(a, *paper, limit=20)}
    relu = by_text["gelu to relu, 2 layers at once in one of layers 0, 2"]
    assert relu.architecture.layers == (*a.layers[:2], *(Layer(activation="relu"),) * 2)
    assert by_text["deepest 2 layers removed"].architecture.n_layer == 2
    assert by_text["rmsnorm of queries and keys removed"].architecture.attention.qk_norm == "none"


def test_nothing_left_to_change(build, paper):
    bare = build([Layer("none", "identity", "none", "relu_count")], final_norm="none")
    assert single_changes(bare, *paper) == ()


def test_report_names_what_dominates(gpt2_small, paper):
    printed = text(
        tables.cost_report(
            "SM + LN + G", estimate(gpt2_small, *paper), *paper, single_changes(gpt2_small, *paper)
        )
    )
    assert "25.31 GB" in printed
    said = " ".join(printed.split())
    assert re.search(r"activation dominates the bytes \(64\.6%\)( and|, \w+) the latency \(", said)
    assert "; the largest share of that is " in said
    assert "0 to 11" in printed
    assert "gelu to relu in one of layers 0-11" in printed


def test_trusted_dealer_is_said(gpt2_small, protocol, network):
    chosen = protocol("spu_semi2k"), network("lan")
    assert "offline phase" in text(tables.cost_report("x", estimate(gpt2_small, *chosen), *chosen))


def test_published_report_shows_every_row_and_its_split(paper):
    printed = text(comparisons.published_report(compare_published(*paper)))
    assert "calibrate" in printed
    assert "14 rows: bytes within 0.8%" in printed
    assert printed.count("SM+LN+G") >= 8
    assert "what each step saves" in printed


def test_variants_are_compared_with_the_first(paper):
    rows = [row for row in published_rows() if row.n_layer == 18 and not row.is_sota]
    costs = [(row.label, estimate(published_architecture(row), *paper)) for row in rows]
    printed = text(tables.variants_table(costs))
    assert "1.00x" in printed
    assert "4.25x" in printed


@pytest.mark.parametrize("quantity", ["communication", "latency"])
def test_plots(tmp_path, paper, quantity):
    rows = published_rows()[:3]
    costs = [(row.variant, estimate(published_architecture(row), *paper)) for row in rows]
    image = bars.plot_costs(costs, tmp_path / "new" / "parts.png", quantity)
    assert image.read_bytes().startswith(b"\x89PNG")
    page = bars.plot_costs(costs, tmp_path / "parts.html", quantity).read_text(encoding="utf-8")
    assert "SM+ScFFN" in page
    assert len(page) > 1_000_000, "plotly.js must be inside, or the page is blank offline"
    with pytest.raises(RequestError, match=r"end it in \.png, \.svg, \.pdf or \.html"):
        bars.plot_costs(costs, tmp_path / "parts.gif", quantity)


@pytest.mark.parametrize(
    ("count", "written"), [(25.32e9, "25.32 GB"), (615e6, "615.0 MB"), (2048, "2.0 kB"), (12, "12 B")]
)
def test_bytes_as_text(count, written):
    assert tables.format_bytes(count) == written


@pytest.mark.parametrize(("value", "written"), [(492.6, "8.21 min"), (95.2, "95.2 s"), (0, "0 s")])
def test_seconds_as_text(value, written):
    assert tables.format_seconds(value) == written


def test_a_batch_charges_each_distinct_layer_once(paper, gpt2_small, monkeypatch):
    norms, activations, kinds = ("layernorm", "none"), ("gelu", "relu", "identity"), ("full", "fused", "none")
    layers = [Layer(n, a, f) for n in norms for a in activations for f in kinds]
    batch = [
        replace(gpt2_small, layers=tuple(layers[(i * (j + 1)) % len(layers)] for j in range(12)))
        for i in range(500)
    ]
    charged = []

    def counted(operation, protocol):
        charged.append(operation)
        return charge(operation, protocol)

    monkeypatch.setattr("aero_search.cost.batch.charge", counted)
    pricer = Pricer(*paper)
    # The first eighteen hold every layer.
    pricer.price(batch[: len(layers)])
    once = len(charged)
    assert once > 0
    pricer.price(batch)
    assert len(charged) == once


def test_importing_costs_loads_nothing_heavy():
    code = (
        "import sys, aero_search.cost, aero_search.report.costs.tables; "
        "heavy = {'torch', 'pandas', 'plotly', 'matplotlib', 'rich', 'omegaconf'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
