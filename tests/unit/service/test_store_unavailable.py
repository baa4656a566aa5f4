"""A store out of reach: whoever asks is told so, and a repeat finishes what was begun."""

import pytest

from ringline.protocol.errors import SERVER_UNAVAILABLE
from ringline_broker.service.ports import StoreUnavailable
from tests.support.turns import let_run
from tests.unit.engine.play import accept, invite
from tests.unit.service.bench import Bench, run


@pytest.mark.parametrize("method", ["load", "commit"])
def test_without_its_store_it_says_so_and_the_repeat_succeeds(method: str) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            request = accept()
            bench.store.down = {method}
            await bench.ask("bob", request)
            [answer] = bench.broker.answers("bob")
            assert answer.re == request.id
            assert answer.err is not None
            assert (answer.err.code, answer.err.name) == (SERVER_UNAVAILABLE.code, "server_unavailable")
            assert bench.broker.names("bob") == ["invited"]
            bench.store.down = set()
            await bench.ask("bob", request)
            assert bench.broker.names("bob") == ["invited", "accepted"]
            assert bench.service.counters.unavailable == 1

    run(main)


def test_a_commit_of_unknown_result_is_recognised_by_the_repeat_and_published_then() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))

            def crash() -> None:
                raise StoreUnavailable("written, and the answer was lost")

            bench.store.after_commit = crash
            request = accept()
            await bench.ask("bob", request)
            assert bench.broker.errors("bob") == ["server_unavailable"]
            await bench.ask("bob", request)
            assert bench.broker.answers("bob")[-1].err is None
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited", "accepted"]

    run(main)


def test_a_sync_without_a_store_is_told_so() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.down = {"of_user"}
            answer = await bench.sync("ann")
            assert answer.err is not None
            assert answer.err.name == "server_unavailable"

    run(main)


def test_deadlines_wait_for_a_store_that_comes_back() -> None:
    async def main() -> None:
        async with Bench(lease_s=5) as bench:
            await bench.ask("ann", invite("bob", timeout=1))
            bench.store.down = {"claim_due"}
            bench.clock.advance(1_000)
            await let_run()
            assert bench.broker.names("ann") == ["invited"]
            bench.store.down = set()
            bench.clock.advance(5_000)
            await let_run()
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited", "timed_out"]

    run(main)
