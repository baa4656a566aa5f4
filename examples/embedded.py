"""A server inside a program of one's own, on a thread and an event loop of its own."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.server import Server, ServerConfig

_WITHIN_S: Final = 10.0


class EmbeddedServer:
    """A server for as long as a `with` lasts. Any name may log in, and only from this machine.

    Args:
        directory: where the invitations are kept.
    """

    def __init__(self, directory: Path) -> None:
        listeners = {"default": Listener(host="127.0.0.1", port=0)}
        self._server = Server(ServerConfig(listeners=listeners, store=f"sqlite:{directory / 'ringline.db'}"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"mqtt://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(_WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(_WITHIN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()
