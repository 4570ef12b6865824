"""`aero-search repair`: a damaged database is made again from its studies' folders; nothing is trained twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from aero_search.app.repair import diagnose_studies, repair
from aero_search.cli import main
from aero_search.errors import AeroSearchError, RequestError
from aero_search.training.result import RESULT_FILE
from aero_search.workers.database import DATABASE, load_study
from aero_search.workers.study_files import STUDY_FILE, read_study, trial_path
from aero_search.workers.trial_queue import CONFIRMS, SEED
from tests.search import fakes
from tests.workers.test_damaged_database import binary, cut_header, folder, foreign, overwrite, truncate

SEARCH = ("search", "study.name=mine", "search.workers=1", "tracking=none", "recipe.steps=12")

SINGLE = "single.db"


def delete(path: Path) -> None:
    path.unlink()


def flip_pages(path: Path) -> None:
    """One byte in the head of every page after the first: SQLite finds it where it uses the page."""
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at] ^= 0xFF
    path.write_bytes(content)


def change_a_value(path: Path) -> None:
    """What SQLite cannot notice: another number in a row."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE trial_values SET value = value * 1.01 WHERE objective = 0")
    connection.close()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A folder with a study of three candidates."""
    made = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert main([*SEARCH, "search.n_trials=3", *small(tiny)]) == 0
    with sqlite3.connect(made / "outputs" / DATABASE) as old, sqlite3.connect(made / SINGLE) as single:
        # Everything in one file: no write-ahead log to recover from.
        old.backup(single)
    old.close()
    single.close()
    return made


@pytest.fixture
def here(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    copy = tmp_path / "here"
    shutil.copytree(searched, copy, ignore=shutil.ignore_patterns(f"{DATABASE}*"))
    (copy / SINGLE).rename(copy / "outputs" / DATABASE)
    monkeypatch.chdir(copy)
    return copy


def small(tiny: list[str]) -> list[str]:
    return [o for o in tiny if not o.startswith("recipe.steps")]


def front(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["front", "study=mine", "format=json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def values(path: Path) -> list[float]:
    """What a database says was told."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT value FROM trial_values ORDER BY trial_id, objective").fetchall()
    connection.close()
    return [value for (value,) in rows]


def results(here: Path) -> dict[str, int]:
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in here.glob(f"outputs/studies/mine/candidates/*/{RESULT_FILE}")
    }


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_pages,
        change_a_value,
        delete,
        *(pytest.param(f, marks=pytest.mark.slow) for f in (cut_header, overwrite, binary, foreign, folder)),
    ],
)
def test_the_front_of_a_repaired_study_is_equal_to_the_digit(
    damage: Callable[[Path], None], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = front(capsys)
    database = here / "outputs" / DATABASE
    damage(database)
    damaged = database.read_bytes() if database.is_file() else None
    assert not diagnose_studies(here / "outputs").sound
    assert main(["repair"]) == 0
    said = capsys.readouterr().out
    assert "study mine: 3 results" in said
    assert front(capsys) == before
    assert diagnose_studies(here / "outputs").sound
    kept = database.with_name(f"{DATABASE}.damaged")
    assert kept.exists() == (damage is not delete)
    if damaged is not None:
        assert str(kept.relative_to(here)) in said
        # SQLite moves pages between a file that it can read and its log.
        assert values(kept) != values(database) if damage is change_a_value else kept.read_bytes() == damaged
    assert not list(here.glob("outputs/*.rebuilt*"))


def test_a_search_goes_on_after_the_repair_and_trains_nothing_twice(
    here: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(here)
    truncate(here / "outputs" / DATABASE)
    assert main([*SEARCH, "search.n_trials=4", *small(tiny)]) == 1
    assert "aero-search repair makes it again" in capsys.readouterr().err
    assert main(["repair"]) == 0
    assert main([*SEARCH, "search.n_trials=4", *small(tiny)]) == 0
    assert "4 trained" in capsys.readouterr().out
    after = results(here)
    assert len(after) == 4
    assert before.items() < after.items()


def test_a_study_whose_database_is_gone_is_not_begun_anew(
    here: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "outputs" / DATABASE).unlink()
    for command in (["front", "study=mine"], [*SEARCH, "search.n_trials=3", *small(tiny)]):
        assert main(command) == 1
        assert "put it back with aero-search repair" in capsys.readouterr().err


def test_a_sound_database_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here / "outputs" / DATABASE).read_bytes()
    assert main(["repair"]) == 0
    assert "nothing to repair" in capsys.readouterr().out
    assert (here / "outputs" / DATABASE).read_bytes()[100:] == before[100:]
    assert not list(here.glob("outputs/*.damaged"))


def test_the_doctor_sees_another_number_and_names_the_mend(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_a_value(here / "outputs" / DATABASE)
    assert main(["doctor", "format=json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["optuna.db"]["ok"]
    assert not checks["studies"]["ok"]
    assert "study mine: trial" in checks["studies"]["found"]
    assert checks["studies"]["mend"].endswith("repair")


@pytest.mark.slow
def test_a_damaged_file_of_a_trial_is_a_gap_and_its_result_is_found_again(
    here: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(here)
    path = trial_path(here / "outputs/studies/mine", 1)
    path.write_text(path.read_text().replace('"state": "COMPLETE"', '"state": "FAIL"'))
    (here / "outputs" / DATABASE).unlink()
    assert main(["repair"]) == 0
    told = capsys.readouterr()
    assert "2 results" in told.out
    assert "counted as failed: 1" in told.out
    assert "kept as 1.json.damaged" in told.err
    # Its point is one of the start: queued again, and told from the folder.
    assert main([*SEARCH, "search.n_trials=3", *small(tiny)]) == 0
    assert "3 trained" in capsys.readouterr().out
    assert results(here) == before


def claimed(tmp_path: Path) -> Any:
    study = fakes.open_study(tmp_path, "fake")
    return study, study.registry.enter()


def test_what_was_in_training_waits_again_as_what_it_was(tmp_path: Path, searched: Path) -> None:
    study, worker = claimed(tmp_path)
    attrs = read_study(searched / "outputs/studies/mine").attrs
    study.set_attrs(**{**attrs, "objective": fakes.OBJECTIVE.settings()})
    with worker as lease:
        done = study.claim(lease, fakes.spec(4), fakes.SPACE, fakes.compose)
        study.tell(done.trial.number, fakes.trained(done.candidate))
        study.confirm([done.trial.number], 1)
        again = study.claim(lease, fakes.spec(4), fakes.SPACE, fakes.compose)
        assert again.confirms == done.trial.number
        lost = study.claim(lease, fakes.spec(4), fakes.SPACE, fakes.compose)
        finished = study.claim(lease, fakes.spec(4), fakes.SPACE, fakes.compose)
        finished.folder.mkdir(parents=True)
        fakes.trained(finished.candidate).write(finished.folder)
    study.study._storage._backend.engine.dispose()
    (tmp_path / DATABASE).unlink()
    (restored,) = repair(tmp_path).studies
    assert (restored.name, restored.results, restored.waiting) == ("fake", 2, 2)
    trials = load_study(tmp_path, "fake")[0].get_trials()
    assert trials[done.trial.number].values == [fakes.trained(done.candidate).perplexity, *_costs(done)]
    # It had its result, only nobody had told it.
    assert trials[finished.trial.number].state == TrialState.COMPLETE
    waiting = {t.user_attrs["again_of"]: t for t in trials if t.state == TrialState.WAITING}
    assert set(waiting) == {again.trial.number, lost.trial.number}
    for claim in (again, lost):
        assert waiting[claim.trial.number].system_attrs["fixed_params"] == claim.trial.params
        assert waiting[claim.trial.number].user_attrs["deaths"] == 0
    assert waiting[again.trial.number].user_attrs[CONFIRMS] == done.trial.number
    assert waiting[again.trial.number].user_attrs[SEED] == 1


def test_a_folder_in_use_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    _, worker = claimed(tmp_path)
    with worker, pytest.raises(AeroSearchError, match="study fake has 1 workers in training"):
        repair(tmp_path)
    with pytest.raises(RequestError, match="does not exist"):
        repair(tmp_path / "none")


def test_a_study_of_an_earlier_version_is_read_from_what_the_damaged_database_still_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = front(capsys)
    shutil.rmtree(here / "outputs/studies/mine/trials")
    (here / "outputs/studies/mine" / STUDY_FILE).unlink()
    database = here / "outputs" / DATABASE
    content = bytearray(database.read_bytes())
    # The count of free pages: damage, and every row can be read.
    content[36:40] = (7).to_bytes(4, "big")
    database.write_bytes(content)
    assert not diagnose_studies(here / "outputs").sound
    assert main(["repair"]) == 0
    assert front(capsys) == before


def test_a_study_of_an_earlier_version_that_nothing_tells_of_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "outputs/studies/mine" / STUDY_FILE).unlink()
    truncate(here / "outputs" / DATABASE)
    binary(here / "outputs" / DATABASE)
    assert main(["repair"]) == 1
    told = capsys.readouterr()
    assert "study mine could not be put back: it has no study.json" in told.out
    assert "not put back: mine" in told.err


def _costs(claim: Any) -> list[float]:
    costs = fakes.costs(claim.candidate.architecture)
    return [costs[name] for name in fakes.OBJECTIVE.costs]
