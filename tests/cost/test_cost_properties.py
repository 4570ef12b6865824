"""What must hold of any architecture under any shipped protocol."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aero_search.architecture import Architecture, Attention, Layer, validate
from aero_search.cost import Pricer, Workload, estimate, flops, inventory, systems

LAYERS = st.builds(
    Layer,
    norm=st.sampled_from(["layernorm", "rmsnorm", "none"]),
    activation=st.sampled_from(
        ["gelu", "gelu_tanh", "relu", "leaky_relu", "leaky_relu_learned", "squared_relu", "quadratic", "silu"]
        + ["identity"] * 3
    ),
    ffn=st.sampled_from(["full", "fused", "none"]),
)


@st.composite
def architectures(draw):
    n_head = draw(st.sampled_from([2, 4]))
    identity = draw(st.booleans())
    return validate(
        Architecture(
            family=draw(st.sampled_from(["gpt2", "pythia", "llama"])),
            n_head=n_head,
            n_kv_head=None if identity else draw(st.sampled_from([None, 1, 2])),
            d_model=n_head * draw(st.sampled_from([16, 32, 64])),
            seq_len=draw(st.integers(1, 300)),
            vocab_size=draw(st.sampled_from([64, 5000])),
            layers=tuple(draw(st.lists(LAYERS, min_size=1, max_size=4))),
            ffn_ratio=draw(st.sampled_from([1.0, 2.5, 4.0])),
            gated=draw(st.booleans()),
            final_norm=draw(st.sampled_from(["layernorm", "rmsnorm", "none"])),
            attention=Attention(
                value_projection="identity" if identity else "full",
                shaped=draw(st.booleans()),
                temperature=draw(st.sampled_from(["none", "learned"])),
            ),
        )
    )


PRICES = [("aero_paper", "paper"), ("aero_paper", "wan"), ("spu_cheetah_0_9_5", "lan"), ("spu_semi2k", "wan")]


@pytest.fixture(params=PRICES, ids=lambda pair: "-".join(pair), scope="module")
def priced(request, protocol, network):
    return protocol(request.param[0]), network(request.param[1])


def smaller(a):
    """Every architecture with one norm, activation or feed-forward less, or one feed-forward fused."""
    for i, layer in enumerate(a.layers):
        for less in (
            replace(layer, norm="none"),
            replace(layer, activation="identity"),
            replace(layer, ffn="none"),
            replace(layer, ffn="fused") if layer.ffn == "full" else layer,
        ):
            yield replace(a, layers=(*a.layers[:i], less, *a.layers[i + 1 :]))
    yield replace(a, final_norm="none")
    if a.n_layer > 1:
        yield replace(a, layers=a.layers[:-1])


# What every system runs.
PLAIN = st.builds(
    Architecture,
    n_head=st.just(2),
    d_model=st.sampled_from([32, 128]),
    seq_len=st.integers(2, 200),
    vocab_size=st.sampled_from([64, 5000]),
    layers=st.lists(
        st.builds(
            Layer,
            norm=st.sampled_from(["layernorm", "none"]),
            activation=st.sampled_from(["gelu", "identity"]),
            ffn=st.sampled_from(["full", "fused", "none"]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@pytest.mark.parametrize("name", systems())
@settings(max_examples=15)
@given(architecture=PLAIN)
def test_every_system_adds_up_and_charges_no_less_for_more(protocol, network, name, architecture) -> None:
    priced = protocol(name), network("lan")
    prices = Pricer(*priced).price([architecture, *smaller(architecture)])
    for quantity in ("communication_bytes", "rounds", "latency_seconds", "compute_seconds", "usd"):
        values = getattr(prices, quantity)
        assert (values[1:] <= values[0] * (1 + 1e-12)).all(), quantity
    chat = Workload("chat", prompt=1, generate=architecture.seq_len, logits="last")
    for workload in (Workload(), replace(chat, generate=min(3, architecture.seq_len))):
        cost = estimate(architecture, *priced, workload=workload)
        for side in (cost.communication_bytes, cost.latency_seconds):
            assert sum(side.by_op.values()) == pytest.approx(side.total, rel=1e-12)
            assert sum(side.by_layer) + side.outside == pytest.approx(side.total, rel=1e-12)


@settings(max_examples=60)
@given(architecture=architectures())
def test_removing_or_fusing_never_raises_a_cost(priced, architecture):
    prices = Pricer(*priced).price([architecture, *smaller(architecture)])
    for name in ("communication_bytes", "rounds", "latency_seconds", "compute_seconds", "flops"):
        values = getattr(prices, name)
        assert (values[1:] <= values[0] * (1 + 1e-12)).all(), name


@settings(max_examples=60)
@given(architecture=architectures(), decode=st.booleans())
def test_parts_and_layers_sum_to_the_totals(priced, architecture, decode):
    cost = estimate(architecture, *priced, decode=decode)
    for side in (cost.communication_bytes, cost.latency_seconds):
        assert sum(side.by_op.values()) == pytest.approx(side.total, rel=1e-12)
        assert sum(side.by_layer) + side.outside == pytest.approx(side.total, rel=1e-12)
        assert min(side.by_op.values()) >= 0
    assert sum(cost.rounds_by_op.values()) == pytest.approx(cost.rounds, rel=1e-12)
    latency = cost.latency_seconds
    assert latency.compute + latency.transfer + latency.round_trips == pytest.approx(latency.total, rel=1e-12)


@settings(max_examples=40)
@given(batch=st.lists(architectures(), max_size=6))
def test_a_batch_costs_what_its_members_do(priced, batch):
    prices = Pricer(*priced).price(batch)
    assert len(prices) == len(batch)
    for i, architecture in enumerate(batch):
        cost = estimate(architecture, *priced)
        assert prices.communication_bytes[i] == pytest.approx(cost.communication_bytes.total, rel=1e-12)
        assert prices.rounds[i] == pytest.approx(cost.rounds, rel=1e-12)
        assert prices.latency_seconds[i] == pytest.approx(cost.latency_seconds.total, rel=1e-12)
        assert prices.compute_seconds[i] == pytest.approx(cost.latency_seconds.compute, rel=1e-12)
        assert prices.flops[i] == flops(architecture).total


@settings(max_examples=60)
@given(architecture=architectures(), tokens=st.integers(2, 16))
def test_doubling_the_length_doubles_linear_parts_and_quadruples_softmax(
    protocol, network, architecture, tokens
):
    # Up to d_model / 2 tokens, the activations are the smaller operand of every linear before and after.
    short = replace(architecture, seq_len=tokens, vocab_size=5000)
    once, twice = (
        estimate(a, protocol("aero_paper"), network("paper")).communication_bytes.by_op
        for a in (short, replace(short, seq_len=2 * tokens))
    )
    for part in ("embedding", "projections", "positions", "norm", "activation", "feed_forward", "lm_head"):
        assert twice.get(part, 0) == pytest.approx(2 * once.get(part, 0), rel=1e-12), part
    assert twice["softmax"] == pytest.approx(4 * once["softmax"], rel=1e-12)
    before, after = (flops(a) for a in (short, replace(short, seq_len=2 * tokens)))
    assert after.ffn == 2 * before.ffn
    assert after.projections == 2 * before.projections
    assert after.lm_head == 2 * before.lm_head
    assert after.attention_products == 4 * before.attention_products


@pytest.mark.parametrize("name", ["spu_cheetah_0_9_5", "spu_semi2k"])
def test_doubling_the_length_of_gpt2_small_as_measured(protocol, network, name):
    """As above up to the padding of ciphertexts and the costs that a row of softmax has once."""
    short = Architecture(n_head=12, d_model=768, seq_len=128, vocab_size=50257, layers=(Layer(),) * 2)
    once, twice = (
        estimate(a, protocol(name), network("lan")).communication_bytes.by_op
        for a in (short, replace(short, seq_len=256))
    )
    assert twice["norm"] == pytest.approx(2 * once["norm"], rel=1e-12)
    assert twice["activation"] == pytest.approx(2 * once["activation"], rel=1e-12)
    assert twice["softmax"] == pytest.approx(4 * once["softmax"], rel=0.02)
    if name == "spu_cheetah_0_9_5":
        assert twice["projections"] == pytest.approx(2 * once["projections"], rel=1e-12)
        assert twice["feed_forward"] == pytest.approx(2 * once["feed_forward"], rel=1e-12)


@settings(max_examples=40)
@given(architecture=architectures())
def test_one_decoded_token_is_never_dearer_than_the_whole_pass(architecture):
    whole = {(o.name, o.layer): o for o in inventory(architecture)}
    for operation in inventory(architecture, decode=True):
        same = whole[operation.name, operation.layer]
        assert operation.kind == same.kind
        assert operation.elements <= same.elements
        assert operation.macs <= same.macs
    assert flops(architecture, decode=True).total <= flops(architecture).total
