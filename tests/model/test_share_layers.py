"""Layers with the same weights: one module, gradients summed, the same function and cost as copies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aero_search.architecture import (
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
from aero_search.config.architecture import read_architecture
from aero_search.cost import flops, inventory
from aero_search.init.carry import carry
from aero_search.model import FoldedDecoder, build_model, count_parameters, fold, load_weights, save_weights
from aero_search.search.known_cost.features import matrix_parameters
from aero_search.training.distillation import _outputs
from aero_search.training.memory import matrix_weights
from tests.model.helpers import batch, tiny, train
from tests.model.test_folding import far_from_the_start

MIXED = (Layer("layernorm", "gelu"),) * 2 + (Layer("none", "relu", "full", "relu_count"),) * 2


def shared(**fields: object):
    return tiny(**({"layers": MIXED, "share_layers": 2} | fields))


@pytest.mark.parametrize("stabilizer", ["none", "scaled", "weight_norm", "spectral_norm"])
def test_it_computes_what_copies_do_and_adds_up_their_gradients(stabilizer: str) -> None:
    attention = Attention(temperature="learned", qk_norm="rmsnorm")
    a = shared(stabilizer=Stabilizer(stabilizer, "qk+ffn"), attention=attention)  # type: ignore[arg-type] # by name
    model = far_from_the_start(build_model(a, seed=0).double())
    copies = build_model(replace(a, share_layers=1), seed=1).double().eval()
    copies.load_state_dict(model.state_dict())
    inputs_bt, targets_bt = batch()
    found, expected = model.loss(inputs_bt, targets_bt), copies.loss(inputs_bt, targets_bt)
    torch.testing.assert_close(found.total, expected.total)
    found.total.backward()
    expected.total.backward()
    theirs = dict(copies.named_parameters())
    for name, parameter in model.named_parameters():
        gradient = theirs[name].grad
        if name.startswith("layers."):
            _, index, rest = name.split(".", 2)
            gradient = gradient + theirs[f"layers.{int(index) + 1}.{rest}"].grad  # type: ignore[operator] # all have one
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("stabilizer", ["none", "scaled", "spectral_norm"])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama"])
def test_it_trains_folds_and_is_saved(family: str, stabilizer: str, tmp_path) -> None:
    a = shared(family=family, stabilizer=Stabilizer(stabilizer, "qkvo+ffn"))  # type: ignore[arg-type] # by name
    if family == "pythia":
        a = replace(a, d_model=32)
    model = build_model(a, seed=0)
    losses = train(model, steps=10)
    assert losses[-1] < losses[0]
    model = far_from_the_start(model.double())
    inputs_bt, _ = batch()
    folded = fold(model)
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs_bt), model(inputs_bt), atol=1e-9, rtol=1e-9)
    for one, empty in ((model, build_model(a).double().eval()), (folded, FoldedDecoder(a).double().eval())):
        save_weights(one, tmp_path / "weights.safetensors")
        load_weights(empty, tmp_path / "weights.safetensors")
        assert torch.equal(empty(inputs_bt), one(inputs_bt))
    layers = folded.decoder_layers()
    assert (layers[0] is layers[1]) == (stabilizer != "scaled")


def test_parameters_are_counted_once_and_costs_as_before() -> None:
    one, own = shared(), tiny(layers=MIXED)
    assert inventory(one) == inventory(own)
    assert flops(one) == flops(own)
    outside = tiny(layers=(Layer(attention="none", ffn="full"),))
    embeddings = matrix_parameters(outside) - 2 * outside.d_model * outside.d_ff
    for count in (matrix_parameters, matrix_weights):
        kept = embeddings if count is matrix_parameters else outside.vocab_size * outside.d_model
        assert 2 * (count(one) - kept) == count(own) - kept
    half = tiny(layers=MIXED[::2])
    assert count_parameters(build_model(one)) == count_parameters(build_model(half))


def test_it_is_named_and_its_groups_stay() -> None:
    a = shared()
    assert "share_layers=2" in notation(a)
    assert key(parse_notation(notation(a), a)) == key(a) != key(tiny(layers=MIXED))
    empty = Layer(attention="none", ffn="none")
    hollow = shared(layers=(empty, empty, *MIXED))
    assert canonical(hollow).layers[:4] == canonical(a).layers
    assert canonical(hollow).share_layers == 2
    shape = ModelShape("twice", "gpt2", 8, 2, None, 16, 12, 31, True)
    assert retarget(a, shape).share_layers == 2
    # Three and three: no groups of two.
    assert retarget(a, replace(shape, n_layer=6)).share_layers == 1


def test_layers_of_a_checkpoint_start_from_the_first_of_their_group() -> None:
    inputs_bt, _ = batch()
    own = tiny(layers=MIXED)
    teacher = build_model(own, seed=0).eval()
    with torch.no_grad():
        for first, second in ((0, 1), (2, 3)):
            layers = teacher.decoder_layers()
            layers[second].load_state_dict(layers[first].state_dict())
    student = build_model(shared(), seed=1)
    carry(teacher, student, inputs_bt)
    torch.testing.assert_close(student(inputs_bt), teacher(inputs_bt), atol=1e-5, rtol=1e-5)
    again = build_model(own, seed=2)
    carry(student, again, inputs_bt)
    torch.testing.assert_close(again(inputs_bt), teacher(inputs_bt), atol=1e-5, rtol=1e-5)


def test_distillation_reads_every_use_of_a_layer() -> None:
    inputs_bt, _ = batch()
    model = build_model(shared(), seed=0).eval()
    copies = build_model(tiny(layers=MIXED), seed=1).eval()
    copies.load_state_dict(model.state_dict())
    told = []
    for one in (model, copies):
        with _outputs(one, "logits+hidden") as found:
            for _ in range(2):
                one(inputs_bt)
            told.append(dict(found))
    assert list(told[0]) == list(told[1])
    for place, output in told[0].items():
        torch.testing.assert_close(output, told[1][place])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"share_layers": 3}, r"model\.share_layers=3 does not divide model\.n_layer=4: take one of 1, 2, 4"),
        ({"share_layers": 0}, r"model\.share_layers=0 does not divide model\.n_layer=4"),
        ({"share_layers": 4}, r"model\.share_layers=4 needs groups of 4 layers that are alike"),
        (
            {"layers": (Layer("batchnorm"),) * 2},
            r"norm\.kind=batchnorm and model\.share_layers=2 exclude each other",
        ),
        (
            {"attention": Attention(qk_norm="static")},
            r"attention\.qk_norm=static and model\.share_layers=2 exclude each other",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=says):
        validate(shared(**fields))


def test_saved_requests_without_the_field_share_nothing() -> None:
    groups = {
        "model": {
            "family": "gpt2", "n_layer": 2, "n_head": 2, "n_kv_head": None, "d_model": 16, "seq_len": 12,
            "vocab_size": 31, "ffn_ratio": 4.0, "gated": False, "tied_embeddings": True,
        },
        "norm": {"kind": "layernorm", "layers": "all", "final": "layernorm"},
        "activation": {"kind": "relu"},
        "ffn": {"kind": "full", "layers": "all"},
        "attention": {},
        "stabilizer": {},
        "regularizer": {},
    }  # fmt: skip
    assert read_architecture(groups) == tiny(norm="layernorm")
