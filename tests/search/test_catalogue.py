"""Studies are listed, renamed, archived and deleted with all that belongs to them."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from aero_search.cli import main
from aero_search.errors import RequestError
from aero_search.search import catalogue
from aero_search.workers.database import create_study, open_storage, study_names
from aero_search.workers.worker_registry import FileRegistry


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two studies: `old` with a trained candidate and a failed one, `new` with nothing."""
    folder = tmp_path / "outputs"
    storage = open_storage(folder)
    for name in ("old", "new"):
        study = create_study(storage, name, ("perplexity", "latency_s"))
        study.set_user_attr("command", f"aero-search search study.name={name}")
        study.set_user_attr("created", 0.0)
        (folder / "studies" / name / "candidates" / "k").mkdir(parents=True)
        (folder / "studies" / name / "candidates" / "k" / "result.json").write_text("x" * 1000)
    trained = optuna.load_study(study_name="old", storage=storage)
    trial = trained.ask()
    trial.set_user_attr("candidate", "k")
    trained.tell(trial, [60.0, 1.0])
    trained.tell(trained.ask(), state=TrialState.FAIL)
    return folder


def test_a_list_says_what_there_is(output: Path) -> None:
    old, new = catalogue.list_studies(output, None)
    assert (old.name, old.trained, old.training, old.bytes) == ("old", 1, 0, 1000)
    assert (new.name, new.trained, new.created) == ("new", 0, "1970-01-01T00:00:00Z")
    assert old.command == "aero-search search study.name=old"
    with pytest.raises(RequestError, match="did you mean 'old'"):
        catalogue.describe(output, "olt", None)


def test_a_renamed_study_keeps_trials_attributes_and_files(output: Path) -> None:
    entry = catalogue.rename_study(output, "old", "first", None)
    assert (entry.name, entry.trained, entry.bytes) == ("first", 1, 1000)
    assert study_names(output) == ["new", "first"]
    study = optuna.load_study(study_name="first", storage=open_storage(output))
    assert [(t.number, t.state) for t in study.trials] == [(0, TrialState.COMPLETE), (1, TrialState.FAIL)]
    assert study.trials[0].user_attrs["candidate"] == "k"
    assert not (output / "studies" / "old").exists()
    with pytest.raises(RequestError, match="to=new is the name of another study"):
        catalogue.rename_study(output, "first", "new", None)


def test_an_archived_study_is_left_out_and_comes_back(output: Path) -> None:
    catalogue.archive_study(output, "new", None)
    assert [e.name for e in catalogue.list_studies(output, None)] == ["old"]
    assert catalogue.listed_names(output, None) == ["old"]
    assert [e.name for e in catalogue.list_studies(output, None, archived=True)] == ["old", "new"]
    catalogue.archive_study(output, "new", None, archived=False)
    assert catalogue.listed_names(output, None) == ["old", "new"]


def test_a_study_at_work_is_neither_renamed_nor_deleted(output: Path) -> None:
    study = optuna.load_study(study_name="old", storage=open_storage(output))
    with FileRegistry(output / "studies" / "old").enter() as worker:
        study.ask().set_user_attr("worker", worker.name)
        assert catalogue.describe(output, "old", None).training == 1
        for act in (catalogue.delete_study, lambda o, n, a: catalogue.rename_study(o, n, "free", a)):
            with pytest.raises(RequestError, match="study=old has 1 candidates in training"):
                act(output, "old", None)
    # Its worker is gone.
    assert catalogue.delete_study(output, "old", None).trained == 1
    assert study_names(output) == ["new"]
    assert not (output / "studies" / "old").exists()


def test_the_command_asks_before_it_deletes(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(output.parent)
    assert main(["studies"]) == 0
    assert "old" in capsys.readouterr().out
    assert main(["studies", "delete", "old"]) == 2
    assert "would delete 1 trained candidates" in capsys.readouterr().err
    assert main(["studies", "rename", "old", "../away"]) == 2
    assert "to=../away must be letters" in capsys.readouterr().err
    assert main(["studies", "forget", "old"]) == 2
    assert main(["studies", "show"]) == 2
    assert study_names(output) == ["old", "new"]
    assert main(["studies", "delete", "old", "sure=true", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [study["name"] for study in document["studies"]] == ["old"]
    assert study_names(output) == ["new"]
