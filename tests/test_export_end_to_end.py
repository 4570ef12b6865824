"""Real studies exported by the command line: checked, trained on, served."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from aero_search.architecture import Architecture
from aero_search.schema import from_mapping
from tests.test_search_end_to_end import aero, front, trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A folder with a finished study `home` of two variants."""
    folder = tmp_path_factory.mktemp("home")
    aero(
        folder,
        "train",
        "--multirun",
        "variant=sm_ln_g,ereg_sm_t_scfuffn",
        "study.name=home",
        "search.workers=1",
        *tiny,
    )
    return folder


def failed(folder: Path, *arguments: str) -> str:
    """The one sentence of a command that exits 1."""
    command = [sys.executable, "-m", "aero_search", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_bundle_verifies_by_path_and_by_name_and_is_found_out(studied: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "a bundle, with 'quotes'"
    out = aero(studied, "export", "study=home", "pick=trial:1", f'to="{bundle}"')
    assert "aero_search verify" in out
    document = json.loads(aero(tmp_path, "verify", str(bundle), "format=json"))
    assert document["ok"]
    assert {check["state"] for check in document["checks"]} == {"ok"}
    assert "validation perplexity" in aero(bundle, "verify", "bundle=.")
    path = bundle / "folded.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    assert "folded.safetensors is not what manifest.json has" in failed(tmp_path, "verify", str(bundle))


def test_another_size_trains_with_the_command_it_tells(studied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deeper"
    out = aero(
        studied, "export", "study=home", "pick=trial:1", "model.n_layer=3", "recipe.steps=20", f"to={folder}"
    )
    command = next(line for line in out.splitlines() if line.startswith("train it: "))
    aero(tmp_path, *command.partition(" -m aero_search ")[2].split(), "tracking.kind=none")
    (result,) = tmp_path.glob("outputs/train/*/architecture.yaml")
    assert len(from_mapping(Architecture, yaml.safe_load(result.read_text())).layers) == 3


def test_an_exported_architecture_trains_by_path_to_the_same_digit(
    studied: Path, tmp_path: Path, tiny: list[str]
) -> None:
    aero(studied, "export", "study=home", "pick=trial:1", f"to={tmp_path / 'bundle'}")
    rest = [override for override in tiny if not override.startswith("model.")]
    aero(tmp_path, "train", "architecture=bundle/architecture.yaml", "tracking=none", *rest)
    (result,) = tmp_path.glob("outputs/train/*/result.json")
    told = next(entry for entry in trained(front(studied, "home")).values() if entry["trial"] == 1)
    assert json.loads(result.read_text())["perplexity"] == told["perplexity"]


def test_format_may_name_the_kind(studied: Path) -> None:
    assert "transformers loads it as GPT2LMHeadModel" in aero(
        studied, "export", "study=home", "pick=trial:0", "format=hf"
    )
    assert (studied / "outputs/exports/home-trial-0-hf/model.safetensors").is_file()
    assert "onnxruntime runs it" in aero(studied, "export", "study=home", "pick=trial:0", "format=onnx")
    assert (studied / "outputs/exports/home-trial-0-onnx/model.onnx").is_file()
    told = json.loads(aero(studied, "export", "study=home", "pick=trial:0", "kind=hf", "format=json"))
    assert (told["study"], told["trial"], told["kind"]) == ("home", 0, "hf")
    assert (studied / told["folder"] / "model.safetensors").is_file()
    assert told["difference"] <= 1e-5
    assert told["costs"]["latency_s"] > 0
    told = json.loads(aero(studied, "export", "study=home", "model.n_layer=4", "format=json"))
    assert " -m aero_search train " in told["command"]
    aero(studied, "export", "study=home", "format=pdf", code=2)
    aero(studied, "export", "study=home", "format=hf", "model=gpt2_small", code=2)


def test_the_registry_serves_a_bundle(studied: Path) -> None:
    out = aero(studied, "export", "study=home", "pick=trial:1", "register=true", "register_as=mine")
    assert "registered as models:/mine/1" in out
    store = f"sqlite:///{studied / 'outputs' / 'mlflow.db'}"
    assert not list((studied / "outputs").rglob("*.pkl"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        f"{sys.executable} -m mlflow models serve -m models:/mine/1 --env-manager local --port {port}".split(),
        cwd=studied,
        # MLflow starts its server by name, so the environment must be on the path, as in an activated one.
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": store,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        answer = _ask(port, server)
    finally:
        # One that has ended by itself is told of by `_ask`.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=600)
    completions = [row["completion"] for row in answer["predictions"]]
    assert len(completions) == 2
    assert any(completions)


def _ask(port: int, server: subprocess.Popen[str]) -> dict[str, list[dict[str, str]]]:
    body = {"dataframe_records": [{"prompt": "12 ab"}, {"prompt": "7"}], "params": {"max_new_tokens": 12}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 600
    while True:
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                answer: dict[str, list[dict[str, str]]] = json.loads(response.read())
                return answer
        except urllib.error.HTTPError as problem:
            raise AssertionError(problem.read().decode()) from problem
        except OSError:
            assert server.poll() is None, server.stdout and server.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(1)
