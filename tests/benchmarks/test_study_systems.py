"""One study's fronts under every system side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import study_systems
from tests.config.told_study import tell_study

SIZES = ("model.n_layer=2", "model.seq_len=32")
ROWS = [
    (["variant=sm_ln_g"], 40.0),
    (["variant=sm_ln_r"], 42.0),
    (["variant=sm_r"], 47.0),
    (["variant=sm_scfuffn"], 55.0),
    (["variant=sm_g"], 60.0),
]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(tmp_path)
    tell_study(tmp_path / "outputs", ROWS, SIZES)
    study_systems.main(["--study", "told", "--output", "fronts.txt"])
    text = capsys.readouterr().out
    assert (tmp_path / "fronts.txt").read_text().endswith(text)
    return text


def test_every_system_marks_its_own_front(written: str) -> None:
    lines = written.splitlines()
    table = lines[4 : 4 + lines[4:].index("")]
    marks = [line[62:].split() for line in table]
    assert all(len(cells) == len(study_systems.NAMES) for cells in marks)
    # The front of each column is that of its costs and the perplexities; what cannot run is marked -.
    for column, name in enumerate(study_systems.NAMES):
        run = [row[column] for row in marks if row[column] != "-"]
        # Neither has a ReLU.
        assert (len(run) < len(marks)) == (name in ("bolt", "shaft"))
        # Best first: a network that costs no less than one before it is on no front.
        costs = [float(cell.lstrip("*")) for cell in run]
        for i, cell in enumerate(run):
            if any(cost < costs[i] for cost in costs[:i]):
                assert not cell.startswith("*"), (name, cell)
        assert run[0].startswith("*")


def test_it_says_what_changes_and_what_loses_least(written: str) -> None:
    changes = written[written.index("share of a front's points") :].splitlines()[2:]
    shown = {line.split()[0] for line in changes[: len(study_systems.NAMES)]}
    assert shown == set(study_systems.NAMES)
    assert "lose least in the worst system" in written
    assert "These prices cross trust models" in written


def test_the_fronts_are_those_of_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aero_search.app.saved_study import open_saved_study
    from aero_search.config.compose import compose_request

    monkeypatch.chdir(tmp_path)
    tell_study(tmp_path / "outputs", ROWS, SIZES)
    told = open_saved_study(compose_request("front", {}, ("study.name=told",)))
    for name in ("sigma", "spu_aby3"):
        asked = ("study.name=told", f"protocol={name}", "network=wan")
        command = open_saved_study(compose_request("front", {}, asked)).front
        ours = study_systems.under(told, name, "wan")
        assert ours is not None
        assert [r.number for r in ours.front.points] == [r.number for r in command.points]
        assert ours.front.hypervolume == pytest.approx(command.hypervolume)
