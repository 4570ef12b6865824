"""The stages of a private forward pass: the operations that the cost inventory prices, in an order that works."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import yaml

from aero_search.architecture import Architecture, Attention, Layer
from aero_search.architecture.operations import ATTENTIONS
from aero_search.config.paths import conf_dir
from aero_search.cost import Workload, inventory
from aero_search.measure.lowering_names import lowering_names, runnable_lowerings
from aero_search.measure.program import (
    LOGITS,
    Pass,
    carried,
    entry,
    last_uses,
    passes,
    stages,
    weight_names,
)


def tiny(family="gpt2", norm="layernorm", attention=Attention(), **rest) -> Architecture:  # noqa: B008
    layers = (Layer(norm, "relu"), Layer(norm, "identity", "fused"), Layer(norm, "identity", "none"))
    return Architecture(
        n_head=2,
        d_model=32,
        seq_len=8,
        vocab_size=40,
        layers=layers,
        family=family,
        attention=attention,
        **rest,
    )


def of_kind(kind, softmax_heads) -> Architecture:
    """Its second layer has this kind, in all heads or beside softmax."""
    a = tiny(attention=Attention(temperature="learned", softmax_heads=softmax_heads))
    return replace(a, layers=(a.layers[0], replace(a.layers[1], attention=kind), a.layers[2]))


CASES = [
    tiny(),
    tiny("pythia", "rmsnorm"),
    tiny("llama", "none", gated=True, n_kv_head=1),
    tiny(attention=Attention("identity", shaped=True)),
    tiny(attention=Attention("full", shaped=True)),
    tiny(attention=Attention("full", temperature="learned")),
    *(tiny("llama", n_kv_head=1, attention=Attention(qk_norm=norm)) for norm in ("rmsnorm", "batchnorm")),
    replace(tiny(), layers=(Layer("layernorm", "relu"),) * 2, share_layers=2),
    tiny(ffn_rank=4),
    tiny("llama", gated=True, ffn_rank=4),
    *(tiny(family, public_layers=public) for family in ("gpt2", "pythia") for public in (1, 2)),
    *(of_kind(kind, heads) for kind in ATTENTIONS for heads in (0, 1)),
]


@pytest.mark.parametrize("architecture", CASES)
def test_values_are_made_once_and_dropped_after_their_last_use(architecture) -> None:
    program = stages(Pass(architecture, tempered=architecture.attention.temperature == "learned"))
    assert len({stage.name for stage in program}) == len(program)
    dropped = last_uses(program)
    forward = Pass(architecture, tempered=True)
    known, gone = {entry(forward), *weight_names(forward)}, set()
    for stage in program:
        assert set(stage.reads) <= known
        assert not set(stage.reads) & gone
        assert not set(stage.writes) & known
        known |= set(stage.writes)
        gone |= set(dropped.get(stage.name, ()))
    assert program[-1].writes == (LOGITS,)
    assert gone | {LOGITS} == {name for s in program for name in (*s.reads, *s.writes)}


@pytest.mark.parametrize("architecture", CASES)
def test_each_token_reads_what_the_pass_before_it_left(architecture) -> None:
    tempered = architecture.attention.temperature == "learned"
    forward = Pass(architecture, tempered)
    query = passes(forward, Workload("chat", prompt=4, generate=3))
    assert [(p.cached, p.architecture.seq_len) for p in query] == [(0, 4), (4, 5), (5, 6)]
    names, left = [], {}
    for number, step in enumerate(query):
        program = stages(step, number)
        names += [stage.name for stage in program]
        assert set(weight_names(step)) == set(weight_names(forward))
        known, dropped = {entry(step), *weight_names(step), *left.values()}, last_uses(program, carried(step))
        for stage in program:
            assert set(stage.reads) <= known
            known |= set(stage.writes)
            known -= {name for name in dropped.get(stage.name, ()) if name not in weight_names(step)}
        left = carried(step)
        assert set(left) <= known
        assert len(left) == 2 * sum(layer.attends for layer in architecture.private_layers)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("architecture", CASES)
def test_stages_are_the_operations_that_are_priced(architecture) -> None:
    """One stage an operation; only comparing tokens and putting heads side by side come and go."""
    tempered = architecture.attention.temperature == "learned"
    factors = 2 if architecture.attention.value_projection == "full" else 3
    forward = Pass(architecture, tempered, factors)
    ran = Counter((s.part, s.layer) for s in stages(forward) if not s.name.endswith("merge"))
    priced = Counter((o.part, o.layer) for o in inventory(architecture) if o.kind != "one_hot")
    assert ran == priced
    compared = replace(forward, lowerings={"one_hot": "equality"})
    wanted = 0 if architecture.public_layers else 2
    assert Counter(s.part for s in stages(compared))["embedding"] == wanted


def test_every_lowering_of_the_shipped_protocol_can_run() -> None:
    asked = yaml.safe_load((conf_dir() / "protocol" / "spu_cheetah_0_9_5.yaml").read_text())
    # A kind without a line of its own is priced by what it is made of.
    kinds = runnable_lowerings()
    assert lowering_names(asked["use"]) == {
        kind: asked["use"].get(kind, names[0]) for kind, names in kinds.items()
    }
    others = {
        "softmax_broadcast",
        "softmax_divide",
        "softmax_bumblebee",
        "gelu_tanh",
        "gelu_segments",
        "gelu_puma",
    }
    assert (
        others
        <= {name for names in runnable_lowerings().values() for name in names} & asked["lowerings"].keys()
    )


def test_a_lowering_nobody_knows_falls_back_to_the_default() -> None:
    names = lowering_names({"softmax": "softmax", "gelu": "gelu_puma", "one_hot": "one_hot"})
    assert (names["softmax"], names["gelu"]) == ("softmax_broadcast", "gelu_puma")
    assert "one_hot" not in names
    assert lowering_names({"one_hot": "equality"})["one_hot"] == "equality"
