"""Groups on a broker that has no topics for them: everybody hears the same, each on their own topic."""

from typing import Any

import pytest

from ringline.protocol.codec import unpack
from ringline.protocol.group_requests import AddMembers, CreateGroup, DismissGroup, JoinGroup, RemoveMembers
from tests.unit.engine.play import accept, invite, new_id
from tests.unit.service.bench import TOPICS, Bench, run
from tests.unit.service.test_recovery import pass_time


def _bench(**settings: Any) -> Bench:
    bench = Bench(**settings)
    bench.broker.has_group_topics = False
    return bench


async def _group(bench: Bench, *members: str) -> None:
    await bench.ask("ann", CreateGroup(id=new_id(), dev="d1", gid="g", preset="meeting"))
    for user in members:
        await bench.ask(user, JoinGroup(id=new_id(), dev="d1", gid="g"))


def _heard(bench: Bench, user: str) -> list[str]:
    """All events of a user, of groups and of invitations, by name."""
    topic = TOPICS.events(user)
    return [
        event["ev"] for where, payload, _ in bench.broker.messages if where == topic for event in _events(payload)
    ]


def _events(payload: bytes) -> list[dict[str, Any]]:
    events: Any = unpack(payload, 32_768)
    return list(events)


def test_members_hear_of_each_other_and_of_invitations() -> None:
    async def main() -> None:
        async with _bench() as bench:
            await _group(bench, "bob", "cid")
            await bench.ask("ann", invite("bob", gid="g"))
            await bench.ask("bob", accept())
            assert _heard(bench, "ann") == ["group_created", "member_enter", "member_enter", "invited", "accepted"]
            assert _heard(bench, "bob") == ["member_enter", "member_enter", "invited", "accepted"]
            assert _heard(bench, "cid") == ["member_enter", "invited", "accepted"]
            assert not [topic for topic, _, _ in bench.broker.messages if topic == TOPICS.group_events("g")]

    run(main)


def test_who_is_removed_hears_that_and_nothing_after() -> None:
    async def main() -> None:
        async with _bench() as bench:
            await _group(bench, "bob", "cid")
            await bench.ask("ann", invite("bob", "cid", gid="g"))
            before = len(_heard(bench, "bob"))
            await bench.ask("ann", RemoveMembers(id=new_id(), dev="d1", gid="g", to=("bob",)))
            await bench.ask("cid", accept())
            await bench.ask("dan", JoinGroup(id=new_id(), dev="d1", gid="g"))
            assert _heard(bench, "bob")[before:] == ["dropped", "member_kicked"]
            assert _heard(bench, "cid")[-4:] == ["dropped", "member_kicked", "accepted", "member_enter"]

    run(main)


def test_all_hear_that_a_group_is_no_more_and_its_invitations_neither() -> None:
    async def main() -> None:
        async with _bench() as bench:
            await _group(bench, "bob", "cid")
            await bench.ask("ann", invite("bob", gid="g"))
            await bench.ask("ann", DismissGroup(id=new_id(), dev="d1", gid="g"))
            for user in ("ann", "bob", "cid"):
                assert _heard(bench, user)[-2:] == ["dropped", "group_dismissed"]
            await bench.ask("ann", CreateGroup(id=new_id(), dev="d1", gid="h", preset="meeting"))
            assert _heard(bench, "bob")[-1] == "group_dismissed"

    run(main)


@pytest.mark.parametrize("how", ["its answer is lost", "the next call fails", "the process dies"])
def test_all_hear_of_a_dismissal_that_was_cut_off_after_its_commit(how: str) -> None:
    async def main() -> None:
        async with _bench() as bench:
            await _group(bench, "bob", "cid")
            await bench.ask("ann", invite("bob", gid="g"))
            request = DismissGroup(id=new_id(), dev="d1", gid="g")
            if how == "its answer is lost":
                bench.store.loses_answer = True
            elif how == "the next call fails":
                bench.store.down = {"of_group"}
            else:
                await bench.dismissed_elsewhere("ann", request)
            if how != "the process dies":
                await bench.ask("ann", request)
                bench.store.down = set()
                assert bench.broker.errors("ann") == ["server_unavailable"]
                await bench.ask("ann", request)
            await pass_time(bench)
            for user in ("ann", "bob", "cid"):
                assert _heard(bench, user)[-2:] == ["dropped", "group_dismissed"]

    run(main)


def test_a_thousand_members_hear_each_event_once() -> None:
    async def main() -> None:
        async with _bench() as bench:
            users = [f"u{number:04}" for number in range(1_500)]
            await _group(bench)
            for at in range(0, len(users), 100):
                some = tuple(users[at : at + 100])
                await bench.ask("ann", AddMembers(id=new_id(), dev="d1", gid="g", to=some))
            before = len(bench.broker.messages)
            await bench.ask("ann", invite("u0001", gid="g"))
            topics = [topic for topic, _, _ in bench.broker.messages[before:]]
            assert len(topics) == len(set(topics)) == 1_501

    run(main)
