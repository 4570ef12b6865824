"""Names and prices from Python: the same figures as `aero-search cost`, and mistakes told in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import aero_search
from aero_search.architecture import Architecture, key, notation
from aero_search.cli import main
from aero_search.config.paths import conf_dir
from aero_search.cost import Network, cost_document
from aero_search.errors import RequestError
from aero_search.schema import to_mapping


@pytest.mark.parametrize(
    ("text", "base", "protocol", "network", "decode"),
    [
        ("SM + LN + G", "proxy", "aero_paper", "paper", False),
        ("SM + ScFuFFN_i6", "gpt2_small", "aero_paper", "wan", False),
        ("SM(t) + RMS + R", "llama_proxy", "spu_cheetah_0_9_5", "lan", True),
        ("EReg(SM(t) + ScFuFFN)", "pythia_70m", "spu_semi2k", "loopback", False),
    ],
)
def test_a_price_is_what_the_command_prints(
    text: str,
    base: str,
    protocol: str,
    network: str,
    decode: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    architecture = aero_search.parse_notation(text, base)
    cost = aero_search.price(architecture, protocol, network, decode=decode)
    described = tmp_path / "architecture.yaml"
    described.write_text(json.dumps(to_mapping(architecture)))
    line = f"cost architecture={described} protocol={protocol} network={network} decode={decode}".lower()
    assert main([*line.replace(str(described).lower(), str(described)).split(), "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["key"] == key(architecture)
    told = json.loads(json.dumps(to_mapping(cost)))
    assert told == {name: document[name] for name in told}


def test_a_name_alone_is_read_at_the_size_that_the_commands_start_from(proxy: Architecture) -> None:
    architecture = aero_search.parse_notation("SM + LN + G")
    assert key(architecture) == key(proxy)
    assert aero_search.price("SM + LN + G") == aero_search.price(proxy)
    assert notation(aero_search.parse_notation("SM + ScFuFFN_i6", base="gpt2_small")) == "SM + ScFuFFN_i6"
    assert aero_search.parse_notation("SM + R", base=proxy).n_layer == proxy.n_layer


def test_objects_are_taken_for_names(proxy: Architecture) -> None:
    from aero_search.config.compose import named_protocol

    protocol, slow = named_protocol("spu_cheetah_0_9_5"), Network("slow", 1.0, 100.0)
    cost = aero_search.price(proxy, protocol, slow)
    assert cost.latency_seconds.total == cost_document(proxy, protocol, slow)["latency_seconds"]["total"]
    assert cost.latency_seconds.total > aero_search.price(proxy, protocol, "lan").latency_seconds.total


def test_a_network_of_one_s_own_is_read_again_when_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(tmp_path))
    own = tmp_path / "network" / "own.yaml"
    own.parent.mkdir()
    seconds = []
    for i, rate in enumerate((10, 20)):
        own.write_text(f"name: own\nbandwidth_mbps: {rate}\nrtt_ms: 1\n")
        os.utime(own, (i + 1, i + 1))
        seconds.append(aero_search.price("SM", network="own").latency_seconds.transfer)
    assert seconds[0] == pytest.approx(2 * seconds[1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("SM + LN + R", "aero_papr"), r"protocol=aero_papr is not a choice: did you mean 'aero_paper'\?"),
        (("SM + LN + R", "aero_paper", "wam"), r"network=wam is not a choice: did you mean 'wan'\?"),
        (("SM + LN + RR",), r"'RR' is not a term of the notation: did you mean 'R'\?"),
        (("SM + R_i9",), r"removes 9 feed-forwards of a model with 4 layers"),
        ((3,), r"architecture=3 must be a name or"),
        (("SM", 3), r"protocol=3 must be a name or"),
        (("SM", "aero_paper", {"rtt_ms": 1}), r"network=\{'rtt_ms': 1\} must be a name or"),
    ],
)
def test_a_wrong_argument_is_told_in_one_sentence(arguments: tuple[object, ...], says: str) -> None:
    with pytest.raises(RequestError, match=says) as told:
        aero_search.price(*arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert "\n" not in str(told.value)


def test_an_unknown_model_is_told_with_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"model=gpt2_smal is not a choice: did you mean 'gpt2_small'\?"):
        aero_search.parse_notation("SM", base="gpt2_smal")
    with pytest.raises(RequestError, match=r"base=7 must be a name or"):
        aero_search.parse_notation("SM", base=7)  # type: ignore[arg-type]  # wrong on purpose


def test_an_architecture_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(RequestError, match=r"d_model=65 is not a multiple"):
        aero_search.price(Architecture(n_head=4, d_model=65, seq_len=8, vocab_size=9, layers=()))


def test_a_hydra_that_the_caller_has_initialized_stays() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir() / "model")):
        before = GlobalHydra.instance().hydra
        aero_search.parse_notation("SM", base="pythia_proxy")
        with pytest.raises(RequestError):
            aero_search.parse_notation("SM", base="nothing")
        assert GlobalHydra.instance().hydra is before
