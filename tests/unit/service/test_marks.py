"""What is marked is not published again; what is not, is: by a repeat, or by recovery after a crash."""

import asyncio

import pytest

from ringline_broker.service.ports import Reach
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, cancel, invite
from tests.unit.service.bench import Bench, run


def test_what_is_marked_is_not_published_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            request = invite("bob")
            await bench.ask("ann", request)
            assert await bench.mark_of(IID) == 1
            await bench.ask("ann", request)
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited"]
            assert [answer.n for answer in bench.broker.answers("ann")] == [1]
            assert bench.service.counters.repeats == 1

    run(main)


def test_a_repeat_publishes_what_may_not_have_been() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.loses_marks = True
            request = invite("bob")
            await bench.ask("ann", request)
            bench.store.loses_marks = False
            await bench.ask("ann", request)
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited"] * 2
            assert await bench.mark_of(IID) == 1

    run(main)


def test_what_is_handed_over_while_an_earlier_version_waits_for_its_mark_is_marked_in_the_end() -> None:
    async def main() -> None:
        async with Bench() as bench:
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: asyncio.shield(said)
            await bench.ask("ann", invite("bob"))
            await bench.ask("bob", accept())
            said.set_result(Reach.SOMEBODY)
            await let_run()
            assert set(bench.broker.names("ann")) == {"invited", "accepted"}
            assert await bench.mark_of(IID) == 2

    run(main)


def test_what_is_marked_while_a_store_answers_is_not_published_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: asyncio.shield(said)
            await bench.ask("ann", invite("bob"))
            bench.broker.reach.clear()
            bench.store.answer_gate = asyncio.Event()
            bench.take("bob", accept())
            await let_run()
            said.set_result(Reach.SOMEBODY)
            await let_run()
            assert await bench.mark_of(IID) == 1
            bench.store.answer_gate.set()
            await let_run()
            assert bench.broker.names("bob") == ["invited", "accepted"]

    run(main)


@pytest.mark.parametrize("how_many", [1, 600])
def test_recovery_publishes_what_a_crash_left(how_many: int) -> None:
    async def main() -> None:
        bench = Bench()
        for number in range(how_many):
            await bench.elsewhere("ann", invite("bob", iid=f"i{number:03}"))
        await bench.elsewhere("zoe", cancel(iid="tombstone"))
        bench.clock.advance(5_000)
        async with bench:
            await let_run()
            assert bench.service.counters.recovered == how_many + 1
            assert len(bench.broker.heard("bob")) == len(bench.broker.heard("ann")) == how_many
            assert await bench.store.claim_unmarked(0, 10) == []
            assert bench.broker.heard("zoe") == []

    run(main)


def test_recovery_publishes_nothing_else() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench:
            await bench.ask("ann", invite("bob"))
        assert bench.service.counters.recovered == 0
        assert bench.broker.names("bob") == ["invited"]

    run(main)
