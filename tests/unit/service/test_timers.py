"""What the timers do beside deadlines, which the scenarios show."""

import logging

import pytest

from tests.support.turns import let_run
from tests.unit.engine.play import invite
from tests.unit.service.bench import Bench, run


def test_what_is_old_is_forgotten_in_one_go_however_much_it_is() -> None:
    async def main() -> None:
        async with Bench(retention_s=100, max_open=10_000) as bench:
            iids = [f"notice-{n}" for n in range(2_500)]
            for iid in iids:
                bench.take("ann", invite("ben", iid=iid, answers=0))
            await let_run()
            assert len(await bench.store.load(iids)) == 2_500
            bench.clock.advance(161_000)  # the next look is at most a minute later
            await let_run()
            assert not await bench.store.load(iids)

    run(main)


def test_what_nobody_foresaw_is_told_and_ends_no_timer(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Bench(lease_s=5) as bench:
            await bench.ask("ann", invite("bob", timeout=1))
            bench.store.down, bench.store.fails = {"claim_due"}, RuntimeError
            bench.clock.advance(1_000)
            await let_run()
            bench.store.down = set()
            bench.clock.advance(5_000)
            await let_run()
            assert bench.broker.names("ann") == ["invited", "timed_out"]

    run(main)
    [told] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert told.exc_info
    assert told.exc_info[0] is RuntimeError
