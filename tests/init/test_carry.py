"""Surgery: a changed network starts nearer to its teacher with each rule than without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer, canonical
from aero_search.architecture.operations import NORMS
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.errors import RequestError
from aero_search.init.carry import Carried, carry
from aero_search.init.fit import fit
from aero_search.init.linears import absorbed, regrouped
from aero_search.init.parts import scale_layer
from aero_search.model import Decoder, build_model
from aero_search.training.recovery import sample
from tests.init.teachers import ARCHITECTURE, perplexity, trained


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> Decoder:
    return trained(ARCHITECTURE, corpus)


@pytest.fixture(scope="module")
def tokens(corpus: Corpus) -> Tensor:
    return sample(corpus, 16)[:256]


def with_layers(**choices: str) -> Architecture:
    return replace(ARCHITECTURE, layers=(Layer(**choices),) * 3)


SHAPES = {
    "norm": with_layers(norm="none"),
    "fused": with_layers(ffn="fused", activation="identity"),
    "relu": with_layers(activation="relu"),
    "linear": with_layers(activation="identity"),
    "no feed-forward": replace(ARCHITECTURE, layers=(Layer(), Layer(), Layer(ffn="none"))),
    "relu_count": with_layers(attention="relu_count"),
    "sigmoid": with_layers(attention="sigmoid"),
    "no attention": replace(ARCHITECTURE, layers=(Layer(), Layer(attention="none"), Layer())),
    "grouped": replace(ARCHITECTURE, n_kv_head=2),
    "narrow": replace(ARCHITECTURE, ffn_ratio=1.0),
    "temperature": replace(ARCHITECTURE, attention=Attention(temperature="learned")),
    "factors": replace(ARCHITECTURE, ffn_rank=24),
    "fused factors": replace(with_layers(ffn="fused", activation="identity"), ffn_rank=8),
    "qk_norm": replace(ARCHITECTURE, attention=Attention(qk_norm="rmsnorm")),
    "final": replace(ARCHITECTURE, final_norm="none"),
    "all": replace(
        with_layers(norm="none", ffn="fused", activation="identity"),
        stabilizer=Stabilizer("scaled"),
        attention=Attention(temperature="learned"),
    ),
}


def carried(teacher: Decoder, a: Architecture, tokens: Tensor, *without: str) -> tuple[Decoder, Carried]:
    student = build_model(a, seed=1)
    return student, carry(teacher, student, tokens, without)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("norm", "absorb"),
        ("norm", "refit"),
        ("fused", "fuse"),
        ("relu", "refit"),
        ("linear", "refit"),
        ("no feed-forward", "refit"),
        ("relu_count", "refit"),
        ("sigmoid", "refit"),
        ("no attention", "refit"),
        ("grouped", "group"),
        ("grouped", "refit"),
        ("narrow", "refit"),
        ("temperature", "temperature"),
        ("qk_norm", "qk_norm"),
        ("factors", "refit"),
        ("fused factors", "fuse"),
        ("all", "absorb"),
        ("all", "fuse"),
        ("all", "temperature"),
    ],
)
def test_perplexity_right_after_surgery_is_better_with_a_rule(
    change: str, rule: str, teacher: Decoder, tokens: Tensor, corpus: Corpus
) -> None:
    student, done = carried(teacher, SHAPES[change], tokens)
    without, _ = carried(teacher, SHAPES[change], tokens, *({rule, "refit"} if rule == "group" else {rule}))
    if rule == "group":
        student, _ = carried(teacher, SHAPES[change], tokens, "refit")
    else:
        assert rule in done.rules
    assert perplexity(student, corpus) < perplexity(without, corpus)


@pytest.mark.parametrize("change", SHAPES)
def test_every_surgery_ends_far_nearer_to_the_teacher_than_a_fresh_network(
    change: str, teacher: Decoder, tokens: Tensor, corpus: Corpus
) -> None:
    student, _ = carried(teacher, SHAPES[change], tokens)
    assert perplexity(student, corpus) < 2 * perplexity(teacher, corpus)
    assert perplexity(build_model(SHAPES[change], seed=1), corpus) > 100


@pytest.mark.parametrize("norm", sorted(NORMS.keys() - {"layernorm", "none"}))
def test_another_norm_is_fitted(norm: str, teacher: Decoder, tokens: Tensor, corpus: Corpus) -> None:
    student, _ = carried(teacher, with_layers(norm=norm), tokens)
    # What bounds each value by itself cannot follow a norm that divides by a token's own scale.
    most = 1.25 if norm in ("dyt", "hard_dyt") else 1.05
    assert perplexity(student, corpus) < most * perplexity(teacher, corpus)


def test_a_removed_final_norm_leaves_its_scale(teacher: Decoder, tokens: Tensor, corpus: Corpus) -> None:
    loud = build_model(ARCHITECTURE, seed=0)
    loud.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        # The same function: every norm takes a factor of the stream away, the last one that of the tied head too.
        for parameter in (loud.token_embedding.weight, loud.position_embedding.weight):  # type: ignore[union-attr]
            parameter.mul_(8.0)
        for layer in loud.decoder_layers():
            scale_layer(layer, 8.0)
        for parameter in loud.final_norm.parameters():
            parameter.div_(8.0)
    assert perplexity(loud, corpus) == pytest.approx(perplexity(teacher, corpus), rel=1e-2)
    student, done = carried(loud, SHAPES["final"], tokens)
    without, _ = carried(loud, SHAPES["final"], tokens, "final")
    assert done.rules == ("final",)
    assert perplexity(student, corpus) < 2 * perplexity(teacher, corpus) < perplexity(without, corpus)


def test_the_layers_that_stay_are_those_that_change_the_stream_most(
    teacher: Decoder, tokens: Tensor, corpus: Corpus
) -> None:
    lazy = build_model(replace(ARCHITECTURE, layers=(Layer(),) * 4), seed=0).eval()
    first = lazy.decoder_layers()[0]
    weights = dict(teacher.state_dict())
    for i in range(2, -1, -1):
        weights |= {f"layers.{i + 1}.{n}": t for n, t in teacher.decoder_layers()[i].state_dict().items()}
    weights |= {f"layers.0.{name}": tensor for name, tensor in first.state_dict().items()}
    lazy.load_state_dict(weights)
    with torch.no_grad():
        for module in (first.attention.output, first.feed_forward.down):  # type: ignore[union-attr] # both are there
            assert isinstance(module, nn.Linear)
            module.weight.zero_()
    student, done = carried(lazy, ARCHITECTURE, tokens)
    without, plain = carried(lazy, ARCHITECTURE, tokens, "depth")
    assert (done.layers, plain.layers) == ((1, 2, 3), (0, 1, 2))
    assert perplexity(student, corpus) == pytest.approx(perplexity(teacher, corpus), rel=1e-6)
    assert perplexity(student, corpus) < perplexity(without, corpus)


@pytest.mark.parametrize(
    "a",
    [
        ARCHITECTURE,
        replace(ARCHITECTURE, tied_embeddings=False),
        replace(ARCHITECTURE, stabilizer=Stabilizer("scaled")),
        replace(ARCHITECTURE, stabilizer=Stabilizer("weight_norm", "qk+ffn")),
        replace(ARCHITECTURE, attention=Attention(temperature="learned", temperature_init=0.5)),
        replace(ARCHITECTURE, n_kv_head=4),
    ],
)
def test_what_can_be_carried_exactly_is(a: Architecture, teacher: Decoder, tokens: Tensor) -> None:
    student, _ = carried(teacher, a, tokens)
    with torch.no_grad():
        assert torch.allclose(student(tokens[:4]), teacher(tokens[:4]), atol=1e-4)


def test_a_stabilized_teacher_is_folded_and_learned_temperatures_are_kept(tokens: Tensor) -> None:
    own = replace(
        ARCHITECTURE,
        stabilizer=Stabilizer("scaled"),
        attention=Attention(temperature="learned", temperature_init=0.5),
    )
    teacher = build_model(own, seed=3).eval()
    with torch.no_grad():
        for layer in teacher.decoder_layers():
            assert layer.scaling is not None
            assert layer.attention is not None
            assert layer.attention.temperature is not None
            layer.scaling.alpha.fill_(2.0)
            layer.scaling.beta.fill_(0.5)
            layer.attention.temperature.log_ratio_ht.fill_(0.3)
        student, _ = carried(teacher, ARCHITECTURE, tokens)
        assert torch.allclose(student(tokens[:4]), teacher(tokens[:4]), atol=1e-3)
        other = replace(own, attention=Attention(temperature="learned", temperature_init=0.1))
        student, _ = carried(teacher, other, tokens)
        assert torch.allclose(student(tokens[:4]), teacher(tokens[:4]), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"d_model": 64}, "model.d_model=64 cannot be carried over from 32"),
        ({"n_head": 2}, "model.n_head=2"),
        ({"vocab_size": 400}, "model.vocab_size=400"),
        ({"seq_len": 32}, "model.seq_len=32 is above its 16 learned positions"),
        ({"layers": (Layer(),) * 4}, "model.n_layer=4 is more than the 3"),
        ({"family": "pythia"}, "model.family=pythia"),
    ],
)
def test_sizes_that_cannot_be_carried_over_are_named(
    change: dict[str, object], said: str, teacher: Decoder, tokens: Tensor
) -> None:
    student = build_model(replace(ARCHITECTURE, **change), seed=0)  # type: ignore[arg-type] # one field each
    with pytest.raises(RequestError, match=said):
        carry(teacher, student, tokens)


def test_ridge_finds_the_map_and_leaves_what_no_sample_decides() -> None:
    torch.manual_seed(0)
    wanted, linear = nn.Linear(8, 3), nn.Linear(8, 3)
    x_ni = torch.randn(200, 8)
    with torch.no_grad():
        x_ni[:, 7] = 0.0
        before = linear.weight[:, 7].clone()
        fit(linear, x_ni, wanted(x_ni), ridge=1e-9)
        assert torch.allclose(linear.weight[:, :7], wanted.weight[:, :7], atol=1e-5)
        assert torch.equal(linear.weight[:, 7], before)
        assert torch.allclose(linear.bias, wanted.bias, atol=1e-5)


def test_a_norm_is_absorbed_exactly_where_the_deviation_is_the_same_everywhere() -> None:
    torch.manual_seed(0)
    norm, linear = nn.LayerNorm(6, eps=0.0), nn.Linear(6, 4)
    x_btc = torch.randn(3, 5, 6)
    x_btc = 1.5 * (x_btc - x_btc.mean(-1, keepdim=True)) / x_btc.std(-1, unbiased=False, keepdim=True) + 0.2
    with torch.no_grad():
        norm.weight.copy_(torch.rand(6) + 0.5)
        norm.bias.copy_(torch.randn(6))
        expected = linear(norm(x_btc))
        absorbed(linear, norm, x_btc)
        assert torch.allclose(linear(x_btc), expected, atol=1e-5)


def test_heads_are_averaged_within_their_groups_and_repeated() -> None:
    rows = torch.arange(8.0).reshape(8, 1)
    assert regrouped(rows, 4, 2, 2).flatten().tolist() == [1.0, 2.0, 5.0, 6.0]
    assert regrouped(rows[:4], 2, 4, 2).flatten().tolist() == [0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0]


def test_the_teacher_stays_as_it_is(teacher: Decoder, tokens: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    carried(teacher, SHAPES["all"], tokens)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert teacher.architecture == canonical(ARCHITECTURE)
