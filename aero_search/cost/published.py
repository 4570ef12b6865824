"""The rows AERO published (arXiv 2410.13060v2, tables 4 to 7), beside what a protocol predicts for them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import isnan
from typing import Literal

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.architecture.operations import ACTIVATIONS, FULL, FUSED, IDENTITY, LAYERNORM, NONE
from aero_search.cost.batch import Pricer
from aero_search.cost.flops import flops
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol

Split = Literal["calibrate", "validate"]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row, for GPT-2 small (12 heads, d_model 768).

    Attributes:
        variant: the paper's name; `SOTA:` rows are He & Hofmann's simplified blocks (arXiv 2311.01906).
        ffn_layers: the first so many layers keep their feed-forward.
        perplexity: on the dataset, after the longest training given; None where the training diverged.
        ffn_gflop, attn_gflop: 1e9 FLOPs by the paper's convention, one decimal.
        comm_gb: 1e9 bytes in both directions.
        latency_min: minutes.
        split: whether a fit may use the row or only be checked on it.
    """

    dataset: str
    n_layer: int
    seq_len: int
    vocab: int
    variant: str
    ffn_layers: int
    perplexity: float | None
    ffn_gflop: float
    attn_gflop: float
    comm_gb: float
    latency_min: float
    split: Split

    @property
    def is_sota(self) -> bool:
        return self.variant.startswith("SOTA:")

    @property
    def label(self) -> str:
        kept = "" if self.ffn_layers == self.n_layer else f", {self.ffn_layers} FFNs"
        return f"{self.variant} ({self.n_layer} layers, {self.seq_len} tokens{kept})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published row and its prediction; errors are predicted / published - 1."""

    row: PublishedRow
    comm_gb: float
    latency_min: float
    ffn_gflop: float
    attn_gflop: float

    @property
    def comm_error(self) -> float:
        return self.comm_gb / self.row.comm_gb - 1

    @property
    def latency_error(self) -> float:
        return self.latency_min / self.row.latency_min - 1

    @property
    def ffn_gflop_printed(self) -> float:
        """As the tables print it: the fused figure is an eighth of the printed full one, rounded again."""
        if "ScFuFFN" not in self.row.variant:
            return _one_decimal(self.ffn_gflop)
        kept = self.row.ffn_layers / self.row.n_layer
        return _one_decimal(_one_decimal(self.ffn_gflop * 8 / kept) / 8 * kept)

    @property
    def attn_gflop_printed(self) -> float:
        return _one_decimal(self.attn_gflop)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one change saves: `before` minus `after`, in 1e9 bytes, published and predicted."""

    before: PublishedRow
    after: PublishedRow
    published_gb: float
    predicted_gb: float

    @property
    def error(self) -> float:
        return self.predicted_gb / self.published_gb - 1


MISPRINTED_FFN_GFLOP = (("SOTA:SM+ScFuFFN", 12, 128, 11),)
"""(variant, n_layer, seq_len, ffn_layers) of rows whose FFN FLOPs contradict their layers: this one prints
1.2, which eight fused feed-forwards give; its communication, like its name, says eleven (1.7)."""


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row, in the order of the tables."""
    text = files("aero_search.cost").joinpath("data", "published.csv").read_text(encoding="utf-8")
    reader = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        PublishedRow(
            dataset=row["dataset"],
            n_layer=int(row["n_layer"]),
            seq_len=int(row["seq_len"]),
            vocab=int(row["vocab"]),
            variant=row["variant"],
            ffn_layers=int(row["ffn_layers"]),
            perplexity=_last_perplexity(row["ppl"]),
            ffn_gflop=float(row["ffn_gflop"]),
            attn_gflop=float(row["attn_gflop"]),
            comm_gb=float(row["comm_gb"]),
            latency_min=float(row["latency_min"]),
            split="calibrate" if row["split"] == "calibrate" else "validate",
        )
        for row in reader
    )


def _last_perplexity(said: str) -> float | None:
    """Of `25.71/23.32/21.29`, after more and more tokens, the last; `NaN` is a diverged training."""
    value = float(said.rpartition("/")[2])
    return None if isnan(value) else value


def published_architecture(row: PublishedRow) -> Architecture:
    """The architecture a row prices.

    `SM+LN+G` and `SM+LN+R` normalize and keep GELU or ReLU; the other rows have no norm but the final one and
    linear feed-forwards, scaled, full (`ScFFN`) or fused (`ScFuFFN`). `EReg(SM(t)+...)` learns temperatures
    under the entropy regularizer. SOTA rows use shaped attention on identity values.
    """
    normalized = "+LN" in row.variant
    activation = ACTIVATIONS.by_term(row.variant.rpartition("+")[2])
    kind = FUSED if "ScFuFFN" in row.variant else FULL
    kept = Layer(LAYERNORM if normalized else NONE, activation.name if activation else IDENTITY, kind)
    layers = (kept,) * row.ffn_layers + (replace(kept, ffn=NONE),) * (row.n_layer - row.ffn_layers)
    regularized = row.variant.startswith("EReg(")
    return Architecture(
        n_head=12,
        d_model=768,
        seq_len=row.seq_len,
        vocab_size=row.vocab,
        layers=layers,
        attention=Attention(
            value_projection="identity" if row.is_sota else "full",
            shaped=row.is_sota,
            temperature="learned" if regularized else "none",
        ),
        stabilizer=Stabilizer() if normalized else Stabilizer("scaled"),
        regularizer=Regularizer(weight=1e-5) if regularized else Regularizer(),
    )


def compare_published(protocol: Protocol, network: Network) -> tuple[Comparison, ...]:
    """Predict every published row."""
    rows = published_rows()
    architectures = [published_architecture(row) for row in rows]
    prices = Pricer(protocol, network).price(architectures)
    comparisons = []
    for i, (row, architecture) in enumerate(zip(rows, architectures, strict=True)):
        counted = flops(architecture, "aero")
        comparisons.append(
            Comparison(
                row=row,
                comm_gb=float(prices.communication_bytes[i]) / 1e9,
                latency_min=float(prices.latency_seconds[i]) / 60,
                ffn_gflop=counted.ffn / 1e9,
                attn_gflop=counted.attention / 1e9,
            )
        )
    return tuple(comparisons)


def published_differences(comparisons: tuple[Comparison, ...]) -> tuple[Difference, ...]:
    """The steps of the paper: consecutive rows of one table, SOTA and EReg rows aside."""
    differences = []
    plain = [c for c in comparisons if not c.row.is_sota and not c.row.variant.startswith("EReg(")]
    for before, after in pairwise(plain):
        a, b = before.row, after.row
        if (a.dataset, a.n_layer, a.seq_len) == (b.dataset, b.n_layer, b.seq_len):
            differences.append(Difference(a, b, a.comm_gb - b.comm_gb, before.comm_gb - after.comm_gb))
    return tuple(differences)


def _one_decimal(value: float) -> float:
    """Round half up, as the tables do: 7.25 is printed 7.3."""
    return float(Decimal(f"{value:.6f}").quantize(Decimal("0.1"), ROUND_HALF_UP))
