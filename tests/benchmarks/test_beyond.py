"""The comparison of attention kinds: prices of the same choices, rows of two files, tables on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from benchmarks import beyond
from benchmarks.tabular.rows import Row


@pytest.fixture(scope="module")
def networks() -> tuple[beyond.Priced, ...]:
    GlobalHydra.instance().clear()
    return beyond.priced(beyond.NETWORKS[:8])


def row(network: tuple[str, ...], rate: float, seed: int, value: float | None) -> Row:
    overrides = (*network, *beyond.RECIPE.of(rate), f"recipe.seed={seed}")
    return Row(
        overrides, network[0], seed, "diverged" if value is None else "finished", value, 1.0, 600, 1, ()
    )


def test_kinds_are_priced_at_gpt2_small(networks: tuple[beyond.Priced, ...]) -> None:
    by_name = {network.name: network.prices for network in networks}
    # The baseline's published 25.32 GB, and AERO's last step.
    assert by_name["SM + LN + G"][0].bytes / 1e9 == pytest.approx(25.32, rel=0.01)
    softmax, positive = by_name["SM + ScFuFFN"], by_name["ReLUn + ScFuFFN"]
    assert softmax[0].bytes / 1e9 == pytest.approx(6.43, rel=0.01)
    assert all(one.bytes < other.bytes for one, other in zip(positive, softmax, strict=True))


def test_a_network_stands_for_its_best_rate_over_seeds(networks: tuple[beyond.Priced, ...]) -> None:
    base, other = (network.overrides for network in networks[:2])
    rows = [row(base, rate, seed, 40.0 + 100 * rate) for rate in beyond.RECIPE.rates for seed in (0, 1)]
    rows += [row(other, 0.008, 0, 44.0), row(other, 0.008, 1, 44.0), row(other, 0.016, 0, None)]
    said = beyond.found(rows)
    assert beyond.perplexity(said, base) == (pytest.approx(40.8), 2)
    lines = list(beyond.price_table(networks, said))
    assert "| 40.80 |" in lines[2]
    assert "| 44.00 (+7.8 %) |" in lines[3]
    assert "| not trained |" in lines[4]


def without_perplexity(text: str) -> list[str]:
    """Lines of the page without the column that grows with every training."""
    lines = [line.split(" | ") for line in text.splitlines()]
    return [
        " | ".join([line[0], *line[2:]]) if line[0].startswith("| `") else " | ".join(line) for line in lines
    ]


def test_the_page_s_tables_are_what_the_script_writes() -> None:
    GlobalHydra.instance().clear()
    text = beyond.PAGE.read_text()
    assert without_perplexity(text) == without_perplexity(beyond.filled(text, beyond.priced(), None))


def test_every_training_is_its_own(tmp_path: Path, tiny: list[str]) -> None:
    data = [o for o in tiny if o.startswith(("data", "model.vocab"))]
    found, _ = beyond.jobs(tmp_path, data, (beyond.RECIPE,), beyond.NETWORKS)
    assert len({job.candidate.identity for job in found}) == len(found) == 2 * 3 * len(beyond.NETWORKS)
