from pathlib import Path
from rich.console import Console


def write_ladder(ladder, table, folder: Path, console: Console):
    for line in table:
        console.print(
            line.cell.name,
            line.perplexity,
            line.spread,
            line.lr,
            [(r.lr, r.perplexity, r.state) for r in line.tried],
        )
