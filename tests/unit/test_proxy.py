"""The fault ring's proxy does to a link what its switch says, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fixtures.proxy import HOST, Proxy
from tests.fixtures.waiting import wait_until


class Echo:
    """A server that sends back what it is sent."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while block := _received(connection):
                self.heard += block
                connection.sendall(block)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with closing(Proxy(echo.port)) as made:
        yield made


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=10)


def asked(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return _received(connection)


def silent(connection: socket.socket) -> bool:
    connection.settimeout(0.1)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10)


def test_open_it_is_as_if_it_were_not_there(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        assert asked(one, b"one") == b"one"
        assert asked(other, b"other") == b"other"


def test_cut_it_breaks_what_is_and_refuses_what_comes_until_it_is_opened(proxy: Proxy) -> None:
    with connected(proxy) as before:
        assert asked(before, b"a") == b"a"
        proxy.cut()
        assert _received(before) == b""
    with pytest.raises(OSError, match="refused"):
        connected(proxy)
    proxy.open()
    with connected(proxy) as after:
        assert asked(after, b"b") == b"b"


def test_stalled_it_holds_everything_back_and_loses_nothing(proxy: Proxy) -> None:
    with connected(proxy) as before:
        assert asked(before, b"a") == b"a"
        proxy.stall()
        before.sendall(b"b")
        assert silent(before)
        with connected(proxy) as meanwhile:
            meanwhile.sendall(b"c")
            assert silent(meanwhile)
            proxy.open()
            assert _received(meanwhile) == b"c"
        assert _received(before) == b"b"


def test_deaf_it_passes_the_question_and_loses_the_answer(echo: Echo, proxy: Proxy) -> None:
    with connected(proxy) as connection:
        proxy.deafen()
        connection.sendall(b"asked")
        wait_until(lambda: echo.heard == b"asked", 10)
        assert silent(connection)


def test_slow_it_passes_all_of_it(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        proxy.slow(0.05)
        assert asked(connection, b"late") == b"late"


def test_a_server_that_is_down_is_told_by_a_closed_connection(echo: Echo, proxy: Proxy) -> None:
    echo.close()
    with connected(proxy) as connection:
        assert _received(connection) == b""
    echo.listener = socket.create_server((HOST, 0))  # something for the fixture to close
