"""The end: stop finishes what was taken, and what is being handed over."""

import asyncio

from ringline.protocol.requests import Sync
from ringline.protocol.shapes import Request
from ringline_broker.service.ports import Reach
from tests.support.turns import let_run
from tests.unit.engine.play import invite, new_id
from tests.unit.service.bench import Bench, run


def test_stop_finishes_what_was_taken_and_takes_no_more() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.service.start()
        asked: list[Request] = [invite("bob", iid=f"i{number}") for number in range(10)]
        for request in asked:
            bench.take("ann", request)
        stopping = asyncio.create_task(bench.service.stop())
        await let_run()
        bench.take("ann", Sync(id=new_id(), dev="d1"))
        await stopping
        assert bench.settled == 10
        assert len(bench.broker.heard("bob")) == len(bench.broker.heard("ann")) == 10
        assert bench.store.closed

    run(main)


def test_stop_waits_for_what_is_being_handed_over() -> None:
    async def main() -> None:
        bench = Bench()
        said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
        bench.broker.reach["bob"] = lambda: said
        await bench.service.start()
        await bench.ask("ann", invite("bob"))
        assert bench.broker.names("ann") == []
        stopping = asyncio.create_task(bench.service.stop())
        await let_run()
        assert not bench.store.closed
        said.set_result(Reach.SOMEBODY)
        await stopping
        assert bench.broker.names("ann") == ["invited"]
        assert bench.store.closed

    run(main)


def test_a_service_that_never_started_can_be_stopped() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.service.stop()
        assert bench.store.closed

    run(main)
