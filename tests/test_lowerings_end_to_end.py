"""A real search of a space that lists lowerings: priced, re-priced, shown, exported; nothing is trained twice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from aero_search.cost import shipped_protocol
from tests.test_search_end_to_end import aero, front, trained

pytestmark = pytest.mark.slow

SPACE = """
description: Norms and activations, with the lowerings of GELU and softmax.
base: {protocol: spu_semi2k, network: lan}
parameters:
  norm: {choices: [layernorm, none]}
  activation: {choices: [gelu, relu]}
  protocol.use.gelu: {choices: [gelu_tanh, gelu_segments]}
  protocol.use.softmax: {choices: [softmax_bumblebee, softmax_broadcast]}
"""
ASKED = ("search.workers=1", "search.n_trials=4", "tracking=none")
FAR = ("network.bandwidth_mbps=100000", "network.rtt_ms=1000")


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("lowered")
    (folder / "mine.yaml").write_text(SPACE)
    out = aero(folder, "search", "space=mine.yaml", "study.name=one", *ASKED, *tiny)
    assert "gelu_segments" in out
    return folder


def lowered(folder: Path, *overrides: str) -> dict[str, dict[str, str]]:
    """The lowerings of every candidate by its notation."""
    return {e["notation"]: e["lowerings"] for e in trained(front(folder, "one", *overrides)).values()}


def test_four_networks_are_four_trainings_and_each_takes_the_cheapest(studied: Path) -> None:
    assert len(list(studied.glob("outputs/studies/one/candidates/*/result.json"))) == 4
    taken = lowered(studied)
    assert len(taken) == 4
    for name, use in taken.items():
        assert use["softmax"] == "softmax_broadcast"
        assert use.get("gelu") == ("gelu_segments" if name.endswith("G") else None)


def test_another_link_takes_others_and_names_no_other_training(studied: Path) -> None:
    near, far = front(studied, "one"), front(studied, "one", *FAR)
    assert {use["softmax"] for use in lowered(studied, *FAR).values()} == {"softmax_bumblebee"}
    assert {k: e["perplexity"] for k, e in trained(near).items()} == {
        k: e["perplexity"] for k, e in trained(far).items()
    }
    page = json.loads(aero(studied, "report", "study=one", "format=json", *FAR))
    assert page["cheapest_by"] == "latency_s"
    assert page["front"]["front"] == far["front"]
    assert any(len(entry["by"]["spu_semi2k"]) > 1 for entry in page["candidates"])


def test_a_named_lowering_is_taken_instead(studied: Path) -> None:
    named = front(studied, "one", "protocol.use.softmax=softmax_divide")
    assert named["protocol"] == "spu_semi2k"
    for key, entry in trained(named).items():
        assert "softmax" not in entry.get("lowerings", {})
        assert entry["communication_bytes"] > trained(front(studied, "one"))[key]["communication_bytes"]


def test_a_system_without_them_says_so(studied: Path) -> None:
    out = " ".join(aero(studied, "front", "study=one", "protocol=sigma").split())
    assert (
        "protocol sigma has none of the lowerings gelu_tanh, gelu_segments that the space lists for gelu"
        in out
    )
    assert "systems" in front_of_all(studied)


def front_of_all(folder: Path) -> str:
    return aero(folder, "front", "study=one", "systems=[sigma,spu_semi2k,spu_cheetah_0_9_5]", "format=json")


def test_an_export_has_its_point_s_lowerings(studied: Path) -> None:
    told = front(studied, "one")
    best = told["front"][0]
    aero(studied, "export", "study=one", f"pick=trial:{best['trial']}", "to=bundle")
    protocol = yaml.safe_load((studied / "bundle" / "protocol.yaml").read_text())
    assert protocol["use"] == {**shipped_protocol("spu_semi2k").use, **best["lowerings"]}
    metrics = json.loads((studied / "bundle" / "metrics.json").read_text())
    assert metrics["cost"]["latency_seconds"]["total"] == pytest.approx(best["latency_s"])
    aero(studied, "verify", "bundle")


def test_the_same_again_trains_nothing_and_another_list_is_refused(studied: Path, tiny: list[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in studied.glob("outputs/studies/one/candidates/*/result.json")}
    aero(studied, "search", "space=mine.yaml", "study.name=one", *ASKED, *tiny)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    narrowed = ("study.name=one", "protocol.use.gelu=gelu_tanh")
    aero(studied, "search", "space=mine.yaml", *narrowed, *ASKED, *tiny, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "space=mine.yaml", "protocol.use.gelu=gelu_tahn,gelu_segments"],
         r"protocol.use.gelu=gelu_tahn in the space is no lowering of protocol spu_semi2k: did you mean 'gelu_"),
        (["plan", "space=mine.yaml", "protocol=sigma"],
         r"protocol.use.gelu=gelu_tanh in the space is no lowering of protocol sigma: .*\(choices: "),
        (["train", "--multirun", "protocol.use.gelu=gelu_tanh,gelu_segments", "protocol=spu_semi2k"],
         r"protocol.use.gelu chooses a lowering, which changes no training"),
    ],
)  # fmt: skip
def test_wrong_lowerings_get_one_sentence(
    arguments: list[str], message: str, studied: Path, tiny: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from aero_search.cli import main

    monkeypatch.chdir(studied)
    assert main([*arguments, "study.name=other", "tracking=none", *tiny]) == 2
    assert re.search(message, " ".join(capsys.readouterr().err.split()))
