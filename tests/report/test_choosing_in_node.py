"""The page's JavaScript picks the best balance and judges ties as Python does, on made-up fronts."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import aero_search
from aero_search.front.pareto import COST_SLACK, FREE
from aero_search.front.seed_scatter import TIE

ASSETS = Path(aero_search.__file__).parent / "report" / "page" / "assets"
NAMES = ("SM + LN + G", "SM + LN + R", "SM + R", "SM", "SM + G", "SM + LN")
RUN = """
const fs = require("fs");
const { script, fronts } = JSON.parse(fs.readFileSync(0, "utf8"));
global.aero = {};
(0, eval)(script);
console.log(JSON.stringify(fronts.map(({ data, points, metrics }) => {
  aero.data = data;
  aero.quality = metrics[0];
  const knee = aero.knee(points, data.baseline, metrics);
  return {
    knee: knee && knee.trial,
    ties: points.map((a) => points.filter((b) => aero.tied(a, b)).map((b) => b.trial)),
    logs: points.map((c) => aero.logs(c, data.baseline, metrics)),
  };
})));
"""


def test_node_and_python_choose_alike(make_front: Any) -> None:
    rng = random.Random(3)
    fronts = []
    for _ in range(40):
        rows = [
            (
                rng.choice(NAMES),
                rng.choice(["finished"] * 4 + ["plateau"]),
                60 * 1.01 ** rng.randint(0, 40),
                rng.choice([0.0, rng.uniform(0.2, 1.0)]),
                1.0,
                rng.uniform(0.2, 1.0),
                1.0,
                1e-3,
            )
            for _ in range(rng.randint(1, 9))
        ]
        fronts.append(make_front(("latency_s", "flops"), rows))
    given = [
        {
            "data": {
                "tie": TIE,
                "free": FREE,
                "cost_slack": COST_SLACK,
                "unigram_perplexity": front.reference.unigram_perplexity,
                "baseline": dict(front.baseline),
            },
            "metrics": list(front.objective.metrics),
            "points": [
                {"trial": p.number, "state": p.state, "perplexity": p.perplexity, **p.costs}
                for p in front.points
            ],
        }
        for front in fronts
    ]
    script = (ASSETS / "pareto.js").read_text()
    done = subprocess.run(
        ["node", "-e", RUN],
        input=json.dumps({"script": script, "fronts": given}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert any(front.balance is None for front in fronts)
    for front, found in zip(fronts, json.loads(done.stdout), strict=True):
        assert found["knee"] == (None if front.balance is None else front.balance.number)
        assert found["ties"] == [[b.number for b in front.points if front.tied(a, b)] for a in front.points]
        expected = front.reference.logs([front.row(point) for point in front.points])
        assert abs(expected - found["logs"]).max() < 1e-12
