"""Groups in the service: what follows from a change, in which order, and what a crash takes away meanwhile."""

from typing import Any

import pytest

from ringline.protocol.answers import Answer
from ringline.protocol.events import decode_event, decode_events
from ringline.protocol.group_events import MemberKicked
from ringline.protocol.group_requests import (
    AddMembers,
    Count,
    CreateGroup,
    DismissGroup,
    JoinGroup,
    ListGroups,
    QuitGroup,
    RemoveMembers,
    SyncGroup,
)
from ringline.protocol.shapes import GroupEvent
from ringline_broker.service.service import Service
from ringline_broker.stores.marks import Handed
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, invite, new_id
from tests.unit.service.bench import TOPICS, Bench, run

LEASE_MS = 5_000


def on(request: type[Any], gid: str = "g", **fields: Any) -> Any:
    return request(id=new_id(), dev="d1", gid=gid, **fields)


async def group(bench: Bench, *members: str, preset: str = "meeting") -> None:
    """Ann's group."""
    await bench.ask("ann", on(CreateGroup, preset=preset, to=members))
    assert bench.broker.errors("ann") == []


def told(bench: Bench, topic: str) -> list[GroupEvent]:
    payloads = [payload for where, payload, _ in bench.broker.messages if where == topic]
    events = [decode_event(raw) for payload in payloads for raw in decode_events(payload)]
    return [event for event in events if isinstance(event, GroupEvent)]


async def answered(bench: Bench, user: str, request: Any) -> Answer:
    await bench.ask(user, request)
    return bench.broker.answers(user)[-1]


def test_an_invitation_in_a_group_is_one_publish_and_so_is_each_answer() -> None:
    async def main() -> None:
        async with Bench(max_invitees=300) as bench:
            members = [f"u{n:03}" for n in range(250)]
            await group(bench, *members)
            before = bench.service.counters.messages
            await bench.ask("ann", invite("u001", "u002", gid="g"))
            assert bench.service.counters.messages == before + 1
            assert bench.broker.messages[-1][0] == TOPICS.group_events("g")
            for user in ("u001", "u002"):
                bench.take(user, accept())
            await let_run()
            assert bench.service.counters.messages == before + 2, "two answers of one turn are one message"

    run(main)


def test_a_hundred_joins_at_once_are_one_commit_and_each_is_heard_in_order() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench)
            before = bench.service.counters.commits
            for n in range(100):
                bench.take(f"u{n:02}", on(JoinGroup))
            await let_run()
            print(f"100 joins: {bench.service.counters.commits - before} commits")  # noqa: T201 - the proof is a count
            assert bench.service.counters.commits == before + 1
            events = told(bench, TOPICS.group_events("g"))
            assert [event.ev for event in events] == ["member_enter"] * 100
            numbers = [event.n for event in events]
            assert [event.p for event in events] == [0, *numbers[:-1]]

    run(main)


def test_more_changes_in_a_turn_than_a_group_remembers_lose_nothing() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            for _ in range(1_000):
                bench.take("ben", on(Count, key="c", add=1))
            await let_run()
            values = [getattr(event, "value", 0) for event in told(bench, TOPICS.group_events("g"))][1:]
            assert values == list(range(1, 1_001))
            assert bench.service.counters.commits <= 8

    run(main)


def test_the_topic_is_closed_before_the_removal_is_heard_and_the_answer_comes_last() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben", "cid")
            await bench.ask("ann", invite("ben", "cid", gid="g"))
            bench.broker.messages.clear()
            await bench.ask("ann", on(RemoveMembers, to=("ben",)))
            assert bench.broker.closed == [("g", ("ben",))]
            topics = [topic for topic, _, _ in bench.broker.messages]
            assert topics[-1] == TOPICS.answers("ann", "d1")
            assert sorted(topics[:-1]) == sorted([TOPICS.group_events("g"), TOPICS.events("ben")] * 2)
            assert bench.broker.names("ben")[-1] == "dropped"
            kicked = told(bench, TOPICS.events("ben"))[-1]
            assert isinstance(kicked, MemberKicked)
            assert (await bench.invitation(IID)).seats["ben"].part == "dropped"

    run(main)


def test_a_dismissed_groups_topic_closes_after_its_last_event() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            await bench.ask("ann", invite("ben", gid="g"))
            await bench.ask("ann", on(DismissGroup))
            assert bench.broker.closed == [("g", None)]
            assert told(bench, TOPICS.group_events("g"))[-1].ev == "group_dismissed"
            assert (await bench.invitation(IID)).end == "dropped"
            assert not await bench.service.is_member("g", "ben")
            assert (await answered(bench, "ben", on(QuitGroup))).err is not None

    run(main)


def test_what_a_store_out_of_reach_left_undone_is_done_with_the_next_request() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            await bench.ask("ann", invite("ben", gid="g"))
            bench.store.down.add("of_group")
            await bench.ask("ann", remove := on(RemoveMembers, to=("ben",)))
            assert bench.broker.errors("ann") == ["server_unavailable"]
            assert bench.broker.closed == [("g", ("ben",))], "what needs no store is done at once"
            assert (await bench.invitation(IID)).end is None
            bench.store.down.clear()
            await bench.ask("ann", remove)
            assert (await bench.invitation(IID)).end == "dropped"
            assert bench.broker.answers("ann")[-1].err is None
            assert [event.ev for event in told(bench, TOPICS.events("ben"))].count("member_kicked") == 1

    run(main)


def test_what_a_crash_left_undone_is_done_at_the_start() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            await bench.ask("ann", invite("ben", gid="g"))
            bench.store.down.add("of_group")
            await bench.ask("ann", on(RemoveMembers, to=("ben",)))
            bench.store.down.clear()
            bench.broker.closed.clear()
            bench.broker.messages.clear()
            bench.clock.advance(LEASE_MS)
            again = Service(bench.store, bench.broker, bench.clock, bench.settings)
            await again.start()
            await let_run()
            assert again.counters.recovered == 1
            assert bench.broker.closed == [("g", ("ben",))]
            assert (await bench.invitation(IID)).end == "dropped"
            assert [event.ev for event in told(bench, TOPICS.events("ben"))] == ["member_kicked"]
            assert not await bench.store.claim_unmarked_groups(0, 10)

    run(main)


def test_a_repeated_count_counts_once_and_a_repeat_tells_nobody() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench)
            count = on(Count, key="c", add=5)
            for _ in range(3):
                await bench.ask("ann", count)
            assert [event.ev for event in told(bench, TOPICS.group_events("g"))] == ["counter"]
            assert (await bench.store.load_groups({"g": ()}))["g"].view.group.counters == {"c": 5}  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
            assert bench.service.counters.repeats == 2

    run(main)


def test_a_group_sync_brings_what_was_missed_or_the_state() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            fresh = await answered(bench, "ben", on(SyncGroup))
            assert fresh.group is not None
            assert fresh.events == ()
            for _ in range(3):
                await bench.ask("ann", on(Count, key="c", add=1))
            missed = await answered(bench, "ben", on(SyncGroup, n=fresh.group.n))
            assert [decode_event(raw).ev for raw in missed.events] == ["counter"] * 3
            assert missed.group is None
            for _ in range(300):
                bench.take("ann", on(Count, key="c", add=1))
            await let_run()
            behind = await answered(bench, "ben", on(SyncGroup, n=fresh.group.n))
            assert behind.events == ()
            assert behind.group is not None
            assert behind.group.counters == {"c": 303}
            stranger = await answered(bench, "zoe", on(SyncGroup))
            assert stranger.err is not None
            assert stranger.err.name == "unknown_group"

    run(main)


def test_a_group_sync_brings_open_invitations_page_by_page() -> None:
    async def main() -> None:
        async with Bench(max_open=1_000) as bench:
            await group(bench, "ben")
            for n in range(40):
                await bench.ask("ann", invite("ben", iid=f"i{n:02}", gid="g", data=bytes(3_000)))
            heard: list[str] = []
            request = on(SyncGroup)
            answer = await answered(bench, "ben", request)
            pages = 1
            heard += [decode_event(raw).iid for raw in answer.events]  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue]
            while answer.more:
                answer = await answered(bench, "ben", on(SyncGroup, next=answer.next))
                heard += [decode_event(raw).iid for raw in answer.events]  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue]
                pages += 1
            assert heard == [f"i{n:02}" for n in range(40)]
            assert pages > 3
            holds = {f"i{n:02}": 1 for n in range(40)} | {"x": 1}
            known = await answered(bench, "ben", on(SyncGroup, n=2, known=holds))
            assert (known.events, known.gone) == ((), ("x",))

    run(main)


def test_the_groups_come_with_a_sync_and_by_themselves() -> None:
    async def main() -> None:
        async with Bench(max_groups=600) as bench:
            for n in range(550):
                await bench.ask("ann", on(CreateGroup, gid=f"{n:03}-{'x' * 60}", preset="meeting"))
            pages = await bench.pages("ann")
            merged = {gid for page in pages for gid in page.groups or {}}
            assert len(merged) == 550
            assert len(pages) > 1
            answer = await answered(bench, "ann", ListGroups(id=new_id(), dev="d1"))
            listed = dict(answer.groups or {})
            while answer.more:
                answer = await answered(bench, "ann", ListGroups(id=new_id(), dev="d1", next=answer.next))
                listed |= answer.groups or {}
            assert listed.keys() == merged

    run(main)


def test_a_user_has_only_so_many_groups() -> None:
    async def main() -> None:
        async with Bench(max_groups=2) as bench:
            for gid in ("a", "b", "c"):
                await bench.ask("ann", on(CreateGroup, gid=gid, preset="meeting"))
            assert bench.broker.errors("ann") == ["too_many_requests"]
            await bench.ask("ben", on(CreateGroup, gid="d", preset="meeting"))
            await bench.ask("ann", on(JoinGroup, gid="d"))
            assert bench.broker.errors("ann") == ["too_many_requests"] * 2
            await bench.ask("ann", on(DismissGroup, gid="a"))
            await bench.ask("ann", on(JoinGroup, gid="d"))
            assert len(bench.broker.errors("ann")) == 2

    run(main)


@pytest.mark.parametrize("method", ["load_groups", "commit_groups"])
def test_a_store_out_of_reach_is_told_and_changes_nothing(method: str) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            bench.store.down.add(method)
            for request in (on(AddMembers, to=("cid",)), on(Count, key="c", add=1)):
                await bench.ask("ann", request)
            assert bench.broker.errors("ann") == ["server_unavailable"] * 2
            bench.store.down.clear()
            assert not await bench.service.is_member("g", "cid")

    run(main)


def test_what_is_made_after_somebody_came_back_is_not_settled_by_their_having_left() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await group(bench, "ben")
            await bench.ask("ann", on(RemoveMembers, to=("ben",)))
            bench.clock.advance(10)
            await bench.ask("ann", on(AddMembers, to=("ben",)))
            await bench.ask("ann", invite("ben", gid="g"))
            view, _ = (await bench.store.load_groups({"g": ()}))["g"]
            assert view.group is not None
            bench.store._groups_handed["g"] = Handed(1)  # a crash took the marks
            bench.clock.advance(LEASE_MS)
            again = Service(bench.store, bench.broker, bench.clock, bench.settings)
            await again.start()
            assert (again.counters.recovered, (await bench.invitation(IID)).end) == (1, None)

    run(main)
