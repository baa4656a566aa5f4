"""What stands between somebody and a port, and passes bytes on: what the ways to break that have in common."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final, Self

from tests.support.running import LoopThread

AT_ONCE: Final = 65_536


class Relay(ABC):
    """Listens on a port of its own, as soon as it is made. A kind of it says how a connection is passed on.

    Args:
        port: the other one.

    Attributes:
        port: its own.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._thread = LoopThread()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = self._thread.run(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self._close())
        self._thread.close()

    @abstractmethod
    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        """Pass on what comes and what is replied, until either is over. Then all ends are aborted: whom it came from,
        and those that were added.
        """

    async def _reach(self, ends: list[asyncio.StreamWriter]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the other port; from then on all ends can be reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends.append(writer)
        self._writers.update(ends)
        return reader, writer

    def _reset_all(self) -> int:
        """Reset all connections; how many there were."""
        count = len(self._writers) // 2
        for writer in tuple(self._writers):
            writer.transport.abort()
        return count

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._pass(reader, writer, ends)
        finally:
            for end in ends:
                self._writers.discard(end)
                end.transport.abort()
            self._tasks.discard(task)
