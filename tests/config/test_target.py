"""`objective.target`: trained small, priced at the size that will be deployed, in every place that tells a cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.architecture import Architecture, notation
from aero_search.cli import main
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.config.request import Request
from aero_search.config.target import load_shape
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.objective import known_costs
from aero_search.front.pareto import Reference
from aero_search.front.record import Record
from aero_search.report.front import front_markdown, front_rows, front_summary
from aero_search.report.plot import _subtitle


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def request_of(*overrides: str) -> Request:
    return read_request(compose("config", overrides=list(overrides)), overrides)


def test_a_small_row_costs_what_the_large_model_does() -> None:
    small = request_of("variant=sm_scfuffn", "ffn.layers=2", "objective.target=gpt2_small")
    large = request_of("variant=sm_scfuffn", "ffn.layers=6", "model=gpt2_small")
    assert small.architecture.n_layer == 4
    assert small.pricing(small.architecture) == known_costs(large.architecture, large.protocol, large.network)
    base = small.pricing.baseline(small.architecture, small.objective)
    whole = request_of("model=gpt2_small", "variant=sm_ln_g")
    costs = known_costs(whole.architecture, whole.protocol, whole.network)
    assert base == {metric: costs[metric] for metric in ("latency_s", "flops")}


def test_without_a_target_costs_are_the_proxy_s() -> None:
    request = request_of()
    assert request.target is None
    assert request.pricing(request.architecture) == known_costs(
        request.architecture, request.protocol, request.network
    )


def test_a_model_of_the_user_s_own_is_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    GlobalHydra.instance().clear()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "wide.yaml").write_text("defaults:\n  - gpt2_small\nfamily: llama\n")
    assert main(["search", "--config-dir", "mine", "objective.target=wide"]) == 2
    assert "objective.target=wide is of the family llama" in capsys.readouterr().err
    assert main(["search", "--config-dir", "mine", "objective.target=wider"]) == 2
    assert "did you mean 'wide'?" in capsys.readouterr().err


def test_a_shape_is_the_model_group_s() -> None:
    assert load_shape("gpt2_small_18l").text == "gpt2_small_18l (18 layers, d_model 768, 128 tokens)"
    GlobalHydra.instance().clear()
    assert load_shape("gpt2_small").n_head == 12


@pytest.fixture
def front() -> Front:
    request = request_of("objective.target=gpt2_small")
    rows: list[Record] = []
    for number, overrides in enumerate((["variant=sm_ln_g"], ["variant=sm_scfuffn", "ffn.layers=2"])):
        a: Architecture = request_of(*overrides).architecture
        rows.append(
            Record(
                number=number, candidate=f"c{number}", architecture=a, notation=notation(a), state="finished",
                reason="", perplexity=60.0 + number, costs=request.pricing(a), overrides=tuple(overrides),
                lr=1e-3, seed=0, seconds=1.0, folder=Path("nowhere"),
            )
        )  # fmt: skip
    reference = Reference(400.0, request.pricing.baseline(request.architecture, request.objective))
    return build_front(rows, request.objective, reference, request.target)


def test_every_report_says_whose_costs_and_whose_perplexity(front: Front) -> None:
    said = "costs are those of gpt2_small (12 layers, d_model 768, 128 tokens), perplexity is that of the proxy (4 "
    assert front.sizes.startswith(said)
    assert said[1:] in front_summary(front)
    assert said[1:] in front_markdown(front)
    assert "proxy's perplexity" in front_markdown(front)
    assert "costs of gpt2_small, perplexity of the proxy" in _subtitle(front)
    (fused,) = [row for row in front_rows(front) if row["trial"] == 1]
    assert (fused["architecture"], fused["at gpt2_small"]) == ("SM + ScFuFFN_i2", "SM + ScFuFFN_i6")
    document = front_document(front)
    assert document["target_shape"]["n_layer"] == 12
    assert {entry["target_notation"] for entry in document["front"]} == {"SM + LN + G", "SM + ScFuFFN_i6"}


def test_without_a_target_nothing_is_said_of_one(front: Front) -> None:
    plain = replace(front, target=None)
    assert plain.sizes == ""
    assert "proxy" not in front_summary(plain) + front_markdown(plain) + _subtitle(plain)
    assert all("at gpt2_small" not in row for row in front_rows(plain))
