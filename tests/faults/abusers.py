"""The crowd of a test of abuse, as a process of its own: devices that do no harm, and others that do nothing else.

`python -m tests.faults.abusers PORT BYSTANDERS KINDS ABUSERS SOURCE HONEST`: so many bystanders and abusers of these
kinds, from this address or from one each, and the honest users that somebody else connects. It says `ready` once the
bystanders are connected, begins at the line `begin`, says `under way` once every abuser has done something, and ends
with its standard input: then it prints what came of it, as JSON.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from typing import Final

import uvloop

from ringline.protocol.blocklist_requests import Block
from ringline_broker.server import allow_many_connections
from ringline_broker.settings import ConnectionLimits
from tests.faults.abuses import ABUSES, Crowd, made
from tests.faults.hostile import Connection, Ended, Hostile, Tally
from tests.support.bound import BOUND_S

HOME: Final = "127.0.0.1"
BLOCKERS: Final = 60
"""Bystanders who have blocked whoever does `blocked`; the honest callers have, too."""
LOGINS_AT_ONCE: Final = 32


def bystander(number: int) -> str:
    """The user of a bystander."""
    return f"bystander-{number}"


def abuser(kind: str, number: int) -> str:
    """The user of an abuser."""
    return f"{kind}-{number}"


def abusers_of(kinds: list[str], count: int) -> list[tuple[str, str]]:
    """Kind and user of so many abusers, as many of each kind."""
    return [(kinds[n % len(kinds)], abuser(kinds[n % len(kinds)], n)) for n in range(count)]


def source_of(number: int) -> str:
    """An address of this machine, another for each abuser."""
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


class Abusers:
    """All of them.

    Args:
        port: the server's.
        kinds: of abuse.
        count: how many abusers.
        source: where they come from; each from an address of its own where empty.
        crowd: whom they abuse.
    """

    def __init__(self, port: int, kinds: list[str], count: int, source: str, crowd: Crowd) -> None:
        self._crowd = crowd
        self._tallies = {kind: Tally() for kind in kinds}
        self._everybody = [
            (kind, Hostile(port, user, source or source_of(n), tally=self._tallies[kind]))
            for n, (kind, user) in enumerate(abusers_of(kinds, count))
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Have all begin, and wait until each has done something."""
        began = [asyncio.Event() for _ in self._everybody]
        self._tasks = [
            asyncio.create_task(self._abuse(kind, one, event))
            for (kind, one), event in zip(self._everybody, began, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in began))

    async def _abuse(self, kind: str, one: Hostile, began: asyncio.Event) -> None:
        """Again and again, from a new connection each time."""
        one.on_sent = began.set
        while True:
            try:
                await ABUSES[kind](one, self._crowd)
            except (Ended, TimeoutError):
                one.tally.ended += 1

    async def stop(self) -> dict[str, Tally]:
        """End it; what came of it."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        return self._tallies


async def connect_bystanders(port: int, count: int, blocked: tuple[str, ...]) -> list[Connection]:
    """Connect them; some block some."""
    few = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def connect(number: int) -> Connection:
        async with few:
            device = await Hostile(port, bystander(number), HOME).log_in()
            if blocked and number < BLOCKERS:
                answer = await device.ask(made(Block, users=blocked))
                assert answer.err is None, answer
            return device

    return await asyncio.gather(*(connect(number) for number in range(count)))


async def run(port: int, others: int, kinds: list[str], count: int, source: str, honest: list[str]) -> None:
    """Be the crowd."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    blocked = tuple(user for kind, user in abusers_of(kinds, count) if kind == "blocked")
    bystanders = await connect_bystanders(port, others, blocked)
    names = [bystander(n) for n in range(others)]
    abusers = Abusers(port, kinds, count, source, Crowd([*names, *honest], [*names[:BLOCKERS], *honest]))
    say("ready")
    await commands.readline()
    async with asyncio.timeout(2 * BOUND_S):
        await abusers.begin()
    say("under way")
    await commands.readline()
    lost = sum(device.is_over.is_set() for device in bystanders)
    heard = sum(device.heard for device in bystanders)
    tallies = {kind: asdict(tally) for kind, tally in (await abusers.stop()).items()}
    say(json.dumps({"lost": lost, "heard": heard, "tallies": tallies}))


def say(line: str) -> None:
    """Tell the test."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def main() -> None:
    port, others, kinds, count, source, honest = sys.argv[1:]
    allow_many_connections(ConnectionLimits())
    uvloop.run(run(int(port), int(others), kinds.split(","), int(count), source, honest.split(",")))


if __name__ == "__main__":
    main()
