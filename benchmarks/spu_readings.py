"""Readings of SPU's ABY3 and SECURENN (three parties) and SEMI2K (two and a dealer).

All parties run in one process, each a thread with a runtime of its own. Bytes are the sum of what all of them send;
exchanges are the messages of the first party, which are one-way hops of the critical path as far as its threads do
not overlap; seconds are the wall time of the quicker of two runs. Needs the environment of `make mpc`.

    .venv-mpc/bin/python -m benchmarks.spu_readings ABY3 --output readings_aby3.csv
    .venv-mpc/bin/python -m benchmarks.spu_readings SECURENN --output readings_securenn.csv
    .venv-mpc/bin/python -m benchmarks.spu_readings SEMI2K --output readings_semi2k.csv
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

PARTIES = {"ABY3": 3, "SECURENN": 3, "SEMI2K": 2}
FIELDS = ("benchmark", "shape", "count", "bytes", "exchanges", "seconds")
_ELEMENTS = [((1, n), 1) for n in (4096, 16384, 65536)]
_ROWS = [((n, 1), 1) for n in (128, 512, 4096)]
_HEADS = [((32, 32), 4), ((64, 64), 4), ((128, 128), 12)]
_NORMS = [((32, 128), 1), ((64, 256), 1), ((128, 768), 1)]
_LINEARS = [
    ((32, 128, 128), 1),
    ((64, 256, 512), 1),
    ((128, 768, 768), 1),
    ((32, 768, 768), 1),
    ((1, 768, 768), 1),
]
_PRODUCTS = [((32, 32, 32), 4), ((64, 64, 64), 4), ((128, 64, 128), 12), ((128, 128, 64), 12)]

Case = tuple[str, tuple[int, ...], int]


def cases() -> Iterator[Case]:
    """Benchmark, shape of one instance, instances."""
    of_elements = (
        "public_factor", "compare", "relu", "equality", "product", "exponential", "tanh", "gelu_tanh",
        "gelu_segments", "gelu_puma", "silu", "quadratic", "squared_relu", "leaky_relu",
        "leaky_relu_learned_secret",
    )  # fmt: skip
    for name in of_elements:
        for shape, count in _ELEMENTS:
            yield name, shape, count
    for name in ("reciprocal", "rsqrt"):
        for shape, count in _ROWS:
            yield name, shape, count
    for name in ("softmax_broadcast", "softmax_bumblebee", "softmax_divide"):
        for shape, count in _HEADS if name != "softmax_divide" else _HEADS[:2]:
            yield name, shape, count
    for name in ("layernorm_secret", "rmsnorm_secret"):
        for shape, count in _NORMS:
            yield name, shape, count
    for shape, count in _LINEARS:
        yield "secret_weights", shape, count
    for shape, count in _PRODUCTS:
        yield "secret_matmul", shape, count


def values(name: str, shape: tuple[int, ...], count: int) -> list[np.ndarray[Any, Any]]:
    """What goes in, in the range the function is made for."""
    rng = np.random.default_rng(0)
    heads = (count,) if count > 1 else ()

    def normal(*of: int) -> np.ndarray[Any, Any]:
        return np.asarray(rng.normal(size=of), np.float32)

    if name in ("secret_weights", "secret_matmul"):
        m, k, n = shape
        return [normal(*heads, m, k), normal(*heads, k, n) / np.float32(k) ** 0.5]
    x = normal(*heads, *shape)
    if name == "equality":
        return [rng.integers(0, 1000, x.shape, dtype=np.int32)]
    if name == "exponential":
        return [-np.abs(x)]
    if name in ("reciprocal", "rsqrt"):
        return [np.abs(x) + np.float32(0.5)]
    if name == "product":
        return [x, normal(*heads, *shape)]
    if name in ("layernorm_secret", "rmsnorm_secret"):
        return [x, normal(shape[-1]), np.asarray(1e-5, np.float32)]
    if name == "leaky_relu_learned_secret":
        return [x, np.asarray(0.1, np.float32)]
    return [x]


class Parties:
    """Runtimes of one protocol, in threads that talk through memory."""

    def __init__(self, protocol: str) -> None:
        import spu
        from spu import libspu

        self._libspu = libspu
        self._log = Path(tempfile.mkdtemp()) / "spu.log"
        options = libspu.logging.LogOptions()
        options.enable_console_logger = False
        options.system_log_path = str(self._log)
        libspu.logging.setup_logging(options)
        config = libspu.RuntimeConfig(
            protocol=getattr(libspu.ProtocolKind, protocol), field=libspu.FieldType.FM64
        )
        config.enable_pphlo_profile = True
        self._count = PARTIES[protocol]
        self._io = spu.Io(self._count, config)
        link = libspu.link.Desc()
        link.id = "readings"
        # SecureNN's comparisons of a large call take a minute each on a busy machine.
        link.recv_timeout_ms = 1_800_000
        for rank in range(self._count):
            link.add_party(f"party_{rank}", f"thread_{rank}")
        self._runtimes: list[Any] = [None] * self._count

        def start(rank: int) -> None:
            self._runtimes[rank] = spu.Runtime(libspu.link.create_mem(link, rank), config)

        self._together(start)

    def _together(self, work: Callable[[int], None]) -> None:
        failed: list[BaseException] = []

        def guarded(rank: int) -> None:
            try:
                work(rank)
            except BaseException as problem:
                failed.append(problem)
                raise

        threads = [Thread(target=guarded, args=(rank,)) for rank in range(self._count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def read(
        self, function: Callable[..., Any], inputs: Sequence[np.ndarray[Any, Any]]
    ) -> tuple[int, int, float, np.ndarray[Any, Any]]:
        """Bytes of all parties, exchanges of the busiest one, seconds, and what came out."""
        import spu.utils.frontend as frontend

        from aero_search.measure import meter

        names = [f"in{i}" for i in range(len(inputs))]
        secret = self._libspu.Visibility.VIS_SECRET
        program, _ = frontend.compile(
            frontend.Kind.JAX,
            function,
            list(inputs),
            {},
            names,
            [secret] * len(inputs),
            lambda o: [f"out{i}" for i in range(len(o))],
        )
        shares = [self._io.make_shares(value, secret) for value in inputs]
        before = self._log.stat().st_size if self._log.exists() else 0
        outputs: list[Any] = [None] * self._count

        def run(rank: int) -> None:
            runtime = self._runtimes[rank]
            for name, share in zip(names, shares, strict=True):
                runtime.set_var(name, share[rank])
            runtime.run(program)
            outputs[rank] = runtime.get_var(program.output_names[0])
            for name in (*names, *program.output_names):
                runtime.del_var(name)

        began = time.perf_counter()
        self._together(run)
        seconds = time.perf_counter() - began
        for _ in range(50):
            lines = meter.LINK.findall(self._log.read_text()[before:])
            if len(lines) >= self._count:
                break
            time.sleep(0.1)
        sent = sum(int(line[0]) for line in lines)
        return sent, max(int(line[2]) for line in lines), seconds, self._io.reconstruct(outputs)


def wrong(protocol: str) -> Iterator[str]:
    """How many comparisons of one call come out wrong, two calls a size."""
    from aero_search.measure.bench_party import FUNCTIONS
    from aero_search.measure.environment import machine

    parties = Parties(protocol)
    yield f"$ python -m benchmarks.spu_readings {protocol} --wrong benchmarks/results/securenn_wrong.txt"
    yield ""
    there = f"{PARTIES[protocol]} parties in one process on {machine()}"
    yield f"SPU 0.9.5 {protocol}, {there}: comparisons with 0, two calls of a size"
    for n in (4096, 16384, 24576, 32768, 49152, 65536):
        inputs = values("compare", (1, n), 1)
        found = [parties.read(FUNCTIONS["compare"], inputs)[3] for _ in range(2)]
        counts = [int((np.asarray(f) != (inputs[0] < 0)).sum()) for f in found]
        yield f"{n:6} comparisons: {counts[0]} and {counts[1]} wrong"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("protocol", choices=sorted(PARTIES))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--wrong", type=Path, help="count wrong comparisons instead, and write this file")
    arguments = parser.parse_args()
    if arguments.wrong:
        arguments.wrong.write_text("\n".join(wrong(arguments.protocol)) + "\n", encoding="utf-8")
        return
    if not arguments.output:
        parser.error("name a file with --output or --wrong")
    from aero_search.measure.bench_party import FUNCTIONS

    parties = Parties(arguments.protocol)
    with arguments.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for name, shape, count in cases():
            inputs = values(name, shape, count)
            runs = [parties.read(FUNCTIONS[name], inputs) for _ in range(2)]
            sent, exchanges, seconds, found = min(runs, key=lambda run: (run[0], run[2]))
            error = float(
                np.abs(np.asarray(found, np.float64) - np.asarray(FUNCTIONS[name](*inputs), np.float64)).max()
            )
            row = (name, "x".join(map(str, shape)), count, sent, exchanges, f"{seconds:.6f}")
            writer.writerow(row)
            file.flush()
            print(*row, f"largest error {error:.2g}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
