"""A small HTTP server for a few pages, on threads of its own: it answers though the event loop stands still.

Nobody can keep it from others: there are a few threads, a connection has a few seconds in all, and where too many are
open the oldest goes.
"""

import io
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

log = logging.getLogger(__name__)

CONNECTIONS: Final = 16
_LONGEST_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.25
_FOR_A_THREAD_S: Final = 1.0


class HttpServer:
    """Serves an application.

    Args:
        app: the application.
        host: where to listen.
        port: likewise; 0 for any free one.
        longest_s: seconds that a connection may take in all.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int, longest_s: float = _LONGEST_S) -> None:
        self._server = _Server(app, host, port, longest_s)
        self._thread = threading.Thread(target=self._serve, name="ringline-http", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; returns within a second."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.cut_off_all()

    def _serve(self) -> None:
        self._server.serve_forever(_LOOK_EVERY_S)


class _Handler(WSGIRequestHandler):
    """Logs nothing: whoever asks does so all day long."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""

    def get_stderr(self) -> Any:  # noqa: ANN401 - the library wants a stream
        """Where the library would print why somebody did not take their answer."""
        return io.StringIO()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, app: WSGIApplication, host: str, port: int, longest_s: float) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self._longest_s = longest_s
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._since: dict[Any, float] = {}  # the oldest first
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Without the library's look at the name of this machine, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the library's
        """Answer on a thread; where there is none, the oldest connection makes room."""
        if not self._slots.acquire(blocking=False):
            self._cut_off(lambda _: True, most=1)
            if not self._slots.acquire(timeout=_FOR_A_THREAD_S):
                TCPServer.shutdown_request(self, request)
                return
        with self._lock:
            self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the library's
        """A connection has ended."""
        with self._lock:
            was_open = self._since.pop(request, None) is not None
        super().shutdown_request(request)
        if was_open:
            self._slots.release()

    def service_actions(self) -> None:
        """End what takes too long; called a few times a second."""
        before = time.monotonic() - self._longest_s
        self._cut_off(lambda since: since < before)

    def cut_off_all(self) -> None:
        """End all connections."""
        self._cut_off(lambda _: True)

    def _cut_off(self, which: Callable[[float], bool], most: int = CONNECTIONS) -> None:
        """Have their threads find their ends; these close them, so that no other connection gets their number."""
        with self._lock:
            for request in [one for one, since in self._since.items() if which(since)][:most]:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's
        """Somebody was silent, or went before they had their answer."""
        log.debug("HTTP request from %s failed", client_address, exc_info=True)  # noqa: LOG014 - called in a handler
