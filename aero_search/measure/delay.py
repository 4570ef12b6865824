"""A slower link: a proxy on 127.0.0.1 that adds one-way delay and a bandwidth limit between two parties.

It follows what the estimate assumes (docs/protocols.md): both directions share one bandwidth, and a message
arrives half a round-trip time after its last byte has left. Many messages may be on their way at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aero_search.cost.network import Network

_CHUNK = 1 << 16
_HOST = "127.0.0.1"


@dataclass
class Line:
    """The wire both directions share.

    Attributes:
        delay_s: one way.
        bytes_per_second: both directions together.
    """

    delay_s: float
    bytes_per_second: float
    _free_at: float = field(default=0.0, init=False)

    def arrival(self, now: float, size: int) -> float:
        """When `size` bytes that are handed over `now` have arrived; later ones queue behind them."""
        self._free_at = max(self._free_at, now) + size / self.bytes_per_second
        return self._free_at + self.delay_s


@contextlib.contextmanager
def shaped_link(ports: Sequence[int], network: Network | None) -> Iterator[list[tuple[str, ...]]]:
    """Addresses by which each party reaches each party; through a proxy if a network is given.

    Args:
        ports: where the parties will listen, by rank.

    Yields:
        For each rank, host:port of every rank as that party has to dial it (its own: where it listens).
    """
    direct = [f"{_HOST}:{port}" for port in ports]
    if network is None:
        yield [tuple(direct)] * len(ports)
        return
    line = Line(network.rtt_seconds / 2, network.bytes_per_second)
    with _proxies(ports, line) as fronts:
        yield [
            tuple(direct[to] if to == me else f"{_HOST}:{fronts[to]}" for to in range(len(ports)))
            for me in range(len(ports))
        ]


@contextlib.contextmanager
def _proxies(ports: Sequence[int], line: Line) -> Iterator[list[int]]:
    """One proxy before each port, in a thread of its own; yields the proxies' ports."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve(port: int) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _relay(reader, writer, port, line)

        return await asyncio.start_server(connected, _HOST, 0)

    async def stop() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    servers: list[asyncio.Server] = []
    try:
        servers += [asyncio.run_coroutine_threadsafe(serve(port), loop).result() for port in ports]
        yield [int(server.sockets[0].getsockname()[1]) for server in servers]
    finally:
        for server in servers:
            loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, line: Line) -> None:
    try:
        there_reader, there_writer = await asyncio.open_connection(_HOST, port)
    except OSError:
        # The party does not listen yet; the one that dials tries again.
        writer.close()
        return
    with contextlib.suppress(OSError):
        await asyncio.gather(_pump(reader, there_writer, line), _pump(there_reader, writer, line))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
    """Carry one direction: reading and delivering overlap, so that delay does not limit throughput."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            at, data = await queue.get()
            if (wait := at - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    delivery = asyncio.create_task(deliver())
    try:
        while data := await reader.read(_CHUNK):
            queue.put_nowait((line.arrival(loop.time(), len(data)), data))
        queue.put_nowait((line.arrival(loop.time(), 0), b""))
        await delivery
    finally:
        delivery.cancel()
