"""Time: deadlines come, are claimed again after the lease, and what is over is forgotten."""

import asyncio

from tests.support.turns import let_run
from tests.unit.engine.play import accept, cancel, get, invite
from tests.unit.service.bench import Bench, run


def test_the_deadline_comes() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", timeout=30))
            bench.clock.advance(29_999)
            await let_run()
            assert bench.broker.names("bob") == ["invited"]
            bench.clock.advance(1)
            await let_run()
            assert bench.broker.names("bob") == ["invited", "timed_out"]
            assert bench.service.counters.deadlines == 1

    run(main)


def test_an_answer_that_was_read_before_the_deadline_counts_even_if_it_is_dealt_with_after() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", timeout=1))
            bench.store.gate = asyncio.Event()
            bench.take("zoe", get(iid="keeps the turn busy"))
            await let_run()
            bench.clock.advance(999)
            bench.take("bob", accept())
            bench.clock.advance(1)
            await let_run()
            bench.store.gate.set()
            await let_run()
            assert bench.broker.names("bob") == ["invited", "accepted"]

    run(main)


def test_a_claimed_deadline_that_nobody_decided_is_claimed_again_after_the_lease() -> None:
    async def main() -> None:
        async with Bench(lease_s=5) as bench:
            await bench.ask("ann", invite("bob", timeout=1))
            bench.store.down = {"load"}
            bench.clock.advance(1_000)
            await let_run()
            bench.store.down = set()
            bench.clock.advance(4_999)
            await let_run()
            assert bench.broker.names("bob") == ["invited"]
            bench.clock.advance(1)
            await let_run()
            assert bench.broker.names("bob") == ["invited", "timed_out"]

    run(main)


def test_what_is_over_is_forgotten_after_its_retention() -> None:
    async def main() -> None:
        async with Bench(retention_s=100, lease_s=5) as bench:
            await bench.ask("ann", invite("bob"))
            await bench.ask("ann", cancel())
            for _ in range(40):
                bench.clock.advance(5_000)
                await let_run()
            await bench.ask("ann", get())
            assert bench.broker.errors("ann") == ["unknown_invitation"]

    run(main)
