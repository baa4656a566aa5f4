import asyncio
import threading
from collections.abc import Callable

import pytest

from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Clock
from ringline_broker.testing import ManualClock
from tests.support.turns import let_run

WITHIN_S = 10


def test_it_is_a_clock() -> None:
    clock: Clock = ManualClock(wall_ms=5)
    assert clock.wall_ms() == 5


def test_both_clocks_move_together_and_stand_still_otherwise() -> None:
    clock = ManualClock(wall_ms=5_000)
    start = clock.monotonic_ms()
    assert (clock.wall_ms(), clock.monotonic_ms()) == (5_000, start)
    clock.advance(250)
    assert (clock.wall_ms(), clock.monotonic_ms()) == (5_250, start + 250)


def test_the_wall_clock_can_be_set_alone() -> None:
    clock = ManualClock(wall_ms=5_000)
    start = clock.monotonic_ms()
    clock.set_wall(1_000)
    clock.advance(1)
    assert (clock.wall_ms(), clock.monotonic_ms()) == (1_001, start + 1)


def test_it_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_waiters_wake_when_their_time_comes_and_not_before() -> None:
    async def main() -> None:
        clock = ManualClock()
        waits = {ms: asyncio.create_task(clock.wait(asyncio.Event(), ms)) for ms in (100, 200)}
        await let_run()
        clock.advance(99)
        await let_run()
        assert not waits[100].done()
        clock.advance(1)
        assert await waits[100] is False
        assert not waits[200].done()
        clock.advance(1_000_000)
        assert await waits[200] is False

    asyncio.run(main())


def test_a_wait_begun_after_a_move_counts_from_there() -> None:
    async def main() -> None:
        clock = ManualClock()
        clock.advance(500)
        wait = asyncio.create_task(clock.wait(asyncio.Event(), 100))
        await let_run()
        clock.advance(99)
        await let_run()
        assert not wait.done()
        clock.advance(1)
        assert await wait is False

    asyncio.run(main())


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()], ids=["manual", "system"])
def test_an_event_ends_a_wait(clock: Clock) -> None:
    async def main() -> None:
        event = asyncio.Event()
        wait = asyncio.create_task(clock.wait(event, 60_000))
        await let_run()
        assert not wait.done()
        event.set()
        assert await wait is True
        assert await clock.wait(event, 60_000) is True

    asyncio.run(main())


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()], ids=["manual", "system"])
def test_no_time_left_is_no_wait(clock: Clock) -> None:
    assert asyncio.run(clock.wait(asyncio.Event(), 0)) is False
    assert asyncio.run(clock.wait(asyncio.Event(), -5)) is False


def test_an_event_set_and_cleared_still_ended_the_wait() -> None:
    async def main() -> None:
        clock, event = ManualClock(), asyncio.Event()
        wait = asyncio.create_task(clock.wait(event, 100))
        await let_run()
        event.set()
        event.clear()
        assert await wait is True

    asyncio.run(main())


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    async def main() -> None:
        clock = ManualClock()
        wait = asyncio.create_task(clock.wait(asyncio.Event(), 100))
        await let_run()
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        clock.advance(100)
        await let_run()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def _in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_another_thread_may_move_it() -> None:
    clock = ManualClock()
    waiting = threading.Event()
    woke: list[bool] = []

    async def wait() -> None:
        waits = asyncio.create_task(clock.wait(asyncio.Event(), 30_000))
        await let_run()
        waiting.set()
        woke.append(await waits)

    thread = _in_thread(lambda: asyncio.run(wait()))
    assert waiting.wait(WITHIN_S)
    clock.advance(30_000)
    thread.join(WITHIN_S)
    assert woke == [False]


def test_a_loop_that_reads_then_waits_misses_no_move_of_another_thread() -> None:
    clock = ManualClock()

    async def read_then_wait() -> bool:
        end = clock.monotonic_ms() + 100
        mover = _in_thread(lambda: clock.advance(100))
        mover.join(0.1)  # it has all the chance to move the clock now, and must not
        left = end - clock.monotonic_ms()
        assert left == 100
        return await clock.wait(asyncio.Event(), left)

    woke: list[bool] = []
    thread = _in_thread(lambda: woke.append(asyncio.run(read_then_wait())))
    thread.join(WITHIN_S)
    assert woke == [False]


def test_it_moves_when_the_loop_that_read_it_is_gone() -> None:
    clock = ManualClock()

    async def read() -> int:
        return clock.monotonic_ms()

    before = asyncio.run(read())
    clock.advance(7)
    assert clock.monotonic_ms() == before + 7
