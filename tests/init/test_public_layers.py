"""Layers with public weights: run by the client, free in private inference, and left as the checkpoint has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aero_search.api.training import train_request
from aero_search.architecture import (
    Architecture,
    Attention,
    InvalidArchitectureError,
    Layer,
    ModelShape,
    Stabilizer,
    canonical,
    key,
    notation,
    parse_notation,
    retarget,
    validate,
)
from aero_search.config.compose import compose_request
from aero_search.cost import Network, Pricer, Workload, estimate, flops, inventory, shipped_protocol
from aero_search.cost.flops import nonlinear_operations
from aero_search.cost.whatif import single_changes
from aero_search.errors import RequestError
from aero_search.init.checkpoint import open_checkpoint
from aero_search.init.recovery import TrainSpec
from aero_search.init.sizes import misfits
from aero_search.model import build_model
from aero_search.training.recovery import limit
from tests.init.teachers import ARCHITECTURE

MIXED = replace(
    ARCHITECTURE,
    layers=(Layer(), Layer("none", "relu"), Layer("none", "identity", "fused", "relu_count")),
)
PUBLIC = replace(MIXED, public_layers=1)
AERO, PAPER = shipped_protocol("aero_paper"), Network("paper", 3000.0, 0.8)


def test_the_client_s_layers_and_embeddings_are_no_secret_operations() -> None:
    whole, rest = inventory(MIXED), inventory(PUBLIC)
    assert list(rest) == [o for o in whole if o.part != "embedding" and o.layer != 0]
    assert {o.layer for o in inventory(PUBLIC, decode=True)} == {1, 2, None}
    assert "layernorm" not in nonlinear_operations(PUBLIC)


def test_flops_are_the_network_s_whoever_runs_it() -> None:
    assert replace(flops(PUBLIC), embedding_one_hot=flops(MIXED).embedding_one_hot) == flops(MIXED)
    assert flops(PUBLIC).embedding_one_hot == 0


@pytest.mark.parametrize("workload", [Workload(), Workload("chat", prompt=8, generate=4, logits="last")])
def test_the_price_is_the_whole_one_less_what_is_public(workload: Workload) -> None:
    before, after = (estimate(a, AERO, PAPER, workload=workload) for a in (MIXED, PUBLIC))
    sent, left = before.communication_bytes, after.communication_bytes
    assert left.by_layer == (0.0, *sent.by_layer[1:])
    assert left.total == pytest.approx(sent.total - sent.by_layer[0] - sent.by_op["embedding"])
    assert set(left.by_op) == set(sent.by_op) - {"embedding"}
    prices = Pricer(AERO, PAPER, workload).price([MIXED, PUBLIC, MIXED])
    for i, cost in enumerate((before, after, before)):
        assert prices.communication_bytes[i] == pytest.approx(cost.communication_bytes.total)
        assert prices.latency_seconds[i] == pytest.approx(cost.latency_seconds.total)
        assert prices.flops[i] == pytest.approx(cost.flops.total)


def test_an_operation_that_a_protocol_lacks_may_stand_in_a_public_layer() -> None:
    lacking = replace(AERO, use={k: v for k, v in AERO.use.items() if k != "gelu"})
    a = replace(ARCHITECTURE, layers=(Layer(), Layer(activation="relu")))
    with pytest.raises(RequestError, match="gelu"):
        Pricer(lacking, PAPER).price([a])
    a = replace(a, public_layers=1)
    assert Pricer(lacking, PAPER).price([a]).communication_bytes[0] > 0
    assert estimate(a, lacking, PAPER).communication_bytes.total > 0


def test_no_change_of_a_public_layer_is_proposed() -> None:
    a = replace(ARCHITECTURE, public_layers=2)
    changes = single_changes(a, AERO, PAPER, limit=99)
    assert changes
    assert {layer for change in changes for layer in change.layers} == {2}
    assert "layer" not in {change.kind for change in changes}


@pytest.mark.parametrize(
    ("a", "said"),
    [
        (replace(MIXED, public_layers=3), "model.public_layers=3 must be from 0 to 2 of model.n_layer=3"),
        (replace(MIXED, public_layers=-1), "model.public_layers=-1 must be from 0"),
        (replace(ARCHITECTURE, layers=(Layer(),) * 4, share_layers=2, public_layers=1), "is no multiple of"),
    ],
)
def test_what_cannot_be(a: Architecture, said: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=said):
        validate(a)


def test_name_key_and_canonical_form() -> None:
    assert notation(PUBLIC).endswith("public_layers=1]")
    assert parse_notation(notation(PUBLIC), MIXED) == canonical(PUBLIC)
    assert len({key(MIXED), key(PUBLIC), key(replace(MIXED, public_layers=2))}) == 3
    # An empty layer goes behind those that are public with it, not behind the private ones.
    empty = Layer("layernorm", "relu", "none", "none")
    a = canonical(replace(MIXED, layers=(empty, Layer(), Layer()), public_layers=2))
    assert [layer.is_empty for layer in a.layers] == [False, True, False]
    assert canonical(a) == a


@pytest.mark.parametrize(("n_layer", "public"), [(6, 2), (12, 4), (2, 1)])
def test_another_depth_keeps_the_share(n_layer: int, public: int) -> None:
    shape = ModelShape("larger", "gpt2", n_layer, 4, None, 64, 16, 300, True)
    assert retarget(PUBLIC, shape).public_layers == public


@pytest.mark.parametrize("scope", ["all", "adapters", "norms_and_heads"])
def test_no_scope_trains_public_weights(scope: str) -> None:
    a = replace(MIXED, layers=(Layer("batchnorm"), *MIXED.layers[1:]), public_layers=1)
    model = build_model(a, seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    limit(model, TrainSpec(scope), seed=0)  # type: ignore[arg-type] # by name
    model.train()
    tokens_bt = torch.randint(a.vocab_size, (4, a.seq_len), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.loss(tokens_bt, tokens_bt).total.backward()
    optimizer.step()
    changed = set()
    for name, tensor in model.state_dict().items():
        old = before.get(name, before.get(name.replace("parametrizations.", "").replace(".original", "")))
        if old is None or not torch.equal(tensor, old):
            changed.add(name)
    assert changed
    assert not [name for name in changed if name.startswith(("token_", "position_"))]
    assert not [name for name in changed if name.startswith("layers.0.") and "parametrizations" not in name]


@pytest.mark.parametrize(
    ("a", "said"),
    [
        (
            replace(MIXED, public_layers=2),
            "keeps the first layers as they are, and theirs are other operations",
        ),
        (replace(MIXED, layers=MIXED.layers[:2], public_layers=1), "leave model.n_layer=3"),
        (replace(PUBLIC, ffn_rank=4), "leave ffn.rank=0"),
        (replace(PUBLIC, n_kv_head=2), "leave model.n_kv_head=4"),
        (replace(PUBLIC, final_norm="none"), "leave norm.final=layernorm"),
    ],
)
def test_weights_that_everyone_has_are_not_changed(a: Architecture, said: str) -> None:
    assert any(said in problem for problem in misfits(ARCHITECTURE, a))
    assert not list(misfits(ARCHITECTURE, PUBLIC))


def test_what_a_checkpoint_cannot_keep_is_refused() -> None:
    tempered = replace(ARCHITECTURE, attention=Attention(temperature="learned"))
    assert any("leave attention.temperature=learned" in said for said in misfits(tempered, PUBLIC))
    assert not list(misfits(ARCHITECTURE, replace(PUBLIC, attention=tempered.attention)))
    spectral = replace(ARCHITECTURE, stabilizer=Stabilizer("spectral_norm"))
    assert any(
        "spectral_norm does not" in said for said in misfits(spectral, replace(spectral, public_layers=1))
    )


def test_what_has_no_effect_in_public_layers_is_no_difference() -> None:
    fused = Layer(ffn="fused", activation="identity")
    own = replace(ARCHITECTURE, layers=(fused, Layer(), Layer()), ffn_ratio=2.0)
    a = replace(own, layers=(fused,) * 3, public_layers=1)
    assert not list(misfits(own, a))
    assert not list(misfits(own, canonical(a)))


def test_public_layers_take_the_checkpoint_s_place_before_anything_is_refused(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = [*tiny, "model.n_layer=4", "model.share_layers=2", "recipe.steps=2", "tracking=none"]
    teacher = train_request(compose_request("train", {}, said)).folder
    own = [o for o in tiny if not o.startswith("model.")] + [f"init.from={teacher}"]
    a = compose_request("train", {}, [*own, "model.public_layers=2", "norm.layers=0"]).architecture
    assert [layer.norm for layer in a.layers] == ["layernorm"] * 2 + ["none"] * 2
    with pytest.raises(RequestError, match=r"must be from 0 to 3"):
        _ = compose_request("train", {}, [*own, "model.public_layers=4"]).architecture


def test_a_recovery_keeps_the_checkpoint_s_first_layers(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    teacher = train_request(compose_request("train", {}, [*tiny, "recipe.steps=20", "tracking=none"])).folder
    said = [o for o in tiny if not o.startswith("model.")]
    said += ["recipe.steps=6", "recipe.validate_every=3", "tracking=none", f"init.from={teacher}"]
    done = train_request(compose_request("train", {}, [*said, "norm=none", "model.public_layers=1"]))
    checkpoint = open_checkpoint(done.folder, "")
    a = checkpoint.architecture
    # The choice for all layers is one for those that are private.
    assert [layer.norm for layer in a.layers] == ["layernorm", "none"]
    theirs, ours = open_checkpoint(teacher, "").model().state_dict(), checkpoint.model().state_dict()
    for name, tensor in theirs.items():
        if name.startswith(("token_embedding", "position_embedding", "layers.0.")):
            assert torch.equal(tensor, ours[name]), name
    assert any(not torch.equal(theirs[name], ours[name]) for name in ours if name.startswith("layers.1."))
