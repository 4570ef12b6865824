"""The page's own arithmetic under node: prices, front, hypervolume and choice are those of Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pages import NETWORKS, PROTOCOLS, page_source, priced_front
from studies import STUDY
from studies import record as make_record

from aero_search.architecture import BASELINE, parse_notation
from aero_search.cost import Lowerings, Network, PriceList, shipped_protocol, systems
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.front import Front
from aero_search.front.objective import Constraint, Objective
from aero_search.front.pricing import Pricing
from aero_search.front.robust import priced_where_known, robustness
from aero_search.quantity import UNITS, write_quantity
from aero_search.report.axis import axis_around
from aero_search.report.chart import panels
from aero_search.report.page.document import PageSource, page_document
from aero_search.report.page.render import SCRIPTS
from aero_search.report.static import significant_tick

# What computes; the other scripts draw, and need a browser.
ARITHMETIC = (
    "state.js",
    "format.js",
    "pricing.js",
    "pareto.js",
    "standing.js",
    "axis.js",
    "panel.js",
    "choosing.js",
)
RUN = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
global.document = { getElementById: () => ({ textContent: JSON.stringify(asked.data) }) };
const answers = new Function(asked.scripts + `
  return (cases) => cases.map(({ protocol, bandwidth, rtt, budget, texts }) => {
    Object.assign(aero.state, { protocol, bandwidth, rtt, budget });
    const view = aero.view();
    const { chosen, near } = aero.choose(view, budget);
    return {
      costs: Object.fromEntries(view.candidates.map((c) => [c.trial, view.metrics.map((m) => c[m])])),
      front: view.front.map((c) => c.trial), knee: view.knee && view.knee.trial, hypervolume: view.hypervolume,
      baseline: view.baseQuality, fits: view.candidates.filter((c) => c.fits).map((c) => c.trial),
      quantities: Object.entries(budget).map(([m, v]) => aero.quantity(m, texts[m] || String(v))),
      chosen: chosen && chosen.trial, near: near && near.trial,
    };
  });
`)()(asked.cases);
process.stdout.write(JSON.stringify(answers));
"""
ENDS = (Network("thin", 1.0, 0.01), Network("far", 100_000.0, 1000.0))
BUDGETS: tuple[dict[str, float], ...] = (
    {"latency_s": 12.0},
    {"communication_bytes": 1e12},
    {"flops": 5e7, "perplexity": 75.0},
    {"perplexity": 66.0},
    {"perplexity": 62.0},
    {"perplexity": 1.0},
)


def answers(
    source: PageSource, cases: Sequence[Any], run: str = RUN, names: Sequence[str] = ARITHMETIC
) -> list[dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    assert set(names) <= set(SCRIPTS)
    assets = files("aero_search.report.page") / "assets"
    scripts = "\n".join((assets / name).read_text(encoding="utf-8") for name in names)
    asked = json.dumps({"data": page_document(source), "scripts": scripts, "cases": cases})
    done = subprocess.run([node, "-e", run], input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def limited(source: PageSource) -> tuple[PageSource, Objective]:
    """The same study with a limit that its best candidates are above."""
    costs = sorted(record.costs["latency_s"] for record in source.records)
    constraint = Constraint(f"{costs[-4]} s")
    objective = replace(source.front.objective, constraints={"latency_s": constraint})
    return replace(source, front=priced_front(source.records, source.pricing, objective)), objective


def expected(front: Front, budget: dict[str, float]) -> int | None:
    try:
        return front.within(budget).number
    except RequestError:
        return None


def test_the_page_counts_money_as_python_does(tmp_path: Path) -> None:
    source = page_source(tmp_path)
    objective = replace(source.front.objective, metrics=("perplexity", "usd", "latency_s"))
    prices = PriceList("mine", 0.02, 0.05, 1.5)
    source = replace(
        source,
        front=priced_front(source.records, replace(source.pricing, prices=prices), objective),
        pricing=replace(source.pricing, prices=prices),
        protocols={n: replace(p, cores=i, gpus=2 * i) for i, (n, p) in enumerate(PROTOCOLS.items())},
    )
    link = next(iter(NETWORKS.values()))
    asked = {
        "bandwidth": link.bandwidth_mbps,
        "rtt": link.rtt_ms,
        "budget": {"usd": 0.5},
        "texts": {"usd": "50 cent"},
    }
    cases = [{"protocol": name, **asked} for name in source.protocols]
    for protocol, told in zip(source.protocols.values(), answers(source, cases), strict=True):
        front = priced_front(source.records, Pricing(protocol, link, prices=prices), objective)
        assert told["front"] == [record.number for record in front.points]
        assert told["quantities"] == [0.5]
        for record in front.points:
            assert told["costs"][str(record.number)] == pytest.approx(front.row(record), rel=1e-9)


@pytest.mark.parametrize("by", ["latency_s", "communication_bytes", "rounds", "usd"])
def test_the_page_takes_the_lowerings_that_python_takes(by: str, tmp_path: Path) -> None:
    choices = {
        "gelu": ("gelu_puma", "gelu_segments", "gelu_tanh"),
        "softmax": ("softmax_divide", "softmax_broadcast", "softmax_bumblebee"),
    }
    lowerings = Lowerings(choices, by)
    source = page_source(tmp_path)
    source = replace(source, pricing=replace(source.pricing, lowerings=lowerings))
    links = [
        (protocol, network) for protocol in PROTOCOLS.values() for network in (*NETWORKS.values(), *ENDS)
    ]
    cases = [
        {"protocol": p.name, "bandwidth": n.bandwidth_mbps, "rtt": n.rtt_ms, "budget": {}, "texts": {}}
        for p, n in links
    ]
    taken = set()
    for (protocol, network), told in zip(links, answers(source, cases), strict=True):
        pricing = Pricing(protocol, network, lowerings=lowerings)
        front = priced_front(source.records, pricing, source.front.objective)
        assert told["front"] == [record.number for record in front.points]
        for record in front.points:
            assert told["costs"][str(record.number)] == pytest.approx(front.row(record), rel=1e-9)
            taken |= set(pricing.price(record.architecture).lowerings.values())
    assert taken
    assert by != "latency_s" or {"softmax_broadcast", "softmax_bumblebee"} < taken


@pytest.mark.parametrize("bounded", [False, True], ids=["without limits", "with a limit"])
def test_the_page_counts_as_python_does(bounded: bool, tmp_path: Path) -> None:
    source = page_source(tmp_path)
    objective = source.front.objective
    if bounded:
        source, objective = limited(source)
        assert source.front.over
        assert source.front.over[0].perplexity == min(r.perplexity for r in source.records if r.perplexity)
    links = [
        (protocol, network, budget)
        for protocol in PROTOCOLS.values()
        for network in NETWORKS.values()
        for budget in BUDGETS
    ]
    cases = [
        {
            "protocol": p.name,
            "bandwidth": n.bandwidth_mbps,
            "rtt": n.rtt_ms,
            "budget": b,
            "texts": {m: write_quantity(m, v) for m, v in b.items() if m in UNITS},
        }
        for p, n, b in links
    ]
    for (protocol, network, budget), told in zip(links, answers(source, cases), strict=True):
        front = priced_front(source.records, Pricing(protocol, network), objective)
        assert told["quantities"] == pytest.approx(list(budget.values()))
        assert told["front"] == [record.number for record in front.points]
        assert told["hypervolume"] == pytest.approx(front.hypervolume, rel=1e-9)
        assert told["baseline"] == front.baseline_perplexity
        assert told["knee"] == (front.knee().number if front.points else None)
        for record in front.points:
            assert told["costs"][str(record.number)] == pytest.approx(front.row(record), rel=1e-9)
        assert told["chosen"] == (expected(front, budget) if front.points else None)
        over = {record.number for record in front.over}
        assert not over & {*told["fits"], told["chosen"], told["near"]}


def test_the_page_counts_as_python_does_under_every_system(tmp_path: Path) -> None:
    """Candidates that a system cannot run have no price on the page, and are no part of its front."""
    offered = {name: shipped_protocol(name) for name in systems()}
    source = page_source(tmp_path)
    source = replace(source, protocols={**source.protocols, **offered})
    network = NETWORKS["wan"]
    link = {"bandwidth": network.bandwidth_mbps, "rtt": network.rtt_ms, "budget": {}, "texts": {}}
    told = answers(source, [{"protocol": name, **link} for name in offered])
    refused = {}
    for (name, protocol), said in zip(offered.items(), told, strict=True):
        pricing = Pricing(protocol, network)
        costs = priced_where_known([r.architecture for r in source.records], pricing)
        known = [r for r, cost in zip(source.records, costs, strict=True) if cost is not None]
        refused[name] = len(source.records) - len(known)
        front = priced_front(known, pricing, source.front.objective)
        assert said["front"] == [record.number for record in front.points], name
        assert said["hypervolume"] == pytest.approx(front.hypervolume, rel=1e-9), name
        assert set(said["costs"]) == {str(record.number) for record in known}
        for record in front.points:
            assert said["costs"][str(record.number)] == pytest.approx(front.row(record), rel=1e-9)
    # ReLU and learned temperatures.
    assert refused == {name: 6 if name in ("bolt", "shaft") else 0 for name in offered}


STANDINGS = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
global.document = { getElementById: () => ({ textContent: JSON.stringify(asked.data) }) };
const answers = new Function(asked.scripts + `
  const { systems, points } = aero.standings(aero.systems());
  return [{
    systems: systems.map((system) => system.name),
    points: points.map((p) => ({ trial: p.candidate.trial, fronts: p.fronts, worst: p.worst, by: p.by })),
  }];
`)();
process.stdout.write(JSON.stringify(answers));
"""


# Elements that keep what they are given, in place of a browser's.
DRAWN = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
class Element {
  constructor(tag) { this.tag = tag; this.children = []; this.attributes = {}; }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener() {}
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  get text() { return this.textContent ?? this.children.map((c) => c.text ?? String(c)).join(""); }
  all(tag) { return this.children.flatMap((c) => (c.tag === tag ? [c] : c.all ? c.all(tag) : [])); }
}
const known = { data: { textContent: JSON.stringify(asked.data) } };
global.document = {
  getElementById: (id) => (known[id] ??= new Element(id)), createElement: (tag) => new Element(tag),
};
new Function(asked.scripts + "aero.setUpSystems();")();
const rows = known.systems.children[1].all("tr").map((row) => ({
  name: row.all("th")[0].children[0],
  cells: row.all("td").map((cell) => ({ mark: cell.text, ...cell.attributes })),
}));
const said = ["systems-best", "systems-note"].map((id) => known[id].text);
process.stdout.write(JSON.stringify([{ rows, said, hidden: known["systems-section"].hidden }]));
"""


def test_the_heat_map_says_in_marks_and_words_what_its_colours_say(tmp_path: Path) -> None:
    offered = {name: shipped_protocol(name) for name in ("aero_paper", "bolt", "spu_aby3")}
    source = replace(page_source(tmp_path), protocols=offered)
    (told,) = answers(source, [], STANDINGS)
    (drawn,) = answers(source, [], DRAWN, (*ARITHMETIC, "dom.js", "heatmap.js", "systems.js"))
    assert not drawn["hidden"]
    assert [row["name"] for row in drawn["rows"]] == told["systems"]
    for row in drawn["rows"]:
        for cell, point in zip(row["cells"], told["points"], strict=True):
            by = point["by"][row["name"]]
            assert cell["mark"] == {True: "●", False: "", None: "×"}[by["on"]]
            assert cell["aria-label"].startswith(f"#{point['trial']} under {row['name']}: ")
            assert cell["aria-label"].endswith(f"{100 * by['regret']:.1f}%")
            assert ("style" in cell) is (by["on"] is not None)
    assert f"#{told['points'][0]['trial']}" in drawn["said"][0]
    assert "cross trust models" in drawn["said"][1]


def test_the_page_weighs_points_under_systems_as_python_does(tmp_path: Path) -> None:
    offered = {name: shipped_protocol(name) for name in ("aero_paper", "sigma", "bolt", "shaft", "spu_aby3")}
    source = replace(page_source(tmp_path), protocols=offered)
    (told,) = answers(source, [], STANDINGS)
    pricings = {
        f"{name} on {link}": Pricing(protocol, network)
        for name, protocol in offered.items()
        for link, network in NETWORKS.items()
    }
    baseline = parse_notation(BASELINE, source.records[0].architecture)
    found = robustness(
        source.records, source.front.objective, source.front.reference.unigram_perplexity, baseline, pricings
    )
    assert told["systems"] == list(found.systems)
    assert [p["trial"] for p in told["points"]] == [s.record.number for s in found.standings]
    for point, s in zip(told["points"], found.standings, strict=True):
        assert point["fronts"] == s.fronts
        assert {name: by["on"] for name, by in point["by"].items()} == s.on_front
        regrets = {name: by["regret"] for name, by in point["by"].items()}
        assert regrets == pytest.approx(s.regret, rel=1e-9, abs=1e-12)
        assert regrets[point["worst"]] == pytest.approx(s.regret[s.worst])


PANEL = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
global.document = { getElementById: () => ({ textContent: JSON.stringify(asked.data) }) };
const answers = new Function(asked.scripts + `
  return (cases) => cases.map(({ protocol, bandwidth, rtt, x }) => {
    Object.assign(aero.state, { protocol, bandwidth, rtt, x, budget: {} });
    const panel = aero.panel(aero.view());
    const axis = ({ log, low, high, ticks }) => ({ log, low, high, ticks, text: ticks.map(aero.tick) });
    return {
      x: axis(panel.x), y: axis(panel.y), top: panel.banded ? panel.top : null, aboveStep: panel.aboveStep,
      step: panel.step.map((corner) => [corner.x, corner.y]),
      marks: Object.fromEntries(panel.marks.map((m) => [m.candidate.trial, {
        x: m.x, y: m.y, beyond: m.beyond, outlier: m.outlier, kind: m.kind, tied: m.tied,
      }])),
    };
  });
`)()(asked.cases);
process.stdout.write(JSON.stringify(answers));
"""
AXES = """
  return (cases) => cases.map((ends) => {
    const { low, high, ticks } = aero.axisAround(ends, true);
    return { low, high, ticks, text: ticks.map(aero.tick) };
  });
`)()(asked.cases);
process.stdout.write(JSON.stringify(answers));
"""
# Far above the front and dearer than the baseline, far above it, and within what seeds vary.
WASTED = (
    ("SM + LN + G", "finished", 483.0, 1.5, 1.4, 1.2, 1.1, 0.1),
    ("SM", "finished", 120.0, 0.6, 0.4, 1.0, 0.5, 0.01),
)


@pytest.mark.parametrize("repeated", [False, True], ids=["one seed", "two seeds"])
@pytest.mark.parametrize(
    "rows", [(*STUDY, *WASTED), STUDY[:3], STUDY[13:15]], ids=["outliers", "few", "plateau"]
)
def test_the_page_draws_the_panels_that_python_draws(rows: Any, repeated: bool, tmp_path: Path) -> None:
    source = page_source(tmp_path, rows=rows) if rows[0][1] == "finished" else plateau_source(tmp_path, rows)
    if repeated:
        records = [
            replace(r, replicates=((0, r.perplexity), (1, 1.02 * r.perplexity)))
            if r.perplexity is not None and r.state == "finished" and i % 2 == 0
            else r
            for i, r in enumerate(source.records)
        ]
        front = priced_front(records, source.pricing, source.front.objective)
        source = replace(source, records=records, front=front)
    network = source.pricing.network
    asked = {
        "protocol": source.pricing.protocol.name,
        "bandwidth": network.bandwidth_mbps,
        "rtt": network.rtt_ms,
    }
    # The page prices the baseline by every cost, a front by those of its objective or where one is trained.
    drawn = {panel.metric: panel for panel in panels(source.front) if panel.baseline[0] is not None}
    assert set(drawn) >= {"latency_s", "flops"}
    cases = [{**asked, "x": metric} for metric in drawn]
    for panel, told in zip(drawn.values(), answers(source, cases, PANEL), strict=True):
        for axis, said in ((panel.x, told["x"]), (panel.y, told["y"])):
            assert said["log"] == axis.log
            assert [said["low"], said["high"]] == pytest.approx([axis.low, axis.high], rel=1e-9)
            assert said["ticks"] == pytest.approx(list(axis.ticks))
            assert said["text"] == [significant_tick(tick) for tick in axis.ticks]
        assert told["top"] == (None if panel.band is None else pytest.approx(panel.band))
        assert told["aboveStep"] == panel.above_step
        assert told["step"] == [pytest.approx(corner) for corner in panel.step]
        assert len(told["marks"]) == len(panel.marks)
        for mark in panel.marks:
            said = told["marks"][str(mark.record.number)]
            assert [said["x"], said["y"]] == pytest.approx([mark.x, mark.y], rel=1e-9)
            assert (said["kind"], said["outlier"], said["tied"]) == (mark.kind, mark.outlier, mark.tied)
            assert said["beyond"] == mark.arrow


WORDS = """
  return (cases) => cases.map(([health, share]) => aero.attention(health, share));
`)()(asked.cases);
process.stdout.write(JSON.stringify(answers));
"""


def test_even_attention_is_a_share_and_no_verdict(tmp_path: Path) -> None:
    cases = [
        ("sound", 0.1),
        ("entropic overload", 0.69),
        ("entropic_overload", None),
        ("entropy_collapse", 0.0),
    ]
    run = PANEL[: PANEL.index("  return (cases)")] + WORDS
    assert answers(page_source(tmp_path), [*cases, (None, None)], run) == [
        "sound", "69% of heads near even attention", "many heads near even attention", "entropy collapse", "",
    ]  # fmt: skip


def plateau_source(folder: Path, rows: Any) -> PageSource:
    """A study of which nothing has learned: it has no best balance to name."""
    source = page_source(folder / "learned")
    records = [make_record(number, row) for number, row in enumerate(rows)]
    priced = [replace(r, costs=source.pricing(r.architecture)) for r in records]
    front = priced_front(priced, source.pricing)
    return replace(source, records=priced, front=front, front_document=front_document(front), moments=())


def test_ticks_are_those_of_python(tmp_path: Path) -> None:
    """Linear and log axes, also where the page once had `4 3 2 100 9 8`."""
    ends = [[low, low * high] for low in (0.04, 1.0, 36.6) for high in (1.0, 1.7, 9.0, 40.0, 483.0, 1e6)]
    run = PANEL[: PANEL.index("  return (cases)")] + AXES
    for (low, high), told in zip(ends, answers(page_source(tmp_path), ends, run), strict=True):
        axis = axis_around([low, high], band=True)
        assert [told["low"], told["high"]] == pytest.approx([axis.low, axis.high])
        assert told["ticks"] == pytest.approx(list(axis.ticks))
        assert told["text"] == [significant_tick(tick) for tick in axis.ticks]


def test_words_of_how_to_read_this_are_found_in_what_uses_them() -> None:
    entries = [
        ["Tie", "Tie: no difference"],
        ["Softmax", "Softmax (SM) turns scores into weights"],
        ["G, R", "G, R are activations"],
        ["_i3", "_i3 removes three"],
    ]
    texts = ["SM + R_i2", "Two ties", "Settings", "RMS", "Hypervolume", "softmax bytes"]
    script = """
    const { entries, texts } = JSON.parse(require("fs").readFileSync(0, "utf8"));
    global.aero = {};
    SCRIPT
    const words = aero.glossary(entries);
    process.stdout.write(JSON.stringify(texts.map((text) => aero.explained(words, text))));
    """.replace("SCRIPT", (files("aero_search.report.page") / "assets" / "glossary.js").read_text())
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    asked = json.dumps({"entries": entries, "texts": texts})
    done = subprocess.run([node, "-e", script], input=asked, capture_output=True, text=True, check=True)
    notation, plural, settings, norm, none, words = json.loads(done.stdout)
    assert notation == "Softmax (SM) turns scores into weights\nG, R are activations\n_i3 removes three"
    assert words == "Softmax (SM) turns scores into weights"
    assert plural == "Tie: no difference"
    assert (settings, norm, none) == ("", "", "")
