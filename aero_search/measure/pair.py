"""Starts the parties, watches them, and gives back what they wrote.

Two processes over 127.0.0.1, three under ABY3 and SecureNN, each with a folder of its own: the server's holds what
the server owns, the client's what the client owns, a helper's nothing. What all may know is in `settings`. Nothing
is pickled: arrays travel as npz, the rest as JSON, and shares between the parties as SPU's own protobuf.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aero_search
from aero_search.cost.network import Network
from aero_search.errors import AeroSearchError
from aero_search.measure.delay import shaped_link
from aero_search.measure.environment import Environment, find_environment
from aero_search.measure.mailbox import (
    ALONE,
    Array,
    Assignment,
    EventReader,
    Role,
    RuntimeSettings,
    read_arrays,
    write_arrays,
)
from aero_search.measure.meter import Reading, Run, together
from aero_search.schema import from_mapping, to_mapping

POLL_SECONDS = 0.05
_ATTEMPTS = 3
Listener = Callable[[Role, Mapping[str, Any]], None]
"""Called in the starter with every event of a party."""


@dataclass(frozen=True)
class PartyRecord:
    """What one party left.

    Attributes:
        folder: its own, with `party.log` and `spu.log`.
        runs: in order, as this party's meter read them.
        events: what it told besides.
    """

    role: Role
    folder: Path
    runs: tuple[Run, ...]
    events: tuple[Mapping[str, Any], ...]

    def arrays(self, name: str) -> dict[str, Array]:
        """What the program saved under `name`."""
        return read_arrays(self.folder / f"{name}.npz")


@dataclass(frozen=True)
class PairResult:
    """A finished run.

    Attributes:
        helper: of three-party protocols.
    """

    server: PartyRecord
    client: PartyRecord
    environment: Environment
    helper: PartyRecord | None = None

    def runs(self) -> dict[str, Reading]:
        """What each run cost all parties together, by its name.

        Of two parties the server's meter knows it: what it sent, and what it received.
        """
        if self.helper is None:
            return {run.name: run.total for run in self.server.runs}
        of = (self.server, self.client, self.helper)
        return {
            all_of[0].name: together([run.total for run in all_of])
            for all_of in zip(*(party.runs for party in of), strict=True)
        }


@dataclass
class _Watched:
    """A party while it runs."""

    role: Role
    folder: Path
    process: subprocess.Popen[bytes]
    reader: EventReader
    runs: list[Run] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def hear(self, listener: Listener | None) -> None:
        for event in self.reader.read():
            if "run" in event:
                self.runs.append(from_mapping(Run, event["run"]))
            else:
                self.events.append(event)
            if listener is not None:
                listener(self.role, event)

    def error(self) -> str | None:
        return next((str(event["error"]) for event in self.events if "error" in event), None)

    def record(self) -> PartyRecord:
        return PartyRecord(self.role, self.folder, tuple(self.runs), tuple(self.events))


class _PortTakenError(Exception):
    """Another process took a port between our looking and the party's listening."""


def run_pair(
    program: str,
    folder: Path,
    *,
    server: Mapping[str, Array] | None = None,
    client: Mapping[str, Array] | None = None,
    settings: Mapping[str, Any] | None = None,
    runtime: RuntimeSettings | None = None,
    python: str | Path | None = None,
    network: Network | None = None,
    listener: Listener | None = None,
    timeout_s: float | None = None,
    code_folders: Sequence[Path] = (),
) -> PairResult:
    """Run one program in two processes, a server and a client, or three, until all are done.

    Args:
        program: `module:function`; all parties call it with their `party.Party`.
        folder: where the parties' folders are made; an empty or a new one.
        server: what the server alone gets (`party.owned`), by name.
        client: what the client alone gets.
        settings: what all get (`party.settings`); JSON.
        runtime: how SPU computes.
        python: interpreter of another environment for all parties.
        network: the link between them is slowed down to it; as fast as the machine is if None.
        listener: hears every event of all parties while they run.
        timeout_s: seconds after which the run is ended; none if None.
        code_folders: more folders to import programs from.

    Raises:
        RequestError: SPU is not installed there.
        AeroSearchError: a party died or raised, or the time is over. No process is left then.
    """
    environment = find_environment(python)
    owned: dict[Role, Mapping[str, Array]] = {"server": server or {}, "client": client or {}, "helper": {}}
    first, second, *third = _run(
        program,
        folder,
        owned,
        settings or {},
        runtime or RuntimeSettings(),
        environment,
        network,
        listener,
        timeout_s,
        code_folders,
    )
    return PairResult(first, second, environment, third[0] if third else None)


def run_alone(
    program: str,
    folder: Path,
    *,
    owned: Mapping[str, Array],
    settings: Mapping[str, Any] | None = None,
    python: str | Path | None = None,
    listener: Listener | None = None,
) -> PartyRecord:
    """Run one program in one process that plays all parties: SPU's arithmetic in the clear (`REF2K`).

    Args as of `run_pair`; `owned` is what its parties would own together. Raises alike.
    """
    environment = find_environment(python)
    (alone,) = _run(program, folder, {"server": owned}, settings or {}, ALONE, environment, listener=listener)
    return alone


def _run(
    program: str,
    folder: Path,
    owned: Mapping[Role, Mapping[str, Array]],
    settings: Mapping[str, Any],
    runtime: RuntimeSettings,
    environment: Environment,
    network: Network | None = None,
    listener: Listener | None = None,
    timeout_s: float | None = None,
    code_folders: Sequence[Path] = (),
) -> list[PartyRecord]:
    """The parties' records, by rank."""
    for attempt in range(_ATTEMPTS):
        place = folder if attempt == 0 else folder / f"attempt{attempt}"
        code = _code_folder(place)
        with contextlib.ExitStack() as stack:
            addresses = stack.enter_context(shaped_link(free_ports(len(runtime.roles)), network))
            link = secrets.token_hex(8)
            assignments = {
                role: Assignment(rank, os.getpid(), link, addresses[rank], program, settings, runtime)
                for rank, role in enumerate(runtime.roles)
            }
            try:
                watched = stack.enter_context(
                    _started(place, assignments, owned, environment, [code, *code_folders])
                )
                _watch(watched, listener, timeout_s)
            except _PortTakenError:
                continue
            return [party.record() for party in watched]
    raise AeroSearchError(f"no port on 127.0.0.1 stayed free in {_ATTEMPTS} attempts: try again")


def free_ports(n: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [int(s.getsockname()[1]) for s in held]


def _code_folder(place: Path) -> Path:
    """A folder that holds our package and nothing else.

    The parties' environment may be another one; the folder our package lies in may hold this one's libraries.
    """
    code = place / "code"
    code.mkdir(parents=True, exist_ok=True)
    link = code / "aero_search"
    if not link.is_symlink():
        link.symlink_to(Path(aero_search.__file__).resolve().parent, target_is_directory=True)
    return code


@contextlib.contextmanager
def _started(
    place: Path,
    assignments: Mapping[Role, Assignment],
    owned: Mapping[Role, Mapping[str, Array]],
    environment: Environment,
    code: Sequence[Path],
) -> Iterator[list[_Watched]]:
    """All parties as processes; whatever happens, none of them is left afterwards."""
    watched: list[_Watched] = []
    path = os.pathsep.join(str(folder.resolve()) for folder in code)
    try:
        for role, assignment in assignments.items():
            own = place / role
            own.mkdir(parents=True)
            own.chmod(0o700)
            write_arrays(own / "owned.npz", owned[role])
            (own / "party.json").write_text(json.dumps(to_mapping(assignment)))
            with (own / "party.log").open("wb") as log:
                process = subprocess.Popen(
                    [str(environment.python), "-P", "-m", "aero_search.measure.party", str(own.resolve())],
                    # Held open until the party is done: its end tells the party that this process is gone.
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=own,
                    env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
                    start_new_session=True,
                )
            watched.append(_Watched(role, own, process, EventReader(own)))
        yield watched
    finally:
        for party in watched:
            _end(party.process)


def _watch(watched: Sequence[_Watched], listener: Listener | None, timeout_s: float | None) -> None:
    """Wait until all parties are done; raise as soon as one is dead."""
    start = time.monotonic()
    while True:
        codes = [party.process.poll() for party in watched]
        for party in watched:
            party.hear(listener)
        if all(code == 0 for code in codes):
            return
        for party, code in zip(watched, codes, strict=True):
            if code not in (None, 0):
                raise _failure(party, int(code or 0))
        if timeout_s is not None and time.monotonic() - start > timeout_s:
            raise AeroSearchError(f"private run ended: it was not done after {timeout_s:g} s")
        time.sleep(POLL_SECONDS)


def _failure(party: _Watched, code: int) -> Exception:
    log = (party.folder / "party.log").read_text(errors="replace")
    if "Address already in use" in log or "Fail to listen" in log:
        return _PortTakenError()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it wrote nothing")
    return AeroSearchError(
        f"the {party.role} of the private run {how}: {party.error() or last} "
        f"(its log: {party.folder / 'party.log'})"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a party and all that it started, and collect it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
