"""The pictures of a ladder: what they show, that names lie apart, and that the same rows give the same files."""

from __future__ import annotations

import itertools
import math
import random
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from aero_search.report import entropy as pictures
from aero_search.report.entropy import (
    draw_heatmaps,
    plot_entropy_by_layer,
    plot_entropy_heatmaps,
    plot_perplexity_curves,
)
from aero_search.report.lines import TOGETHER, grid_columns, name_lines
from aero_search.report.picture import whole, write_picture
from aero_search.training.result import CurvePoint

LARGEST = 3.88
NAMES = (
    "SM + LN + G",
    "SM + R",
    "EReg(SM(t) + ScFuFFN_i6) [attention.temperature_init=0.1 regularizer.weight=0.0035]",
    "SM + ScFuFFN [stabilizer=weight_norm stabilizer.targets=qkv+ffn]",
)


def variants(count: int, n_layer: int = 12, n_head: int = 12) -> list[tuple[str, list[list[float]]]]:
    draw = random.Random(count)
    return [
        (f"{NAMES[i % 4]} #{i}", [[draw.uniform(0, LARGEST) for _ in range(n_head)] for _ in range(n_layer)])
        for i in range(count)
    ]


def curves(count: int) -> list[tuple[str, list[CurvePoint]]]:
    return [
        (
            f"{NAMES[i % 4]} #{i}",
            [CurvePoint(s, None, 4.0, 60 + i + 4e4 / s, 1.0) for s in range(100, 1300, 100)],
        )
        for i in range(count)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in the order they are drawn, on their way to the files, which are not written."""
    figures: list[Figure] = []

    def keep(figure: Figure, path_stem: Path) -> dict[str, Path]:
        figures.append(figure)
        return {}

    monkeypatch.setattr(pictures, "write_picture", keep)
    return figures


def boxes(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Extent in pixels of everything written, after a drawing."""
    figure.canvas.draw()
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title]
        texts += [*axes.get_xticklabels(), *axes.get_yticklabels()]
        if (legend := axes.get_legend()) is not None:
            texts += legend.get_texts()
    for text in texts:
        if text.get_visible() and text.get_text().strip():
            yield text.get_text(), text.get_window_extent(renderer)


def assert_readable(figure: Figure) -> None:
    written = list(boxes(figure))
    page = figure.bbox
    for text, box in written:
        assert Bbox.union([page, box]).bounds == page.bounds, f"{text!r} leaves the page"
    for (one, a), (two, b) in itertools.combinations(written, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        # One pixel: boxes are rounded, glyphs stand inside them.
        assert across <= 1 or up <= 1, f"{one!r} covers {two!r}"


def shown(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.images]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_heatmaps_are_readable(count: int) -> None:
    rows = variants(count)
    figure = draw_heatmaps(rows, LARGEST)
    maps = shown(figure)
    assert len(maps) == count
    for axes, (_, layers) in zip(maps, rows, strict=True):
        image = axes.images[0]
        np.testing.assert_array_equal(image.get_array(), layers)
        assert image.get_clim() == (0, LARGEST)
    # One colour bar, with the quarters on it.
    (bar,) = (axes for axes in figure.axes if axes not in maps)
    np.testing.assert_allclose(bar.get_yticks(), [LARGEST * i / 4 for i in range(5)])
    assert_readable(figure)


def test_names_and_quarters_stand_above_their_heatmap() -> None:
    figure = draw_heatmaps([("SM + R", [[0.0, 1.5, 2.5, 3.9]]), ("SM", [])], 4.0)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts[0] == ["middle 50% · top 25%", "SM + R"]
    assert "nothing measured" in texts[1]
    assert "middle" not in "".join(texts[1])


def test_sizes_may_differ_and_a_head_without_a_number_is_blank() -> None:
    rows = [("a", [[1.0, math.nan], [2.0, 3.0]]), ("b", [[1.0], [2.0, 3.0], [1.0]])]
    first, second = (axes.images[0].get_array() for axes in shown(draw_heatmaps(rows, 4.0)))
    assert first.mask.tolist() == [[False, True], [False, False]]
    assert second.mask.tolist() == [[False, True], [False, False], [False, True]]


def test_no_variants_give_an_empty_picture(tmp_path: Path) -> None:
    assert_readable(draw_heatmaps([], LARGEST))
    plot_entropy_by_layer([], tmp_path / "layers", LARGEST)
    plot_perplexity_curves([], tmp_path / "curves")


def lines(axes: Any, count: int) -> list[tuple[list[float], list[float]]]:
    """The lines of variants, which are the ones with a mark."""
    marked = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert len(marked) == count
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in marked]


@pytest.mark.parametrize("count", [1, TOGETHER, 23])
def test_entropy_by_layer_is_the_mean_of_the_heads(count: int, drawn: list[Figure], tmp_path: Path) -> None:
    rows = variants(count)
    plot_entropy_by_layer(rows, tmp_path / "layers", LARGEST)
    (figure,) = drawn
    together = count <= TOGETHER
    assert len(figure.axes) == (1 if together else count)
    found = lines(figure.axes[0], count) if together else [lines(axes, 1)[0] for axes in figure.axes]
    for (xs, ys), (_, layers) in zip(found, rows, strict=True):
        assert xs == list(range(12))
        np.testing.assert_allclose(ys, np.mean(layers, axis=1))
    assert_readable(figure)


def test_lines_in_one_panel_all_look_different(drawn: list[Figure], tmp_path: Path) -> None:
    plot_entropy_by_layer(variants(TOGETHER), tmp_path / "layers", LARGEST)
    looks = {(l.get_color(), l.get_linestyle(), l.get_marker()) for l in drawn[0].axes[0].lines}  # noqa: E741
    assert len(looks) == TOGETHER
    names = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
    assert [name.split("#")[-1] for name in names] == [str(i) for i in range(TOGETHER)]


def test_a_layer_without_a_number_is_a_gap(drawn: list[Figure], tmp_path: Path) -> None:
    plot_entropy_by_layer([("SM", [[1.0, 2.0], [math.nan, 3.0], [math.nan]])], tmp_path / "layers", LARGEST)
    ((_, ys),) = lines(drawn[0].axes[0], 1)
    assert ys[:2] == [1.5, 3.0]
    assert math.isnan(ys[2])


def crosses(axes: Any) -> list[tuple[float, float]]:
    return [tuple(c.get_offsets()[0]) for c in axes.collections if c.get_zorder() == 6]


@pytest.mark.parametrize("count", [4, 12])
def test_a_diverged_line_ends_in_an_x(count: int, drawn: list[Figure], tmp_path: Path) -> None:
    rows = curves(count)
    rows[1] = (rows[1][0], rows[1][1][:3])
    rows[2] = (rows[2][0], [*rows[2][1][:3], CurvePoint(400, None, 9.0, 8000.0, 1.0)])
    rows[3] = (rows[3][0], [])
    plot_perplexity_curves(rows, tmp_path / "curves", {label for label, _ in rows[1:4]}, unigram=420.0)
    (figure,) = drawn
    found = [cross for axes in figure.axes for cross in crosses(axes)]
    top = figure.axes[0].get_ylim()[1]
    assert found[0] == (300, rows[1][1][-1].perplexity)
    # Off the scale the mark lies on the edge; without any validation, where the run began.
    assert found[1:] == [(400, top), (0, top)]
    assert 420 < top < 500
    assert "3 diverged (x)" in figure.texts[1].get_text()
    if count <= TOGETHER:
        names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
        assert ["diverged" in name for name in names] == [False, True, True, True]
    assert_readable(figure)


def test_curves_show_every_validation_and_the_unigram_line(drawn: list[Figure], tmp_path: Path) -> None:
    rows = curves(3)
    plot_perplexity_curves(rows, tmp_path / "curves", unigram=420.0)
    axes = drawn[0].axes[0]
    for (xs, ys), (_, curve) in zip(lines(axes, 3), rows, strict=True):
        assert xs == [point.step for point in curve]
        assert ys == [point.perplexity for point in curve]
    assert [text.get_text().strip() for text in axes.texts] == ["unigram"]
    assert axes.get_yscale() == "log"
    assert 3 <= len(axes.get_yticks()) <= 9


@pytest.mark.parametrize(("low", "high"), [(60.0, 61.0), (12.0, 90.0), (3.0, 20_000.0)])
def test_any_range_has_ticks(low: float, high: float, drawn: list[Figure], tmp_path: Path) -> None:
    curve = [CurvePoint(1, None, 1.0, high, 1.0), CurvePoint(2, None, 1.0, low, 1.0)]
    plot_perplexity_curves([("SM", curve)], tmp_path / "curves", unigram=high)
    bottom, top = drawn[0].axes[0].get_ylim()
    ticks = drawn[0].axes[0].get_yticks()
    assert 3 <= len(ticks) <= 9
    assert all(bottom <= tick <= top for tick in ticks)
    assert_readable(drawn[0])


def test_files_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    for name in "ab":
        # A name with dots stays whole.
        written = plot_entropy_heatmaps(variants(3), tmp_path / name / "heat.v1.2", LARGEST)
        assert {suffix: path.name for suffix, path in written.items()} == {
            "png": "heat.v1.2.png", "svg": "heat.v1.2.svg",
        }  # fmt: skip
        plot_entropy_by_layer(variants(3), tmp_path / name / "layers", LARGEST)
        plot_perplexity_curves(curves(3), tmp_path / name / "curves", {curves(3)[2][0]})
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
        if path.suffix == ".svg":
            ElementTree.parse(path)
        else:
            assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "a").iterdir())) == 6


def test_a_failed_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    figure = draw_heatmaps(variants(1), LARGEST)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(OSError, match="disk full"):
        write_picture(figure, tmp_path / "heat")
    assert list(tmp_path.iterdir()) == []


def test_names_keep_their_fields_and_end_in_an_ellipsis_where_they_must() -> None:
    assert name_lines(NAMES[2], 24) == [
        "EReg(SM(t) + ScFuFFN_i6)", "[temperature_init=0.1", "weight=0.0035]",
    ]  # fmt: skip
    long = name_lines("SM " * 60, 12)
    assert len(long) == 4
    assert long[-1].endswith("…")
    assert all(len(line) <= 12 for line in long)
    assert name_lines("", 10) == [""]


@pytest.mark.parametrize("count", range(1, 60))
def test_grids_hold_every_panel_and_grow_downwards(count: int) -> None:
    columns = grid_columns(count)
    rows = -(-count // columns)
    assert columns * (rows - 1) < count <= columns * rows
    assert columns <= 8
    assert rows <= columns or columns == 8


def test_two_threads_may_write_one_picture_at_once(tmp_path: Path) -> None:
    path = tmp_path / "front.svg"

    def interrupted(partial: Path) -> None:
        partial.write_text("first")
        other = threading.Thread(target=whole, args=(path, lambda part: part.write_text("second")))
        other.start()
        other.join()
        assert path.read_text() == "second"

    assert whole(path, interrupted).read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
