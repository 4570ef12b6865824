"""The page's own arithmetic under node: prices, front, hypervolume and choice are those of Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pages import NETWORKS, PROTOCOLS, page_source, priced_front

from aero_search.errors import RequestError
from aero_search.front.front import Front
from aero_search.front.objective import Constraint, Objective
from aero_search.front.pricing import Pricing
from aero_search.quantity import UNITS, write_quantity
from aero_search.report.page.document import PageSource, page_document
from aero_search.report.page.render import SCRIPTS

# What computes; the other scripts draw, and need a browser.
ARITHMETIC = ("state.js", "format.js", "pricing.js", "pareto.js", "choosing.js")
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
      baseline: view.basePerplexity, fits: view.candidates.filter((c) => c.fits).map((c) => c.trial),
      quantities: Object.entries(budget).map(([m, v]) => aero.quantity(m, texts[m] || String(v))),
      chosen: chosen && chosen.trial, near: near && near.trial,
    };
  });
`)()(asked.cases);
process.stdout.write(JSON.stringify(answers));
"""
BUDGETS: tuple[dict[str, float], ...] = (
    {"latency_s": 12.0},
    {"communication_bytes": 1e12},
    {"flops": 5e7, "perplexity": 75.0},
    {"perplexity": 66.0},
    {"perplexity": 62.0},
    {"perplexity": 1.0},
)


def answers(source: PageSource, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    assert set(ARITHMETIC) <= set(SCRIPTS)
    assets = files("aero_search.report.page") / "assets"
    scripts = "\n".join((assets / name).read_text(encoding="utf-8") for name in ARITHMETIC)
    asked = json.dumps({"data": page_document(source), "scripts": scripts, "cases": cases})
    done = subprocess.run([node, "-e", RUN], input=asked, capture_output=True, text=True, check=False)
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
