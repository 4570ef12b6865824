"""A training and a search from Python: in a script without a main guard, and read back as a study."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import aero_search
from aero_search.cli import main
from aero_search.errors import RequestError

SCRIPT = """
import sys
import aero_search
print("the script itself", flush=True)
study = aero_search.search(
    {space!r}, "perplexity_latency", name="two", n_trials=2, workers=2, output_dir={out!r}, progress=False,
    overrides={overrides!r},
)
print(repr(study))
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> tuple[Path, str]:
    """The output folder of a search of two candidates by two workers, and what the script printed."""
    folder = tmp_path_factory.mktemp("search")
    space = folder / "two.yaml"
    space.write_text("description: two networks\nparameters:\n  ffn.layers: {choices: [0, 1]}\n")
    script = folder / "script.py"
    overrides = [*tiny, "recipe.steps=4", "tracking=none"]
    script.write_text(SCRIPT.format(space=str(space), out=str(folder / "out"), overrides=overrides))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout


def test_a_script_needs_no_main_guard_and_prints_nothing_unasked(searched: tuple[Path, str]) -> None:
    out, printed = searched
    assert printed.splitlines() == ["the script itself", f"Study('two', {out})"]


def test_a_study_is_read_back(searched: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = searched
    study = aero_search.open_study("two", out)
    records, front = study.records(), study.front()
    assert list(records.index) == [0, 1]
    assert sorted(records["ffn.layers"]) == [0, 1]
    assert (records["state"] != "running").all()
    assert list(records.index[records["on_front"]]) == sorted(point.number for point in front.points)
    assert main(["front", "study=two", f"output_dir={out}", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["trial"] for entry in document["front"]] == [point.number for point in front.points]
    for entry in document["front"]:
        row = records.loc[entry["trial"]]
        assert row["latency_s"] == entry["latency_s"]
        assert row["perplexity"] == entry["perplexity"]


def test_a_study_is_priced_again_without_training(searched: tuple[Path, str]) -> None:
    out, _ = searched
    told = aero_search.open_study("two", out).records()
    slow = aero_search.open_study("two", out, network="wan", protocol="spu_cheetah_0_9_5").records()
    assert (slow["communication_bytes"] != told["communication_bytes"]).all()
    assert (slow["perplexity"] == told["perplexity"]).all()


def test_the_front_is_a_figure_that_a_notebook_shows(searched: tuple[Path, str]) -> None:
    from plotly.graph_objects import Figure

    figure = aero_search.open_study(output_dir=searched[0]).plot()
    assert isinstance(figure, Figure)
    assert "front" in {trace.name for trace in figure.data}
    assert callable(figure._repr_mimebundle_)


def test_a_candidate_is_exported_by_name_number_or_record(searched: tuple[Path, str], tmp_path: Path) -> None:
    study = aero_search.open_study("two", searched[0])
    best = study.front().best()
    keys = set()
    for i, pick in enumerate(("best", best.number, best)):
        folder = study.export(pick, to=tmp_path / str(i))
        keys.add(aero_search.load_bundle(folder).architecture)
    assert keys == {best.architecture}
    with pytest.raises(RequestError, match="pick=bset is not a way to pick: did you mean 'best'"):
        study.export("bset")


def test_a_study_that_does_not_exist_is_told_with_the_nearest(searched: tuple[Path, str]) -> None:
    with pytest.raises(RequestError, match=r"study=tow does not exist .*did you mean 'two'"):
        aero_search.open_study("tow", searched[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"space": "aeroo"}, r"space=aeroo is neither a space nor a YAML file: did you mean 'aero'\?"),
        ({"objective": "perplexity_latncy"}, r"did you mean 'perplexity_latency'\?"),
        ({"n_trials": 0}, r"search.n_trials=0 must be at least 1"),
        ({"workers": "two"}, r"search.workers=two must be a whole number"),
        ({"n_trials": [2]}, r"\[2\] must be a name, a path, a number or a truth value"),
        ({"overrides": "recipe.steps=3"}, r"must be a list of texts, such as \['recipe.steps=3'\]"),
        ({"overrides": ["recipe.steps"]}, r"overrides has 'recipe.steps': each must be text such as"),
        ({"overrides": ["recipe.stepps=3"]}, r"did you mean 'recipe.steps'\?"),
    ],
)
def test_a_wrong_search_is_told_in_one_sentence_and_writes_nothing(
    arguments: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=says) as told:
        aero_search.search(**arguments, output_dir=tmp_path / "out")
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_read_instead_of_repeated(
    tmp_path: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    base = aero_search.Architecture(
        n_head=2, d_model=16, seq_len=16, vocab_size=300, layers=aero_search.parse_notation("SM").layers[:2]
    )
    settings = [line for line in tiny if not line.startswith("model.")]
    overrides = [*settings, "recipe.steps=4", "tracking=none"]
    architecture = aero_search.parse_notation("SM + LN + R", base)
    results = [
        aero_search.train(architecture, output_dir=tmp_path, progress=False, overrides=overrides)
        for _ in range(2)
    ]
    assert results[0] == results[1]
    assert results[0].notation == "SM + LN + R"
    assert results[0].steps == 4
    assert capsys.readouterr().out == ""
    assert len(list((tmp_path / "train").iterdir())) == 1
