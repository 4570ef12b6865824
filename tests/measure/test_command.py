"""`aero-search measure` without SPU: requests, refusals, and the whole command around parties that are played."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from aero_search.cli import main
from aero_search.cost import Workload
from aero_search.measure.environment import Environment
from aero_search.measure.mailbox import write_arrays
from aero_search.measure.meter import Reading, Run
from aero_search.measure.pair import PairResult, PartyRecord
from aero_search.measure.program import Pass, passes, run_name, stages, weight_names
from aero_search.schema import from_mapping, to_mapping

TINY = ["model.n_layer=1", "model.d_model=16", "model.n_head=2", "model.seq_len=8", "model.vocab_size=300"]
ENVIRONMENT = Environment(Path("python"), {"spu": "0.9.5", "jax": "0.4.34"})


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Parties that send 1000 bytes a stage and answer zeros; returns what each call was given."""
    calls: list[dict[str, Any]] = []

    def run_pair(program: str, folder: Path, **given: Any) -> PairResult:
        calls.append({"program": program, "folder": folder, **given})
        forward = from_mapping(Pass, given["settings"]["forward"])
        a = forward.architecture
        count = given["settings"]["sequences"]
        query = passes(forward, from_mapping(Workload, given["settings"]["workload"]))
        ran = [stage for number, step in enumerate(query) for stage in stages(step, number)]
        names = [run_name(i, stage.name) for i in range(count) for stage in ran]
        runs = tuple(Run(name, Reading("total", 1, 0.5, 600, 400, 7), ()) for name in names)
        for run in runs:
            given["listener"]("server", {"run": to_mapping(run)})
            given["listener"]("client", {"run": to_mapping(run)})
        for role in ("server", "client"):
            (folder / role).mkdir(parents=True)
        rows = sum(1 if step.last else step.architecture.seq_len - step.cached for step in query)
        logits = {f"sequence{i}": np.zeros((rows, a.vocab_size)) for i in range(count)}
        write_arrays(folder / "client" / "logits.npz", logits)
        answers = {f"sequence{i}": np.zeros(len(query), np.int64) for i in range(count)}
        write_arrays(folder / "client" / "answers.npz", answers)
        setup = {"setup": to_mapping(Reading("setup", 1, 5.0, 20_000_000, 4_000_000, 9))}
        return PairResult(
            PartyRecord("server", folder / "server", runs, ({"ready": True}, setup)),
            PartyRecord("client", folder / "client", runs, ()),
            ENVIRONMENT,
        )

    monkeypatch.setattr("aero_search.measure.run.run_pair", run_pair)
    monkeypatch.setattr("aero_search.measure.environment.find_environment", lambda python: ENVIRONMENT)
    return calls


BAD = {
    "measure bundle=somewhere study=mine": r"bundle=somewhere and study=mine name two networks",
    "measure pick=knee": r"pick=knee picks from a study: add study=NAME",
    "measure bundle=missing": r"bundle=missing has no architecture.yaml",
    "measure bundle=missing variant=sm": r"bundle=missing brings its own architecture: leave out variant=",
    "measure study=missing": r"study=missing does not exist",
    "measure study=missing norm.layers=1": r"study=missing brings its own architecture: leave out norm=",
    "measure measure.text=book": r"measure.text=book is not a choice",
    "measure measure.sequences=0": r"measure.sequences=0 must be at least 1",
    "measure measure.python=/no/such/python": r"measure.python=/no/such/python is not a Python interpreter",
    "measure model.d_model=63": r"model.d_model=63 is not a multiple",
    "measure network=custom": r"network.bandwidth_mbps",
    "measure workload=chat workload.batch=2": r"workload.batch=2 is priced and not measured",
    "measure workload=chat workload.sampling=argmax": r"measure workload.sampling=client",
    "measure workload=chat model.seq_len=32": r"need 159 positions, and the network has 32: lower them",
}


@pytest.mark.parametrize(("line", "says"), BAD.items(), ids=BAD.keys())
def test_a_wrong_request_is_told_in_one_sentence(line, says, capsys, tmp_path, monkeypatch) -> None:
    if "measure.sequences" in line or "workload" in line:
        monkeypatch.setattr("aero_search.measure.environment.find_environment", lambda python: ENVIRONMENT)
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert re.search(says, error), error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "outputs" / "measure").exists()


def test_hours_are_refused_with_their_number_unless_forced(capsys, played) -> None:
    large = ["measure", *TINY, "model.n_layer=6", "model.seq_len=2048", "tracking=none"]
    assert main(large) == 2
    assert re.search(
        r"would take about \d+\.\d hours \(1 passes under spu_cheetah_0_9_5\)", capsys.readouterr().err
    )
    assert not played
    assert main([*large, "measure.force=true"]) == 0
    assert len(played) == 1


def test_each_party_gets_what_it_owns_and_nothing_else(played) -> None:
    assert main(["measure", *TINY, "tracking=none", "measure.sequences=2"]) == 0
    (call,) = played
    forward = from_mapping(Pass, call["settings"]["forward"])
    assert set(call["server"]) == set(weight_names(forward))
    assert set(call["client"]) == {"sequence0", "sequence1"}
    assert all(array.shape == (8,) for array in call["client"].values())
    assert call["network"] is None
    assert json.loads(json.dumps(call["settings"])) == call["settings"]


def test_a_named_network_slows_the_link_down(played) -> None:
    assert main(["measure", *TINY, "tracking=none", "network=wan"]) == 0
    assert (played[0]["network"].name, played[0]["network"].rtt_ms) == ("wan", 80)


def test_one_document_on_stdout_and_the_same_on_disk(played, capsys, tmp_path) -> None:
    assert main(["measure", *TINY, "tracking=none", "format=json", "measure.sequences=2"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    (path,) = (tmp_path / "outputs" / "measure").glob("*/measurement.json")
    assert json.loads(path.read_text()) == document
    # Weights and tokens of the parties do not stay behind.
    assert [p.name for p in path.parent.iterdir()] == ["measurement.json"]
    assert document["total"]["bytes"] == 1000 * len(document["stages"])
    assert document["setup"]["bytes"] == 24_000_000
    assert document["logits"]["positions"] == 16
    assert document["label"] == "SM + LN + G, random weights"
    assert "pass 2" in captured.err


def test_a_prompt_and_an_answer_are_told_by_pass(played, capsys) -> None:
    chat = ["workload=chat", "workload.prompt=5", "workload.generate=3"]
    assert main(["measure", *TINY, *chat, "tracking=none", "format=json", "measure.sequences=2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["tokens"], document["generated"]) == (5, 3)
    assert all(tokens.shape == (5,) for tokens in played[0]["client"].values())
    assert list(document["passes"]) == ["prompt", "token 2", "token 3"]
    for quantity in ("bytes", "estimated_bytes"):
        parts = sum(line[quantity] for line in document["passes"].values())
        assert parts == pytest.approx(document["total"][quantity])
    # One token sends less than five, and the cache is put together in every layer.
    prompt, token, _ = (line["estimated_bytes"] for line in document["passes"].values())
    assert token < prompt
    assert "token3.layers.0.cache" in {stage["stage"] for stage in document["stages"]}
    # The logits of the token after the prompt, and of two more.
    assert document["logits"]["positions"] == 2 * 3


def test_a_trained_folder_brings_weights_text_and_lowerings(played, capsys, tiny) -> None:
    trained = ["variant=ereg_sm_t_scfuffn", "output_dir=out", "tracking=none"]
    assert main(["train", *tiny, *trained]) == 0
    (folder,) = Path("out/train").iterdir()
    assert (
        main(["measure", f"bundle={folder}", "protocol.use.softmax=softmax_bumblebee", "tracking=none"]) == 0
    )
    (call,) = played
    assert "layers.1.query_scale" in call["server"]
    assert call["settings"]["forward"]["lowerings"]["softmax"] == "softmax_bumblebee"
    # Held-out text: no run of the one random sequence.
    random = np.random.default_rng(0).integers(0, 300, (1, 16))[0]
    assert not np.array_equal(call["client"]["sequence0"], random)
    out = capsys.readouterr().out
    assert "EReg(SM(t) + ScFuFFN), folded to SM + FuFFN" in out
    assert "softmax_bumblebee" in out
    assert main(["measure", f"bundle={folder}", "measure.text=random", "tracking=none"]) == 0
    np.testing.assert_array_equal(played[1]["client"]["sequence0"], random)


def test_a_folder_that_is_no_bundle_is_told_so(played, capsys, tmp_path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "architecture.yaml").write_text("n_head: [\n")
    (folder / "weights.safetensors").write_bytes(b"")
    assert main(["measure", "bundle=bundle"]) == 2
    assert "architecture.yaml is not YAML (line 2)" in capsys.readouterr().err
    (folder / "architecture.yaml").write_text(yaml.safe_dump({"n_head": 2, "heads": 3}))
    assert main(["measure", "bundle=bundle"]) == 2
    assert "heads is not a known field" in capsys.readouterr().err
    assert not played


def test_a_measurement_is_logged_below_its_study(played, monkeypatch) -> None:
    logged: list[tuple[Any, ...]] = []

    class Recorder:
        def initialize(self) -> None: ...

        def record(self, parent: str | None, name: str, kind: str, **what: Mapping[str, Any]) -> None:
            logged.append((parent, name, kind, what))

    monkeypatch.setattr("aero_search.tracking.opening.open_tracker", lambda spec, folder: Recorder())
    assert main(["measure", *TINY]) == 0
    ((parent, name, kind, what),) = logged
    assert (parent, name, kind) == (None, "measured SM + LN + G, random weights", "measurement")
    assert what["metrics"]["measured_bytes"] > 0
    assert [path.name for path in what["artifacts"]] == ["measurement.json"]
