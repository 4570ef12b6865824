"""The list of secret operations, against lists written by hand."""

import pytest

from aero_search.architecture import Attention, Layer, Stabilizer
from aero_search.cost import PARTS, inventory


def listed(architecture, decode=False):
    return [(o.name, o.kind, o.shape, o.count) for o in inventory(architecture, decode)]


def test_gpt2_layer_with_everything(build):
    assert listed(build([Layer("layernorm", "gelu", "full")])) == [
        ("one_hot", "one_hot", (16, 100), 1),
        ("lookup", "lookup", (16, 100, 64), 1),
        ("attention_norm", "layernorm", (16, 64), 1),
        ("qkv", "linear", (16, 64, 192), 1),
        ("scores", "matmul", (16, 16, 16), 4),
        ("softmax", "softmax", (16, 16), 4),
        ("values", "matmul", (16, 16, 16), 4),
        ("output", "linear", (16, 64, 64), 1),
        ("ffn_norm", "layernorm", (16, 64), 1),
        ("up", "linear", (16, 64, 256), 1),
        ("activation", "gelu", (16, 256), 1),
        ("down", "linear", (16, 256, 64), 1),
        ("final_norm", "layernorm", (16, 64), 1),
        ("lm_head", "linear", (16, 64, 100), 1),
    ]


def test_one_decoded_token_attends_to_the_whole_cache(build):
    operations = {o.name: o for o in inventory(build([Layer()]), decode=True)}
    assert operations["scores"].shape == (1, 16, 16)
    assert operations["softmax"].shape == (1, 16)
    assert operations["values"].shape == (1, 16, 16)
    for name in ("one_hot", "qkv", "output", "attention_norm", "up", "down", "lm_head"):
        assert operations[name].shape[0] == 1, name


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (Layer("none", "identity", "full"), {"up", "down"}),
        (Layer("none", "identity", "fused"), {"fused"}),
        (Layer("layernorm", "gelu", "fused"), {"attention_norm", "ffn_norm", "fused"}),
        # Without a feed-forward there is nothing behind the second norm.
        (Layer("layernorm", "gelu", "none"), {"attention_norm"}),
    ],
)
def test_layers_list_only_what_runs(build, layer, names):
    always = {"one_hot", "lookup", "qkv", "scores", "softmax", "values", "output", "final_norm", "lm_head"}
    assert {o.name for o in inventory(build([layer]))} == always | names


def test_families_differ_in_positions_only(build):
    plain = set(listed(build([Layer()])))
    assert set(listed(build([Layer()], family="pythia"))) - plain == {
        ("rotary", "public_scale", (16, 4 * 8), 2)
    }
    assert set(listed(build([Layer()], family="llama"))) - plain == {
        ("rotary", "public_scale", (16, 16 * 8), 2)
    }


def test_grouped_query_narrows_keys_and_values_but_not_attention(build):
    operations = {o.name: o for o in inventory(build([Layer()], n_kv_head=2, family="llama"))}
    assert operations["qkv"].shape == (16, 64, 16 * (4 + 2 * 2))
    assert operations["rotary"].shape == (16, 16 * (4 + 2))
    assert (operations["scores"].count, operations["softmax"].count) == (4, 4)


def test_gated_feed_forward_multiplies_two_secrets(build):
    operations = {o.name: o for o in inventory(build([Layer("rmsnorm", "silu")], gated=True))}
    assert operations["up"].shape == (16, 64, 512)
    assert (operations["activation"].kind, operations["activation"].shape) == ("silu", (16, 256))
    assert (operations["gate"].kind, operations["gate"].shape) == ("multiply", (16, 256))


def test_identity_values_drop_two_projections(build):
    operations = {
        o.name: o for o in inventory(build([Layer()], attention=Attention(value_projection="identity")))
    }
    assert operations["qkv"].shape == (16, 64, 128)
    assert "output" not in operations
    assert operations["values"].shape == (16, 16, 16)


@pytest.mark.parametrize("kind", ["scaled", "weight_norm", "spectral_norm"])
def test_stabilizers_fold_into_weights(build, kind):
    layer = Layer("none", "identity", "full")
    assert listed(build([layer], stabilizer=Stabilizer(kind))) == listed(build([layer]))


def test_what_does_not_fold_is_scaling(build):
    def scaling(**attention):
        operations = inventory(build([Layer()], attention=Attention(**attention)))
        return [(o.name, o.shape, o.count) for o in operations if o.part == "scaling"]

    assert scaling() == []
    assert scaling(temperature="learned") == [("temperature", (16, 64), 1)]
    assert scaling(shaped=True) == [("running_mean", (16, 64), 1), ("shaped", (16, 64), 2)]
    assert scaling(shaped=True, value_projection="identity") == [
        ("running_mean", (16, 64), 1),
        ("shaped", (16, 64), 3),
    ]


def test_layers_are_numbered_and_parts_known(build):
    operations = inventory(build([Layer(), Layer("none", "relu", "fused")]))
    assert [o.layer for o in operations if o.name == "softmax"] == [0, 1]
    assert {o.part for o in operations if o.layer is None} == {"embedding", "norm", "lm_head"}
    assert {o.part for o in operations} <= set(PARTS)
