"""What the timers do beside deadlines, which the scenarios show."""

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
