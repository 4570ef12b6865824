"""`evaluate emulate=true`: figures from logits, requests, and the whole command around a process that is played."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aero_search.cli import main
from aero_search.measure.emulate import quality, standard_error
from aero_search.measure.environment import Environment
from aero_search.measure.mailbox import write_arrays
from aero_search.measure.meter import Reading, Run
from aero_search.measure.pair import PartyRecord
from aero_search.measure.program import Pass, run_name, stages, weight_names
from aero_search.schema import from_mapping, to_mapping

SIZES = ("variant=sm_ln_g", "output_dir=out", "tracking=none")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trained(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["train", *tiny, *SIZES]) == 0
    capsys.readouterr()
    (folder,) = Path("out/train").iterdir()
    return folder


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A process that finds every token as likely as any other."""
    calls: list[dict[str, Any]] = []

    def run_alone(program: str, folder: Path, **given: Any) -> PartyRecord:
        calls.append({"program": program, "folder": folder, **given})
        forward = from_mapping(Pass, given["settings"]["forward"])
        count = given["settings"]["sequences"]
        shape = (forward.architecture.seq_len, forward.architecture.vocab_size)
        names = [run_name(i, stage.name) for i in range(count) for stage in stages(forward)]
        for name in names:
            given["listener"]("server", {"run": to_mapping(Run(name, Reading("total", 1, 0.1, 0, 0, 0), ()))})
        folder.mkdir(parents=True)
        write_arrays(folder / "logits.npz", {f"sequence{i}": np.zeros(shape) for i in range(count)})
        return PartyRecord("server", folder, (), ())

    monkeypatch.setattr("aero_search.measure.emulate.run_alone", run_alone)
    environment = Environment(Path("python"), {"spu": "0.9.5", "jax": "0.4.34"})
    monkeypatch.setattr("aero_search.measure.environment.find_environment", lambda python: environment)
    return calls


def test_quality_of_logits_has_closed_forms() -> None:
    targets = np.array([[0, 1], [2, 2]])
    # The second window's logits are log 3 in favour of token 2, among four.
    logits = np.zeros((2, 2, 4))
    logits[1, :, 2] = math.log(3)
    found = quality(logits, targets)
    np.testing.assert_allclose(found.nats_n, [math.log(4), math.log(2)])
    assert found.loss == pytest.approx(1.5 * math.log(2))
    assert found.accuracy == 0.75
    assert found.spread == pytest.approx(math.log(2) / 2)
    assert quality(logits + 1e4, targets).loss == pytest.approx(found.loss)
    assert standard_error(np.array([3.0])) == 0.0


def test_figures_stand_beside_floating_point_on_the_same_windows(played, trained, capsys) -> None:
    line = ["evaluate", str(trained), "emulate=true", "limit=5", "tracking=none", "format=json"]
    assert main([*line, "protocol.use.gelu=gelu_puma", "output_dir=out"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["windows"], document["protocol"]) == (5, "spu_cheetah_0_9_5")
    assert document["lowerings"] == "gelu_puma, layernorm, softmax_broadcast"
    figures = {(s["task"], s["metric"]): s for s in document["scores"]}
    emulated = "emulated spu_cheetah_0_9_5"
    # Every token is as likely as any other, so the perplexity is the vocabulary.
    assert figures[emulated, "perplexity"]["value"] == pytest.approx(300)
    plain = figures["held_out", "perplexity"]["value"]
    change = figures[emulated, "log_perplexity_change"]
    assert change["value"] == pytest.approx(math.log(300 / plain))
    assert change["error"] > 0
    assert 0 <= figures[emulated, "same_next_token"]["value"] < 1
    # One process gets what both parties own, and leaves nothing behind.
    (call,) = played
    forward = from_mapping(Pass, call["settings"]["forward"])
    assert set(call["owned"]) == {*weight_names(forward), *(f"sequence{i}" for i in range(5))}
    assert not list(Path("out").glob("emulate-*"))


def test_all_windows_of_the_recipe_run_without_a_limit_and_give_its_perplexity(
    played, trained, capsys
) -> None:
    assert main(["evaluate", str(trained), "emulate=true", "tracking=none", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    result = json.loads((trained / "result.json").read_text())
    assert document["windows"] == 16
    assert document["scores"][0]["value"] == pytest.approx(result["perplexity"], rel=1e-4)


BAD = {
    "evaluate": "bundle= names the network to evaluate",
    "evaluate study=mine": "study=mine does not exist",
    "evaluate study=mine emulate=true": "study=mine does not exist",
    "evaluate here emulate=true": "bundle=here has no architecture.yaml",
    "evaluate here emulate=true pick=knee": "pick=knee picks from a study: add study=NAME",
    "evaluate here emulate=true tasks=arc_easy": "emulate=true runs held-out text, not tasks=arc_easy",
    "evaluate here emulate=true protocol=aero_paper protocol.trust=malicious": "which SPU 0.9.5 does not run",
    "evaluate here emulate=true python=/no/such": "python=/no/such is not a Python interpreter",
    "evaluate here emulate=2": "emulate=2",
}


@pytest.mark.parametrize(("line", "says"), BAD.items(), ids=BAD.keys())
def test_a_wrong_request_is_told_in_one_sentence(line, says, capsys, monkeypatch) -> None:
    if "/no/such" not in line:
        environment = Environment(Path("python"), {})
        monkeypatch.setattr("aero_search.measure.environment.find_environment", lambda python: environment)
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


@pytest.mark.mpc
def test_fixed_point_of_a_trained_network_says_what_two_parties_say(trained, capsys) -> None:
    pytest.importorskip("spu")
    from aero_search.app.measure_target import MeasureTarget
    from aero_search.architecture import Architecture
    from aero_search.cost import Network, shipped_protocol
    from aero_search.measure.emulate import emulate
    from aero_search.measure.mailbox import read_arrays
    from aero_search.measure.run import measure, plan
    from aero_search.user_files import read_settings

    architecture = from_mapping(Architecture, read_settings(trained / "architecture.yaml"))
    model = MeasureTarget("", architecture, trained / "weights.safetensors", None).model(0)
    windows = np.random.default_rng(0).integers(0, 300, (2, 17))
    protocol = shipped_protocol("spu_semi2k")
    planned = plan(model, protocol, Network("loopback", 1e4, 0.0), 2, shaped=False)
    measure(model, windows[:, :-1], planned, Path("real"))
    found = emulate(model, protocol, windows, Path("alone"))
    real, alone = (read_arrays(Path(at) / "logits.npz") for at in ("real/client", "alone/server"))
    for name, logits in real.items():
        np.testing.assert_allclose(alone[name], logits, atol=2e-3)
    assert found.same_next_token > 0.9
    assert abs(found.change) < 0.01
