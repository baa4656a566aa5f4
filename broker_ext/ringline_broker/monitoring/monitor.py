"""One process's port for those who watch it."""

import asyncio

from ringline_broker.monitoring.http import HttpServer
from ringline_broker.monitoring.loop import LoopView
from ringline_broker.monitoring.pages import Pages, Source


class Monitor:
    """Shows a server or a worker, from before it starts until it has ended.

    Args:
        source: what is shown.
        host: where to listen.
        port: likewise; 0 for any free one.
    """

    def __init__(self, source: Source, host: str, port: int) -> None:
        self._source = source
        self._host = host
        self._port = port
        self._view: LoopView | None = None
        self._http: HttpServer | None = None

    async def start(self) -> int:
        """Listen; the port.

        Raises:
            OSError: it cannot.
        """
        view = LoopView()
        try:
            self._http = HttpServer(Pages(self._source, view), self._host, self._port)
        except BaseException:
            view.close()
            raise
        self._view = view
        self._http.start()
        return self._http.port

    async def stop(self) -> None:
        """Listen no more; a second call does nothing."""
        http, self._http = self._http, None
        if http is not None:
            await asyncio.to_thread(http.stop)
        if self._view is not None:
            self._view.close()
