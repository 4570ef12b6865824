"""What a ladder leaves behind: its table in four formats, and pictures of entropies and curves."""

from __future__ import annotations

import json
from pathlib import Path

from aero_search.errors import AeroSearchError
from aero_search.report.ablation import LadderTable, ladder_csv, ladder_latex, ladder_markdown
from aero_search.report.entropy import plot_entropy_by_layer, plot_entropy_heatmaps, plot_perplexity_curves
from aero_search.search.ladder import Line
from aero_search.training.entropy_health import EntropyHealth, entropy_health, uniform_entropy
from aero_search.training.result import Result, read_result


def first_results(lines: list[Line]) -> dict[str, Result]:
    """The result of each line's first run, by the cell's name; lines whose files are gone are left out."""
    results = {}
    for line in lines:
        try:
            results[line.cell.name] = read_result(line.runs[0].folder)
        except (IndexError, AeroSearchError):
            continue
    return results


def first_health(lines: list[Line], results: dict[str, Result]) -> dict[str, EntropyHealth]:
    """The health of the attention at the end of each line's first run, by the cell's name."""
    health = {}
    for line in lines:
        result = results.get(line.cell.name)
        if result and result.entropy:
            largest = uniform_entropy(line.architecture.seq_len)
            health[line.cell.name] = result.health or entropy_health(result.entropy, result.steps, largest)
    return health


def write_ladder(table: LadderTable, results: dict[str, Result], folder: Path) -> list[Path]:
    """Write `ladder.{json,csv,md,tex}`, and PNG and SVG of head entropies, entropies by layer and curves.

    Args:
        results: of the lines' first runs, from `first_results`.
        folder: exists.
    """
    texts = {
        "ladder.json": json.dumps(table.document(), indent=1, allow_nan=False) + "\n",
        "ladder.csv": ladder_csv(table),
        "ladder.md": ladder_markdown(table),
        "ladder.tex": ladder_latex(table),
    }
    written = []
    for name, text in texts.items():
        partial = folder / f"{name}.partial"
        partial.write_text(text)
        written.append(partial.replace(folder / name))
    if results:
        largest = uniform_entropy(table.lines[0].architecture.seq_len)
        entropies = [(name, result.entropy) for name, result in results.items()]
        written += plot_entropy_heatmaps(entropies, folder / "entropy_heads", largest).values()
        written += plot_entropy_by_layer(entropies, folder / "entropy_layers", largest).values()
        written += plot_perplexity_curves(
            [(name, result.curve) for name, result in results.items()],
            folder / "curves",
            diverged=[name for name, result in results.items() if result.verdict == "diverged"],
            unigram=next(iter(results.values())).unigram_perplexity,
        ).values()
    return written
