"""The slower link: what arrives is what was sent, no earlier than the network allows, on this machine alone."""

import socket
import threading
import time

import pytest

from aero_search.cost.network import Network
from aero_search.measure.delay import Line, shaped_link
from aero_search.measure.pair import free_ports


def test_both_directions_share_the_bandwidth_and_delay_does_not_add_up():
    line = Line(delay_s=0.5, bytes_per_second=100)
    assert line.arrival(0.0, 100) == 1.5
    # Handed over at the same time, it queues behind the first; the delays overlap.
    assert line.arrival(0.0, 100) == 2.5
    # After a pause the line is free again.
    assert line.arrival(10.0, 50) == 11.0


def test_without_a_network_the_parties_reach_each_other_directly():
    with shaped_link([5001, 5002], None) as addresses:
        assert addresses == [("127.0.0.1:5001", "127.0.0.1:5002")] * 2


@pytest.fixture
def echo():
    """A server that sends back what it gets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("size", [1, 300_000])
def test_what_arrives_is_what_was_sent_and_not_before_its_time(echo, size):
    """Lower bounds alone: a busy machine may be slower, a shaped link never faster."""
    network = Network("slow", 40, 100)
    sent = bytes(i % 251 for i in range(size))
    with shaped_link([free_ports(1)[0], echo], network) as addresses:
        own, front = addresses[0]
        assert int(front.split(":")[1]) != echo
        assert addresses[1][1].endswith(f":{echo}")
        assert own != addresses[1][0]
        with socket.create_connection(tuple(front.split(":"))) as connection:
            start = time.perf_counter()
            connection.sendall(sent)
            got = b""
            while len(got) < size:
                got += connection.recv(1 << 16)
            elapsed = time.perf_counter() - start
    assert got == sent
    # Both directions run at once: what comes back leaves while the rest is still on its way.
    assert elapsed >= network.rtt_seconds + size / network.bytes_per_second
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection(tuple(front.split(":")), timeout=5)


def test_a_closed_end_is_passed_on(echo):
    with shaped_link([free_ports(1)[0], echo], Network("fast", 1e4, 0)) as addresses:
        host, port = addresses[0][1].split(":")
        with socket.create_connection((host, port)) as connection:
            connection.sendall(b"x")
            assert connection.recv(10) == b"x"
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(30)
            assert connection.recv(10) == b""


def test_nobody_behind_the_proxy_closes_the_connection():
    with shaped_link(free_ports(2), Network("fast", 1e4, 0)) as addresses:
        host, port = addresses[0][1].split(":")
        with socket.create_connection((host, port)) as connection:
            connection.settimeout(30)
            assert connection.recv(10) == b""
