"""The HTTP server: everybody is answered, whatever others do to it."""

import socket
import threading
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

from ringline_broker.monitoring.http import CONNECTIONS, HttpServer
from tests.support.bound import BOUND_S


def hello(_: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", "2")])
    return [b"hi"]


@contextmanager
def serving(longest_s: float = 60.0) -> Generator[int]:
    server = HttpServer(hello, "127.0.0.1", 0, longest_s)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), BOUND_S)


def ask(port: int, request: bytes = b"GET / HTTP/1.0\r\n\r\n") -> bytes:
    """All that is answered."""
    with connected(port) as link:
        link.sendall(request)
        return said(link)


def said(link: socket.socket) -> bytes:
    """All until the end; a reset is one, too."""
    parts: list[bytes] = []
    try:
        while part := link.recv(4_096):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_silent_clients_keep_nobody_out() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(serving())
        silent = [stack.enter_context(connected(port)) for _ in range(CONNECTIONS + 4)]
        assert ask(port).endswith(b"hi")
        assert said(silent[0]) == b"", "the oldest made room"
        answering = [one for one in threading.enumerate() if "process_request_thread" in one.name]
        assert len(answering) <= CONNECTIONS


def test_who_takes_too_long_is_cut_off_though_something_comes_all_the_time() -> None:
    with serving(longest_s=0.3) as port, connected(port) as slow:
        slow.settimeout(0.05)
        slow.sendall(b"GET /")
        sent = 0
        while True:
            try:
                slow.sendall(b"x")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                sent += 1
            except (ConnectionResetError, BrokenPipeError):
                break
            assert sent < 200
        assert ask(port).endswith(b"hi")


def test_garbage_is_an_error_of_whoever_sent_it() -> None:
    with serving() as port:
        assert b"400" in ask(port, b"\x16\x03\x01 hello\r\n\r\n")
        assert b"414" in ask(port, b"GET /" + b"x" * 70_000)
        assert ask(port).endswith(b"hi")


def test_it_ends_though_somebody_is_connected() -> None:
    with ExitStack() as stack:
        with serving() as port:
            link = stack.enter_context(connected(port))
            assert ask(port).endswith(b"hi")  # so it has been accepted
        assert said(link) == b""
        assert not [one for one in threading.enumerate() if one.name == "ringline-http"]
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


def test_on_ipv6_too() -> None:
    server = HttpServer(hello, "::1", 0)
    server.start()
    try:
        with socket.create_connection(("::1", server.port), BOUND_S) as link:
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert said(link).endswith(b"hi")
    finally:
        server.stop()
