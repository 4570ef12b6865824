"""What a page can answer about networks nobody has trained: known rows at other sizes, and single changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aero_search.architecture import Architecture, ModelShape, key, notation, parse_notation, retarget
from aero_search.cost import single_changes
from aero_search.errors import RequestError
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record
from aero_search.report.page.prices import PageTariff

# The rows of AERO's tables, from the baseline on; `{half}` feed-forwards removed are half of them.
PAPER_ROWS = (
    "SM + LN + G",
    "SM + LN + R",
    "SM + LN",
    "SM + G",
    "SM + R",
    "SM",
    "SM + ScFFN",
    "SM + ScFuFFN",
    "SM + ScFuFFN_i{half}",
    "EReg(SM(t) + ScFuFFN)",
)
# How many single changes a row lists, those that save most seconds under the study's own prices.
_CHANGES = 8


def what_if(
    records: Sequence[Record],
    base: Architecture | None,
    shapes: Sequence[ModelShape],
    tariff: PageTariff,
    pricing: Pricing,
) -> dict[str, Any] | None:
    """Rows, sizes and their prices; None for a study without candidates.

    Args:
        records: whose architectures are offered, before the paper's own rows.
        base: of the size that was trained; the paper's rows have it.
        shapes: the sizes to carry them to, beside the one that was trained.
        pricing: by which single changes are chosen.
    """
    if not records or base is None:
        return None
    trained = {key(record.architecture): record for record in records if record.perplexity is not None}
    sizes: list[tuple[str, str, ModelShape | None]] = [("as trained", _text(base), None)]
    sizes += [(shape.name, shape.text, shape) for shape in shapes if shape.is_wired_like(base)]
    rows = list(_rows(records, base))
    return {
        "rows": [{"notation": notation(a), "trial": trial} for trial, a in rows],
        "sizes": [{"name": name, "text": text} for name, text, _ in sizes],
        "cells": [[_cell(a, shape, tariff, pricing, trained) for _, _, shape in sizes] for _, a in rows],
    }


def _rows(records: Sequence[Record], base: Architecture) -> Iterator[tuple[int | None, Architecture]]:
    seen = set()
    for record in records:
        if key(record.architecture) not in seen:
            seen.add(key(record.architecture))
            yield record.number, record.architecture
    for text in PAPER_ROWS:
        try:
            architecture = parse_notation(text.format(half=max(1, base.n_layer // 2)), base)
        except RequestError:
            continue  # not a network of this size or family
        if key(architecture) not in seen:
            seen.add(key(architecture))
            yield None, architecture


def _cell(
    architecture: Architecture,
    shape: ModelShape | None,
    tariff: PageTariff,
    pricing: Pricing,
    trained: Mapping[str, Record],
) -> dict[str, Any] | None:
    """One row at one size; None where it cannot be built at it."""
    try:
        sized = architecture if shape is None else retarget(architecture, shape)
        protocol = pricing.of(sized).protocol
        changes = single_changes(sized, protocol, pricing.network, _CHANGES, tariff.workload)
    except RequestError:
        return None
    return {
        "notation": notation(sized),
        **tariff(sized),
        "changes": [
            {
                "description": change.description,
                # A network of the trained size may have been trained in this very study.
                "trial": _number(trained, change.architecture) if shape is None else None,
                **tariff(change.architecture),
            }
            for change in changes
        ],
    }


def _number(trained: Mapping[str, Record], architecture: Architecture) -> int | None:
    record = trained.get(key(architecture))
    return None if record is None else record.number


def _text(a: Architecture) -> str:
    return f"{a.n_layer} layers, d_model {a.d_model}, {a.seq_len} tokens"
