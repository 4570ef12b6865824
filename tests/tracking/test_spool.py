"""What a store has not taken is kept in order, and sent later exactly once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aero_search.errors import AeroSearchError, RequestError
from aero_search.tracking.delivery import Delivery
from aero_search.tracking.journal import Journal, journal_of, journals
from aero_search.tracking.opening import open_tracker
from aero_search.tracking.operations import (
    Batch,
    Create,
    End,
    File,
    Operation,
    Point,
    Text,
    from_line,
    new_run,
    to_line,
)
from aero_search.tracking.sender import Sender, send_kept
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.sync import send, waiting
from aero_search.training.result import Result
from tests.tracking.records import listen, record_of

SPEC = TrackingSpec(kind="mlflow", uri=None, experiment="tests")
OPERATIONS: list[Operation] = [
    Create("unsent-1", "SM + LN", {"a": "ü"}, "unsent-0", 17),
    Batch("unsent-1", (Point("loss", 1e-9, 3, 18), Point("loss", -2.0, 4, 18)), {"p": "1"}, {"t": "{}"}),
    File("unsent-1", "/a folder/b.png"),
    Text("unsent-1", "two\nlines", "front.json"),
    End("unsent-1", "KILLED", 19),
]


class Outage:
    """Breaks every delivery between `begin` and `end`, as a server that is down does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down = False
        # Down from so many deliveries on; after the last the operation was taken, and its answer lost.
        self.after: int | None = None
        deliver = Delivery.deliver

        def broken(delivery: Delivery, operation: Operation, again: bool = False) -> None:
            if self.after is not None:
                self.after -= 1
                if self.after < 0:
                    deliver(delivery, operation, again)
                    self.down, self.after = True, None
            if self.down:
                raise ConnectionError("nobody answers")
            deliver(delivery, operation, again)

        monkeypatch.setattr(Delivery, "deliver", broken)
        monkeypatch.setattr("aero_search.tracking.sender.PATIENCE", 0.0)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(monkeypatch)


def whole_study(output_dir: Path, result: Result, files: Path, name: str) -> str:
    """A study of two candidates, each heard by a tracker of its own as in two workers; returns its run's name."""
    tracker = open_tracker(SPEC, output_dir)
    parent = tracker.start_study(name, "# searched", {"space": "aero"}, {"study": name})
    weights = files / "weights.safetensors"
    weights.write_bytes(b"weights")
    for number in range(2):
        worker = open_tracker(SPEC, output_dir)
        run = worker.start_candidate(parent, f"{name} #{number}", {"norm": number}, {"flops": 7.0})
        listen(run, result)
        run.finish(result, [weights])
        tracker.update_study(
            parent,
            metrics={"hypervolume": number / 7},
            step=number,
            front_document={"front": number},
            front_rows=[{"trial": number}],
            pictures=[weights],
            description=f"after {number}",
        )
    tracker.finish_study(parent)
    return parent


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_a_line_says_all_of_an_operation(operation: Operation) -> None:
    line = to_line(operation)
    assert line.count("\n") == 1
    assert from_line(line) == operation


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"kind":"end"}', '{"kind":"no","run":"x"}', "null"])
def test_what_is_no_operation_is_said(line: str) -> None:
    with pytest.raises(ValueError, match=r"operation|Expecting"):
        from_line(line)


def test_a_journal_keeps_order_and_position(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    assert not journal.exists
    assert journal.append(OPERATIONS[:2], SPEC, tmp_path)
    assert not journal.append(OPERATIONS[2:], SPEC, tmp_path)
    assert (journal.count(), journal.mentions("unsent-1"), journal.mentions("unsent-2")) == (5, True, False)
    first = journal.pending()
    end, operation = next(first)
    assert operation == OPERATIONS[0]
    journal.done(end)
    assert Journal(tmp_path / "j").count() == 4
    # What is appended while another sends is sent by that one.
    later = End("unsent-2", "FAILED")
    found = []
    for number, (end, operation) in enumerate(journal.pending()):
        if number == 1:
            journal.append([later], SPEC, tmp_path)
        found.append(operation)
        journal.done(end)
    assert (found[0], found[1]) == (OPERATIONS[1], OPERATIONS[2])
    kept = found[2]
    assert isinstance(kept, File)
    assert Path(kept.path).name == "front.json"
    assert found[3:] == [OPERATIONS[4], later]
    assert not journal.exists
    # The next outage starts from its own beginning.
    assert journal.append([later], SPEC, tmp_path)
    assert journal.count() == 1


def test_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(OPERATIONS[:1], SPEC, tmp_path)
    lines = tmp_path / "j" / "journal.jsonl"
    with lines.open("a") as file:
        file.write('{"kind":"batch","run"')
    assert journal.count() == 1
    journal.append(OPERATIONS[4:], SPEC, tmp_path)
    assert [operation for _, operation in journal.pending()][::2] == [OPERATIONS[0], OPERATIONS[4]]


def test_passwords_are_not_kept(tmp_path: Path) -> None:
    spec = TrackingSpec("mlflow", "postgresql://me:secret@db:5432/mlflow", "tests")
    journal = journal_of(spec, tmp_path)
    journal.append(OPERATIONS, spec, tmp_path)
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.glob("**/*") if path.is_file())
    assert journal.destination == ("postgresql://me:***@db:5432/mlflow", "tests")
    assert [to for _, to in waiting(tmp_path, spec, named=True)] == [spec]
    with pytest.raises(RequestError, match=r"password of postgresql://me:\*\*\*@db:5432/mlflow is not kept"):
        waiting(tmp_path, SPEC, named=False)


def test_a_password_in_the_environment_is_asked_for_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = TrackingSpec("mlflow", "http://db:5000", "tests")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cr3t")
    journal_of(spec, tmp_path).append(OPERATIONS, spec, tmp_path)
    assert [to for _, to in waiting(tmp_path, SPEC, named=False)] == [spec]
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(RequestError, match="set MLFLOW_TRACKING_PASSWORD, or say"):
        waiting(tmp_path, SPEC, named=False)


def test_a_refused_connection_is_told_without_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = TrackingSpec("mlflow", "http://me:s3cr3t@127.0.0.1:9?access_token=s3cr3t", "tests")
    sender = Sender(spec, tmp_path)
    sender.initialize()
    command = "search search.storage=postgresql://u:s3cr3t@h/d"
    sender.send(Create("unsent-1", "n", {"mlflow.note.content": command}))
    said = {"tracking.uri": "https://s3cr3t@h", "x": "PGPASSWORD=s3cr3t"}
    sender.send(Batch("unsent-1", params=said, tags=said))
    told = capsys.readouterr().err
    assert "http://me:***@127.0.0.1:9?access_token=***" in told
    assert "s3cr3t" not in told
    assert all(b"s3cr3t" not in path.read_bytes() for path in tmp_path.glob("**/*") if path.is_file())


def test_a_server_that_moved_takes_the_only_journal_and_no_other(tmp_path: Path) -> None:
    old, moved = (TrackingSpec("mlflow", f"http://{host}:5000", "tests") for host in ("old", "new"))
    journal_of(old, tmp_path).append(OPERATIONS, old, tmp_path)
    assert [spec for _, spec in waiting(tmp_path, SPEC, named=False)] == [old]
    assert [spec for _, spec in waiting(tmp_path, moved, named=True)] == [moved]
    journal_of(SPEC, tmp_path).append(OPERATIONS, SPEC, tmp_path)
    with pytest.raises(RequestError, match=r"tracking\.uri=http://new:5000 has nothing waiting"):
        waiting(tmp_path, moved, named=True)
    assert [spec for _, spec in waiting(tmp_path, old, named=True)] == [old]


# Down from the beginning; within the first candidate; and an answer that is lost, at the parent's creation, a
# candidate's, at a batch, and at an end.
@pytest.mark.parametrize("after", [None, 0, 2, 3, 6, 9])
def test_an_outage_leaves_what_no_outage_does(
    after: int | None,
    output_dir: Path,
    client: Any,
    result: Result,
    tmp_path: Path,
    outage: Outage,
    capsys: pytest.CaptureFixture[str],
) -> None:
    undisturbed = record_of(client, whole_study(output_dir, result, tmp_path, "study"))
    outage.down, outage.after = after is None, after
    parent = whole_study(output_dir, result, tmp_path, "study")
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "aero-search sync output_dir=" in said
    journal = journal_of(SPEC, output_dir)
    assert journal.exists
    outage.down = False
    assert "its record is complete" in send(journal, SPEC, output_dir)
    assert not journal.exists
    assert record_of(client, parent) == undisturbed


def test_a_server_that_returns_is_told_by_the_search_itself(
    output_dir: Path, client: Any, result: Result, tmp_path: Path, outage: Outage
) -> None:
    undisturbed = record_of(client, whole_study(output_dir, result, tmp_path, "study"))
    tracker = open_tracker(SPEC, output_dir)
    outage.down = True
    parent = tracker.start_study("study", "# searched", {"space": "aero"}, {"study": "study"})
    assert tracker.resume_study(parent)
    outage.down = False
    tracker.finish_study(parent)
    assert journals(output_dir) == []
    assert list(record_of(client, parent)) == list(undisturbed)[:1]
    # Another process knows it by the same name.
    assert open_tracker(SPEC, output_dir).resume_study(parent)


class Killed(BaseException):
    """As kill -9: nothing that follows is done."""


def test_killed_anywhere_and_sent_again_nothing_is_doubled(
    output_dir: Path,
    client: Any,
    result: Result,
    tmp_path: Path,
    outage: Outage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = record_of(client, whole_study(output_dir, result, tmp_path, "study"))
    outage.down = True
    parent = whole_study(output_dir, result, tmp_path, "study")
    outage.down = False
    journal = journal_of(SPEC, output_dir)
    waited = journal.count()
    done = Journal.done
    for number in range(waited):

        def killed(journal: Journal, end: int, number: int = number) -> None:
            # On odd turns the operation was brought and this was not noted any more.
            if number % 2 == 0:
                done(journal, end)
            raise Killed

        monkeypatch.setattr(Journal, "done", killed)
        with pytest.raises(Killed):
            # A new process each time: it remembers nothing.
            send_kept(journal, Delivery(SPEC, output_dir))
    assert 0 < journal.count() < waited
    monkeypatch.setattr(Journal, "done", done)
    send(journal, SPEC, output_dir)
    assert record_of(client, parent) == undisturbed


def test_a_part_that_is_never_taken_is_put_aside(output_dir: Path, client: Any, tmp_path: Path) -> None:
    journal = journal_of(SPEC, output_dir)
    run, gone = new_run(), tmp_path / "gone.png"
    operations: list[Operation] = [
        Create(run, "put aside", {}),
        Batch(run, params={"a": "1"}),
        Batch(run, params={"a": "2"}),
        File(run, str(gone)),
        Batch(new_run(), tags={"b": "3"}),
        End(run, "FINISHED"),
    ]
    journal.append(operations, SPEC, output_dir)
    with pytest.raises(AeroSearchError, match=r"took 3 and refused 3, .*refused\.jsonl"):
        send(journal, SPEC, output_dir)
    assert not journal.exists
    refused = [json.loads(line) for line in (journal.folder / "refused.jsonl").read_text().splitlines()]
    assert [from_line(entry["operation"]) for entry in refused] == operations[2:5]
    assert "Changing param values is not allowed" in refused[0]["reason"]
    assert "gone.png" in refused[1]["reason"]
    found = Delivery(SPEC, output_dir)
    assert found.exists(run)


def test_two_senders_do_not_meet(output_dir: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(OPERATIONS, SPEC, output_dir)
    with journal.sending() as alone:
        assert alone
        with pytest.raises(AeroSearchError, match="another process is already sending"):
            send(journal, SPEC, output_dir)
    assert journal.count() == 5


def test_a_store_that_stays_down_is_said(output_dir: Path, tmp_path: Path, outage: Outage) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(OPERATIONS, SPEC, output_dir)
    outage.down = True
    with pytest.raises(AeroSearchError, match=r"nobody answers\): 0 sent, 5 still wait"):
        send(journal, SPEC, output_dir)
