"""Who comes while a listener closes, or while the system has no more files, is neither lost nor kept open."""

import asyncio
import resource
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from ringline_broker.bindings.amqtt.listening import Door, Listening, open_sockets
from ringline_broker.settings import Bounds
from tests.support.bound import BOUND_S
from tests.support.turns import let_run

COMING = 5
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


async def _listening(accepted: Callable[[socket.socket], None]) -> tuple[Listening, tuple[str, int]]:
    sockets = await open_sockets("127.0.0.1", 0)
    door = Door("127.0.0.1", 0)
    return Listening(sockets, door, Bounds(), lambda _, raw, __: accepted(raw)), sockets[0].getsockname()


@pytest.mark.parametrize("turns", range(3 * COMING))
def test_whoever_was_taken_as_it_closes_was_handed_over(run: asyncio.Runner, turns: int) -> None:
    """A socket that is dropped without being closed is a ResourceWarning, which fails the test."""

    async def close_meanwhile() -> None:
        handed: list[socket.socket] = []
        listening, address = await _listening(handed.append)
        coming = [socket.create_connection(address) for _ in range(COMING)]
        await let_run(turns)
        listening.close()
        await listening.wait_closed()
        for one in coming + handed:
            one.close()

    run.run(close_meanwhile())


@asynccontextmanager
async def _no_more_files(last: socket.socket, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[None]:
    """While this lasts, the system gives no socket after this one; ends when the listener has seen it."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 1, most))
    try:
        yield
        async with asyncio.timeout(BOUND_S):
            while "nobody can connect" not in caplog.text:
                await let_run(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def test_who_comes_while_there_are_no_more_files_is_served_once_there_are(
    run: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def run_out() -> None:
        handed: asyncio.Queue[socket.socket] = asyncio.Queue()
        listening, address = await _listening(handed.put_nowait)
        coming = [socket.socket() for _ in range(COMING)]
        async with _no_more_files(coming[-1], caplog):
            for one in coming:
                one.connect(address)
        assert handed.empty()
        async with asyncio.timeout(BOUND_S):
            served = [await handed.get() for _ in coming]
        listening.close()
        for one in coming + served:
            one.close()

    run.run(run_out())
    assert caplog.text.count("nobody can connect: Too many open files; raise the limit on open files") == 1


def test_it_closes_while_there_are_no_more_files(run: asyncio.Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def run_out() -> None:
        handed: list[socket.socket] = []
        listening, address = await _listening(handed.append)
        with socket.socket() as coming:
            async with _no_more_files(coming, caplog):
                coming.connect(address)
            listening.close()
        assert handed == []

    run.run(run_out())
