"""The command line: its public surface, its exit codes, and one sentence for each mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aero_search.cli import COMMANDS, main, usage


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_commands_are_frozen() -> None:
    assert list(COMMANDS) == [
        "search", "plan", "train", "ablate", "cost", "front", "studies", "repair", "report", "export", "verify",
        "evaluate", "measure", "calibrate", "sync", "ui", "doctor",
    ]  # fmt: skip


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == usage()
    assert all(f"  {name} " in usage() for name in COMMANDS)
    assert main([]) == 2
    assert main(["--version"]) == 0


BAD = {
    "cost norm=layrnorm": r"norm=layrnorm is not a choice: did you mean 'layernorm'\?",
    "cost activation=geluu": r"did you mean 'gelu'",
    "cost model=gpt2_small model.d_model=770": r"model.d_model=770 is not a multiple of model.n_head=12: .*768",
    "cost model=gpt2_small ffn.layers=99": r"ffn.layers=99 must lie between 0 and model.n_layer=12",
    "cost ffn.layers=some": r"ffn.layers=some must be all, a number of layers, a share or a list",
    "cost ffn.layers=[0,7]": r"names layer 7, but model.n_layer=4 has only 0 to 3",
    "cost ffn.kind=[full,none]": r"ffn.kind=\[full,none\] has 2 values, but model.n_layer=4",
    "search space=aero_per_layer ffn.kind=[full,none,full,full],[none]": r"varies by layer in space=aero_per_layer",
    "cost model.seq_len=-1": r"model.seq_len=-1 must be at least 1",
    "cost model.n_layer=many": r"model.n_layer=many must be a whole number",
    "cost regularizer.weight=-1": r"regularizer.weight=-1 must be 0",
    "cost network=moon": r"network=moon is not a choice",
    "cost network=custom": r"network.bandwidth_mbps=300",
    "cost protocol=nope": r"protocol=nope is not a choice: choose one of aero_paper, ",
    "cost model.no_such_key=1": r"model.no_such_key is not a setting: .*model.n_head",
    "cost no_such_group=1": r"no_such_group is not a setting",
    "cost table=publishd": r"did you mean 'published'",
    "cost plot=picture.gif": r"picture.gif has no known format",
    "cost norm=none,layernorm": r"add --multirun",
    "cost nonsense": r"'nonsense' is not an override",
    "cost --multirun hydra/launcher=joblib norm=none,layernorm": r"in one process, .*leave hydra/launcher=jobl",
    "cost --multirun hydra/sweeper=aero_search norm=none,layernorm": r"leave hydra/sweeper=aero_search out",
    "front --multirun": r"takes no --multirun",
    "train --multirun": r"--multirun sweeps nothing",
    "train recipe.steps=0": r"recipe.steps=0 must be at least 1",
    "train recipe.lr=fast": r"recipe.lr=fast must be a number",
    "train data=text_folder data.path=missing": r"data.path=missing does not exist",
    "search space=no_such_space": r"space=no_such_space is neither a space nor a YAML file",
    "search search.n_trials=0": r"search.n_trials=0 must be at least 1",
    "search objective.metrics=[latency_s]": r"must begin with a quality",
    "search search/sampler=tpee": r"did you mean 'tpe'",
    "search objective.constraints.latency_s.max=30": r"latency_s.max=30 has no unit: .* such as 30 s|as in 30 s",
    "search objective.constraints.flops.max=1gig": r"has the unit gig",
    "search objective.constraints.latency.max=3": r"objective.constraints.latency",
    "search objective/constraints=some": r"objective/constraints=some is not a choice",
    "search objective.target=gpt2_smal": r"target=gpt2_smal is not a model: did you mean 'gpt2_small'",
    "search objective.target=pythia_70m": r"is of the family pythia, but model.family=gpt2",
    "train --multirun model.d_model=32,64 objective.target=gpt2_small": r"sets model.d_model, which",
    "export study=does_not_exist pick=knee": r"there is no study under .*; run `.*search` first, or",
    "verify nowhere": r"nowhere is not a bundle: .*; name the folder that `.*export` has written",
    "front": r"there is no study under output_dir=outputs",
    "front max_latency_s=fast": r"max_latency_s=fast must be a number",
    "front budget.latency_s=fast": r"budget.latency_s=fast must be a number above 0 with its unit, such as 30 s",
    "export budget.latency=2": r"budget.latency is not a setting: .*budget.latency_s",
    "search budget.perplexity=60": r"budget.perplexity bounds no search",
    "plan budget.communication_bytes=2": r"budget.communication_bytes=2 has no unit",
    "front max_latency=2": r"max_latency is not a setting: .*max_latency_s",
    "report study=none": r"study=none does not exist",
    "ui": r"output_dir",
    "sync tracking=none": r"tracking=none has no store",
    "search study.name=../x": r"study.name=../x must be letters",
    "search output_dir=/proc/nowhere": r"output_dir=/proc/nowhere cannot be written to",
    "search recipe.lr=tag(log,interval(0,1))": r"parameter recipe.lr has log: true, so low=0.0 must be above 0",
    "search recipe.lr=interval(5,1)": r"low=5.0 above high=1.0",
    "plan space=aeroo": r"did you mean 'aero'",
    "plan samples=3": r"samples=3 must be at least 30",
    "calibrate name=a/b": r"name=a/b must be letters",
    "frobnicate": r"'frobnicate' is not a command",
    "serch": r"did you mean 'search'",
}


@pytest.mark.parametrize(("line", "says"), BAD.items(), ids=BAD.keys())
def test_a_wrong_request_is_told_in_one_sentence(
    line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(line.split()) == 2
    captured = capsys.readouterr()
    assert re.search(says, captured.err), captured.err
    assert captured.err.startswith("aero-search: ")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not (tmp_path / "outputs").exists()


def test_cost_prints_one_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cost", "model=gpt2_small", "variant=sm_ln_g", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["notation"] == "SM + LN + G"
    assert document["nonlinear_ops"]["layernorm"] == {"count": 24, "shape": [128, 768]}
    assert document["nonlinear_ops"]["softmax"] == {"count": 144, "shape": [128, 128]}
    assert document["nonlinear_ops"]["gelu"] == {"count": 12, "shape": [128, 3072]}
    assert document["communication_bytes"]["total"] == pytest.approx(25.32e9, rel=0.02)
    assert document["communication_bytes"]["total"] == pytest.approx(
        sum(document["communication_bytes"]["by_op"].values())
    )
    parts = document["latency_seconds"]
    assert parts["total"] == pytest.approx(parts["compute"] + parts["transfer"] + parts["round_trips"])
    assert list(tmp_path.iterdir()) == []


def test_cost_compares_a_sweep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cost", "--multirun", "variant=sm_ln_g,sm_scfuffn", "plot=bars.png"]) == 0
    out = capsys.readouterr().out
    assert "SM + LN + G" in out
    assert "SM + ScFuFFN" in out
    assert [path.name for path in tmp_path.iterdir()] == ["bars.png"]


def test_networks_change_the_latency_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for network in ("network=lan", "network=wan"):
        assert main(["cost", network, "protocol=spu_cheetah_0_9_5", "format=json"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    lan, wan = documents
    assert lan["communication_bytes"] == wan["communication_bytes"]
    assert lan["latency_seconds"]["total"] < wan["latency_seconds"]["total"]


def test_calibration_writes_the_shipped_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from aero_search.config.paths import conf_dir

    assert main(["calibrate", "to=mine"]) == 0
    for name in ("protocol/aero_paper", "network/paper"):
        written = (tmp_path / "mine" / f"{name}_refit.yaml").read_text()
        assert written.replace("_refit", "") == (conf_dir() / f"{name}.yaml").read_text()
    line = capsys.readouterr().out.splitlines()[-1].partition("use it: aero-search ")[2]
    assert main([*line.split(), "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == "aero_paper_refit"


def test_groups_of_ones_own_are_found_everywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(tmp_path / "own"))
    assert main(["calibrate", "name=again"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == "use it: aero-search cost protocol=aero_paper_again network=paper_again"
    assert main(["cost", "protocol=aero_paper_again", "network=paper_again", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "paper_again"
    # A folder named for once comes before it, and both are looked into.
    (tmp_path / "once" / "network").mkdir(parents=True)
    (tmp_path / "once" / "network" / "slow.yaml").write_text("name: slow\nbandwidth_mbps: 1\nrtt_ms: 9\n")
    arguments = ["cost", "--config-dir", str(tmp_path / "once"), "protocol=aero_paper_again", "network=slow"]
    assert main([*arguments, "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "slow"


def test_doctor_says_what_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    assert {"python", "torch", "extra mpc", "output folder"} <= {
        check["name"] for check in document["checks"]
    }
    assert main(["doctor"]) == 0


def test_hydra_s_own_flags_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--cfg", "job", "norm=none"]) == 0
    assert "kind: none" in capsys.readouterr().out
    assert main(["search", "--help=all"]) == 0
    assert "variant" in capsys.readouterr().out


@pytest.mark.slow
def test_a_launcher_of_the_user_s_own_configuration_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs run in other processes, whose results nobody sees."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(tmp_path / "mine"))
    defaults = "defaults:\n  - cost\n  - override hydra/launcher: joblib\n  - _self_\n"
    (tmp_path / "mine" / "far.yaml").write_text(defaults)
    line = "cost --config-dir mine --config-name far --multirun norm=none,layernorm"
    assert main(line.split()) == 2
    assert "leave hydra/launcher and hydra/sweeper out" in capsys.readouterr().err
