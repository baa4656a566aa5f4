"""A Mosquitto as a child process: it ends with us, and is started again when it dies."""

import asyncio
import contextlib
import logging
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ringline.protocol.errors import RinglineError
from ringline_broker.service.sparing import SparingLog

log = logging.getLogger(__name__)

START_S: Final = 10.0
"""Seconds that the broker has to listen."""
_STOP_S: Final = 5.0
_SHORTEST_MS: Final = 100
_LONGEST_MS: Final = 5_000
_LINE_BYTES: Final = 2_048
"""What is kept of a line: names in it are strangers' to choose."""
_KEPT_LINES: Final = 5
_AS_WE_ARE: Final = "Warning: Mosquitto should not be run as root"
"""It runs as whoever started us, and has no other choice: the folder and the certificate are theirs."""


class NoMosquitto(RinglineError):
    """There is none, or it does not start; the message says what to do."""


class MosquittoProcess:
    """One broker.

    Args:
        program: the program.
        config: its configuration, which makes it log on stderr.
    """

    def __init__(self, program: Path, config: Path) -> None:
        self._words = (*_dies_with_us(), str(program), "-c", str(config))
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._told = SparingLog(log)

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            NoMosquitto: it does not start; the message has its last words.
        """
        try:
            await self._start_once()
        except BaseException:
            await self._end()
            raise
        self._watching = asyncio.create_task(self._keep_up(), name="ringline-mosquitto")

    async def stop(self) -> None:
        """End it. A second call does nothing."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
            self._watching = None
        await self._end()

    def reload(self) -> None:
        """Have it read its certificates again."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def _start_once(self) -> None:
        self._listens.clear()
        self._last.clear()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
                start_new_session=True,  # else Ctrl-C would end it before us
            )  # fmt: skip
        except OSError as failed:
            raise NoMosquitto(f"cannot start {self._words[-3]}: {failed.strerror}") from failed
        self._process = process
        assert process.stderr is not None  # noqa: S101 - for the type checkers: it is a pipe
        self._reading = asyncio.create_task(self._read(process.stderr), name="ringline-mosquitto-log")
        ended, listens = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._listens.wait())
        try:
            await asyncio.wait((ended, listens), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listens.cancel()
        if ended.done():
            await self._reading
            raise NoMosquitto(f"mosquitto ended at once: {'; '.join(self._last) or 'it said nothing'}")
        ended.cancel()
        if not self._listens.is_set():
            raise NoMosquitto(f"mosquitto does not listen within {START_S:.0f} s: {'; '.join(self._last)}")
        log.info("mosquitto runs as process %d", process.pid)

    async def _keep_up(self) -> None:
        loop, wait_ms = asyncio.get_running_loop(), _SHORTEST_MS
        while True:
            began = loop.time()
            if self._process is not None:
                log.error("mosquitto ended (%s); starting it again", _why(await self._process.wait()))
            wait_ms = _SHORTEST_MS if loop.time() - began > START_S else min(2 * wait_ms, _LONGEST_MS)
            await asyncio.sleep(wait_ms / 1000)
            try:
                await self._start_once()
            except NoMosquitto as failed:
                log.error("%s; trying again", failed)  # noqa: TRY400 - it has said what it is
                await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._reading is not None:
            await asyncio.wait((self._reading,))
            self._reading = None

    async def _read(self, stderr: asyncio.StreamReader) -> None:
        """Its log becomes ours, so that its pipe never fills: what goes wrong as warnings, the rest for debugging."""
        rest = b""
        while some := await stderr.read(65_536):
            *lines, rest = (rest + some).split(b"\n")
            for line in lines:
                self._note(line[:_LINE_BYTES].decode("utf-8", "replace"))
            rest = rest[:_LINE_BYTES]

    def _note(self, line: str) -> None:
        text = line.partition(": ")[2] or line  # behind the time
        self._last.append(text)
        if text.endswith(" running"):
            self._listens.set()
        if text.startswith(("Error", "Warning")) and not text.startswith(_AS_WE_ARE):
            self._told.warning("mosquitto: %s", text)
        else:
            log.debug("mosquitto: %s", text)


def _dies_with_us() -> Sequence[str]:
    """What has the system end the child when we are killed; where there is no such thing, it would live on."""
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "TERM", "--")


def _why(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
