"""A PostgreSQL server of the tests' own: Debian's binaries, its data in a folder of its own, on 127.0.0.1."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

USER, PASSWORD, DATABASE = "aero", "a/secret@with:signs", "studies"


def binaries() -> Path:
    """The folder with initdb and postgres; skips the test where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("no PostgreSQL server binaries (Debian: apt-get install postgresql)")


class Server:
    """Runs between enter and exit; may be stopped and started in between."""

    def __init__(self) -> None:
        if importlib.util.find_spec("psycopg") is None:
            pytest.skip("psycopg is not installed (pip install 'aero-search[postgres]')")
        self._binaries = binaries()
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def __enter__(self) -> Server:
        self._folder = Path(tempfile.mkdtemp(prefix="aero-postgresql-"))
        self._folder.chmod(0o711)
        data = self._folder / "data"
        data.mkdir()
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._as:
            for path in (self._folder, data, secret):
                os.chown(path, self._as["user"], self._as["group"])
        arguments = ["-D", str(data), "-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8"]
        self._run("initdb", *arguments, "--locale=C", "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()
        self.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """Without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        data = self._folder / "data"
        arguments = ["-D", str(data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(data)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", *arguments, "-c", "fsync=off"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + 600
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)

    def stop(self, immediate: bool = False) -> None:
        """End every session and stop; nothing committed is lost.

        Args:
            immediate: as a machine that crashes: no farewell, no checkpoint, and a recovery at the next start.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def execute(self, statement: str, database: str = DATABASE) -> list[Any]:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        import psycopg

        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return bool(self.execute("SELECT 1", database="postgres"))
        except psycopg.OperationalError:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments], capture_output=True, text=True, check=False, **self._as
        )
        assert done.returncode == 0, done.stderr
