"""Bad protocols and networks: one sentence that names the field, the value and the mend."""

import copy

import pytest

from aero_search.architecture import Layer
from aero_search.cost import Network, Protocol, estimate
from aero_search.errors import RequestError
from aero_search.schema import from_mapping


@pytest.fixture
def content(mapping):
    return copy.deepcopy(mapping("protocol", "spu_cheetah_0_9_5"))


def refusal(content):
    with pytest.raises(RequestError) as caught:
        from_mapping(Protocol, content, "protocol")
    return str(caught.value)


def test_negative_constant(content):
    content["primitives"]["compare"]["bytes"]["value"] = -3
    assert refusal(content) == "protocol.primitives.compare.bytes.value=-3 must be 0 or above"


def test_negative_setup(content):
    content["setup"]["seconds"]["value"] = -1
    assert refusal(content) == "protocol.setup.seconds.value=-1 must be 0 or above"


def test_missing_primitive(content):
    content["lowerings"]["relu"][0]["primitive"] = "compar"
    assert refusal(content).startswith(
        "protocol.lowerings.relu[0].primitive=compar is not among protocol.primitives: "
        "did you mean 'compare'?"
    )


def test_wrong_unit(content):
    content["primitives"]["compare"]["bytes"]["unit"] = "B"
    assert refusal(content) == "protocol.primitives.compare.bytes.unit=B must be 'B/element'"


def test_constant_without_source(content):
    del content["primitives"]["compare"]["bytes"]["source"]
    assert "protocol.primitives.compare.bytes.source" in refusal(content)


def test_unknown_lowering(content):
    content["use"]["gelu"] = "gelu_puna"
    assert refusal(content).startswith(
        "protocol.use.gelu=gelu_puna is not among protocol.lowerings: did you mean 'gelu_puma'?"
    )


def test_unknown_operation(content):
    content["use"]["gellu"] = "gelu_puma"
    assert refusal(content).startswith("protocol.use.gellu is not an operation: did you mean 'gelu'?")


def test_measure_the_operation_does_not_have(content):
    content["use"]["gelu"] = "private_matmul"
    assert (
        "per packed, which gelu does not have: take one of element, score, row, reduction, leftover"
        in refusal(content)
    )


@pytest.mark.parametrize(("field", "value"), [("block", 0), ("lanes", 0), ("small", {"below": 0})])
def test_sizes_below_one(content, field, value):
    primitive = content["primitives"]["multiply"]
    primitive[field] = primitive["small"] | value if field == "small" else value
    assert "must be 1 or above" in refusal(content)


def test_negative_times(content):
    content["lowerings"]["relu"][0]["times"] = -1
    assert refusal(content) == "protocol.lowerings.relu[0] must have times and depth of 0 or above"


def test_operation_without_a_lowering(content, network, build):
    del content["use"]["silu"]
    with pytest.raises(
        RequestError, match=r"does not say how to run silu: name a lowering with \+protocol\.use"
    ):
        estimate(build([Layer("none", "silu")]), from_mapping(Protocol, content, "protocol"), network("lan"))


def test_weights_that_the_protocol_cannot_hide(protocol, network, build):
    with pytest.raises(RequestError, match="does not say how to run lookup_private"):
        estimate(build([Layer()]), protocol("aero_paper", weights="private"), network("lan"))


def test_custom_network_needs_numbers(network):
    with pytest.raises(RequestError, match=r"give network\.bandwidth_mbps=300, in 1e6 bits a second"):
        network("custom")
    with pytest.raises(RequestError, match=r"give network\.rtt_ms=20, in milliseconds"):
        network("custom", bandwidth_mbps=300)
    assert network("custom", bandwidth_mbps=300, rtt_ms=20).bytes_per_second == 37.5e6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bandwidth_mbps": 0}, "network.bandwidth_mbps=0 must be above 0"),
        ({"rtt_ms": -1}, "network.rtt_ms=-1 must be 0 or above"),
    ],
)
def test_impossible_network(network, changes, sentence):
    with pytest.raises(RequestError) as caught:
        network("lan", **changes)
    assert str(caught.value) == sentence


def test_unknown_network_field(mapping):
    with pytest.raises(
        RequestError, match=r"network\.bandwith_mbps is not a known field: did you mean 'bandwidth"
    ):
        from_mapping(Network, mapping("network", "lan") | {"bandwith_mbps": 3}, "network")
