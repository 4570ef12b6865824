"""The workers of any number of machines: they beat into a table of the study's PostgreSQL database.

A worker that has been silent for several beats is dead, and stays it: its trial is handed on, and whatever it still
does is not counted. While the server itself is down nobody can beat, so silence is counted from its start at the
earliest. The claim lock is an advisory lock of a transaction, which the server lets go of when the connection ends.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from aero_search.workers.retrying_storage import away, patient
from aero_search.workers.worker_registry import ClaimLockLostError, WorkerLease, WorkerRegistry

# So many beats may be missed: a loaded machine, a lost packet.
BEATS_MISSED = 6

_metadata = sa.MetaData()
_WORKERS = sa.Table(
    "aero_search_workers",
    _metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("study", sa.String(512), nullable=False, index=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("every", sa.Float, nullable=False),
    sa.Column("beat", sa.DateTime(timezone=True), nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
)
_now = sa.func.clock_timestamp
_served_since = sa.func.pg_postmaster_start_time


def create_table(connection: sa.Connection) -> None:
    """Create the table of workers where it is missing; not by two at once."""
    _metadata.create_all(connection)


class DatabaseRegistry(WorkerRegistry):
    """The workers of one study in a PostgreSQL database.

    Args:
        engine: of the database, with the table created.
        every: seconds between two beats of the workers that enter here.
    """

    def __init__(self, engine: sa.Engine, study: str, every: float) -> None:
        self._engine, self._study, self._every = engine, study, every

    def enter(self, launch_id: str = "") -> DatabaseLease:
        return DatabaseLease(self._engine, self._study, self._every, launch_id)

    @contextmanager
    def claim_lock(self) -> Iterator[None]:
        connection = patient(self._take_turn)()
        try:
            try:
                yield
            except Exception as problem:
                # What others did once they had the lock may look like a mistake of ours.
                if not _holds(connection):
                    raise ClaimLockLostError("the database released the claim lock") from problem
                raise
            if not _holds(connection):
                raise ClaimLockLostError("the database released the claim lock")
        finally:
            connection.close()

    def _take_turn(self) -> sa.Connection:
        """A connection in whose transaction the lock of the study is held."""
        connection = self._engine.connect()
        try:
            key = sa.func.hashtextextended(f"aero_search/{self._study}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
        except BaseException:
            connection.close()
            raise
        return connection

    def living(self, names: Iterable[str]) -> set[str]:
        wanted = list(names)
        if not wanted:
            return set()
        w = _WORKERS.c
        heard = sa.func.greatest(w.beat, _served_since())
        silence = sa.extract("epoch", _now() - heard)
        silent = sa.and_(w.name.in_(wanted), sa.not_(w.dead), silence > BEATS_MISSED * w.every)

        def look() -> set[str]:
            with self._engine.begin() as connection:
                # A beat that comes first is seen by the condition, one that comes later finds the worker dead.
                connection.execute(sa.update(_WORKERS).where(silent).values(dead=True))
                alive = sa.select(w.name).where(w.name.in_(wanted), sa.not_(w.dead))
                return set(connection.scalars(alive))

        return patient(look)()


class DatabaseLease(WorkerLease):
    """A worker that beats from a thread of its own."""

    def __init__(self, engine: sa.Engine, study: str, every: float, launch_id: str = "") -> None:
        super().__init__(launch_id)
        self._engine, self._study, self._every = engine, study, every
        self._stopped = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    @property
    def lost(self) -> bool:
        return self._lost

    def __enter__(self) -> DatabaseLease:
        row = sa.insert(_WORKERS).values(
            name=self.name,
            study=self._study,
            host=socket.gethostname(),
            process=os.getpid(),
            every=self._every,
            beat=_now(),
            dead=False,
        )
        patient(self._enter)(row)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=2 * self._every + 5)
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(_WORKERS).where(_WORKERS.c.name == self.name))
        except DBAPIError as problem:
            if not away(problem):
                raise
            # It falls silent instead.

    def _enter(self, row: sa.Insert) -> None:
        with self._engine.begin() as connection:
            # Where the confirmation of a first try was lost on the way.
            known = sa.select(_WORKERS.c.name).where(_WORKERS.c.name == self.name)
            if connection.scalar(known) is None:
                connection.execute(row)

    def _beat_on(self) -> None:
        mine = sa.and_(_WORKERS.c.name == self.name, sa.not_(_WORKERS.c.dead))
        while not self._stopped.wait(self._every):
            try:
                with self._engine.begin() as connection:
                    beaten = connection.execute(sa.update(_WORKERS).where(mine).values(beat=_now()))
            except DBAPIError:
                continue  # nobody counts the silence of a server that is down
            if beaten.rowcount == 0:
                self._lost = True
                return


def _holds(connection: sa.Connection) -> bool:
    """Whether a transaction can still be ended well, and with it the lock; ends it."""
    try:
        connection.commit()
    except DBAPIError as problem:
        if away(problem):
            return False
        raise
    return True
