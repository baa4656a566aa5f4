"""The turn: what waits is folded, committed, published and settled, whoever is faster and whatever fails."""

import logging

import pytest

from ringline.protocol.codec import pack
from ringline.protocol.events import Accepted
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, cancel, get, invite, modify, reject, ringing
from tests.unit.service.bench import TOPICS, Bench, run

# Folding.


def test_a_hundred_answers_at_once_are_one_commit(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with Bench() as bench:
            users = [f"u{i:03}" for i in range(100)]
            await bench.ask("ann", invite(*users))
            for user in users:
                bench.take(user, accept())
            await let_run()
            assert bench.settled == 101
            print(f"100 accepts: commits of {bench.store.commits}, {bench.service.counters.turns} turns")  # noqa: T201
            assert bench.store.commits == [1, 1]
            assert bench.service.counters.commits == 2
            assert (await bench.invitation(IID)).end == "accepted"
            assert bench.broker.names("ann") == ["invited", *["accepted"] * 100]
            assert len(bench.broker.batches("ann")) == 2
            assert bench.broker.names("u007") == ["invited", "accepted", "ended"]

    run(main)
    assert "commits of [1, 1]" in capsys.readouterr().out


def test_requests_of_several_invitations_share_a_commit() -> None:
    async def main() -> None:
        async with Bench() as bench:
            for number in range(20):
                bench.take(f"u{number}", invite("bob", iid=f"i{number}"))
            await let_run()
            assert bench.store.commits == [20]
            assert len(bench.broker.heard("bob")) == 20
            assert len(bench.broker.batches("bob")) == 1

    run(main)


def test_requests_of_one_turn_are_dealt_with_in_the_order_they_came() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.take("ann", invite("bob"))
            bench.take("bob", accept("b1"))
            bench.take("bob", reject("b2"))
            bench.take("ann", cancel())
            await let_run()
            assert bench.store.commits == [1]
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited", "accepted"]
            assert bench.broker.errors("bob", "b2") == bench.broker.errors("ann") == ["invitation_over"]

    run(main)


def test_a_request_that_changes_nothing_commits_nothing() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            await bench.ask("zoe", accept(), get(), cancel(iid=IID))
            await bench.ask("bob", get(), ringing())
            assert bench.store.commits == [1]
            assert bench.broker.errors("zoe") == ["not_permitted"] * 3
            assert bench.broker.answers("bob")[0].state is not None
            assert bench.broker.names("ann") == ["invited", "ringing"]

    run(main)


def test_two_modifications_in_one_turn_are_both_answered() -> None:
    """The second supersedes the first before anybody heard it, so that no event answers the first."""

    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            first, second = modify(b"1", "d1"), modify(b"2", "d2")
            await bench.ask("ann", first, second)
            assert [event.re for event in bench.broker.heard("ann")][1:] == [second.id]
            assert [answer.re for answer in bench.broker.answers("ann", "d1")] == [first.id]

    run(main)


# Another process.


def test_what_another_process_was_faster_with_is_folded_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", "cid"))
            bench.store.before_commit = lambda: bench.elsewhere("cid", accept("c1"))
            await bench.ask("bob", accept("b1"))
            counters = bench.service.counters
            assert (counters.conflicts, counters.commits) == (1, 2)
            invitation = await bench.invitation(IID)
            assert (invitation.end, invitation.n) == ("accepted", 4)
            assert bench.broker.names("bob") == ["invited", "accepted"]

    run(main)


def test_whoever_another_process_was_faster_against_is_refused() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            bench.store.before_commit = lambda: bench.elsewhere("ann", cancel(dev="a9"))
            await bench.ask("bob", accept("b1"))
            assert bench.broker.errors("bob", "b1") == ["invitation_over"]
            assert "accepted" not in bench.broker.names("bob")

    run(main)


def test_a_conflict_over_one_leaves_the_others_of_the_turn_alone() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.before_commit = lambda: bench.elsewhere("zoe", invite("bob", iid="taken"))
            bench.take("ann", invite("bob", iid="taken"))
            bench.take("ann", invite("bob", iid="free"))
            await let_run()
            assert bench.broker.errors("ann") == ["already_exists"]
            assert [event.iid for event in bench.broker.heard("ann")] == ["free"]
            assert bench.service.counters.conflicts == 1

    run(main)


# What comes in.


def test_what_cannot_be_read_is_refused_where_it_says_whom_to_tell() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.take_raw("ann", b"\xc1")
            bench.take_raw("ann", pack({"op": "dance", "id": b"12345678", "dev": "d1"}))
            bench.take_raw("ann", pack({"op": "accept", "id": b"12345678", "dev": "d1", "iid": "a/b"}))
            await let_run()
            assert bench.settled == 3
            assert bench.service.counters.unreadable == 1
            assert [a.err.field for a in bench.broker.answers("ann") if a.err] == ["op", "iid"]

    run(main)


def test_a_turn_that_fails_is_logged_and_its_requests_are_left_to_their_clients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with Bench() as bench:
            request = invite("bob")
            bench.broker.breaks = True
            with caplog.at_level(logging.ERROR):
                bench.take("ann", request)
                await let_run()
            assert bench.settled == 1
            await bench.ask("ann", request)
            assert bench.broker.names("bob") == ["invited"]
            assert bench.broker.answers("ann")[-1].n == 1

    run(main)
    assert "a turn failed" in caplog.text


# Who hears of it.


def test_events_reach_whom_they_are_for_and_say_who_did_what() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            request = accept("b7", data=b"x")
            await bench.ask("bob", request)
            event = bench.broker.heard("ann")[-1]
            assert isinstance(event, Accepted)
            assert (event.by, event.dev, event.re, event.data) == ("bob", "b7", request.id, b"x")
            assert (event.n, event.p) == (2, 1)
            assert {topic for topic, _, _ in bench.broker.messages} == {TOPICS.events("ann"), TOPICS.events("bob")}

    run(main)
