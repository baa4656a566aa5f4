"""What one user may take: requests a second, open invitations, bytes; and when to ask again."""

from typing import Any

import pytest

from ringline.protocol.answers import Refusal
from ringline.protocol.codec import pack
from ringline.protocol.group_requests import CreateGroup, DismissGroup
from ringline.protocol.shapes import Request
from tests.support.turns import let_run
from tests.unit.engine.play import accept, cancel, invite, new_id
from tests.unit.service.bench import Bench, run


def _refusals(bench: Bench, user: str, device: str = "d1") -> list[Refusal]:
    return [answer.err for answer in bench.broker.answers(user, device) if answer.err is not None]


def _calls(count: int, **fields: Any) -> list[Request]:
    return [invite("bob", iid=f"c{number}", **fields) for number in range(count)]


def test_requests_beyond_the_rate_are_refused_with_a_time_and_others_are_not() -> None:
    async def main() -> None:
        async with Bench(request_rate=10, request_burst=5, max_open=100) as bench:
            await bench.ask("ann", *_calls(8))
            refused = _refusals(bench, "ann")
            assert [(one.code, one.name, one.wait) for one in refused] == [
                (7008, "too_many_requests", 101), (7008, "too_many_requests", 201), (7008, "too_many_requests", 301),
            ]  # fmt: skip
            assert "10 requests a second" in refused[0].text
            assert len(bench.broker.heard("bob")) == 5
            await bench.ask("cid", invite("bob", iid="other"))
            assert bench.broker.heard("bob")[-1].iid == "other"
            assert bench.service.counters.too_fast == 3
            bench.clock.advance(101)
            await bench.ask("ann", invite("bob", iid="again"))
            assert bench.broker.heard("bob")[-1].iid == "again"

    run(main)


def test_what_cannot_be_read_counts_too_and_is_answered_by_nobody() -> None:
    async def main() -> None:
        async with Bench(request_rate=1, request_burst=2) as bench:
            for payload in (b"\xc1", b"", pack({"op": "invite"}), pack({"id": b"12345678", "dev": "d1", "op": 7})):
                bench.take_raw("ann", payload)
            await let_run()
            assert bench.settled == 4
            assert [one.name for one in _refusals(bench, "ann")] == ["too_many_requests"], "who can be told"
            assert bench.service.counters.unreadable == 2
            assert bench.service.counters.too_fast == 2

    run(main)


def test_who_names_many_asks_for_more_than_one() -> None:
    async def main() -> None:
        async with Bench(request_rate=1, request_burst=30, max_open=100) as bench:
            many = [f"u{number}" for number in range(100)]
            await bench.ask("ann", invite(*many, iid="one"))
            await bench.ask("ann", invite(*many, iid="two"))
            await bench.ask("ann", invite("bob", iid="three"))
            assert [one.name for one in _refusals(bench, "ann")] == ["too_many_requests"]
            assert _refusals(bench, "ann")[0].wait == 13_001, "two and forty of thirty, and one"
            await bench.ask("cid", *_calls(20))
            assert _refusals(bench, "cid") == []

    run(main)


def test_a_rate_of_0_is_no_limit() -> None:
    async def main() -> None:
        async with Bench(request_rate=0, request_burst=1, max_open=1_000) as bench:
            await bench.ask("ann", *_calls(500))
            assert _refusals(bench, "ann") == []

    run(main)


def test_too_many_open_ones_are_refused_until_the_first_of_them_ends() -> None:
    async def main() -> None:
        async with Bench(max_open=3) as bench:
            await bench.ask("ann", *_calls(3, timeout=20))
            bench.clock.advance(5_000)
            await bench.ask("ann", *[invite("bob", iid=f"more{number}") for number in range(3)])
            assert [one.wait for one in _refusals(bench, "ann")] == [15_000] * 3
            bench.clock.advance(15_000)
            await let_run()
            await bench.ask("ann", invite("bob", iid="in time"))
            assert bench.broker.heard("bob")[-1].iid == "in time"

    run(main)


def test_a_burst_that_fills_the_room_in_one_turn_is_told_when_too() -> None:
    async def main() -> None:
        async with Bench(max_open=3) as bench:
            await bench.ask("ann", *_calls(5, timeout=20))
            assert [one.wait for one in _refusals(bench, "ann")] == [20_000] * 2

    run(main)


def test_bytes_count_until_they_are_forgotten() -> None:
    async def main() -> None:
        async with Bench(max_user_bytes=20_000, max_open=100, retention_s=60) as bench:
            await bench.ask("ann", *_calls(2, data=bytes(8_000)))
            await bench.ask("ann", invite("bob", iid="large", data=bytes(8_000)))
            (refused,) = _refusals(bench, "ann")
            assert "bytes for all invitations of a user" in refused.text
            assert refused.wait == 90_000 - 60_000, "the deadline of the first: it ends, and is forgotten later"
            await bench.ask("ann", cancel(iid="c0"))
            await bench.ask("ann", invite("bob", iid="large", data=bytes(8_000)))
            assert len(_refusals(bench, "ann")) == 2, "over, and not forgotten"
            await bench.ask("ann", invite("bob", iid="small"))
            assert bench.broker.heard("bob")[-1].iid == "small"
            await bench.ask("dan", invite("bob", iid="dan's", data=bytes(8_000)))
            assert bench.broker.heard("bob")[-1].iid == "dan's", "bytes of others do not count"
            bench.clock.advance(70_000)
            assert await bench.store.purge(bench.store.now() - 60_000, 100)
            await bench.ask("ann", invite("bob", iid="large", data=bytes(8_000)))
            assert "large" in [event.iid for event in bench.broker.heard("bob")]

    run(main)


def test_what_invitees_answer_counts_for_who_invited() -> None:
    async def main() -> None:
        async with Bench(max_user_bytes=10_000) as bench:
            await bench.ask("ann", invite("bob", iid="c"))
            await bench.ask("bob", accept(iid="c", data=bytes(8_000)))
            await bench.ask("ann", invite("cid", iid="d", data=bytes(3_000)))
            assert [one.name for one in _refusals(bench, "ann")] == ["too_many_requests"]
            await bench.ask("bob", invite("cid", iid="e", data=bytes(8_000)))
            assert _refusals(bench, "bob") == []

    run(main)


def test_cancels_of_ids_that_nobody_knows_are_bytes_as_well() -> None:
    async def main() -> None:
        async with Bench(max_user_bytes=1_000, request_rate=0) as bench:
            await bench.ask("ann", *[cancel(iid=f"never{number}") for number in range(40)])
            refused = _refusals(bench, "ann")
            assert 25 < len(refused) < 35
            assert {one.name for one in refused} == {"too_many_requests"}

    run(main)


def test_ending_what_one_has_is_never_refused_for_room() -> None:
    async def main() -> None:
        async with Bench(max_user_bytes=9_000, max_open=1) as bench:
            await bench.ask("ann", invite("bob", "cid", iid="c", data=bytes(8_000)))
            await bench.ask("bob", accept(iid="c", data=bytes(5_000)))
            await bench.ask("ann", cancel(iid="c"))
            assert (await bench.invitation("c")).end == "accepted"
            assert _refusals(bench, "ann") == []

    run(main)


def test_the_store_is_asked_once_when_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Bench(max_open=1, request_rate=0) as bench:
            await bench.ask("ann", invite("bob", iid="c"))
            asked = 0
            look = bench.store.of_user

            async def counted(*args: Any) -> object:
                nonlocal asked
                asked += 1
                return await look(*args)

            monkeypatch.setattr(bench.store, "of_user", counted)
            for number in range(50):
                await bench.ask("ann", invite("bob", iid=f"more{number}"))
            assert len(_refusals(bench, "ann")) == 50
            assert asked == 1

    run(main)


def test_a_store_gone_while_it_is_asked_when_is_told_as_such() -> None:
    async def main() -> None:
        async with Bench(max_open=1) as bench:
            await bench.ask("ann", invite("bob", iid="c"))
            bench.store.down = {"of_user"}
            await bench.ask("ann", invite("bob", iid="d"))
            assert [one.name for one in _refusals(bench, "ann")] == ["server_unavailable"]

    run(main)


def test_groups_made_and_dismissed_count_until_they_are_forgotten() -> None:
    async def main() -> None:
        async with Bench(max_groups=3, retention_s=60) as bench:
            for number in range(3):
                gid = f"g{number}"
                await bench.ask("ann", CreateGroup(id=new_id(), dev="d1", gid=gid, preset="public"))
                await bench.ask("ann", DismissGroup(id=new_id(), dev="d1", gid=gid))
            assert _refusals(bench, "ann") == []
            again = CreateGroup(id=new_id(), dev="d1", gid="g4", preset="public")
            await bench.ask("ann", again)
            assert [one.name for one in _refusals(bench, "ann")] == ["too_many_requests"]
            bench.clock.advance(70_000)
            assert await bench.store.purge(bench.store.now() - 60_000, 100)
            await bench.ask("ann", again)
            assert len(_refusals(bench, "ann")) == 1

    run(main)
