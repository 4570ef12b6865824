"""The page's names of points lie apart, inside the panel and beside the marks, on a desktop and on a phone."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from importlib.resources import files
from itertools import combinations
from typing import Any

import pytest

Box = dict[str, float]
RUN = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
global.aero = {};
SCRIPT
process.stdout.write(JSON.stringify(aero.placeLabels(asked.points, asked.frame, asked.marks, asked.lines)));
"""


def overlap(a: Box, b: Box) -> bool:
    across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
    return across and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


@pytest.mark.parametrize("width", [300, 1050])
@pytest.mark.parametrize("seed", range(3))
def test_labels_lie_apart(width: int, seed: int) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    rng = random.Random(seed)
    # A front is crowded at its cheap end.
    places = [(20 + rng.random() ** 3 * (width - 40), 20 + rng.random() ** 2 * 360) for _ in range(25)]
    names = [f"EReg(SM(t) + ScFuFFN_i{i})" for i in range(len(places))]
    points = [
        {"x": x, "y": y, "texts": [name, f"#{i}"]}
        for i, ((x, y), name) in enumerate(zip(places, names, strict=True))
    ]
    frame = {"w": width, "h": 400}
    marks = [{"x": x - 5, "y": y - 5, "w": 10, "h": 10} for x, y in places]
    lines = [{"x": 0, "y": y, "w": width, "h": 1} for _, y in places[:3]]
    script = RUN.replace("SCRIPT", (files("aero_search.report.page") / "assets" / "labels.js").read_text())
    asked = json.dumps({"points": points, "frame": frame, "marks": marks, "lines": lines})
    done = subprocess.run([node, "-e", script], input=asked, capture_output=True, text=True, check=True)
    placed: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(placed) >= 12
    boxes = [one["box"] for one in placed]
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    assert not [box for box in boxes for mark in marks if overlap(box, mark)]
    assert all(
        b["x"] >= 0 and b["x"] + b["w"] <= width and b["y"] >= 0 and b["y"] + b["h"] <= 400 for b in boxes
    )
    # Every text is inside the box that was kept free for it: letters of 11 px are less than 6.5 px wide on average.
    assert all(len(line) * 6.5 <= one["box"]["w"] for one in placed for line in one["text"].split("\n"))
