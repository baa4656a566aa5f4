"""A TCP proxy that can hold back what goes to the server, while what comes from there passes."""

import asyncio
from contextlib import suppress
from typing import Self

from tests.support.running import LoopThread


class Valve:
    """Listens on a port of its own.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._thread = LoopThread()
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = self._thread.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self._close())
        self._thread.close()

    def hold(self) -> None:
        """Let nothing to the server from now on."""
        self._thread.call(self._open.clear)

    def let_go(self) -> None:
        """Let through what was held, and all that comes."""
        self._thread.call(self._open.set)

    async def _close(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        always = asyncio.Event()
        always.set()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pump(reader, to_server, self._open), _pump(from_server, writer, always))
        for one in (writer, to_server):
            one.transport.abort()
        self._tasks.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    while data := await reader.read(65_536):
        await gate.wait()
        writer.write(data)
    writer.transport.abort()
