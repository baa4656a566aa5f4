"""What waits for one server shares its next pipeline: one write, one read, and where replicas must have it one WAIT."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from hiredis import ReplyError

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.redis.refusals import refused, word
from ringline_broker.stores.redis.scripts import LOAD, Command, Reply, call
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.url import Options
from ringline_broker.stores.redis.wire import Wire

log = logging.getLogger(__name__)

_MANY: Final = 256
"""So many commands go into one pipeline, and not many more."""
_LATE_S: Final = 0.02
"""So long what is in no hurry waits for others to go with."""
_US: Final = 1_000_000

Dial: TypeAlias = Callable[[], Awaitable[Wire]]


class _Job(NamedTuple):
    base: str
    commands: Sequence[Command]
    done: "asyncio.Future[list[Reply]] | None"


class Lane:
    """The way to one server.

    Args:
        where: what to call the server.
        dial: connects to it.
        options: how long things may take, and how many replicas must have what is answered.
        time: told the server's time.
    """

    def __init__(self, where: object, dial: Dial, options: Options, time: ServerTime) -> None:
        self.where = where
        self._dial = dial
        self._bound_s = options.timeout_ms / 1_000
        self._wait, self._wait_ms = options.wait, options.wait_ms
        self._time = time
        self._jobs: deque[_Job] = deque()
        self._wire: Wire | None = None
        self._worker: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def run(self, base: str, commands: Sequence[Command]) -> "asyncio.Future[list[Reply]]":
        """Have commands done with the next pipeline, in the order of the calls. Who gives up waiting stops nothing.

        Args:
            base: what the keys of the shard begin with that they are about.
            commands: these; errors are among the replies.

        Raises:
            StoreUnavailable: there was no answer in time, or too few replicas have it; they may have been done.
        """
        done: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(base, commands, done))
        self._start()
        return done

    def later(self, base: str, commands: Sequence[Command]) -> None:
        """Have commands done before those of the next `run`, or soon. Nobody hears what becomes of them."""
        self._jobs.append(_Job(base, commands, None))
        if self._timer is None and self._worker is None:
            self._timer = asyncio.get_running_loop().call_later(_LATE_S, self._start)

    def redial(self) -> None:
        """Connect anew before the next pipeline."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def close(self) -> None:
        """Do what waits, and let go of the connection."""
        if self._jobs:
            self._start()
        if self._worker is not None:
            await self._worker
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._jobs:
                jobs = self._next_jobs()
                try:
                    await self._one_pipeline(jobs)
                except Exception as unforeseen:
                    log.exception("a pipeline to redis at %s failed", self.where)
                    self._give_up(unforeseen, jobs)
        finally:
            self._worker = None

    def _next_jobs(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._jobs and size < _MANY:
            jobs.append(self._jobs.popleft())
            size += len(jobs[-1].commands)
        return jobs

    async def _one_pipeline(self, jobs: list[_Job]) -> None:
        commands = [command for job in jobs for command in job.commands]
        base, waits = jobs[0].base, self._wait > 0 and any(job.done is not None for job in jobs)
        begun, looked_at = self._time.look(), len(commands)
        if begun is not None:
            commands += self._looks(f"{base}clock")
        try:
            replies = await self._exchange(commands, base if waits else None)
            await self._send_forgotten(commands, replies, base if waits else None)
        except StoreUnavailable as failed:
            _fail(jobs, failed)
        except TimeoutError:
            self._lose(f"redis at {self.where} did not answer within {self._bound_s:g} s", jobs)
        except OSError as failed:
            self.redial()
            _fail(jobs, StoreUnavailable(f"redis at {self.where} went away: {failed}"))
        else:
            if begun is not None:
                self._hear(replies[looked_at], replies[looked_at + 1], begun)
            _answer(jobs, replies)

    async def _send_forgotten(self, commands: list[Command], replies: list[Reply], touch: str | None) -> None:
        """Where the server has forgotten its scripts, tell it again, and send anew what it could not do."""
        forgotten = [at for at, reply in enumerate(replies) if isinstance(reply, ReplyError) and _forgot(reply)]
        if forgotten:
            sent = await self._exchange([*LOAD, *(commands[at] for at in forgotten)], touch)
            for at, reply in zip(forgotten, sent[len(LOAD) :], strict=True):
                replies[at] = reply

    async def _exchange(self, commands: list[Command], touch: str | None) -> list[Reply]:
        """The replies; where it says what to touch, replicas have by then what was written and read."""
        sent: list[Command] = commands
        if touch is not None:
            # WAIT asks for this connection's last write; with one here, it covers also what was read before it.
            sent = [*commands, ("SET", f"{touch}seen", "1"), ("WAIT", self._wait, self._wait_ms)]
        until = asyncio.get_running_loop().time() + self._bound_s + (self._wait_ms / 1_000 if self._wait else 0)
        if self._wire is None or self._wire.lost:
            self._wire = None
            async with asyncio.timeout_at(until):
                self._wire = await self._dial()
        replies = await self._wire.ask(sent, until)
        if touch is not None:
            self._check_replicas(*replies[-2:])
        return replies[: len(commands)]

    def _lose(self, text: str, jobs: list[_Job]) -> None:
        """The server is silent: whoever waits behind these would wait as long again."""
        self.redial()
        _fail([*jobs, *self._jobs], StoreUnavailable(text, "see whether it runs, and is not overloaded"))
        self._jobs.clear()

    def _give_up(self, unforeseen: Exception, jobs: list[_Job]) -> None:
        """Nobody knows what the connection still says."""
        self.redial()
        failed = StoreUnavailable(f"redis at {self.where}: {type(unforeseen).__name__}: {unforeseen}")
        failed.__cause__ = unforeseen
        _fail(jobs, failed)

    def _check_replicas(self, wrote: Reply, reached: Reply) -> None:
        for reply in (wrote, reached):
            if isinstance(reply, ReplyError):
                raise refused(self.where, reply)
        if reached < self._wait:
            raise StoreUnavailable(
                f"redis at {self.where}: {reached} of {self._wait} replicas have it after {self._wait_ms} ms",
                "see why they do not follow, or ask for fewer with wait= in the store's URL",
            )

    def _looks(self, clock: str) -> list[Command]:
        """Looks at the server's time, and at the newest that others wrote before our own is written there."""
        ours = self._time.to_write()
        write = [] if ours is None else [call("clock", [clock], [ours * 1_000])]
        return [("TIME",), ("GET", clock), *write]

    def _hear(self, clock: Reply, written: Reply, begun: int) -> None:
        if not isinstance(clock, ReplyError) and not isinstance(written, ReplyError):
            seconds, microseconds = clock
            self._time.heard((int(seconds) * _US + int(microseconds)) // 1_000, int(written or 0) // 1_000, begun)


def _forgot(reply: ReplyError) -> bool:
    return word(reply) == "NOSCRIPT"


def _answer(jobs: Sequence[_Job], replies: Sequence[Reply]) -> None:
    at = 0
    for job in jobs:
        if job.done is not None and not job.done.done():
            job.done.set_result(list(replies[at : at + len(job.commands)]))
        at += len(job.commands)


def _fail(jobs: Sequence[_Job], failed: StoreUnavailable) -> None:
    for job in jobs:
        if job.done is not None and not job.done.done():
            job.done.set_exception(failed)
