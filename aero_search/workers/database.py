"""The study's database: SQLite under the output folder, or PostgreSQL where several machines share a study."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event

from aero_search.errors import RequestError, nearest
from aero_search.fail_points import passes
from aero_search.front.quality import Metric
from aero_search.invocation import typed
from aero_search.passwords import masked
from aero_search.tracking.address import sqlite_address
from aero_search.workers.local_storage import LocalStorage, check_file, translated
from aero_search.workers.storage_address import check_driver
from aero_search.workers.study_files import require_unused
from aero_search.workers.worker_registry import FileRegistry, WorkerRegistry

DATABASE = "optuna.db"
_LOCK_SECONDS = 60
# A machine that lost its power answers nothing: after about a minute its connections count as closed, and a worker
# that holds the turn without doing anything loses it.
_POSTGRESQL = {
    "connect_timeout": 10,
    "application_name": "aero-search",
    "options": "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=6 "
    "-c idle_in_transaction_session_timeout=600000",
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 6,
}
# Of the lock under which tables are created: two searches may open a fresh database at the same moment.
_CREATION = 7242016


def storage_url(output_dir: Path, name: str = DATABASE) -> str:
    """The address of the SQLite database that every command under `output_dir` shares, as Optuna reads it."""
    return _without_placeholders(sqlite_address(output_dir / name))


def database_lock(output_dir: Path) -> Path:
    """The file that is locked while the database is created or replaced."""
    return output_dir / f"{DATABASE}.lock"


def open_storage(output_dir: Path, address: str | None = None, wait: bool = False) -> RDBStorage:
    """Open, and at first create, the database.

    SQLite's write-ahead logging lets workers read while one writes and is ten times faster a trial than its
    default journal (29 ms against 291 ms).

    Args:
        address: of a PostgreSQL database, see `address.read_address`; None is SQLite under `output_dir`.
        wait: for a server that is down now; it was there when the study was created.

    Raises:
        RequestError: psycopg is missing, or no server lets us in.
        AeroSearchError: we waited in vain, or the file is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if address is not None:
        return _open_postgresql(address, wait)
    if (output_dir / DATABASE).is_file() and not os.access(output_dir, os.W_OK):
        return _open_copy(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    # SQLite lets two commands find a fresh file empty, and both create the tables.
    path = output_dir / DATABASE
    with FileLock(database_lock(output_dir), timeout=_LOCK_SECONDS):
        check_file(path)
        if not path.exists() or not path.stat().st_size:
            _create(output_dir)
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as problem:
            raise translated(problem, path) from problem
        return LocalStorage(path, storage_url(output_dir), _LOCK_SECONDS)


def _create(output_dir: Path) -> None:
    """Make the database whole under another name first: Optuna makes its tables one by one.

    What is cut off in between, by a full disk or a kill, is begun again.
    """
    fresh = output_dir / f"{DATABASE}.new"
    try:
        for stale in output_dir.glob(f"{fresh.name}*"):
            stale.unlink()
        storage = LocalStorage(fresh, storage_url(output_dir, fresh.name), _LOCK_SECONDS)
        storage.remove_session()
        storage.engine.dispose()
        passes("optuna.db made")
        fresh.replace(output_dir / DATABASE)
        passes("optuna.db written")
    finally:
        for stale in output_dir.glob(f"{fresh.name}*"):
            stale.unlink(missing_ok=True)


def _open_copy(output_dir: Path) -> RDBStorage:
    """What a folder that cannot be written to holds, from a copy: SQLite needs files beside a database it reads.

    Nothing can be written to the copy either.
    """
    folder = Path(tempfile.mkdtemp(prefix="aero-search-"))
    for file in output_dir.glob(f"{DATABASE}*"):
        if file.name in (DATABASE, f"{DATABASE}-wal"):
            shutil.copyfile(file, folder / file.name)
    check_file(folder / DATABASE, output_dir / DATABASE)
    storage = RDBStorage(storage_url(folder))
    weakref.finalize(storage, shutil.rmtree, folder, ignore_errors=True)
    event.listen(storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    storage.engine.dispose()
    return storage


def _without_placeholders(url: str) -> str:
    """Braces are placeholders to Optuna, unless they are doubled."""
    return url.replace("{", "{{").replace("}", "}}")


def open_registry(storage: RDBStorage, name: str, folder: Path, heartbeat: float) -> WorkerRegistry:
    """Who works on a study: kept in its database where machines share that, else as locked files in its folder.

    Args:
        heartbeat: seconds between two beats, see `database_roster`.
    """
    if storage.engine.dialect.name != "postgresql":
        return FileRegistry(folder)
    from aero_search.workers.database_registry import DatabaseRegistry

    return DatabaseRegistry(storage.engine, name, heartbeat)


def create_study(storage: RDBStorage, name: str, metrics: Sequence[Metric]) -> optuna.Study:
    """Create a study, or load the one of that name."""
    return optuna.create_study(
        study_name=name, storage=storage, directions=["minimize"] * len(metrics), load_if_exists=True
    )


def name_metrics(study: optuna.Study, metrics: Sequence[str]) -> None:
    """Label the objectives of a new study."""
    with warnings.catch_warnings():
        # Only a label for Optuna's own dashboards; still marked experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(metrics))


def load_study(
    output_dir: Path, name: str, address: str | None = None, wait: bool = False
) -> tuple[optuna.Study, RDBStorage]:
    """Load a study that exists, and the storage that it is in; the arguments are those of `open_storage`.

    Raises:
        RequestError: there is none of that name, with the nearest that there is.
    """
    if address is None and not (output_dir / DATABASE).exists():
        names: list[str] = []
    else:
        storage = open_storage(output_dir, address, wait)
        names = optuna.get_all_study_names(storage)
        if name in names:
            return optuna.load_study(study_name=name, storage=storage), storage
    if address is None and name not in names:
        require_unused(output_dir / "studies" / name)
    if not names:
        raise RequestError(f"study={name} does not exist: {no_study(output_dir, address)}")
    raise RequestError(f"study={name} does not exist {_where(output_dir, address)}: {nearest(name, names)}")


def no_study(output_dir: Path, address: str | None) -> str:
    """That there is no study at all, and how to come by one."""
    place = "output_dir" if address is None else "search.storage"
    run = f"run `{typed('search')}` first, or say {place}= as the search did"
    return f"there is no study {_where(output_dir, address)}; {run}"


def _where(output_dir: Path, address: str | None) -> str:
    return f"under output_dir={output_dir}" if address is None else f"in search.storage={masked(address)}"


def study_names(output_dir: Path, address: str | None = None) -> list[str]:
    """The studies under `output_dir`, or at the address, oldest first."""
    if address is None and not (output_dir / DATABASE).exists():
        return []
    return optuna.get_all_study_names(open_storage(output_dir, address))


def _open_postgresql(address: str, wait: bool) -> RDBStorage:
    check_driver(address)
    from sqlalchemy import create_engine, func, select
    from sqlalchemy.exc import DBAPIError

    from aero_search.workers.database_registry import create_table
    from aero_search.workers.retrying_storage import PatientStorage, patient, reason

    # The driver is named because SQLAlchemy's default has changed; braces are not Optuna's placeholders here.
    url = "postgresql+psycopg" + address.removeprefix("postgresql").replace("{", "%7B").replace("}", "%7D")
    settings = {"connect_args": _POSTGRESQL, "pool_pre_ping": True}

    def connect() -> RDBStorage:
        engine = create_engine(url, **settings)
        try:
            with engine.connect() as connection:
                # The lock is this connection's, and goes with it.
                connection.execute(select(func.pg_advisory_lock(_CREATION)))
                create_table(connection)
                connection.commit()
                return PatientStorage(url, engine_kwargs=dict(settings))
        finally:
            engine.dispose()

    try:
        return (patient(connect, f"search.storage={masked(address)}") if wait else connect)()
    except (DBAPIError, StorageInternalError) as problem:
        raise RequestError(
            f"search.storage={masked(address)} cannot be opened ({reason(problem)}): check that the server "
            "runs and lets this user in (PGPASSWORD or ~/.pgpass hold the password)"
        ) from problem
