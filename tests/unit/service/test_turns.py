"""The turn: what waits is folded, committed, published, marked, and settled; whatever fails in between."""

import asyncio
import logging

import pytest

from ringline.protocol.codec import pack
from ringline.protocol.errors import SERVER_UNAVAILABLE
from ringline.protocol.messages import Accepted, Sync
from ringline.protocol.shapes import Request
from ringline_broker.service.ports import Reach, StoreUnavailable
from tests.support.turns import let_run
from tests.unit.engine.play import IID, accept, cancel, get, invite, modify, new_id, reject, ringing
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


# A store out of reach.


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


# Marks.


def test_what_is_marked_is_not_published_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            request = invite("bob")
            await bench.ask("ann", request)
            assert await bench.mark_of(IID) == 1
            await bench.ask("ann", request)
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited"]
            assert [answer.n for answer in bench.broker.answers("ann")] == [1]
            assert bench.service.counters.repeats == 1

    run(main)


def test_a_repeat_publishes_what_may_not_have_been() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.loses_marks = True
            request = invite("bob")
            await bench.ask("ann", request)
            bench.store.loses_marks = False
            await bench.ask("ann", request)
            assert bench.broker.names("ann") == bench.broker.names("bob") == ["invited"] * 2
            assert await bench.mark_of(IID) == 1

    run(main)


def test_what_was_published_is_marked_even_though_the_store_was_away_for_a_moment() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.store.down = {"mark"}
            await bench.ask("ann", invite("bob"))
            bench.store.down = set()
            await bench.ask("bob", accept())
            assert await bench.mark_of(IID) == 2
            assert bench.broker.names("bob") == ["invited", "invited", "accepted"]

    run(main)


def test_what_is_handed_over_while_an_earlier_version_waits_for_its_mark_is_marked_in_the_end() -> None:
    async def main() -> None:
        async with Bench() as bench:
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: asyncio.shield(said)
            await bench.ask("ann", invite("bob"))
            await bench.ask("bob", accept())
            said.set_result(Reach.SOMEBODY)
            await let_run()
            assert set(bench.broker.names("ann")) == {"invited", "accepted"}
            assert await bench.mark_of(IID) == 2

    run(main)


def test_what_is_marked_while_a_store_answers_is_not_published_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            said: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
            bench.broker.reach["bob"] = lambda: asyncio.shield(said)
            await bench.ask("ann", invite("bob"))
            bench.broker.reach.clear()
            bench.store.answer_gate = asyncio.Event()
            bench.take("bob", accept())
            await let_run()
            said.set_result(Reach.SOMEBODY)
            await let_run()
            assert await bench.mark_of(IID) == 1
            bench.store.answer_gate.set()
            await let_run()
            assert bench.broker.names("bob") == ["invited", "accepted"]

    run(main)


@pytest.mark.parametrize("how_many", [1, 600])
def test_recovery_publishes_what_a_crash_left(how_many: int) -> None:
    async def main() -> None:
        bench = Bench()
        for number in range(how_many):
            await bench.elsewhere("ann", invite("bob", iid=f"i{number:03}"))
        await bench.elsewhere("zoe", cancel(iid="tombstone"))
        bench.clock.advance(5_000)
        async with bench:
            await let_run()
            assert bench.service.counters.recovered == how_many + 1
            assert len(bench.broker.heard("bob")) == len(bench.broker.heard("ann")) == how_many
            assert await bench.store.claim_unmarked(0, 10) == []
            assert bench.broker.heard("zoe") == []

    run(main)


def test_recovery_publishes_nothing_else() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench:
            await bench.ask("ann", invite("bob"))
        assert bench.service.counters.recovered == 0
        assert bench.broker.names("bob") == ["invited"]

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


# Limits.


def test_a_user_has_only_so_many_open_invitations() -> None:
    async def main() -> None:
        async with Bench(max_open=3) as bench:
            await bench.ask("ann", *[invite("bob", iid=f"i{number}") for number in range(5)])
            assert bench.broker.errors("ann") == ["too_many_requests"] * 2
            await bench.ask("ann", invite("bob", iid="another"))
            assert len(bench.broker.errors("ann")) == 3
            await bench.ask("zoe", invite("bob", iid="zoe's"))
            await bench.ask("ann", cancel(iid="i0"))
            await bench.ask("ann", invite("bob", iid="room again"))
            assert len(bench.broker.errors("ann")) == 3
            assert "room again" in [event.iid for event in bench.broker.heard("bob")]

    run(main)


def test_notices_need_no_room_and_repeats_neither() -> None:
    async def main() -> None:
        async with Bench(max_open=1) as bench:
            request = invite("bob", iid="one")
            await bench.ask("ann", request, *[invite("bob", iid=f"n{i}", answers=0) for i in range(5)], request)
            assert bench.broker.errors("ann") == []

    run(main)


def test_somebody_else_s_tombstones_make_no_room() -> None:
    async def main() -> None:
        async with Bench(max_open=2) as bench:
            await bench.ask("mallory", *[cancel(iid=f"i{number}") for number in range(5)])
            await bench.ask("ann", *[invite("bob", iid=f"i{number}") for number in range(5)])
            assert bench.broker.errors("ann") == ["too_many_requests"] * 3

    run(main)


# Time.


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


# The end.


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
