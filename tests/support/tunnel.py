"""A way to a port that can be cut as networks are: silently, with a reset, or so that all replies come late."""

import asyncio
from contextlib import suppress

from tests.support.relay import AT_ONCE, Relay


class Tunnel(Relay):
    """Passes bytes on. It may be told what to do from any thread.

    Args:
        port: the other one.

    Attributes:
        held: how often bytes were held up.
        resets: connections that were reset, or met a reset when they were made.
    """

    def __init__(self, port: int) -> None:
        self.held = 0
        self.resets = 0
        self._late_s = 0.0
        self._refuses = False
        self._is_through = asyncio.Event()
        self._is_through.set()
        self._is_taken = asyncio.Event()
        self._is_taken.set()
        self._in_time = asyncio.Event()
        super().__init__(port)

    def hole(self) -> None:
        """Nothing gets through in either direction, and nobody is told: no connection ends, new ones seem to stand.
        What is sent meanwhile gets through once it is mended, as after packets were lost and repeated.
        """
        self._thread.call(self._is_through.clear)

    def hold(self) -> None:
        """Nothing gets to the other port until it is mended; what comes from there does."""
        self._thread.call(self._is_taken.clear)

    def reset(self) -> None:
        """Reset all connections, and every new one."""
        self._thread.call(self._reset)

    def delay(self, seconds: float) -> None:
        """Let replies get through so much later, one after another."""
        self._late_s = seconds
        self._thread.call(self._in_time.clear)

    def mend(self) -> None:
        """Let everything through again."""
        self._thread.call(self._mend)

    def _reset(self) -> None:
        self._refuses = True
        self.resets += self._reset_all()

    def _mend(self) -> None:
        self._refuses, self._late_s = False, 0.0
        self._is_through.set()
        self._is_taken.set()
        self._in_time.set()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        if self._refuses:
            self.resets += 1
            return
        await self._is_through.wait()
        theirs, there = await self._reach(ends)
        ways = [asyncio.create_task(self._pump(reader, there)), asyncio.create_task(self._pump(theirs, writer, True))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_reply: bool = False) -> None:
        """Until the end of what comes, which is passed on like everything else."""
        while True:
            data = b""
            with suppress(OSError):
                data = await reader.read(AT_ONCE)
            if is_reply and data and self._late_s:
                self.held += 1
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._in_time.wait(), self._late_s)
            gates = (self._is_through,) if is_reply else (self._is_through, self._is_taken)
            self.held += not all(gate.is_set() for gate in gates)
            for gate in gates:
                await gate.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()
