"""What was committed and did not get to the broker: not marked, and published again after the lease."""

import asyncio

import pytest

from ringline.protocol.group_requests import AddMembers, CreateGroup, DismissGroup, RemoveMembers, SyncGroup
from ringline_broker.service.aside import PATIENCE_S
from ringline_broker.service.ports import BrokerUnavailable, Mark, Reach
from ringline_broker.service.recovery import AT_ONCE
from ringline_broker.service.service import Service
from ringline_broker.stores.marks import Handed
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, invite
from tests.unit.service.bench import Bench, run
from tests.unit.service.test_groups import LEASE_MS, group, on


async def pass_time(bench: Bench, ms: int = LEASE_MS + 1_000) -> None:
    """In steps of a second, so that recovery looks each time."""
    for _ in range(0, ms, 1_000):
        bench.clock.advance(1_000)
        await let_run()


def test_what_was_given_up_is_published_again_after_the_lease_and_then_marked() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = Reach.LOST
            await bench.ask("ann", invite("bob", "cid"))
            await bench.ask("ann", invite("cid", iid="other"))
            await let_run()
            assert (await bench.mark_of(IID), await bench.mark_of("other")) == (0, 1)
            bench.broker.reach.clear()
            await pass_time(bench, LEASE_MS - 1_000)
            assert bench.broker.names("bob") == ["invited"]
            await pass_time(bench, 2_000)
            assert bench.broker.names("bob") == ["invited"] * 2
            assert bench.broker.names("cid") == ["invited"] * 3, "all of that invitation is published again"
            assert await bench.mark_of(IID) == 1
            assert bench.service.counters.recovered == 1

    run(main)


def test_the_inviters_copy_counts_like_the_others() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["ann"] = Reach.LOST
            await bench.ask("ann", invite("bob"))
            await let_run()
            assert await bench.mark_of(IID) == 0

    run(main)


def test_nothing_is_marked_before_the_broker_has_it_however_long_that_takes() -> None:
    async def main() -> None:
        async with Bench() as bench:
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: said
            await bench.ask("ann", invite("bob"))
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=60)
            await pass_time(bench)
            assert await bench.mark_of(IID) == 0
            assert bench.broker.names("bob") == ["invited"], "it is still on its way"
            assert bench.service.counters.recovered == 0
            said.set_result(Reach.SOMEBODY)
            await let_run()
            assert await bench.mark_of(IID) == 1

    run(main)


def test_what_follows_something_lost_is_not_marked_either_and_is_recovered_with_it() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = Reach.LOST
            await bench.ask("ann", invite("bob"))
            await let_run()
            bench.broker.reach.clear()
            bench.store.loses_marks = True
            await bench.ask("bob", accept())
            bench.store.loses_marks = False
            await pass_time(bench)
            assert bench.broker.names("ann")[-2:] == ["invited", "accepted"]
            assert await bench.mark_of(IID) == 2

    run(main)


def test_a_mark_that_the_store_did_not_take_costs_a_repeat_after_the_lease_and_no_more() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.down = {"mark"}
            await bench.ask("ann", invite("bob"))
            bench.store.down = set()
            await bench.ask("bob", accept())
            assert bench.broker.names("bob") == ["invited", "accepted"]
            assert await bench.mark_of(IID) == 0, "what came first is not marked"
            await pass_time(bench)
            assert await bench.mark_of(IID) == 2
            await pass_time(bench)
            assert bench.broker.names("bob") == ["invited", "accepted"] * 2

    run(main)


def test_what_another_process_is_just_publishing_is_not_published_by_this_one() -> None:
    """Else every answer to an invitation of a hundred, decided by another worker, would ring them all again."""
    guests = [f"guest-{number}" for number in range(20)]

    async def main() -> None:
        async with Bench() as bench:
            await bench.elsewhere("ann", invite(*guests, answers=None))
            for guest in guests:
                await bench.ask(guest, accept())
            assert bench.broker.names("ann") == ["accepted"] * 20
            assert {name for guest in guests for name in bench.broker.names(guest)} == {"accepted", "ended"}
            assert await bench.mark_of(IID) == 0, "nobody has said that the first was handed over"
            await bench.store.mark([Mark(IID, 0, 1)])
            assert await bench.mark_of(IID) == (await bench.invitation(IID)).n
            await pass_time(bench)
            assert bench.service.counters.recovered == 0

    run(main)


def test_what_another_process_left_goes_with_what_this_one_decides_after_the_lease() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.elsewhere("ann", invite("bob", "cid"))
            bench.broker.is_responsive = False  # so that it is not recovered
            bench.clock.advance(LEASE_MS + 1)
            await bench.ask("bob", accept())
            assert bench.broker.names("bob") == ["invited", "accepted"]
            assert bench.service.counters.recovered == 0

    run(main)


def test_who_asks_again_hears_what_another_process_may_not_have_published() -> None:
    async def main() -> None:
        async with Bench() as bench:
            request = invite("bob")
            await bench.elsewhere("ann", request)
            await bench.ask("ann", request)
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited"]
            assert await bench.mark_of(IID) == 1

    run(main)


def test_what_another_process_left_is_published_by_this_one() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.elsewhere("ann", invite("bob"))
            await pass_time(bench, LEASE_MS - 1_000)
            assert bench.broker.names("bob") == []
            await pass_time(bench, 2_000)
            assert bench.broker.names("bob") == ["invited"]

    run(main)


def test_a_store_out_of_reach_is_tried_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.elsewhere("ann", invite("bob"))
            bench.store.down = {"claim_unmarked"}
            await pass_time(bench, 2 * LEASE_MS)
            assert bench.broker.names("bob") == []
            bench.store.down = set()
            await pass_time(bench, 1_000)
            assert bench.broker.names("bob") == ["invited"]

    run(main)


def test_who_waits_for_a_store_says_so_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Bench() as bench:
            for _ in range(2):
                bench.store.down = {"claim_unmarked", "claim_due"}
                await pass_time(bench, 10 * LEASE_MS)
                bench.store.down = set()
                await pass_time(bench, 2 * LEASE_MS)

    run(main)
    said = [record.getMessage() for record in caplog.records]
    recovery = [f"recovery of invitations waits{how}" for how in (": no claim_unmarked today", " no more")]
    deadlines = ["deadlines wait: no claim_due today", "deadlines wait no more"]
    assert [line for line in said if line.startswith("recovery")] == recovery * 2
    assert [line for line in said if line.startswith("deadlines")] == deadlines * 2


def test_recovery_goes_in_parts_each_when_the_broker_has_the_one_before() -> None:
    async def main() -> None:
        async with Bench(max_open=1_000) as bench:
            for number in range(2 * AT_ONCE):
                await bench.elsewhere("ann", invite("bob", iid=f"i{number:03}"))
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: asyncio.shield(said)
            await pass_time(bench, LEASE_MS)
            for _ in range(5):
                bench.clock.advance(100)
                await let_run()
            assert len(bench.broker.heard("bob")) == AT_ONCE
            said.set_result(Reach.SOMEBODY)
            await let_run()
            await pass_time(bench, 1_000)
            assert len(bench.broker.heard("bob")) == 2 * AT_ONCE

    run(main)


def test_recovery_waits_while_more_requests_wait_than_a_turn_takes() -> None:
    async def main() -> None:
        async with Bench(request_rate=0) as bench:
            await bench.elsewhere("ann", invite("bob"))
            bench.clock.advance(LEASE_MS - 1_000)
            await let_run()
            bench.store.gate = asyncio.Event()
            for number in range(400):
                bench.take("zoe", invite("cid", iid=f"i{number:03}"))
            await pass_time(bench, 3_000)
            assert bench.broker.names("bob") == []
            bench.store.gate.set()
            await let_run()
            await pass_time(bench, 1_000)
            assert bench.broker.names("bob") == ["invited"]

    run(main)


def test_who_does_not_reach_the_broker_leaves_deadlines_and_recovery_to_others() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.elsewhere("ann", invite("bob"))
            await bench.ask("zoe", invite("cid", iid="due", timeout=3))
            bench.broker.is_responsive = False
            await pass_time(bench, 2 * LEASE_MS)
            assert bench.broker.names("bob") == []
            assert bench.broker.names("cid") == ["invited"]
            assert await bench.store.claim_due(1, 10) == ["due"], "nobody has claimed it"
            bench.broker.is_responsive = True
            await pass_time(bench, 2_000)
            assert bench.broker.names("bob") == ["invited"]
            assert bench.broker.names("cid") == ["invited", "timed_out"]

    run(main)


# Groups.


def test_a_groups_events_that_were_given_up_are_published_again_with_what_follows_from_them() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            bench.broker.reach["g"] = Reach.LOST
            await bench.ask("ann", on(RemoveMembers, to=("ben",)))
            await let_run()
            bench.broker.reach.clear()
            before = len(bench.broker.messages)
            await pass_time(bench)
            assert bench.broker.closed == [("g", ("ben",))] * 2
            assert len(bench.broker.messages) > before
            assert not await bench.store.claim_unmarked_groups(0, 10)

    run(main)


def test_groups_are_recovered_in_parts_too() -> None:
    async def main() -> None:
        async with Bench(max_groups=1_000) as bench:
            bench.broker.reach.update({f"g{number:03}": Reach.LOST for number in range(2 * AT_ONCE)})
            for number in range(2 * AT_ONCE):
                await bench.ask("ann", on(CreateGroup, f"g{number:03}", preset="meeting", to=("ben",)))
            await let_run()
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach.update({gid: lambda: asyncio.shield(said) for gid in bench.broker.reach})
            bench.broker.messages.clear()
            await pass_time(bench, LEASE_MS)
            for _ in range(5):
                bench.clock.advance(100)
                await let_run()
            assert bench.service.counters.recovered == AT_ONCE
            said.set_result(Reach.SOMEBODY)
            await let_run()
            await pass_time(bench, LEASE_MS)
            assert bench.service.counters.recovered == 2 * AT_ONCE

    run(main)


def test_who_comes_may_hear_the_group_before_anything_is_published_to_it() -> None:
    async def main() -> None:
        async with Bench() as bench:
            gate = asyncio.Event()

            async def permit(_gid: str) -> None:
                await gate.wait()

            bench.broker.permits = permit
            bench.take("ann", on(CreateGroup, preset="meeting", to=("ben",)))
            await let_run()
            assert bench.broker.opened == [("g", ("ann",))]
            assert bench.broker.messages == []
            gate.set()
            await let_run()
            assert bench.broker.opened == [("g", ("ann",)), ("g", ("ben",))]
            assert bench.broker.answers("ann")[-1].err is None

    run(main)


@pytest.mark.parametrize("what", ["a group is made", "a member syncs"])
def test_a_broker_that_takes_long_to_permit_holds_up_no_call_and_no_deadline(what: str) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            gate = asyncio.Event()

            async def permit(_gid: str) -> None:
                await gate.wait()

            bench.broker.permits = permit
            answered = len(bench.broker.answers("ben"))
            bench.take("ben", on(SyncGroup) if what == "a member syncs" else on(CreateGroup, gid="h", preset="meeting"))
            await _a_moment()
            for number in range(3):  # the first waits for a moment; who comes then does not
                bench.take("ann", invite("bob", iid=f"i{number}", timeout=1))
                bench.take("ben", on(SyncGroup) if what == "a member syncs" else on(AddMembers, gid="h", to=("cid",)))
                await let_run()
            assert bench.broker.names("bob") == ["invited"] * 3
            bench.clock.advance(1_000)
            await let_run()
            assert bench.broker.names("bob") == ["invited"] * 3 + ["timed_out"] * 3
            assert len(bench.broker.answers("ben")) == answered
            gate.set()
            await _a_moment()
            assert [answer.err for answer in bench.broker.answers("ben")[answered:]] == [None] * 4

    run(main)


def test_a_broker_that_does_not_permit_what_was_left_does_not_keep_a_worker_from_starting() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench:
            await group(bench, "ben")
            bench.store._groups_handed["g"] = Handed(1)  # a crash took the marks

        async def refuse(_gid: str) -> None:
            raise BrokerUnavailable("another worker keeps the lock on the broker's roles")

        bench.broker.permits = refuse
        bench.broker.opened.clear()
        bench.clock.advance(LEASE_MS)
        bench.store._closed = False
        bench.service = Service(bench.store, bench.broker, bench.clock, bench.settings)
        async with bench:
            assert bench.broker.opened == [("g", ("ben",))]
            await bench.ask("ann", invite("bob"))
            assert bench.broker.names("bob") == ["invited"]
            bench.broker.permits = None
            await pass_time(bench)
            assert not await bench.store.claim_unmarked_groups(0, 10)

    run(main)


async def _a_moment() -> None:
    """So long that nobody waits any more."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=2 * PATIENCE_S)


def test_a_broker_that_does_not_permit_is_told_and_what_is_repeated_is_done() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench)

            async def refuse(_gid: str) -> None:
                raise BrokerUnavailable("the broker does not answer")

            bench.broker.permits = refuse
            add = on(AddMembers, to=("ben",))
            await bench.ask("ann", add)
            assert bench.broker.errors("ann") == ["server_unavailable"]
            bench.broker.permits = None
            await bench.ask("ann", add)
            assert bench.broker.answers("ann")[-1].err is None
            assert bench.broker.opened[-1] == ("g", ("ben",))
            await let_run()
            assert not await bench.store.claim_unmarked_groups(0, 10)

    run(main)


def test_a_member_who_syncs_may_hear_the_group_and_a_stranger_may_not() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            bench.broker.opened.clear()
            gate = asyncio.Event()

            async def permit(_gid: str) -> None:
                await gate.wait()

            bench.broker.permits = permit
            bench.take("ben", on(SyncGroup))
            await let_run()
            assert bench.broker.opened == [("g", ("ben",))]
            assert bench.broker.answers("ben") == [], "the answer comes when they may"
            gate.set()
            await let_run()
            assert bench.broker.answers("ben")[-1].err is None
            await bench.ask("eve", on(SyncGroup))
            assert bench.broker.errors("eve")
            assert bench.broker.opened == [("g", ("ben",))]

    run(main)


def test_a_dismissed_groups_topic_is_closed_last() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            bench.broker.closed.clear()
            await bench.ask("ann", on(DismissGroup))
            assert bench.broker.closed == [("g", None)]
            await let_run()
            assert not await bench.store.claim_unmarked_groups(0, 10)

    run(main)
