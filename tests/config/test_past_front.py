"""A study that is looked at again: other prices, other limits, and what is recommended under them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aero_search.app.saved_study import SavedStudy, open_saved_study
from aero_search.cli import main
from aero_search.config.paths import conf_dir
from aero_search.errors import RequestError
from tests.config.told_study import request_of, tell_study

SIZES = [(["model.n_layer=2"], 80.0), (["model.n_layer=4"], 60.0), (["model.n_layer=6"], 55.0)]
# From the cheapest to the dearest; the baseline is the last.
KINDS = [(["variant=sm_scfuffn"], 75.0), (["variant=sm_r"], 64.0), (["variant=sm_ln_g"], 60.0)]


def latency(*overrides: str) -> float:
    request = request_of(*overrides)
    return request.pricing(request.architecture)["latency_s"]


def limit() -> float:
    """Seconds between the last two of KINDS."""
    return 0.5 * (latency("variant=sm_r") + latency("variant=sm_ln_g"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told") / "outputs"
    request = request_of()
    costs = request.pricing.baseline(request.architecture, request.objective)
    tell_study(folder, SIZES, name="sizes")
    tell_study(folder, SIZES, name="earlier", reference={"unigram_perplexity": 420.0, "costs": costs})
    tell_study(folder, KINDS, [f"objective.constraints.latency_s.max={limit()} s"], name="limited")
    return folder


def past(outputs: Path, study: str, *overrides: str) -> SavedStudy:
    return open_saved_study(request_of(f"output_dir={outputs}", f"study.name={study}", *overrides))


@pytest.mark.parametrize("study", ["sizes", "earlier"])
def test_a_study_whose_sizes_vary_keeps_its_baseline_at_other_prices(study: str, outputs: Path) -> None:
    """Its first record has another size than its baseline; an earlier version has not said which it is."""
    told, repriced = past(outputs, study), past(outputs, study, "network=wan")
    assert told.front.baseline["latency_s"] == pytest.approx(latency("model.n_layer=4"))
    assert told.front.baseline_perplexity == 60.0  # not that of a shallower or deeper one
    assert repriced.repriced
    assert repriced.front.baseline["latency_s"] == pytest.approx(latency("model.n_layer=4", "network=wan"))
    assert repriced.front.baseline["flops"] == told.front.baseline["flops"]


@pytest.mark.parametrize(
    ("override", "limits"),
    [
        ("objective.constraints.communication_bytes.max=30 GB", {"communication_bytes": 30e9}),
        ("objective.constraints={flops: {max: 40 G}}", {"flops": 40e9}),
        ("objective.constraints.latency_s.max=3 h", {"latency_s": 10800.0}),
        # What is named as null is lifted, and a whole set stands for the study's.
        ("objective.constraints.latency_s.max=null", None),
        ("objective/constraints=none", None),
    ],
)
def test_a_limit_of_its_own_leaves_those_of_the_study(
    override: str, limits: dict[str, float] | None, outputs: Path
) -> None:
    expected = {} if limits is None else {"latency_s": limit(), **limits}
    front = past(outputs, "limited", override).front
    assert front.objective.limits == expected
    assert [record.number for record in front.over] == [2] * (expected.get("latency_s", 1e9) < 1e4)


def test_a_budget_recommends_nothing_above_the_study_s_limits(outputs: Path) -> None:
    front = past(outputs, "limited").front
    assert [record.number for record in front.over] == [2]
    assert front.within({"communication_bytes": 1e12}).number == 1
    with pytest.raises(RequestError, match=r"the nearest, SM \+ R  #1, has perplexity 64 \(limit 62\)"):
        front.within({"perplexity": 62.0})


def test_budgets_of_either_spelling_choose_alike(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["front", f"output_dir={outputs}", "study=sizes", "format=json"]
    seconds = 1.01 * latency("model.n_layer=4")
    for budget in (f"budget.latency_s={seconds} s", f"max_latency_s={seconds}"):
        assert main([*asked, budget]) == 0
        choice = json.loads(capsys.readouterr().out)["choice"]
        assert (choice["trial"], choice["budget"]) == (1, {"latency_s": pytest.approx(seconds)})


def test_where_every_candidate_is_above_a_limit_that_is_said(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tight = "objective.constraints.latency_s.max=1 ms"
    assert main(["front", f"output_dir={outputs}", "study=limited", tight, "max_comm_gb=9"]) == 2
    said = capsys.readouterr().err
    assert "the front is empty: every trained candidate is above a limit (latency_s 1 ms)" in said


def test_the_network_of_the_baseline_is_remembered(outputs: Path) -> None:
    for study in ("sizes", "earlier"):
        baseline = past(outputs, study).told_front.reference.baseline
        assert baseline is not None
        assert baseline.n_layer == 4


UNREADABLE = {
    "broken": b"name: [broken\n",
    "list": b"- 1\n- 2\n",
    "interpolation": b"name: ${nope}\n",
    "binary": b"\xff\xfe\x00bad",
    "elsewhere": b"# @package _global_\nname: x\n",
    "inherits": b"defaults:\n  - not_there\nname: x\n",
}


def test_a_page_leaves_out_what_cannot_be_read_and_says_so(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unreadable = {"protocol": list(UNREADABLE), "network": ["broken"], "model": ["list"]}
    for group, names in unreadable.items():
        (tmp_path / group).mkdir()
        for name in names:
            (tmp_path / group / f"{name}.yaml").write_bytes(UNREADABLE[name])
    lan = yaml.safe_load((conf_dir() / "network" / "lan.yaml").read_text())
    (tmp_path / "network" / "mine.yaml").write_text(yaml.safe_dump({**lan, "name": "mine"}))
    asked = ["report", "--config-dir", str(tmp_path), f"output_dir={outputs}", "study=sizes", "format=json"]
    assert main(asked) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    shipped = {path.stem for path in (conf_dir() / "protocol").glob("*.yaml")}
    assert {protocol["name"] for protocol in document["protocols"]} == shipped
    assert {network["name"] for network in document["networks"]} >= {"mine", "lan", "wan", "paper"}
    assert "gpt2_small" in {size["name"] for size in document["what_if"]["sizes"]}
    said = [line.partition(",")[0] for line in captured.err.splitlines()]
    assert sorted(said) == sorted(
        f"left out: {group}={n}" for group, names in unreadable.items() for n in names
    )
