"""What a connection may cost: half-sent requests, bodies without an end, two lengths, more connections than there are
places."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tabsync.console.base.connections import Limits, origin_of, within
from tabsync.console.base.guard import BIGGEST_BODY
from tabsync.console.serve import Running, start
from tests.console.conftest import Workspaces

LIMITS = Limits(arrive=0.6, take=1.0, each=6, all=9)
CLOSED = (ConnectionResetError, BrokenPipeError)


@pytest.fixture(scope="module")
def running(console_workspaces: Workspaces) -> Iterator[Running]:
    """A console whose limits a test can reach."""
    found = start(console_workspaces("connections", "host=127.0.0.1 port=1 dbname=nowhere"), limits=LIMITS)
    yield found
    found.stop()


@contextmanager
def connected(running: Running, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    place = running.url.split("/")[2]
    host, _, port = place.rpartition(":")
    with closing(socket.create_connection((host, int(port)), timeout=5, source_address=(source, 0))) as found:
        yield found


def head(running: Running, method: str = "GET", *lines: str) -> bytes:
    host = running.url.split("/")[2]
    return "\r\n".join(
        [f"{method} /login HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", *lines, "", ""]
    ).encode()


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, or the answer's end."""
    got = b""
    while b"</html>" not in got:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            break
        if not more:
            break
        got += more
    return got


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.02)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /login HTTP/1.1\r\nHost: x\r\n",
        b"GET",
        b"POST /login HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST /login HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_half_a_request_does_not_stay(running: Running, sent: bytes) -> None:
    with connected(running) as connection:
        connection.sendall(sent.replace(b"HOST", running.url.split("/")[2].encode()))
        got = answer(connection)
    assert got.startswith(b"HTTP/1.1 408") and b"connection: close" in got


def test_a_byte_now_and_then_does_not_put_the_deadline_off(running: Running) -> None:
    with connected(running) as connection, pytest.raises(CLOSED):
        for byte in head(running, "GET", "X-Slow: " + "x" * 500):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)


def test_nor_does_one_after_a_whole_request(running: Running) -> None:
    with connected(running) as connection:
        connection.sendall(head(running))
        assert answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /lo")
        assert answer(connection).startswith(b"HTTP/1.1 408")


def test_nothing_at_all_is_closed_without_a_word(running: Running) -> None:
    with connected(running) as connection:
        assert answer(connection) == b""


def test_a_body_that_goes_on_after_the_answer_is_not_read_for_ever(running: Running) -> None:
    with connected(running) as connection:
        connection.sendall(
            head(running, "POST", "Transfer-Encoding: chunked", "X: y").replace(b"Origin: http", b"No: ")
        )
        assert answer(connection).startswith(b"HTTP/1.1 403")
        with pytest.raises(CLOSED):
            for _ in range(200):
                connection.sendall(b"1\r\nx\r\n")
                time.sleep(0.05)


def test_two_lengths_are_refused(running: Running) -> None:
    for method in ("GET", "POST"):
        for lines in (
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 0"),
        ):
            with connected(running) as connection:
                connection.sendall(head(running, method, *lines) + b"0\r\n\r\n" + head(running))
                got = answer(connection)
            assert got.startswith(b"HTTP/1.1 400") and b"connection: close" in got
            assert got.count(b"HTTP/1.1") == 1  # what follows it is not somebody's request


def test_old_http_knows_no_chunks(running: Running) -> None:
    with connected(running) as connection:
        sent = head(running, "POST", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
        connection.sendall(sent.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert answer(connection).startswith(b"HTTP/1.1 400")


def test_chunks_are_counted_while_they_come(running: Running) -> None:
    with connected(running) as connection:
        connection.sendall(head(running, "POST", "Transfer-Encoding: chunked"))
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        for _ in range(BIGGEST_BODY // 1024 + 1):
            connection.sendall(chunk)
        assert answer(connection).startswith(b"HTTP/1.1 413")  # its end was never sent


def test_a_form_in_chunks_that_fits_is_read(running: Running) -> None:
    with connected(running) as connection:
        form = b"name=ana&password=x"
        lines = ("Transfer-Encoding: chunked", "Content-Type: application/x-www-form-urlencoded")
        connection.sendall(head(running, "POST", *lines) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form))
        got = answer(connection)
        assert got.startswith(b"HTTP/1.1 403") and b"cookie" in got


def test_whoever_sends_whole_requests_finds_a_place(running: Running) -> None:
    """Half-sent requests take each other's places, and nobody else's."""
    held = []
    try:
        for number in range(60):
            held.append(socket.create_connection(("127.0.0.1", int(running.url.rstrip("/").rpartition(":")[2]))))
            held[-1].sendall(b"GET / HTTP/1.1\r\n")
            if number % 10 == 9:
                with connected(running) as connection:
                    connection.sendall(head(running))
                    assert answer(connection).startswith(b"HTTP/1.1 200")
        assert sum(is_open(one) for one in held) <= LIMITS.each
    finally:
        for one in held:
            one.close()


def test_many_addresses_have_one_cap_together(running: Running) -> None:
    held = []
    try:
        for number in range(30):
            source = (f"127.0.1.{number % 10 + 1}", 0)
            place = ("127.0.0.1", int(running.url.rstrip("/").rpartition(":")[2]))
            held.append(socket.create_connection(place, source_address=source))
            held[-1].sendall(b"GET / HTTP/1.1\r\n")
        with connected(running) as connection:
            connection.sendall(head(running))
            assert answer(connection).startswith(b"HTTP/1.1 200")
        assert sum(is_open(one) for one in held) <= LIMITS.all
    finally:
        for one in held:
            one.close()


def test_garbage_is_told_and_logs_no_traceback(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /login HTTP/9.9\r\n\r\n",
        head(running, "POST", "Transfer-Encoding: chunked") + b"not a length\r\n",
        head(running, "POST", "Transfer-Encoding: identity"),
    ):
        with connected(running) as connection:
            connection.sendall(sent)
            got = answer(connection)
            assert got == b"" or got.startswith(b"HTTP/1.1 4"), sent[:40]
    assert not [one for one in caplog.records if one.exc_info]


def test_a_client_that_takes_nothing_is_let_go(running: Running) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", int(running.url.rstrip("/").rpartition(":")[2])))
        connection.settimeout(10)
        connection.sendall(head(running).replace(b"/login", b"/static/vendor/pico.min.css") * 100)
        with pytest.raises(CLOSED):
            while True:
                connection.sendall(head(running) * 100)


def test_whom_an_address_stands_for() -> None:
    assert origin_of("2001:db8::1") == origin_of("2001:db8::ffff") != origin_of("2001:db8:0:1::1")
    assert origin_of("10.0.0.1") != origin_of("10.0.0.2")
    assert origin_of("x" * 500) == "x" * 64
    assert within("10.1.2.3", ("10.0.0.0/8",)) and not within("11.0.0.1", ("10.0.0.0/8", "::1"))
    assert not within("testclient", ("0.0.0.0/0",))
