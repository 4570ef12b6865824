"""Tables for terminals: figures stay whole, words fold, and a table that is too wide is printed as several.

rich is imported where it is used, so that a module that makes tables costs nothing until one is printed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

# Columns of a terminal: between two columns of a table, and what a column of words may fold down to.
_GAP, _NARROWEST, _WIDEST = 2, 16, 32


@dataclass(frozen=True)
class Column:
    """One column, a cell a row.

    Attributes:
        words: read from the left and folded; otherwise figures, at the right and never broken.
        part: where the table does not fit, the columns of a part stay together in one of several tables, each
            with those of part 0 at its left.
    """

    head: str
    cells: Sequence[str | Text]
    words: bool = False
    part: int = 0

    @property
    def least(self) -> int:
        """Terminal columns that it needs."""
        from rich.cells import cell_len

        lines = [line for cell in (self.head, *map(str, self.cells)) for line in cell.split("\n")]
        widest = max(map(cell_len, lines))
        if not self.words:
            return widest
        longest = max((cell_len(word) for line in lines for word in line.split()), default=0)
        return min(widest, max(_NARROWEST, min(longest, _WIDEST)))


@dataclass(frozen=True)
class Sheet:
    """Columns as one table where they fit, else as several, each with as many parts as fit.

    Attributes:
        sections: rows with a line above them.
        styles: of the rows; missing ones are plain.
    """

    columns: Sequence[Column]
    title: str = ""
    caption: str = ""
    sections: Collection[int] = ()
    styles: Sequence[str | None] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        # Rich would fold a title at the width of its table.
        if self.title:
            yield Text(self.title, style="italic")
        for columns in self._tables(options.max_width):
            yield self._table(columns)
            yield Text()
        if self.caption:
            yield Text(self.caption, style="dim italic")

    def _tables(self, width: int) -> list[list[Column]]:
        """The columns of each table."""
        first = [column for column in self.columns if column.part == 0]
        tables: list[list[Column]] = []
        for _, part in groupby((c for c in self.columns if c.part), key=lambda column: column.part):
            columns = list(part)
            together = _least([*first, *columns]) <= width
            for more in [columns] if together else [[column] for column in columns]:
                if tables and _least([*tables[-1], *more]) <= width:
                    tables[-1] += more
                else:
                    tables.append([*first, *more])
        return tables or [first]

    def _table(self, columns: Sequence[Column]) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(
            box=box.SIMPLE_HEAD,
            show_header=any(column.head for column in columns),
            show_edge=False,
            pad_edge=False,
            padding=(0, _GAP - 1, 0, 0),
        )
        for column in columns:
            if column.words:
                table.add_column(column.head, overflow="fold", min_width=min(column.least, _NARROWEST))
            else:
                table.add_column(column.head, justify="right", no_wrap=True)
        for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
            if number in self.sections:
                table.add_section()
            table.add_row(*cells, style=self.styles[number] if number < len(self.styles) else None)
        return table


def _least(columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + _GAP * (len(columns) - 1)


def sheet(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    title: str = "",
    words: int = 1,
    parts: Sequence[int] = (),
    sections: Collection[int] = (),
    styles: Sequence[str | None] = (),
) -> Sheet:
    """A sheet from its rows.

    Args:
        words: how many columns, from the left, are words.
        parts: of each column, see `Column`; none: all stay together.
    """
    cells = list(zip(*rows, strict=True)) or [()] * len(heads)
    columns = [
        Column(head, cells[i], words=i < words, part=parts[i] if parts else 0) for i, head in enumerate(heads)
    ]
    return Sheet(columns, title, sections=sections, styles=styles)
