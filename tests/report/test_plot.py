"""The pictures: what they show, that labels lie apart, and that files appear whole."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text
from studies import BASE, STUDY, with_points

from aero_search.architecture import Layer, ModelShape
from aero_search.report.axis import axis_around
from aero_search.report.chart import panels
from aero_search.report.figure import make_figure
from aero_search.report.labels import Box, place
from aero_search.report.plot import figure_of, plot_front
from aero_search.report.static import baseline_lines, draw, significant_tick

Rows = Any


def test_every_format_is_written_and_nothing_else(make_front: Any, tmp_path: Path) -> None:
    written = plot_front(make_front(), tmp_path / "pictures")
    assert {name: path.name for name, path in written.items()} == {"png": "front.png", "svg": "front.svg"}
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["front.png", "front.svg"]
    assert written["png"].read_bytes().startswith(b"\x89PNG")
    ElementTree.parse(written["svg"])


def test_the_figure_of_a_notebook_names_every_point(make_front: Any) -> None:
    shown = figure_of(make_front()).to_json()
    for record in make_front().points:
        assert f"#{record.number}" in shown


def test_a_reader_sees_the_old_picture_or_the_new_one(
    make_front: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot_front(make_front(), tmp_path)
    before = (tmp_path / "front.png").read_bytes()

    def half(self: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half)
    with pytest.raises(OSError, match="disk full"):
        plot_front(make_front(), tmp_path)
    assert (tmp_path / "front.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front.png", "front.svg"]


def test_the_same_front_gives_the_same_picture(make_front: Any, tmp_path: Path) -> None:
    one, two = (plot_front(make_front(), tmp_path / name)["png"] for name in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_studies_are_drawn(make_front: Any, tmp_path: Path, count: int) -> None:
    plot_front(make_front(rows=STUDY[:count]), tmp_path)
    # Diverged candidates only, then plateau ones only.
    plot_front(make_front(rows=STUDY[15:]), tmp_path)
    plot_front(make_front(rows=STUDY[13:15]), tmp_path)


def test_four_costs_are_four_panels(make_front: Any, tmp_path: Path) -> None:
    front = make_front(("latency_s", "communication_bytes", "flops", "rounds"))
    assert [panel.scale.heading for panel in panels(front)] == [
        "latency (s)", "communication (GB)", "FLOPs (M)", "rounds",
    ]  # fmt: skip
    plot_front(front, tmp_path)


def test_a_panel_holds_every_candidate_once_inside_its_frame(make_front: Any) -> None:
    for panel in panels(make_front()):
        assert len(panel.marks) == 17
        for mark in panel.marks:
            assert 0 < panel.x.share(mark.x) < 1
            assert 0 < panel.y.share(mark.y) < 1
            assert panel.band is not None
            assert (mark.y > panel.band) == (mark.kind in ("plateau", "diverged") or mark.beyond == "above")
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
    latency, communication, _ = panels(make_front(("latency_s", "communication_bytes"), rows))
    assert latency.x.log
    assert not communication.x.log
    assert latency.x.share(latency.x.at(0.3)) == pytest.approx(0.3)
    assert len(latency.x.ticks) >= 3
    assert make_figure([latency], "t", "s").layout.xaxis.type == "log"


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


def test_what_the_objective_does_not_keep_small_is_drawn_as_well(make_front: Any) -> None:
    drawn = panels(make_front(("latency_s",)))
    assert [panel.metric for panel in drawn] == ["latency_s", "communication_bytes", "flops"]
    # SM + LN + G is trained: its bytes are known although no reference tells them.
    assert drawn[1].baseline == (pytest.approx(1.83), 61.42)
    untrained = panels(make_front(("latency_s",), rows=STUDY[1:4]))
    assert untrained[1].baseline == (None, None)


def test_axes_say_whose_figures_they_are(make_front: Any, tmp_path: Path) -> None:
    small = ModelShape("big", "gpt2", 12, 12, None, 768, 128, 50257, True)
    (panel, *_) = panels(replace(make_front(), target=small))
    assert (panel.x_name, panel.y_name) == ("latency of big (s)", "perplexity of the proxy")
    (panel, *_) = panels(make_front())
    assert (panel.x_name, panel.y_name) == ("latency (s)", "perplexity")
    written = plot_front(replace(make_front(), target=small), tmp_path)
    assert "perplexity of the proxy" in drawn_text(written["svg"])


def test_published_rows_are_marked_at_their_own_size_alone(make_front: Any, tmp_path: Path) -> None:
    small = ModelShape("gpt2_small", "gpt2", 12, 12, None, 768, 128, 50257, True)
    rows = [
        ("SM + LN + G", "finished", 61.0, 170.0, 14.0, 1.0, 1.0, 0.0015),
        ("SM", "finished", 70.0, 70.0, 3.0, 1.0, 0.5, 0.0015),
    ]
    front = replace(make_front(rows=rows), target=small)
    latency, flops, communication = panels(front)
    assert {mark.row.seq_len for mark in communication.published} == {128}
    assert {mark.row.n_layer for mark in communication.published} == {12}
    # The perplexity is the proxy's, so a row's own is not on the axis.
    assert all(mark.y is None for mark in communication.published)
    assert communication.published[0].x == pytest.approx(25.32)
    assert latency.published
    assert not flops.published
    assert not any(panel.published for panel in panels(make_front()))
    assert "published by AERO" in figure_of(front).to_json()


def test_a_published_perplexity_is_shown_where_it_compares(make_front: Any) -> None:
    size = replace(BASE, n_head=12, d_model=768, vocab_size=50257, layers=(Layer(),) * 12)
    front = make_front(("communication_bytes",))
    rows = [(2.7, 25.3e9), (3.6, 6.3e9), (4.4, 6.0e9)]
    points = tuple(
        replace(
            p,
            state="finished",
            architecture=size,
            perplexity=perplexity,
            costs={**p.costs, "communication_bytes": cost},
        )
        for p, (perplexity, cost) in zip(front.points, rows, strict=False)
    )
    (panel, *_) = panels(replace(front, points=points, dominated=(), diverged=(), baseline_record=None))
    heights = {mark.row.variant: mark.y for mark in panel.published if mark.row.ffn_layers == 12}
    assert heights["SM+LN+G"] == 2.69
    assert heights["SM+ScFuFFN"] == 3.48


def test_seeds_are_error_bars(make_front: Any, tmp_path: Path) -> None:
    front = make_front()
    chosen = front.points[2]
    replicates = ((0, chosen.perplexity), (1, chosen.perplexity * 1.01), (2, None))
    points = [replace(chosen, replicates=replicates) if p is chosen else p for p in front.points]
    again = with_points(front, points)
    panel = panels(again)[0]
    bars = {mark.record.number: mark.seeds for mark in panel.marks if mark.seeds}
    assert set(bars) == {point.number for point in front.points if point.state == "finished"}
    assert bars[chosen.number].low < chosen.perplexity < bars[chosen.number].high
    assert (bars[chosen.number].seeds, bars[chosen.number].diverged) == (2, 1)
    written = plot_front(again, tmp_path)
    assert "95 % interval over seeds" in drawn_text(written["svg"])
    assert "2 seeds" in figure_of(again).to_json()


def test_a_picture_has_as_many_parts_whatever_the_number_of_candidates(make_front: Any) -> None:
    drawn = [draw(panels(front), "t", "s").axes for front in (make_front(), make_front(rows=STUDY * 10))]
    few, many = ([len(axis.collections) for axis in axes] for axes in drawn)
    assert few == many
    few, many = (
        [sum(len(part.get_offsets()) for part in axis.collections) for axis in axes] for axes in drawn
    )
    assert all(a < b for a, b in zip(few, many, strict=True))


def test_one_seed_has_no_error_bar(make_front: Any) -> None:
    front = make_front()
    assert not any(mark.seeds for panel in panels(front) for mark in panel.marks)


def drawn_text(svg: Path) -> str:
    """What an SVG of matplotlib says: it draws letters as shapes and keeps the text as comments."""
    return " ".join(re.findall(r"<!-- (.*?) -->", svg.read_text()))


# Two networks as in a study whose draws waste some: far above the front, and dearer than the baseline.
WASTED: Rows = (
    ("SM + LN + G", "finished", 483.0, 1.5, 1.4, 1.2, 1.1, 0.1),
    ("SM", "finished", 120.0, 0.6, 0.4, 1.0, 0.5, 0.01),
)


def test_axes_reach_around_the_front_and_the_baseline_alone(make_front: Any) -> None:
    with_outliers, without = panels(make_front(rows=(*STUDY, *WASTED))), panels(make_front())
    for panel, plain in zip(with_outliers, without, strict=True):
        assert (panel.x, panel.y, panel.step) == (plain.x, plain.y, plain.step)
        shown = [mark.y for mark in panel.marks if mark.kind == "front"]
        assert panel.band is not None
        assert panel.y.share(max(shown)) - panel.y.share(min(shown)) > 0.6


def test_an_outlier_is_at_the_border_with_its_number_and_value(make_front: Any, tmp_path: Path) -> None:
    front = make_front(rows=(*STUDY, *WASTED))
    panel = panels(front)[0]
    marks = {mark.record.number: mark for mark in panel.marks}
    assert panel.x.share(marks[17].x) == pytest.approx(0.98)
    assert panel.y.share(marks[17].y) == panel.y.share(marks[18].y) > panel.y.share(panel.band)
    assert (marks[17].beyond, marks[17].names) == ("above", ("#17  483, 4.37 s", "#17"))
    assert (marks[18].beyond, marks[18].names) == ("above", ("#18  120", "#18"))
    assert panel.x.share(marks[18].x) == pytest.approx(panel.x.share(0.6 * 2.91))
    # A plateau is written down likewise, a diverged one has no perplexity to write.
    assert marks[13].names == ("#13  397", "#13")
    assert marks[15].names == ()
    figure = draw([panel], "title", "subtitle")
    said = {text.get_text() for text in figure.findobj(Text)}
    assert "beyond the axes: number and value" in said
    # Named in one list in the order of their costs, without lines that would cross each other.
    (listed,) = (text for text in said if "#18" in text)
    assert listed.replace("\n", " \N{MIDDLE DOT} ") == (
        "left to right: #14 410 \N{MIDDLE DOT} #13 397 \N{MIDDLE DOT} #18 120 \N{MIDDLE DOT} #17 483, 4.37 s"
    )
    notebook = figure_of(front).to_json()
    assert "#17  483, 4.37 s" in notebook
    assert "beyond the axes: number and value" in notebook
    assert "beyond the axes" not in drawn_text(plot_front(make_front(), tmp_path)["svg"])


@pytest.mark.parametrize("unsound", [False, True])
def test_the_list_of_outliers_covers_no_mark_and_stays_beside_the_panel(
    make_front: Any, unsound: bool
) -> None:
    """In the band where that has room, above the panel where the unsound lie high in the band."""
    crowd = [("SM + LN", "finished", 90.0 + i, 0.5 + i / 50, 0.5, 1.0, 0.5, 0.01) for i in range(9)]
    rows = [*STUDY[:13], *crowd, *(STUDY[13:] if unsound else [])]
    panel = panels(make_front(rows=rows))[0]
    figure = draw([panel], "title", "subtitle")
    figure.canvas.draw()
    (axis,) = figure.axes
    renderer = figure.canvas.get_renderer()
    (text,) = (text for text in axis.texts if text.get_text().startswith("left to right"))
    box, frame = text.get_window_extent(renderer), axis.get_window_extent(renderer)
    assert bool(box.y0 >= frame.y1) is unsound
    assert frame.x0 <= box.x0 < box.x1 <= frame.x1
    assert box.y1 < figure.get_window_extent().y1
    for mark in panel.marks:
        x, y = axis.transData.transform((mark.x, mark.y))
        assert not (box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1)


def test_ties_of_the_front_have_one_mark(make_front: Any, tmp_path: Path) -> None:
    rows: Rows = [
        ("SM + LN + G", "finished", 60.0, 1.0, 1.0, 1.0, 1.0, 0.0015),
        ("SM + LN + R", "finished", 61.1, 0.9, 1.0, 0.9, 1.0, 0.0015),
        ("SM + R", "finished", 70.0, 0.6, 1.0, 0.6, 1.0, 0.0015),
    ]
    front = make_front(rows=rows)
    assert front.ties == {0, 1}
    for panel in panels(front):
        assert {mark.record.number for mark in panel.marks if mark.tied} == {0, 1}
    entry = "a tie with another point of the front"
    assert entry in drawn_text(plot_front(front, tmp_path)["svg"])
    assert entry in figure_of(front).to_json()
    apart = make_front(rows=[rows[0], rows[2]])
    assert entry not in drawn_text(plot_front(apart, tmp_path)["svg"])
    # Six seeds of each, close together: what a single seed calls a tie is then none.
    repeated = [
        replace(p, replicates=tuple((i, p.perplexity + 0.1 * (i % 3 - 1)) for i in range(6)))
        for p in front.points
    ]
    assert with_points(front, repeated).ties == frozenset()


def test_a_front_point_above_the_step_is_explained(make_front: Any, tmp_path: Path) -> None:
    three = make_front()
    assert panels(three)[1].above_step
    assert "a front point above it saves another cost" in drawn_text(plot_front(three, tmp_path)["svg"])
    two = make_front(("latency_s",))
    assert not panels(two)[0].above_step


def test_an_interval_of_the_front_is_inside_the_axes(make_front: Any) -> None:
    front = make_front()
    best = front.best()
    replicates = ((0, best.perplexity), (1, best.perplexity * 1.3))
    points = tuple(replace(p, replicates=replicates) if p is best else p for p in front.points)
    for panel in panels(with_points(front, points)):
        bars = [mark.seeds for mark in panel.marks if mark.seeds and mark.kind == "front"]
        assert bars
        assert panel.band is not None
        assert all(panel.y.low < bar.low < bar.high < panel.band for bar in bars)


def test_an_interval_of_a_near_rival_ends_below_the_band(make_front: Any) -> None:
    rows: Rows = [
        ("SM + LN + G", "finished", 60.0, 1.0, 1.0, 1.0, 1.0, 0.0015),
        ("SM + LN + R", "finished", 61.0, 0.5, 1.0, 0.5, 1.0, 0.0015),
        ("SM + R", "finished", 61.2, 0.8, 1.0, 0.8, 1.0, 0.0015),
        ("SM", "finished", 300.0, 0.9, 1.0, 0.9, 1.0, 0.0015),
    ]
    front = make_front(rows=rows)
    rival = next(r for r in front.dominated if r.perplexity == 61.2)
    again = replace(rival, replicates=((0, rival.perplexity), (1, rival.perplexity * 1.06)))
    kept = tuple(again if r is rival else r for r in front.dominated)
    networks = tuple(replace(n, best=again) if n.best is rival else n for n in front.networks)
    for panel in panels(replace(front, dominated=kept, networks=networks)):
        (mark,) = [mark for mark in panel.marks if mark.record.number == rival.number]
        assert mark.seeds is not None
        assert mark.bar is not None
        assert panel.band is not None
        assert mark.bar[1] == pytest.approx(panel.band)
        assert mark.y < mark.bar[1] < mark.seeds.high


@pytest.mark.parametrize("high", [9.0, 12.0, 40.0, 100.0, 483.0, 4e3, 1e6])
@pytest.mark.parametrize("low", [0.8, 1.0, 3.7])
def test_ticks_are_round_ordered_and_on_the_axis(low: float, high: float) -> None:
    axis = axis_around([low, low * high])
    assert axis.log
    assert 3 <= len(axis.ticks) <= 9
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert {significant_tick(tick).strip("0.,")[:1] for tick in axis.ticks} <= {"1", "2", "5"}


@pytest.mark.parametrize(
    ("rows", "costs"), [(STUDY, ("latency_s", "flops")), (STUDY[:6], ("latency_s", "rounds"))]
)
def test_text_is_legible_and_names_cross_no_line(make_front: Any, rows: Rows, costs: Any) -> None:
    drawn = panels(make_front(costs, rows=(*rows, *WASTED)))
    figure = draw(drawn, "title", "subtitle")
    across = figure.get_size_inches()[0] * 72
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    # README shows the picture 846 pixels wide.
    assert all(846 * text.get_fontsize() / across >= 11 for text in texts)
    renderer = figure.canvas.get_renderer()
    for axes, panel in zip(figure.axes, drawn, strict=True):
        lines = [*itertools.pairwise(panel.step), *baseline_lines(panel)]
        assert len(axes.texts) >= sum(mark.on_front for mark in panel.marks) - 1
        for text in axes.texts:
            extent = text.get_window_extent(renderer)
            box = Box(extent.x0, extent.y0, extent.width, extent.height)
            for a, b in lines:
                a, b = (tuple(axes.transData.transform(point)) for point in (a, b))
                assert not box.crossed(a, b), text.get_text()
