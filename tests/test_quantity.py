"""Costs with units: read strictly, written back to the same number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aero_search.errors import RequestError
from aero_search.quantity import UNITS, parse_quantity, write_quantity


@pytest.mark.parametrize(
    ("metric", "text", "amount"),
    [
        ("communication_bytes", "2 GB", 2e9),
        ("communication_bytes", "2GB", 2e9),
        ("communication_bytes", "1.5 MB", 1.5e6),
        ("communication_bytes", "12 B", 12.0),
        ("latency_s", "30 s", 30.0),
        ("latency_s", "2 min", 120.0),
        ("latency_s", "250 ms", 0.25),
        ("flops", "40 G", 40e9),
        ("flops", "1e9", 1e9),
        ("flops", 5_000_000, 5e6),
        ("rounds", 5000, 5000.0),
        ("rounds", "5000", 5000.0),
    ],
)
def test_what_is_read(metric: str, text: float | str, amount: float) -> None:
    assert parse_quantity(metric, text, "x") == pytest.approx(amount)


@pytest.mark.parametrize(
    ("metric", "text", "says"),
    [
        ("communication_bytes", "2 gb", r"x=2 gb has the unit gb: did you mean 'GB'\?"),
        ("communication_bytes", "2 GiB", "has the unit GiB"),
        ("communication_bytes", "2 s", "has the unit s"),
        ("communication_bytes", "2", "x=2 has no unit: take one of B, kB, MB, GB, TB, as in 2 GB"),
        ("communication_bytes", 2, "has no unit"),
        ("latency_s", "-1 s", "must be a number above 0 with its unit, such as 30 s"),
        ("latency_s", "0 s", "must be above 0"),
        ("latency_s", "fast", "must be a number above 0"),
        ("latency_s", "1,5 s", "must be a number above 0"),
        ("latency_s", True, "must be a number above 0"),
        ("flops", "1e999", "finite"),
        ("rounds", "5 k", "has a unit, but rounds is a plain count: take 5"),
    ],
)
def test_what_is_refused(metric: str, text: float | str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        parse_quantity(metric, text, "x")


@given(st.sampled_from(sorted(UNITS)), st.floats(min_value=1e-6, max_value=1e20))
def test_what_is_written_is_read_as_the_same_number(metric: str, amount: float) -> None:
    assert parse_quantity(metric, write_quantity(metric, amount), "x") == pytest.approx(amount, rel=1e-14)


def test_the_largest_fitting_unit_is_written() -> None:
    assert write_quantity("communication_bytes", 2e9) == "2 GB"
    assert write_quantity("communication_bytes", 1.5e7) == "15 MB"
    assert write_quantity("latency_s", 90.0) == "1.5 min"
    assert write_quantity("flops", 12.0) == "12"
