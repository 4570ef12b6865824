"""The one way text reaches a terminal: rich without its markup, and no text that steers the terminal.

rich reads `[...]` in every text it prints, table cells and progress bars included, as its own markup, and drops
what it does not know. Notations, extras and lists are written in brackets. Colours come as `Text` with a style.
A text's own control characters are shown as escapes (see `printing`); rich's own pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn, TextColumn
from rich.segment import Segment
from rich.text import Text

from aero_search.printing import visible

__all__ = ["Console", "make_console", "progress_bars"]


class _VisibleConsole(Console):
    """rich's console; each text is made visible before it is laid out, so that columns keep their widths."""

    def render_str(self, text: str, **layout: Any) -> Text:
        return super().render_str(visible(text), **layout)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(_visible_text(renderable), options):
            if segment.control is None and (seen := visible(segment.text)) != segment.text:
                segment = Segment(seen, segment.style)  # a title that a panel has drawn itself
            yield segment


def _visible_text(renderable: RenderableType) -> RenderableType:
    """The same, where it is a styled text that steers the terminal: each escape in its character's style."""
    if not isinstance(renderable, Text) or (seen := visible(renderable.plain)) == renderable.plain:
        return renderable
    steering = [at for at, character in enumerate(renderable.plain) if visible(character) != character]
    pieces = renderable.divide(sorted({end for at in steering for end in (at, at + 1)}))
    for piece in pieces:
        if (seen := visible(piece.plain)) != piece.plain:
            style = piece.spans[-1].style if piece.spans else ""
            piece.spans = []
            piece.plain = seen
            piece.stylize(style)
    return renderable.blank_copy().join(pieces)


def make_console(*, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console on stdout that prints every text as it is.

    Args:
        stderr: print there instead.
        file: print there instead.
        width: columns; None: the terminal's, or COLUMNS, or 80.
    """
    return _VisibleConsole(stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False)


def progress_bars(console: Console, *columns: str | ProgressColumn, transient: bool = False) -> Progress:
    """Progress on a terminal; nothing is drawn elsewhere.

    Args:
        columns: from left to right; a text such as `{task.description}` is filled with the task's fields.
        transient: erase the bars at the end.
    """
    drawn = (TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns)
    return Progress(*drawn, console=console, transient=transient, disable=not console.is_terminal)
