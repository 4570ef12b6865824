"""The database of an output folder, checked against the files of its studies and made again from them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event

from aero_search.app.saved_study import read_told
from aero_search.errors import AeroSearchError, RequestError
from aero_search.integrity import DamagedError, free_name, put_aside, tell
from aero_search.search.study import Study
from aero_search.training.result import read_result
from aero_search.workers.database import DATABASE, database_lock, open_storage, storage_url
from aero_search.workers.local_storage import DamagedStoreError, LocalStorage, check_file
from aero_search.workers.study_files import GAP, STUDY_FILE, TRIALS, lost_studies, read_study, read_trial
from aero_search.workers.trial_queue import lost
from aero_search.workers.worker_registry import FileRegistry

_REBUILT = f"{DATABASE}.rebuilt"
# What Optuna says of rows that are not what it wrote.
_MISREAD = (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError)
_UNREADABLE = (AeroSearchError, *_MISREAD)


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a database.

    Attributes:
        database: with the file as a whole; empty where SQLite reads it.
        studies: with one study, by name; empty texts for those that are sound.
        lost: the studies that have files and that the database does not know.
    """

    database: str
    studies: Mapping[str, str]
    lost: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.database and not self.lost and not any(self.studies.values())

    def sentences(self) -> Iterator[str]:
        """What is wrong, one sentence each."""
        if self.database:
            yield self.database
        yield from (f"study {name}: {problem}" for name, problem in self.studies.items() if problem)
        yield from (f"study {name} is not in the database" for name in self.lost)


@dataclass(frozen=True)
class Restored:
    """One study as it is after the repair.

    Attributes:
        source: what it was read from.
        results: candidates with a result.
        waiting: candidates that are trained, or trained on, by the next search.
        gaps: the trials that left no file, which count as failed.
    """

    name: str
    source: str
    results: int
    waiting: int
    gaps: tuple[int, ...]


@dataclass(frozen=True)
class Repair:
    """What a repair has done.

    Attributes:
        found: what was wrong, in sentences.
        left: the studies that could not be put back, with the reason.
        kept: where the damaged database lies now; None where there was none.
    """

    found: tuple[str, ...]
    studies: tuple[Restored, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    kept: Path | None = None


def diagnose_studies(output_dir: Path, address: str | None = None) -> Diagnosis:
    """Read every study of a database and compare it with the files in its folder.

    Args:
        address: of a PostgreSQL database; None is the SQLite file under `output_dir`.
    """
    path = output_dir / DATABASE
    if address is None and not path.exists():
        there = lost_studies(output_dir, ())
        return Diagnosis(f"{path} is not there" if there else "", {}, tuple(there))
    try:
        storage = open_storage(output_dir, address)
        names = optuna.get_all_study_names(storage)
    except DamagedStoreError as problem:
        return Diagnosis(problem.found, {}, ())
    studies = {name: _disagreement(storage, name, output_dir / "studies" / name) for name in names}
    return Diagnosis("", studies, tuple(lost_studies(output_dir, names)))


def repair(output_dir: Path, address: str | None = None) -> Repair:
    """Make the database again where it is damaged, and put back the studies that it has lost.

    Sound studies are taken over from the database, others are read from their folders. The new database is written
    beside the old one and takes its place at once; the old one is kept under another name.

    Raises:
        RequestError: there is nothing to repair.
        AeroSearchError: a search is running in this folder.
    """
    if not output_dir.is_dir():
        raise RequestError(f"output_dir={output_dir} does not exist: name the folder that holds the studies")
    _require_rest(output_dir)
    diagnosis = diagnose_studies(output_dir, address)
    if diagnosis.sound:
        return Repair(())
    found = tuple(diagnosis.sentences())
    if address is not None:
        # A server's other studies are its own to mend.
        storage = open_storage(output_dir, address)
        return Repair(found, *_restore_all(storage, output_dir, diagnosis.lost))
    with FileLock(database_lock(output_dir), timeout=60):
        return _rebuild(output_dir, diagnosis, found)


def _rebuild(output_dir: Path, diagnosis: Diagnosis, found: tuple[str, ...]) -> Repair:
    path, fresh = output_dir / DATABASE, output_dir / _REBUILT
    for stale in output_dir.glob(f"{_REBUILT}*"):
        stale.unlink()
    storage = LocalStorage(fresh, storage_url(output_dir, _REBUILT), timeout=60)
    # Thousands of small transactions: the file is synchronized once, before it takes the old one's place.
    event.listen(storage.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))
    storage.engine.dispose()
    from_folders = [
        file.parent.name
        for file in output_dir.glob(f"studies/*/{STUDY_FILE}")
        if diagnosis.studies.get(file.parent.name, "unknown")
    ]
    studies, left = _restore_all(storage, output_dir, from_folders)
    copied, unread = _copy_all(storage, output_dir, [study.name for study in studies])
    storage.remove_session()
    storage.engine.dispose()
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    without = {f.parent.name for f in output_dir.glob("studies/*/candidates")}
    known = {study.name for study in (*studies, *copied)} | dict(left).keys() | unread.keys()
    silent = dict.fromkeys(without - known, f"it has no {STUDY_FILE}, as studies of earlier versions")
    return Repair(found, (*studies, *copied), (*left, *{**unread, **silent}.items()), _swap(fresh, path))


def _restore_all(
    storage: RDBStorage, output_dir: Path, names: Collection[str]
) -> tuple[tuple[Restored, ...], tuple[tuple[str, str], ...]]:
    """Put these studies into a database from their folders, oldest first; those that cannot be, with the reason."""
    done, left, records = [], [], {}
    for name in sorted(names):
        try:
            records[name] = read_study(output_dir / "studies" / name)
        except (DamagedError, OSError) as problem:
            left.append((name, f"{output_dir / 'studies' / name / STUDY_FILE}: {problem}"))
    for name, record in sorted(records.items(), key=lambda item: float(item[1].attrs.get("created") or 0)):
        folder = output_dir / "studies" / name
        study = optuna.create_study(
            study_name=name, storage=storage, directions=[StudyDirection[way] for way in record.directions]
        )
        for key, value in record.system_attrs.items():
            storage.set_study_system_attr(study._study_id, key, value)
        for key, value in record.attrs.items():
            study.set_user_attr(key, value)
        trials, gaps = _without_gaps(_kept_trials(folder))
        study.add_trials(trials)
        _settle(study, name, folder)
        done.append(_restored(study, f"{folder}", gaps))
    return tuple(done), tuple(left)


def _kept_trials(folder: Path) -> dict[int, FrozenTrial]:
    """The trials that a study's folder keeps; damaged files are put aside, and told."""
    kept = {}
    for path in sorted((folder / TRIALS).glob("*.json")):
        try:
            trial = read_trial(path)
        except (DamagedError, OSError) as problem:
            tell(f"{path}: {' '.join(str(problem).split())[:200]}; kept as {put_aside(path).name}")
            continue
        kept[trial.number] = trial
    return kept


def _without_gaps(kept: Mapping[int, FrozenTrial]) -> tuple[list[FrozenTrial], tuple[int, ...]]:
    """Every trial up to the last by number, those without a file as failed ones."""
    requeued = {trial.user_attrs.get("again_of") for trial in kept.values()}
    trials, gaps = [], []
    for number in range(max(kept, default=-1) + 1):
        trial = kept.get(number)
        if trial is None:
            gaps.append(number)
            trial = create_trial(state=TrialState.FAIL, user_attrs={GAP: "it left no file"})
        elif trial.state == TrialState.RUNNING or (lost(trial) and number not in requeued):
            # Nobody works on it: the queue settles it. Its worker's end says nothing about the candidate.
            trial.state, trial.datetime_complete = TrialState.RUNNING, None
            trial.user_attrs.pop("worker", None)
        trials.append(trial)
    return trials, tuple(gaps)


def _settle(study: optuna.Study, name: str, folder: Path) -> None:
    """Tell the trainings that have their result, and queue the others again; calls of functions wait for theirs."""
    if "reference" not in study.user_attrs:
        return
    objective, pricing = read_told(name, study.user_attrs)
    Study(study, objective, folder, pricing.price).requeue_stale()


def _copy_all(
    storage: RDBStorage, output_dir: Path, done: Collection[str]
) -> tuple[tuple[Restored, ...], dict[str, str]]:
    """Take over from the old database what no folder gives; those that cannot be read, with the reason."""
    copied, unread = [], {}
    with _readable(output_dir / DATABASE) as old:
        names = [] if old is None else optuna.get_all_study_names(old)
        for name in names:
            if old is None or name in done:
                continue
            folder = output_dir / "studies" / name
            try:
                _require_results(optuna.load_study(study_name=name, storage=old).get_trials(), folder)
                optuna.copy_study(
                    from_study_name=name, from_storage=old, to_storage=storage, to_study_name=name
                )
            except (*_UNREADABLE, sqlite3.Error) as problem:
                if name in optuna.get_all_study_names(storage):
                    optuna.delete_study(study_name=name, storage=storage)
                unread[name] = " ".join(str(problem).split())[:200]
                continue
            copied.append(_restored(optuna.load_study(study_name=name, storage=storage), "the database", ()))
    return tuple(copied), unread


@contextmanager
def _readable(path: Path) -> Iterator[LocalStorage | None]:
    """A copy of a database, as far as it can be opened at all; the file itself stays as it is."""
    if not path.is_file():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="aero-search-") as made:
        folder = Path(made)
        for file in path.parent.glob(f"{DATABASE}*"):
            if file.name in (DATABASE, f"{DATABASE}-wal"):
                shutil.copyfile(file, folder / file.name)
        try:
            storage = LocalStorage(folder / DATABASE, storage_url(folder), timeout=60)
            optuna.get_all_study_names(storage)
        except _UNREADABLE:
            yield None
            return
        yield storage
        storage.engine.dispose()


def _require_results(trials: Sequence[FrozenTrial], folder: Path) -> None:
    """Refuse what a damaged database says of a study where its candidates' results say something else.

    Raises:
        AeroSearchError: names the trial.
    """
    for trial in trials:
        if trial.state == TrialState.COMPLETE and "perplexity" in trial.user_attrs:
            result = read_result(folder / "candidates" / trial.user_attrs["candidate"])
            if result.perplexity != trial.user_attrs["perplexity"]:
                raise AeroSearchError(f"trial {trial.number} is not what its result says")


def _disagreement(storage: RDBStorage, name: str, folder: Path) -> str:
    """Where a study in the database is not what its files say; empty where it is."""
    try:
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    except DamagedStoreError as problem:
        return problem.found
    except _MISREAD as problem:
        return f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
    for path in sorted((folder / TRIALS).glob("*.json"), key=lambda path: path.name):
        try:
            kept = read_trial(path)
        except (DamagedError, OSError):
            continue
        if kept.number >= len(trials):
            return f"trial {kept.number} is missing"
        told = trials[kept.number]
        if kept.state.is_finished() and told.state.is_finished() and _said(kept) != _said(told):
            return f"trial {kept.number} is not what {path} says"
    return ""


def _said(trial: FrozenTrial) -> tuple[object, ...]:
    return trial.state, trial.values, trial.params, trial.user_attrs


def _restored(study: optuna.Study, source: str, gaps: tuple[int, ...]) -> Restored:
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return Restored(
        name=study.study_name,
        source=source,
        results=sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in states),
        waiting=sum(state in (TrialState.WAITING, TrialState.RUNNING) for state in states),
        gaps=gaps,
    )


def _swap(fresh: Path, path: Path) -> Path | None:
    """Put the new database in the old one's place; the old one, with its log, is kept under another name."""
    kept, there = free_name(path), path.exists()
    if path.is_dir():
        path.rename(kept)
    elif there:
        try:
            os.link(path, kept)
        except OSError:  # a file system without links
            shutil.copy2(path, kept)
    for end in ("-wal", "-shm"):
        log = path.with_name(path.name + end)
        if log.exists():
            # SQLite would play an old log into the new file.
            log.rename(kept.with_name(kept.name + end))
    fresh.replace(path)
    check_file(path)
    return kept if there else None


def _require_rest(output_dir: Path) -> None:
    """Refuse while workers train: they would go on with the file that is put aside."""
    for folder in sorted((output_dir / "studies").glob("*")):
        names = [lock.stem for lock in (folder / "workers").glob("*.lock")]
        if not names:
            continue
        registry = FileRegistry(folder)
        with registry.claim_lock():
            if living := registry.living(names):
                raise AeroSearchError(
                    f"study {folder.name} has {len(living)} workers in training: stop its search first, or wait "
                    "for its end"
                )
