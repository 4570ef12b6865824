"""A network between two real processes: its bytes are those of the estimate, its logits those of PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aero_search.cli import main

pytestmark = pytest.mark.mpc

SIZES = ["model.n_layer=1", "model.d_model=32", "model.n_head=2", "model.seq_len=16", "model.vocab_size=64"]
SPU = {"spu_aby3": "ABY3", "spu_securenn": "SECURENN", "spu_semi2k": "SEMI2K"}
NETWORKS = {
    "gpt2": ["norm=layernorm", "activation=relu"],
    "llama": [
        "model.family=llama",
        "model.n_kv_head=1",
        "model.gated=true",
        "norm=rmsnorm",
        "activation=silu",
        "attention.temperature=learned",
        "protocol.use.softmax=softmax_bumblebee",
    ],
    # At 32 channels a refill of the pool of triples more or less would be 7 % of the whole.
    "simplified": ["variant=sota_sm_scffn", "protocol.weights=secret", "model.d_model=64"],
    # The client runs embeddings and one layer itself.
    "public": [
        "model.n_layer=2",
        "model.public_layers=1",
        "model.d_model=64",
        "norm=rmsnorm",
        "activation=relu",
    ],
}


@pytest.mark.parametrize("overrides", [pytest.param(o, id=name) for name, o in NETWORKS.items()])
def test_a_real_measurement_agrees_with_its_estimate(overrides, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("spu")
    monkeypatch.chdir(tmp_path)
    command = ["measure", *SIZES, *overrides, "measure.sequences=2", "tracking=none", "format=json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["total"]["bytes_error"] == pytest.approx(0, abs=0.05)
    for part, line in document["parts"].items():
        # Where little is multiplied, one refill of the pool of triples (1.14 MB) more or less weighs much.
        assert abs(line["estimated_bytes"] - line["bytes"]) < max(0.02 * line["bytes"], 1.2e6), part
    assert document["setup"]["bytes_error"] == pytest.approx(0, abs=0.15)
    assert document["logits"]["largest_error"] < 0.05
    assert document["logits"]["same_next_token"] > 0.9
    (written,) = Path("outputs/measure").glob("*")
    assert [path.name for path in written.iterdir()] == ["measurement.json"]


@pytest.mark.parametrize("protocol", sorted(SPU))
@pytest.mark.parametrize(
    "overrides",
    [NETWORKS["gpt2"], NETWORKS["llama"][:-1], NETWORKS["public"]],
    ids=["gpt2", "llama", "public"],
)
def test_other_systems_of_spu_agree_too(protocol, overrides, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("spu")
    monkeypatch.chdir(tmp_path)
    command = ["measure", f"protocol={protocol}", *SIZES, *overrides, "tracking=none", "format=json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ran"]["spu_protocol"] == SPU[protocol]
    assert document["total"]["bytes_error"] == pytest.approx(0, abs=0.02)
    assert document["logits"]["largest_error"] < 0.05
    assert document["logits"]["same_next_token"] > 0.9


@pytest.mark.parametrize(
    ("protocol", "overrides"),
    [
        *((name, NETWORKS["llama"][:-1]) for name in ("spu_cheetah_0_9_5", *sorted(SPU))),
        ("spu_semi2k", NETWORKS["public"]),
    ],
)
def test_a_prompt_and_an_answer_send_what_they_are_estimated_to(
    protocol, overrides, tmp_path, monkeypatch, capsys
) -> None:
    """Under Cheetah a refill of the pool of triples (1.14 MB) more or less is 2 % of a token."""
    pytest.importorskip("spu")
    monkeypatch.chdir(tmp_path)
    command = ["measure", f"protocol={protocol}", *SIZES, *overrides, "tracking=none"]
    chat = ["workload=chat", "workload.prompt=12", "workload.generate=4", "format=json"]
    assert main([*command, *chat]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["total"]["bytes_error"] == pytest.approx(0, abs=0.05)
    assert list(document["passes"]) == ["prompt", "token 2", "token 3", "token 4"]
    # Four tokens of 64, each after a different answer.
    assert document["logits"]["positions"] == 4
    assert document["logits"]["largest_error"] < 0.05
