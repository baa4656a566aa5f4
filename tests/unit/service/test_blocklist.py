"""Blocklists through the service: who may not ring somebody, and what each side is told."""

from ringline.protocol.answers import Answer
from ringline.protocol.blocklist_requests import Block, ListBlocked, Unblock
from ringline.protocol.events import Rejected
from ringline_broker.service.ports import Reach
from tests.unit.engine.play import accept, cancel, get, invite, new_id
from tests.unit.service.bench import Bench, events_of, run


def block(*users: str) -> Block:
    return Block(id=new_id(), dev="d1", users=users)


async def _list(bench: Bench, user: str) -> list[str]:
    found: list[str] = []
    place = b""
    while True:
        await bench.ask(user, ListBlocked(id=new_id(), dev="d1", next=place))
        page = bench.broker.answers(user)[-1]
        found += page.users
        if not page.more:
            return found
        place = page.next


def test_a_blocked_caller_meets_a_busy_line_and_the_callee_nothing() -> None:
    async def main() -> None:
        async with Bench() as bench:
            asked = block("ann")
            await bench.ask("bob", asked)
            assert bench.broker.answers("bob") == [Answer(re=asked.id)]
            await bench.ask("ann", invite("bob", "cid"))
            assert bench.broker.names("ann") == ["invited", "rejected"]
            assert bench.broker.names("cid") == ["invited"]
            assert bench.broker.names("bob") == []
            rejected = bench.broker.heard("ann")[1]
            assert isinstance(rejected, Rejected)
            assert (rejected.by, rejected.reason) == ("bob", "busy")
            assert await bench.sync("bob") == Answer(re=bench.broker.answers("bob")[-1].re, ts=bench.store.now())
            await bench.ask("bob", get(), accept())
            assert bench.broker.errors("bob") == ["not_permitted", "not_permitted"]
            await bench.ask("cid", accept())
            await bench.ask("ann", cancel())
            assert events_of(await bench.pages("bob", since=0)) == []

    run(main)


def test_the_line_looks_the_same_every_time() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block("ann"))
            for number in range(5):
                await bench.ask("ann", invite("bob", iid=f"c{number}"))
            rejected = [event for event in bench.broker.heard("ann") if isinstance(event, Rejected)]
            assert len({event.dev for event in rejected}) == 1
            assert len({event.re for event in rejected}) == 5
            await bench.ask("bob", Unblock(id=new_id(), dev="d1", users=("ann",)), block("ann"))

    run(main)


def test_who_is_taken_off_the_list_rings_again() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block("ann", "cid"))
            assert await _list(bench, "bob") == ["ann", "cid"]
            await bench.ask("bob", Unblock(id=new_id(), dev="d1", users=("ann", "never")))
            assert await _list(bench, "bob") == ["cid"]
            await bench.ask("ann", invite("bob"))
            assert bench.broker.names("bob") == ["invited"]

    run(main)


def test_a_list_is_ones_own() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block("ann"))
            assert await _list(bench, "ann") == []
            await bench.ask("bob", invite("ann"))
            assert bench.broker.names("ann") == ["invited"], "bob may ring ann"
            await bench.ask("ann", invite("cid", iid="other"))
            assert bench.broker.names("cid") == ["invited"]

    run(main)


def test_who_is_blocked_and_online_only_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block("ann"))
            bench.broker.reach["cid"] = Reach.NOBODY
            await bench.ask("ann", invite("bob", "cid", online_only=True))
            assert (await bench.invitation("call-1")).end == "offline"

    run(main)


def test_a_list_has_an_end() -> None:
    async def main() -> None:
        async with Bench(max_blocked=3) as bench:
            await bench.ask("bob", block("u1", "u2"))
            await bench.ask("bob", block("u3", "u4"))
            (refused,) = [answer.err for answer in bench.broker.answers("bob") if answer.err is not None]
            assert (refused.code, refused.name, refused.wait) == (7008, "too_many_requests", None)
            assert await _list(bench, "bob") == ["u1", "u2"], "nothing of what was refused"
            await bench.ask("bob", block("u1", "u3"))
            assert await _list(bench, "bob") == ["u1", "u2", "u3"]

    run(main)


def test_requests_that_make_no_sense() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block())
            await bench.ask("bob", Unblock(id=new_id(), dev="d1", users=()))
            await bench.ask("bob", block("ann", "bob"))
            await bench.ask("bob", ListBlocked(id=new_id(), dev="d1", next=b"\xc1"))
            assert bench.broker.errors("bob") == ["bad_parameter"] * 4
            assert await _list(bench, "bob") == []

    run(main)


def test_a_store_gone_is_said_and_nothing_rings_by_mistake() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("bob", block("ann"))
            bench.store.down = {"blocking", "block"}
            await bench.ask("bob", block("cid"))
            assert bench.broker.errors("bob") == ["server_unavailable"]
            await bench.ask("ann", invite("bob"))
            assert bench.broker.errors("ann") == ["server_unavailable"]
            assert bench.broker.names("bob") == []
            bench.store.down = set()
            await bench.ask("ann", invite("bob"))
            assert bench.broker.names("ann") == ["invited", "rejected"]

    run(main)


def test_a_long_list_comes_in_pages() -> None:
    async def main() -> None:
        async with Bench() as bench:
            users = [f"u{number:03}" for number in range(600)]
            for at in range(0, 600, 200):
                await bench.ask("bob", block(*users[at : at + 200]))
            assert await _list(bench, "bob") == users

    run(main)
