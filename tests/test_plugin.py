"""A package outside aero_search adds an activation, a norm, a corpus and a sampler; every command takes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import aero_search
from aero_search.architecture import Architecture, Layer, Stabilizer, violations
from aero_search.architecture.cards import ActivationCard, NormCard
from aero_search.architecture.operations import ACTIVATIONS, NORMS
from aero_search.architecture.registry import _plugin_cards
from aero_search.cli import main
from aero_search.errors import AeroSearchError
from aero_search.plugins import Entry

PLUGIN = Path(__file__).parent / "plugin"
NAMES = ("aero_demo", "clipped_relu", "centre", "counting", "descending", "demo_paper")

# One process: what takes seconds is importing.
SCRIPT = """
import contextlib, io, json, sys
from aero_search.cli import main
said = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    said.append([code, out.getvalue(), err.getvalue()])
json.dump(said, open("said.json", "w"))
"""


def installed(folder: Path) -> dict[str, str]:
    """An environment in which the plug-in is installed: its code, and what pip writes about it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    lines = [
        line
        for group, points in groups
        for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = [str(folder), str(PLUGIN), str(Path(aero_search.__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "AERO_SEARCH_CACHE": str(folder / "cache")}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each command, in the order of `commands`."""
    folder = tmp_path_factory.mktemp("plugin")
    conf = ["--config-dir", str(PLUGIN / "conf"), "protocol=demo_paper"]
    chosen = ["activation=clipped_relu", "norm=centre"]
    tiny = [
        *("data=counting", "tracking=none", "stabilizer=scaled"),
        *(
            "model.n_layer=2",
            "model.n_head=2",
            "model.d_model=32",
            "model.seq_len=16",
            "model.vocab_size=300",
        ),
        *(
            "recipe.steps=6",
            "recipe.batch_size=4",
            "recipe.validate_every=3",
            "recipe.validation_sequences=4",
        ),
    ]
    study = ["search", *conf, *tiny, f"space={PLUGIN / 'space.yaml'}", "study.name=demo"]
    commands = [
        ["cost", *conf, *chosen, "format=json"],
        ["cost", "--config-dir", str(PLUGIN / "conf"), *chosen, "protocol=aero_paper"],
        ["train", *conf, *tiny, *chosen],
        [*study, "search/sampler=descending", "search.n_trials=2", "search.workers=1"],
        ["front", *conf, "study=demo", "tracking=none", "format=json"],
        ["export", *conf, "study=demo", "pick=trial:0", "to=bundle", "tracking=none"],
        ["verify", "bundle", "format=json"],
        ["export", *conf, "study=demo", "pick=trial:0", "kind=hf", "to=hf", "tracking=none"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)],
        cwd=folder, env=installed(folder / "site"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (folder / "hf").exists()
    return [tuple(entry) for entry in json.loads((folder / "said.json").read_text())]


def document(entry: tuple[int, str, str]) -> Any:
    code, out, err = entry
    assert code == 0, err
    return json.loads(out)


def test_cost_prices_its_operations(said: list[tuple[int, str, str]]) -> None:
    priced = document(said[0])
    assert priced["notation"] == "SM + CN + CR"
    assert priced["nonlinear_ops"]["clipped_relu"] == {"count": 4, "shape": [128, 256]}
    assert priced["communication_bytes"]["by_op"]["activation"] == pytest.approx(4 * 128 * 256 * 2 * 98.5)
    code, out, err = said[1]
    assert (code, out) == (2, "")
    assert "protocol aero_paper does not say how to run clipped_relu" in err or "to run centre" in err


def test_train_runs_its_operations_on_its_corpus(said: list[tuple[int, str, str]]) -> None:
    code, out, err = said[2]
    assert code == 0, err
    assert "SM + CN + CR + ScFFN" in out


def test_search_asks_its_sampler_and_the_front_names_its_terms(said: list[tuple[int, str, str]]) -> None:
    assert said[3][0] == 0, said[3][2]
    found = document(said[4])
    candidates = {c["trial"]: c["notation"] for c in [*found["front"], *found["dominated"]]}
    # Trial n takes the n-th alternative of each choice from the end.
    assert candidates == {0: "SM + CN + CR + ScFFN", 1: "SM + R + ScFFN"}


def test_a_bundle_of_it_verifies_folded_and_whole(said: list[tuple[int, str, str]]) -> None:
    assert said[5][0] == 0, said[5][2]
    verified = document(said[6])
    assert verified["ok"]
    skipped = [check["name"] for check in verified["checks"] if check["state"] != "ok"]
    assert skipped == ["generation with transformers' cache"]


def test_what_it_does_not_bring_is_refused_in_a_sentence(said: list[tuple[int, str, str]]) -> None:
    pytest.importorskip("transformers")
    code, _, err = said[7]
    assert code == 2
    assert "norm centre cannot be exported for transformers: its code lies in another package" in err
    assert err.count("\n") == 1


def test_without_the_package_its_names_are_no_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "activation.kind=clipped_relu"]) == 2
    said = capsys.readouterr().err
    assert "activation.kind=clipped_relu is not a choice" in said
    assert "relu, " in said


def test_the_page_on_extending_shows_what_the_package_says() -> None:
    page = (PLUGIN.parents[1] / "docs" / "extending.md").read_text()
    shown = re.findall(r"```\w+\n# ((?:aero_demo/|conf/|pyproject)\S+)\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 6
    for name, text in shown:
        assert text in (PLUGIN / name).read_text(), name


def test_no_file_of_aero_search_names_it() -> None:
    texts = {path: path.read_text() for path in Path(aero_search.__file__).parent.rglob("*.py")}
    assert [path.name for path, text in texts.items() if any(f'"{name}"' in text for name in NAMES)] == []


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """broken(what an entry point loads) installs a plug-in with such an entry point."""

    def install(load: Any) -> None:
        entry = Entry("aero_search.operations", "demo", "aero-demo 0.1", load)
        monkeypatch.setattr("aero_search.architecture.registry.entries", lambda _group: (entry,))
        _plugin_cards.cache_clear()

    yield install
    _plugin_cards.cache_clear()


def fails() -> None:
    raise ImportError("no module named nothing")


@pytest.mark.parametrize(
    ("load", "says"),
    [
        (fails, r"ImportError: no module named nothing"),
        (lambda: "text", r"it names a str where a card is needed"),
        (lambda: ActivationCard(name="gelu"), r"it brings the activation gelu, which there is already"),
        (lambda: NormCard(name="other", term="SM"), r"the notation already has the term SM"),
    ],
)
def test_a_plug_in_that_does_not_work_is_named(broken: Any, load: Any, says: str) -> None:
    broken(load)
    with pytest.raises(AeroSearchError, match=rf"plug-in demo of aero-demo 0.1 .*{says}.*uninstall it"):
        assert list(ACTIVATIONS) + list(NORMS)


def test_a_norm_that_cannot_absorb_the_stream_s_scale_is_refused_beside_it(broken: Any) -> None:
    broken(lambda: NormCard(name="other"))
    layers = (Layer("other", ffn="fused"),)
    a = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=16, layers=layers)
    assert list(violations(a)) == []
    (said,) = violations(replace(a, stabilizer=Stabilizer("scaled")))
    assert said.startswith("norm.kind=other and stabilizer.kind=scaled exclude each other")
