"""The networks of a study at every stage, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from aero_search.quantity import perplexity_text
from aero_search.report.table import Column, Sheet
from aero_search.search.stages.foreseen import StagedNetwork


def stages_table(networks: Sequence[StagedNetwork], names: Sequence[str]) -> Sheet:
    """Perplexity at each stage; at the last one what is foreseen, with its 95 % interval, where it was not trained.

    Args:
        names: of the stages, the proxy first.
    """
    columns = [Column("architecture", [network.notation for network in networks], words=True)]
    for i, name in enumerate(names):
        cells = [_perplexity(network.reached[i]) for network in networks]
        columns.append(Column(name, cells))
    columns.append(Column(f"foreseen at {names[-1]}", [_foreseen(network) for network in networks]))
    return Sheet(columns, title="perplexity by stage; what is foreseen was not trained there")


def _perplexity(value: float | None) -> str:
    return "-" if value is None else perplexity_text(value)


def _foreseen(network: StagedNetwork) -> str:
    if network.foreseen is None:
        return ""
    value, low, high = network.foreseen
    return f"{perplexity_text(value)} ({perplexity_text(low)}-{perplexity_text(high)})"
