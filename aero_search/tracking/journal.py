"""What a tracking store has not taken yet, in order: JSON lines under the output folder, one folder a store.

Any process of a study appends; one at a time sends, and notes after each operation how far it is. Killed between
the two, the next sender repeats one operation: see `delivery` for why that doubles nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from aero_search.passwords import masked
from aero_search.tracking.address import variable
from aero_search.tracking.operations import File, Operation, Text, from_line, to_line
from aero_search.tracking.spec import TrackingSpec

FOLDER = "unsent"


class Journal:
    """The operations that one store is still to be told.

    Args:
        folder: of this store's journal; created with the first operation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines = folder / "journal.jsonl"
        self._sent = folder / "sent"
        self._texts = folder / "texts"
        self._destination = folder / "destination.json"
        self._refused = folder / "refused.jsonl"

    @property
    def exists(self) -> bool:
        """Whether anything waits."""
        return self._lines.is_file()

    @property
    def destination(self) -> tuple[str, str]:
        """Address, without a password, and experiment of the store."""
        said = self._told()
        return str(said["uri"]), str(said["experiment"])

    @property
    def lacking(self) -> str:
        """The variable that held the store's password and is not set here; empty where nothing is lacking."""
        needed = str(self._told().get("password") or "")
        return "" if needed in os.environ else needed

    def count(self) -> int:
        """How many operations wait."""
        return sum(1 for _ in self._waiting())

    def mentions(self, run: str) -> bool:
        """Whether something waits that is about a run."""
        return any(run in line for _, line in self._waiting())

    def append(self, operations: Sequence[Operation], spec: TrackingSpec, output_dir: Path) -> bool:
        """Keep operations, on the disk when this returns.

        Texts are kept once each, as files: a later one of the same name replaces the earlier.

        Returns:
            Whether nothing waited before.

        Raises:
            OSError: they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._appending():
            began = not self.exists
            if began:
                uri = spec.resolved_uri(output_dir)
                said = {"uri": masked(uri), "experiment": spec.experiment, "password": _needed(uri)}
                self._destination.write_text(json.dumps(said) + "\n", encoding="utf-8")
            text = "".join(to_line(self._kept(operation)) for operation in operations)
            with self._lines.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    # A process killed while it wrote has left half a line: let it be one of its own.
                    file.seek(end - 1)
                    text = text if file.read(1) == b"\n" else "\n" + text
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        return began

    def _told(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._destination.read_text(encoding="utf-8"))
        return said

    @contextlib.contextmanager
    def sending(self) -> Iterator[bool]:
        """Be the only one to send; False where another process is at it."""
        try:
            lock = FileLock(self.folder / "sending.lock").acquire(timeout=0)
        except Timeout:
            yield False
            return
        with lock:
            yield True

    def pending(self) -> Iterator[tuple[int, Operation | str]]:
        """What waits, in order, with what is appended meanwhile; a line that cannot be read comes as text.

        The number is what `done` takes once the operation is over. After the last one the journal is removed.
        """
        end = self._position()
        while self.exists:
            for end, line in self._waiting():
                try:
                    yield end, from_line(line)
                except ValueError:
                    yield end, line
            if self._remove(end):
                return

    def done(self, end: int) -> None:
        """Everything up to this number is over."""
        partial = self._sent.with_suffix(".partial")
        partial.write_text(str(end))
        partial.replace(self._sent)

    def refuse(self, operation: Operation | str, reason: str) -> Path:
        """Keep aside what the store will never take; returns the file it is kept in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        said = operation if isinstance(operation, str) else to_line(operation).rstrip("\n")
        with self._appending(), self._refused.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"reason": reason, "operation": said}) + "\n")
        return self._refused

    def _waiting(self) -> Iterator[tuple[int, str]]:
        """Whole lines that are not sent, with the offset of their ends."""
        end = self._position()
        with contextlib.suppress(FileNotFoundError), self._lines.open("rb") as file:
            file.seek(end)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                if line.strip():
                    yield end, line.decode(errors="replace")

    def _position(self) -> int:
        try:
            return int(self._sent.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _remove(self, end: int) -> bool:
        """Remove the journal if nothing was appended after `end`."""
        with self._appending():
            if self.exists and any(at > end for at, _ in self._waiting()):
                return False
            # In this order: killed in between, everything is sent again, which is better than nothing of the next.
            self._sent.unlink(missing_ok=True)
            self._lines.unlink(missing_ok=True)
            shutil.rmtree(self._texts, ignore_errors=True)
        return True

    def _kept(self, operation: Operation) -> Operation:
        if not isinstance(operation, Text):
            return operation
        path = self._texts / operation.run / operation.name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(operation.text, encoding="utf-8")
        partial.replace(path)
        return File(operation.run, str(path.resolve()))

    def _appending(self) -> Any:
        return FileLock(self.folder / "journal.lock", timeout=60)


def journal_of(spec: TrackingSpec, output_dir: Path) -> Journal:
    """The journal of a spec's store."""
    name = hashlib.sha256(f"{spec.resolved_uri(output_dir)} {spec.experiment}".encode()).hexdigest()[:12]
    return Journal(output_dir / FOLDER / name)


def journals(output_dir: Path) -> list[Journal]:
    """Every journal under an output folder in which something waits."""
    found = [Journal(path) for path in sorted((output_dir / FOLDER).glob("*")) if path.is_dir()]
    return [journal for journal in found if journal.exists]


def _needed(uri: str) -> str | None:
    """The variable with the store's password; None where it has none, or is let in without."""
    holder = variable(uri)
    return holder if holder is not None and holder in os.environ else None
