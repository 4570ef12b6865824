"""The profile log of SPU 0.9.5, as it was written, and what is read from it."""

import pytest

from aero_search.errors import AeroSearchError
from aero_search.measure.meter import Reading, Run, read_profile, sum_readings, together
from aero_search.schema import from_mapping, to_mapping

STAMP = "2026-11-23 01:59:06.072 [info] [api.cc:printProfilingData:223]"


def line(name, count, seconds, sent, received, send_actions, recv_actions):
    return (
        f"{STAMP} - {name}, executed {count} times, duration {seconds}s, "
        f"send bytes {sent} recv bytes {received}, send actions {send_actions}, recv actions {recv_actions}"
    )


LOG = f"""
{STAMP} [Profiling] SPU execution benchmark completed, execution took 2.714810069s
{STAMP} HLO profiling: total time 2.714810068999997
{line("pphlo.multiply", 2, "0.2e-1", 30, 12, 4, 4)}
{line("pphlo.less", 1, "2.512988974", 566272, 107520, 36, 35)}
{line("pphlo.free", 7, "2.1834e-05", 0, 0, 0, 0)}
{STAMP} HAL profiling: total time 2.0
{line("less", 1, "2.0", 566272, 107520, 36, 35)}
{STAMP} Link details: total send bytes 566302, recv bytes 107532, send actions 40, recv actions 39
"""


def test_each_operation_and_the_total():
    run = read_profile(LOG, "relu", 2.75)
    assert run.total == Reading("total", 1, 2.75, 566302, 107532, 79)
    assert run.operations == (
        Reading("pphlo.less", 1, 2.512988974, 566272, 107520, 71),
        Reading("pphlo.multiply", 2, 0.02, 30, 12, 8),
        Reading("pphlo.free", 7, 2.1834e-05, 0, 0, 0),
    )
    assert sum_readings(run.operations).bytes == run.total.bytes == 673834
    assert from_mapping(Run, to_mapping(run)) == run


def test_the_last_run_of_a_log_with_two():
    later = LOG.replace("566302", "1")
    assert read_profile(LOG.split("HLO")[0] + later, "two", 1.0).total.bytes_sent == 1


@pytest.mark.parametrize("text", ["", "no profile here", LOG.replace("Link details", "Links")])
def test_another_format_is_said_in_one_sentence(text):
    with pytest.raises(AeroSearchError, match=r"no profile of the run relu: .*spu==0\.9\.5"):
        read_profile(text, "relu", 1.0)


def test_what_a_first_run_paid_besides():
    first, second = Reading("total", 1, 9.0, 100, 50, 7), Reading("total", 1, 1.0, 40, 60, 7)
    assert first.less(second) == Reading("total", 1, 8.0, 60, 0, 0)


def test_three_parties_are_one_reading():
    """What everybody sends counts once."""
    readings = [
        Reading("total", 1, s, sent, got, 9) for s, sent, got in ((1.0, 5, 7), (2.0, 11, 3), (3.0, 2, 8))
    ]
    assert together(readings) == Reading("total", 1, 1.0, 5, 13, 9)
    assert together(readings).bytes == 5 + 11 + 2
    assert together(readings[:1]) == readings[0]
