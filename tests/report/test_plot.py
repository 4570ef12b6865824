"""The pictures: what they show, that labels lie apart, and that files appear whole."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from studies import STUDY

from aero_search.report.chart import panels
from aero_search.report.interactive import page
from aero_search.report.labels import Box, place
from aero_search.report.plot import plot_front


def test_every_format_is_written_and_nothing_else(make_front: Any, tmp_path: Path) -> None:
    written = plot_front(make_front(), tmp_path / "pictures")
    assert {name: path.name for name, path in written.items()} == {
        "png": "front.png", "svg": "front.svg", "html": "front.html",
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "front.html",
        "front.png",
        "front.svg",
    ]
    assert written["png"].read_bytes().startswith(b"\x89PNG")
    ElementTree.parse(written["svg"])
    html = written["html"].read_text()
    # Plotly's code is inside: no script comes from elsewhere.
    assert not re.search(r"<script[^>]+src=", html)
    assert len(html) > 1_000_000
    for record in make_front().points:
        assert f"#{record.number}" in html


def test_a_reader_sees_the_old_picture_or_the_new_one(
    make_front: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot_front(make_front(), tmp_path, page=False)
    before = (tmp_path / "front.png").read_bytes()

    def half(self: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half)
    with pytest.raises(OSError, match="disk full"):
        plot_front(make_front(), tmp_path, page=False)
    assert (tmp_path / "front.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front.png", "front.svg"]


def test_the_same_front_gives_the_same_picture(make_front: Any, tmp_path: Path) -> None:
    one, two = (plot_front(make_front(), tmp_path / name, page=False)["png"] for name in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_studies_are_drawn(make_front: Any, tmp_path: Path, count: int) -> None:
    plot_front(make_front(rows=STUDY[:count]), tmp_path, page=False)
    # Diverged candidates only, then plateau ones only.
    plot_front(make_front(rows=STUDY[15:]), tmp_path, page=False)
    plot_front(make_front(rows=STUDY[13:15]), tmp_path, page=False)


def test_four_costs_are_four_panels(make_front: Any, tmp_path: Path) -> None:
    front = make_front(("latency_s", "communication_bytes", "flops", "rounds"))
    assert [panel.scale.heading for panel in panels(front)] == [
        "latency (s)", "communication (GB)", "FLOPs (M)", "rounds",
    ]  # fmt: skip
    plot_front(front, tmp_path, page=False)


def test_a_panel_holds_every_candidate_once_inside_its_frame(make_front: Any) -> None:
    for panel in panels(make_front()):
        assert len(panel.marks) == 17
        for mark in panel.marks:
            assert 0 < panel.x.share(mark.x) < 1
            assert 0 < panel.y.share(mark.y) < 1
            assert panel.band is not None
            assert (mark.y > panel.band) == (mark.kind in ("plateau", "diverged"))
        assert sum(mark.knee for mark in panel.marks) == 1
        assert all(panel.x.low <= tick <= panel.x.high for tick in panel.x.ticks)
        assert 3 <= len(panel.x.ticks) <= 8


def test_the_step_never_rises_and_passes_the_front_of_its_pair(make_front: Any) -> None:
    for panel in panels(make_front()):
        for (x0, y0), (x1, y1) in itertools.pairwise(panel.step):
            assert x1 >= x0
            assert y1 <= y0
        sound = [mark for mark in panel.marks if mark.kind in ("front", "dominated")]
        for mark in sound:
            dominated = any(o.x <= mark.x and o.y <= mark.y and (o.x, o.y) != (mark.x, mark.y) for o in sound)
            assert ((mark.x, mark.y) in panel.step) == (not dominated)


def test_wide_ranges_are_logarithmic(make_front: Any) -> None:
    rows = [
        ("SM + LN + G", "finished", 61.0, 1.0, 1.0, 1.0, 1.0, 0.0015),
        ("SM", "finished", 70.0, 0.01, 0.5, 0.01, 0.5, 0.0015),
    ]
    latency, communication = panels(make_front(("latency_s", "communication_bytes"), rows))
    assert latency.x.log
    assert not communication.x.log
    assert latency.x.share(latency.x.at(0.3)) == pytest.approx(0.3)
    assert len(latency.x.ticks) >= 3
    assert "log" in page([latency], "t", "s")[-8000:]


@pytest.mark.parametrize("seed", range(6))
def test_labels_lie_apart_inside_and_beside_marks(seed: int) -> None:
    draw = random.Random(seed)
    frame = Box(0, 0, 600, 400)
    anchors = sorted((draw.uniform(40, 560), draw.uniform(40, 360)) for _ in range(15))
    marks = [Box(x - 5, y - 5, 10, 10) for x, y in anchors]
    placed = place(anchors, [[(150.0, 26.0), (22.0, 12.0)]] * 15, frame, marks)
    boxes = [p.box for p in placed if p is not None]
    assert len(boxes) == 15
    for one, two in itertools.combinations(boxes, 2):
        assert one.overlap(two) == 0
    for box in boxes:
        assert box.inside(frame)
        assert not any(box.overlap(mark) for mark in marks)


def test_a_label_without_room_gives_way() -> None:
    frame = Box(0, 0, 60, 60)
    (short,) = place([(30.0, 30.0)], [[(100.0, 10.0), (12.0, 8.0)]], frame)
    assert short is not None
    assert short.variant == 1
    assert place([(30.0, 30.0)], [[(100.0, 10.0)]], frame) == [None]


def test_segments_and_boxes() -> None:
    box = Box(0, 0, 10, 10)
    assert box.crossed((-5, 5), (15, 5))
    assert box.crossed((2, 2), (3, 3))
    assert not box.crossed((-5, 12), (15, 12))
    assert not box.crossed((-5, 5), (-1, 5))
    assert box.nearest((20, 5)) == (10, 5)
