"""What `measure` and `evaluate emulate=true` run a candidate of a study with: the lowerings that it took there."""

from __future__ import annotations

import pytest

from aero_search.app.measure_target import MeasureTarget
from aero_search.errors import RequestError
from tests.config.told_study import request_of


def target() -> MeasureTarget:
    return MeasureTarget("#3", request_of().architecture, None, None, lowerings={"gelu": "gelu_segments"})


def test_a_candidate_runs_with_its_own_lowerings_and_the_protocol_s_for_the_rest():
    asked = request_of("protocol=spu_aby3")
    protocol = target().protocol(asked)
    assert asked.protocol.use["gelu"] == "gelu_puma"
    assert protocol.use == {**asked.protocol.use, "gelu": "gelu_segments"}


def test_a_lowering_that_is_named_comes_before_the_candidate_s():
    asked = request_of("protocol=spu_aby3", "protocol.use.gelu=gelu_tanh")
    assert target().protocol(asked).use["gelu"] == "gelu_tanh"


def test_a_system_without_the_candidate_s_lowering_is_refused_by_name():
    with pytest.raises(
        RequestError, match=r"protocol.use.gelu=gelu_segments is not among protocol.lowerings: choose one of"
    ):
        target().protocol(request_of("protocol=sigma"))
