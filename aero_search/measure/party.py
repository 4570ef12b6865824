"""One party: a process with what it owns, links to the others, and SPU between them.

Started by `pair.run_pair` as `python -m aero_search.measure.party FOLDER`; imports SPU and JAX when it starts.
A program is a function of one Party. All parties call the same methods in the same order, as SPU demands.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aero_search.measure.mailbox import (
    ROLES,
    Array,
    Assignment,
    Role,
    append_event,
    read_arrays,
    write_arrays,
)
from aero_search.measure.meter import Run, read_profile
from aero_search.schema import from_mapping, to_mapping

if TYPE_CHECKING:
    import spu.libspu as libspu


@dataclass(frozen=True, slots=True)
class Secret:
    """A value inside the computation, by the name SPU knows it under; nobody holds it in the clear.

    Attributes:
        owner: the rank that knows it and keeps it (a private input), None if it is shared.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    owner: int | None = None


class Party:
    """This party's end of the computation.

    Attributes:
        rank: 0 for the server, 1 for the client, 2 for the helper of three-party protocols.
        alone: there is no other: this process plays the client too.
        settings: what all parties know, from `run_pair`.
        owned: what this party alone knows, by name.
    """

    def __init__(self, folder: Path, assignment: Assignment) -> None:
        import spu
        import spu.libspu as libspu

        self.rank = assignment.rank
        self.role: Role = ROLES[self.rank]
        self._others = [rank for rank in range(len(assignment.runtime.roles)) if rank != self.rank]
        self.alone = not self._others
        self.settings: Mapping[str, Any] = assignment.settings
        self.owned = read_arrays(folder / "owned.npz")
        self.folder = folder
        self._log = folder / "spu.log"
        self._runtime_settings = assignment.runtime
        self._compiled: dict[Any, tuple[Any, Any]] = {}
        self._names = 0

        logging = libspu.logging.LogOptions()
        logging.enable_console_logger = False
        logging.system_log_path = str(self._log)
        logging.log_level = libspu.logging.LogLevel.INFO
        libspu.logging.setup_logging(logging)
        config = _config(libspu, assignment)
        self._link = _connect(libspu, assignment)
        self._io = spu.Io(len(assignment.runtime.roles), config)
        self._runtime = spu.Runtime(self._link, config)

    @property
    def is_server(self) -> bool:
        return self.rank == 0

    def plays(self, role: Role) -> bool:
        """Whether this process is that party."""
        return self.alone or self.role == role

    def enter(self, owner: Role, array: Array | None, private: bool = True) -> Secret:
        """Bring a value of one party into the computation.

        Args:
            owner: the party whose value it is.
            array: the value; given by the owner alone, the others pass None.
            private: it stays with its owner, and only its shape is told; else, and where
                the runtime keeps no private inputs, it is shared like an activation.
        """
        import spu.libspu as libspu

        rank = self.rank if self.plays(owner) else ROLES.index(owner)
        private = private and self._runtime_settings.private_inputs
        secret, visibility = libspu.Visibility.VIS_SECRET, rank if private else -1
        if self.rank == rank:
            assert array is not None, f"the {owner} has to give its own value"
            shares = self._io.make_shares(np.asarray(array), secret, visibility)
            header: dict[str, Any] = {"shape": list(np.shape(array)), "dtype": str(np.asarray(array).dtype)}
            for other in self._others:
                self._send(json.dumps(header).encode(), other)
                if not private:
                    self._send_share(shares[other], other)
            share = shares[rank]
        else:
            header = json.loads(self._receive(rank))
            if private:
                # The share of a party that does not own a private value holds nothing but zeros.
                nothing = np.zeros(header["shape"], header["dtype"])
                share = self._io.make_shares(nothing, secret, visibility)[self.rank]
            else:
                share = self._receive_share(rank)
        entered = Secret(self._name(), tuple(header["shape"]), header["dtype"], rank if private else None)
        self._runtime.set_var(entered.name, share)
        return entered

    def run(
        self, name: str, function: Callable[..., Any], *inputs: Secret, quiet: bool = False
    ) -> tuple[tuple[Secret, ...], Run]:
        """Run a JAX function on shares and read what it cost.

        Args:
            name: of the run in the report.
            function: of arrays shaped like `inputs`; returns an array or a flat tuple of arrays.
            quiet: do not report the run to the starter.

        Returns:
            The outputs, which stay inside the computation, and what this party's meter read.
        """
        import spu.libspu as libspu

        code, shapes = self._compile(function, inputs)
        outputs = tuple(Secret(self._name(), shape, dtype) for shape, dtype in shapes)
        program = libspu.Executable(
            name=name,
            input_names=[secret.name for secret in inputs],
            output_names=[secret.name for secret in outputs],
            code=code,
        )
        position = self._log.stat().st_size if self._log.exists() else 0
        self._link.barrier()
        start = time.perf_counter()
        self._runtime.run(program)
        self._link.barrier()
        seconds = time.perf_counter() - start
        with self._log.open("rb") as log:
            log.seek(position)
            run = read_profile(log.read().decode(errors="replace"), name, seconds)
        if not quiet:
            self.tell(run=to_mapping(run))
        return outputs, run

    def reveal(self, value: Secret, to: Role) -> Array | None:
        """Open a value to one party; the others get None."""
        share = self._runtime.get_var(value.name)
        if not self.plays(to):
            self._send_share(share, ROLES.index(to))
            return None
        shares = {self.rank: share, **{other: self._receive_share(other) for other in self._others}}
        array: Array = np.asarray(self._io.reconstruct([shares[rank] for rank in sorted(shares)]))
        return array

    def forget(self, *values: Secret) -> None:
        """Free what is not needed any more."""
        for value in values:
            self._runtime.del_var(value.name)

    def save(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Leave arrays for the starter, as NAME.npz in this party's folder."""
        write_arrays(self.folder / f"{name}.npz", arrays)

    def tell(self, **event: Any) -> None:
        """Report something that JSON can say; the starter hears it within a tenth of a second."""
        append_event(self.folder, event)

    def _compile(self, function: Callable[..., Any], inputs: tuple[Secret, ...]) -> tuple[Any, Any]:
        import jax
        import spu.libspu as libspu
        import spu.utils.frontend as frontend

        key = (function, tuple((s.shape, s.dtype) for s in inputs))
        if key not in self._compiled:
            options = libspu.CompilerOptions()
            options.enable_optimize_denominator_with_broadcast = self._runtime_settings.broadcast_denominator
            names = [f"in{i}" for i in range(len(inputs))]
            executable, result = frontend.compile(
                frontend.Kind.JAX,
                function,
                [jax.ShapeDtypeStruct(s.shape, s.dtype) for s in inputs],
                {},
                names,
                [libspu.Visibility.VIS_SECRET] * len(inputs),
                lambda outputs: [f"out{i}" for i in range(len(outputs))],
                copts=options,
            )
            shapes = tuple((tuple(o.shape), str(o.dtype)) for o in jax.tree_util.tree_leaves(result))
            self._compiled[key] = (executable.code, shapes)
        return self._compiled[key]

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _send(self, message: bytes, to: int) -> None:
        # SPU's link takes text; hexadecimal survives it whatever the bytes are.
        self._link.send(to, message.hex())

    def _receive(self, sender: int) -> bytes:
        return bytes.fromhex(self._link.recv(sender).decode())

    def _send_share(self, share: libspu.Share, to: int) -> None:
        self._send(bytes(share.meta), to)
        self._send(len(share.share_chunks).to_bytes(4, "big"), to)
        for chunk in share.share_chunks:
            self._send(bytes(chunk), to)

    def _receive_share(self, sender: int) -> libspu.Share:
        import spu.libspu as libspu

        share = libspu.Share()
        share.meta = self._receive(sender)
        count = int.from_bytes(self._receive(sender), "big")
        share.share_chunks = [self._receive(sender) for _ in range(count)]
        return share


def _config(libspu: Any, assignment: Assignment) -> Any:
    settings = assignment.runtime
    config = libspu.RuntimeConfig(
        protocol=getattr(libspu.ProtocolKind, settings.protocol),
        field=libspu.FieldType.FM64,
        fxp_fraction_bits=settings.fraction_bits,
    )
    config.enable_pphlo_profile = True
    config.experimental_enable_colocated_optimization = settings.private_inputs
    return config


def _connect(libspu: Any, assignment: Assignment) -> Any:
    wait = int(assignment.runtime.recv_timeout_s * 1000)
    description = libspu.link.Desc()
    description.id = assignment.link
    description.recv_timeout_ms = wait
    description.http_timeout_ms = wait
    # The others import JAX meanwhile, which takes seconds on a busy machine.
    description.connect_retry_times = 600
    description.connect_retry_interval_ms = 100
    for role, address in zip(assignment.runtime.roles, assignment.addresses, strict=True):
        description.add_party(role, address)
    return libspu.link.create_brpc(description, assignment.rank)


def _die_with(parent: int) -> None:
    """End this process when its starter ends, however that ends: its stdin is a pipe the starter holds."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
    if sys.platform == "linux":
        import ctypes
        import signal

        PR_SET_PDEATHSIG = 1  # linux/prctl.h
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(3)


def main(folder: Path) -> int:
    assignment = from_mapping(Assignment, json.loads((folder / "party.json").read_text()))
    _die_with(assignment.parent)
    try:
        module, _, name = assignment.program.partition(":")
        program = getattr(importlib.import_module(module), name)
        party = Party(folder, assignment)
        party.tell(ready=True)
        program(party)
        party._link.stop_link()
    except Exception as problem:
        traceback.print_exc()
        text = str(problem).strip() or type(problem).__name__
        append_event(folder, {"error": text.splitlines()[0]})
        return 1
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # SPU's threads may outlive the program by minutes; everything it has to leave is written.
    os._exit(code)
