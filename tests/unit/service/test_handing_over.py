"""Handing events to the broker: who is offline, in how many messages, and for how long they are of use."""

import asyncio
from collections.abc import Callable

import pytest

from ringline.protocol.blocklist_requests import Block
from ringline.protocol.events import Invited, decode_events
from ringline.protocol.group_requests import CreateGroup, JoinGroup
from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline_broker.service.ports import Reach
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, cancel, invite, new_id, reject
from tests.unit.service.bench import TOPICS, Bench, run


def _offline(bench: Bench, user: str = "ann") -> tuple[str, ...]:
    """Whom the copy of a new invitation says to be offline."""
    [invited] = [event for event in bench.broker.heard(user) if isinstance(event, Invited)]
    return invited.offline


def _later(reach: Reach) -> Callable[[], asyncio.Future[Reach]]:
    """A broker that takes some time to tell."""

    async def told() -> Reach:
        await let_run()
        return reach

    return lambda: asyncio.create_task(told())


def _never() -> asyncio.Future[Reach]:
    return asyncio.get_running_loop().create_future()


# Who is offline.


@pytest.mark.parametrize("later", [False, True])
def test_the_inviter_is_told_who_is_offline(later: bool) -> None:
    async def main() -> None:
        async with Bench() as bench:
            for user, reach in (("bob", Reach.NOBODY), ("cid", Reach.SOMEBODY), ("dee", Reach.UNKNOWN)):
                bench.broker.reach[user] = _later(reach) if later else reach
            await bench.ask("ann", invite("bob", "cid", "dee"))
            for _ in range(5):
                await let_run()
            assert _offline(bench) == ("bob",)
            assert _offline(bench, "cid") == ()

    run(main)


def test_the_copies_for_the_invitees_do_not_wait() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = _never
            bench.take("ann", invite("bob", "cid"))
            await let_run()
            assert bench.broker.names("bob") == bench.broker.names("cid") == ["invited"]
            assert bench.broker.names("ann") == []

    run(main)


def test_the_inviter_s_copy_waits_a_second_and_no_longer() -> None:
    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            bench.broker.reach["bob"] = _never
            bench.take("ann", invite("bob", "cid"))
            began = loop.time()
            while not bench.broker.names("ann"):
                await asyncio.wait([loop.create_future()], timeout=0.125)
            assert 1.0 <= loop.time() - began <= 1.25
            assert _offline(bench) == ()
            await let_run()
            assert await bench.mark_of(IID) == 0, "the broker may not have it"

    run(main)


def test_it_waits_a_second_for_all_of_them_together() -> None:
    async def main() -> None:
        async with Bench() as bench:
            loop = asyncio.get_running_loop()
            users = [f"u{number}" for number in range(10)]
            bench.broker.reach.update(dict.fromkeys(users, _never))
            bench.take("ann", invite("bob", *users))
            began = loop.time()
            while not bench.broker.names("ann"):
                await asyncio.wait([loop.create_future()], timeout=0.125)
            assert 1.0 <= loop.time() - began <= 1.25

    run(main)


def test_a_broker_that_fails_to_tell_is_one_that_does_not_tell() -> None:
    async def fails() -> Reach:
        raise OSError("the connection to the broker is gone")

    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = lambda: asyncio.create_task(fails())
            await bench.ask("ann", invite("bob"))
            await let_run()
            assert bench.broker.names("ann") == ["invited"]
            assert await bench.mark_of(IID) == 1

    run(main)


def test_other_requests_are_dealt_with_while_it_waits() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = _never
            await bench.ask("ann", invite("bob"))
            await bench.ask("zoe", invite("cid", iid="other"))
            assert bench.broker.names("zoe") == ["invited"]
            await bench.ask("bob", accept())
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=3)
            assert {event.n for event in bench.broker.heard("ann")} == {1, 2}
            assert (await bench.invitation(IID)).end == "accepted"

    run(main)


def test_later_events_say_nothing_of_who_is_offline() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", "cid"))
            bench.broker.reach["ann"] = Reach.NOBODY
            bench.broker.reach["cid"] = Reach.NOBODY
            await bench.ask("bob", reject())
            assert bench.broker.names("ann") == ["invited", "rejected"]
            assert _offline(bench) == ()

    run(main)


# Online only.


@pytest.mark.parametrize("later", [False, True])
def test_online_only_ends_at_once_where_nobody_is(later: bool) -> None:
    async def main() -> None:
        async with Bench() as bench:
            for user in ("bob", "cid"):
                bench.broker.reach[user] = _later(Reach.NOBODY) if later else Reach.NOBODY
            await bench.ask("ann", invite("bob", "cid", online_only=True))
            for _ in range(5):
                await let_run()
            assert bench.broker.names("ann") == ["invited", "offline"]
            assert (await bench.invitation(IID)).end == "offline"

    run(main)


@pytest.mark.parametrize("reach", [Reach.SOMEBODY, Reach.UNKNOWN])
def test_online_only_goes_on_where_somebody_is_or_may_be(reach: Reach) -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach.update(bob=Reach.NOBODY, cid=reach)
            await bench.ask("ann", invite("bob", "cid", online_only=True))
            await let_run()
            assert (await bench.invitation(IID)).end is None

    run(main)


def test_an_ordinary_invitation_goes_on_though_nobody_is_online() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.broker.reach["bob"] = Reach.NOBODY
            await bench.ask("ann", invite("bob"))
            await let_run()
            assert (await bench.invitation(IID)).end is None
            assert _offline(bench) == ("bob",)

    run(main)


# How many messages.


def test_what_is_too_large_for_one_message_is_cut() -> None:
    async def main() -> None:
        async with Bench() as bench:
            for number in range(13):
                bench.take(f"u{number}", invite("bob", iid=f"i{number:02}", data=bytes(8_000)))
            await let_run()
            batches = bench.broker.batches("bob")
            assert [len(batch) for batch in batches] == [4, 4, 4, 1]
            assert [event.iid for event in bench.broker.heard("bob")] == [f"i{number:02}" for number in range(13)]

    run(main)


def test_as_much_goes_into_one_message_as_fits() -> None:
    async def main() -> None:
        async with Bench(max_open=1_000) as bench:
            for number in range(900):
                bench.take("ann", invite("bob", iid=f"i{number:03}"))
            await let_run()
            before = len(bench.broker.messages)
            bench.clock.advance(30_000)  # all of them are over in one turn
            await let_run()
            to_bob = TOPICS.events("bob")
            messages = [payload for topic, payload, _ in bench.broker.messages[before:] if topic == to_bob]
            assert bench.broker.names("bob").count("timed_out") == 900
            assert len(messages) < 6
            assert len(messages[0]) > MAX_MESSAGE_BYTES - 200

    run(main)


@pytest.mark.parametrize("size", range(7_300, 7_700, 20))
def test_what_a_turn_makes_of_one_invitation_stays_together(size: int) -> None:
    """Else somebody who is settled at once would hear the first half, and ring for a moment."""

    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", CreateGroup(id=new_id(), dev="d1", gid="g", preset="meeting"))
            await bench.ask("bob", JoinGroup(id=new_id(), dev="d1", gid="g"))
            await bench.ask("bob", Block(id=new_id(), dev="d1", users=("ann",)))
            before = len(bench.broker.messages)
            data = [8_192, 8_192, 8_192, size]
            await bench.ask("ann", *[invite("bob", iid=f"i{n}", gid="g", data=bytes(d)) for n, d in enumerate(data)])
            messages = [
                [event["ev"] for event in decode_events(payload) if isinstance(event, dict)]
                for topic, payload, _ in bench.broker.messages[before:]
                if topic == TOPICS.group_events("g")
            ]
            assert sorted(ev for message in messages for ev in message) == ["invited"] * 4 + ["rejected"] * 4
            assert [message[-1] for message in messages] == ["rejected"] * len(messages)

    run(main)


def test_the_largest_invitation_there_can_be() -> None:
    """As many names as a request has room for, everybody offline: what the inviter hears still fits a message."""

    async def main() -> None:
        async with Bench(max_invitees=300) as bench:
            users = [f"{number:053}" for number in range(297)]
            bench.broker.reach.update(dict.fromkeys(users, Reach.NOBODY))
            await bench.ask("a" * 64, invite(*users, dev="d", iid="i"))
            await let_run()
            assert bench.broker.names("a" * 64) == ["invited"]
            assert bench.broker.names(users[0]) == ["invited"]

    run(main)


# For how long.


def test_a_message_is_of_use_until_its_deadline() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", timeout=30))
            bench.clock.advance(10_000)
            await bench.ask("ann", cancel())
            expiry = [ms for topic, _, ms in bench.broker.messages if topic == TOPICS.events("bob")]
            assert expiry == [30_000, None]

    run(main)


def test_a_message_of_several_is_of_use_as_long_as_the_longest() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.take("ann", invite("bob", iid="short", timeout=5))
            bench.take("ann", invite("bob", iid="long", timeout=50))
            bench.take("zoe", invite("cid", iid="one", timeout=5))
            bench.take("zoe", invite("cid", iid="notice", answers=0))
            await let_run()
            expiry = {topic: ms for topic, _, ms in bench.broker.messages}
            assert expiry[TOPICS.events("bob")] == 50_000
            assert expiry[TOPICS.events("cid")] is None

    run(main)
