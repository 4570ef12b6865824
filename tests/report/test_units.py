"""Values with units as people read them."""

from __future__ import annotations

import pytest

from aero_search.quantity import perplexity_text
from aero_search.report.units import quality_change, quality_step, quality_text, share_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(63.306, "63.31"), (999_999.0, "999999.00"), (1e6, "1.0e+06"), (1.0142e301, "1.0e+301")],
)
def test_a_perplexity_has_never_hundreds_of_digits(value: float, text: str) -> None:
    assert perplexity_text(value) == quality_text("perplexity", value) == text


def test_changes_are_short_whatever_their_size() -> None:
    assert quality_change("perplexity", 44.0, 40.0) == "+10.0%"
    assert quality_change("perplexity", 36.0, 40.0) == "-10.0%"
    assert quality_change("perplexity", 800.0, 40.0) == "+1900%"
    assert quality_change("perplexity", 1e301, 40.0) == "3e+299 times"
    assert share_text(0.1234, 0.02) == "+12.3 ±2.0%"
    assert share_text(1e300, 1e299) == "1e+300 times"
    assert quality_change("accuracy", 0.4, 0.35) == "+5.0 points"
    assert quality_step("perplexity", 0.8) == "+0.80 perplexity"
    assert quality_step("perplexity", -1e301) == "-1.0e+301 perplexity"
