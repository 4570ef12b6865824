"""A query of a prompt and an answer: passes over the inventory, each with its own cache."""

from dataclasses import replace

import pytest

from aero_search.architecture import Architecture, Layer
from aero_search.cost import PREFILL, Pricer, Workload, estimate, inventory, systems
from aero_search.errors import RequestError

TINY = Architecture(
    n_head=2, d_model=32, seq_len=24, vocab_size=100, layers=(Layer(), Layer("none", "identity"))
)
CHAT = Workload("chat", prompt=16, generate=8, logits="last")


def test_the_default_is_one_forward_pass():
    assert [o for _, o in PREFILL.operations(TINY)] == list(inventory(TINY))
    assert PREFILL.passes(24) == ((24, False),)


def test_an_answer_is_the_prefill_and_a_pass_for_each_further_token(protocol, network):
    """The first token comes from the prefill's logits."""
    priced, lan = protocol("aero_paper"), network("lan")
    whole = estimate(TINY, priced, lan, workload=CHAT)
    prefill = estimate(TINY, priced, lan, workload=replace(CHAT, generate=1))
    decoded = [estimate(replace(TINY, seq_len=16 + i), priced, lan, decode=True) for i in range(1, 8)]
    parts = [prefill, *decoded]
    assert whole.communication_bytes.total == pytest.approx(sum(c.communication_bytes.total for c in parts))
    assert whole.rounds == pytest.approx(sum(c.rounds for c in parts))
    assert whole.latency_seconds.total == pytest.approx(sum(c.latency_seconds.total for c in parts))
    assert whole.flops.total == pytest.approx(sum(c.flops.total for c in parts))
    assert whole.communication_bytes.total > estimate(TINY, priced, lan).communication_bytes.total * 0.5


@pytest.mark.parametrize("name", ["sigma", "suf"])
def test_tokens_one_by_one_send_what_a_prefill_sends_where_the_mask_is_free(protocol, network, name):
    """Their law counts outputs, visible scores and rows, which come out the same either way."""
    one_by_one = Workload("chat", prompt=1, generate=24)
    prices = [estimate(TINY, protocol(name), network("lan"), workload=w) for w in (PREFILL, one_by_one)]
    prefill, decoded = (cost.communication_bytes.total for cost in prices)
    assert decoded == pytest.approx(prefill, rel=1e-12)
    assert prices[1].rounds > 10 * prices[0].rounds


@pytest.mark.parametrize("name", ["aero_paper", "spu_cheetah_0_9_5", *systems()])
def test_tokens_one_by_one_are_of_the_order_of_a_prefill(protocol, network, name):
    a = replace(TINY, d_model=256, n_head=4)
    one_by_one = Workload("chat", prompt=1, generate=24)
    prefill, decoded = (
        estimate(a, protocol(name), network("lan"), workload=w).communication_bytes.total
        for w in (PREFILL, one_by_one)
    )
    # Every pass opens the weights again (SHAFT, SEMI2K), or sends ciphertexts that one token does not fill.
    dear = name in ("shaft", "spu_semi2k", "spu_cheetah_0_9_5", "bumblebee", "iron_secretflow")
    assert 0.4 * prefill < decoded < (25 if dear else 2) * prefill


def test_last_logits_are_those_of_one_token(protocol, network):
    every, last = (
        estimate(TINY, protocol("aero_paper"), network("lan"), workload=replace(PREFILL, logits=logits))
        for logits in ("every", "last")
    )
    assert last.flops.lm_head == every.flops.lm_head / 24
    assert last.communication_bytes.by_layer == every.communication_bytes.by_layer


def test_a_batch_shares_its_round_trips(protocol, network):
    one, four = (
        estimate(TINY, protocol("sigma"), network("lan"), workload=replace(CHAT, batch=batch))
        for batch in (1, 4)
    )
    assert four.rounds == one.rounds
    assert four.communication_bytes.total == pytest.approx(4 * one.communication_bytes.total)
    assert four.flops.total == 4 * one.flops.total


def test_a_batch_fills_ciphertexts(protocol, network):
    one, four = (
        estimate(TINY, protocol("bumblebee"), network("lan"), workload=replace(CHAT, batch=batch))
        for batch in (1, 4)
    )
    assert four.communication_bytes.total < 4 * one.communication_bytes.total


def test_who_takes_the_token(protocol, network):
    priced, lan = protocol("spu_semi2k"), network("lan")
    client, largest, drawn = (
        estimate(TINY, priced, lan, workload=replace(CHAT, sampling=how, top_k=3))
        for how in ("client", "argmax", "top_k")
    )
    assert "sampling" not in client.communication_bytes.by_op
    token = largest.communication_bytes.by_op["sampling"] / CHAT.generate
    # 99 comparisons of 112 bytes, and two selections of 32 after each.
    assert token == pytest.approx(99 * (112 + 2 * 32))
    assert drawn.communication_bytes.by_op["sampling"] == pytest.approx(3 * token * CHAT.generate)
    with pytest.raises(RequestError, match="protocol sigma does not say how to run argmax"):
        estimate(TINY, protocol("sigma"), lan, workload=replace(CHAT, sampling="argmax"))


def test_the_client_may_embed(protocol, network):
    whole, without = (
        estimate(TINY, protocol("spu_semi2k"), network("lan"), workload=replace(CHAT, embedding=who))
        for who in ("protocol", "client")
    )
    embedding = whole.communication_bytes.by_op["embedding"]
    assert whole.communication_bytes.total - without.communication_bytes.total == pytest.approx(embedding)


@pytest.mark.parametrize("name", systems())
def test_a_pricer_agrees_with_the_estimate(protocol, network, name):
    prices = Pricer(protocol(name), network("wan"), CHAT).price([TINY])
    cost = estimate(TINY, protocol(name), network("wan"), workload=CHAT)
    assert prices.latency_seconds[0] == pytest.approx(cost.latency_seconds.total, rel=1e-12)
    assert prices.communication_bytes[0] == pytest.approx(cost.communication_bytes.total, rel=1e-12)
    assert prices.flops[0] == cost.flops.total


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("prompt", 0, "workload.prompt=0 must be from 1 to 1048576"),
        ("generate", -1, "workload.generate=-1 must be from 0 to 16384"),
        ("batch", 0, "workload.batch=0 must be from 1 to 1048576"),
        ("top_k", 0, "workload.top_k=0 must be from 1 to 1048576"),
    ],
)
def test_sizes_out_of_range(field, value, said):
    with pytest.raises(RequestError) as caught:
        replace(CHAT, **{field: value})
    assert str(caught.value) == said


def test_a_token_that_nobody_asked_for():
    with pytest.raises(
        RequestError, match=r"workload\.sampling=argmax takes no token where workload\.generate=0"
    ):
        replace(PREFILL, sampling="argmax")
