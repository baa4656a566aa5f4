"""What the BlockStore Protocol promises, over every kind of store."""

import asyncio
from collections.abc import Collection

import pytest

from ringline_broker.engine.step import Ask, Busy, step
from ringline_broker.service.ports import Held, Store, StoreUnavailable
from tests.stores.ids import ODD_IDS
from tests.stores.kinds import Place, Run
from tests.stores.made import NOW, accepted, first, then
from tests.support.turns import let_run
from tests.unit.engine.play import invite


def block(run: Run, store: Store, user: str, *users: str, limit: int = 1_000) -> bool:
    """Each with a mask of its own."""
    return run(store.block(user, {other: f"mask of {other}" for other in users}, limit))


def list_of(run: Run, store: Store, user: str) -> list[str]:
    return run(store.blocked(user, "", 1_000))


def blocking(run: Run, store: Store, *pairs: tuple[str, str]) -> dict[tuple[str, str], str]:
    return dict(run(store.blocking(pairs)))


def test_nobody_is_blocked_at_first(run: Run, store: Store) -> None:
    assert list_of(run, store, "ann") == []
    assert blocking(run, store, ("ann", "eve"), ("eve", "ann")) == {}
    assert blocking(run, store) == {}
    run(store.unblock("ann", ["eve"]))
    assert list_of(run, store, "ann") == []


def test_who_is_blocked_is_on_that_list_and_on_no_other(run: Run, store: Store) -> None:
    assert block(run, store, "ann", "eve", "cas")
    assert block(run, store, "ben", "eve")
    assert list_of(run, store, "ann") == ["cas", "eve"]
    assert list_of(run, store, "ben") == ["eve"]
    assert list_of(run, store, "eve") == []
    asked = [("ann", "eve"), ("eve", "ann"), ("ben", "eve"), ("ben", "cas"), ("ann", "dot"), ("ann", "eve")]
    assert blocking(run, store, *asked) == {("ann", "eve"): "mask of eve", ("ben", "eve"): "mask of eve"}


def test_who_is_on_the_list_stays_as_they_were(run: Run, store: Store) -> None:
    assert run(store.block("ann", {"eve": "first"}, 10))
    assert run(store.block("ann", {"eve": "second", "cas": "other"}, 10))
    assert blocking(run, store, ("ann", "eve"), ("ann", "cas")) == {("ann", "eve"): "first", ("ann", "cas"): "other"}
    assert list_of(run, store, "ann") == ["cas", "eve"]


def test_a_list_that_would_be_too_long_stays_as_it_was(run: Run, store: Store) -> None:
    assert block(run, store, "ann", "a", "b", limit=3)
    assert not block(run, store, "ann", "c", "d", limit=3)
    assert list_of(run, store, "ann") == ["a", "b"]
    assert blocking(run, store, ("ann", "c"), ("ann", "d")) == {}
    assert block(run, store, "ann", "a", "b", "c", limit=3), "those who are on it count once"
    assert not block(run, store, "ann", "d", limit=3)
    assert block(run, store, "ann", "b", "c", limit=2), "it is too long and grows no longer: the limit was lowered"
    assert list_of(run, store, "ann") == ["a", "b", "c"]
    assert block(run, store, "ben", "d", limit=1), "the limit is each list's own"
    assert not block(run, store, "cas", "d", limit=0)
    assert list_of(run, store, "cas") == []


def test_the_limit_holds_where_many_block_at_once(run: Run, store: Store) -> None:
    async def race() -> list[bool]:
        return await asyncio.gather(*(store.block("ann", {f"u{at}": "m", f"v{at}": "m"}, 9) for at in range(20)))

    done = run(race())
    assert sum(done) == 4
    listed = list_of(run, store, "ann")
    assert len(listed) == 8
    assert listed == sorted(f"{kind}{at}" for kind in "uv" for at in range(20) if done[at])


def test_who_is_unblocked_is_off_the_list(run: Run, store: Store) -> None:
    assert block(run, store, "ann", "a", "b", "c", limit=3)
    assert block(run, store, "ben", "b")
    run(store.unblock("ann", ["b", "nobody", "b"]))
    assert list_of(run, store, "ann") == ["a", "c"]
    assert blocking(run, store, ("ann", "b"), ("ann", "a"), ("ben", "b")) == {
        ("ann", "a"): "mask of a", ("ben", "b"): "mask of b",
    }  # fmt: skip
    assert run(store.block("ann", {"b": "another"}, 3)), "there is room again"
    assert blocking(run, store, ("ann", "b")) == {("ann", "b"): "another"}
    run(store.unblock("ann", {"a", "b", "c"}))
    assert list_of(run, store, "ann") == []
    assert blocking(run, store, ("ann", "a")) == {}
    run(store.unblock("ann", []))
    assert block(run, store, "ann", "a")
    assert blocking(run, store, ("ann", "a")) == {("ann", "a"): "mask of a"}


def test_nobody_to_block_is_nothing(run: Run, store: Store) -> None:
    assert block(run, store, "ann")
    assert block(run, store, "ann", limit=0)
    assert list_of(run, store, "ann") == []


def test_lists_come_in_byte_order_and_page_by_page(run: Run, store: Store) -> None:
    expected = sorted(ODD_IDS, key=str.encode)
    assert block(run, store, "ann", *reversed(ODD_IDS))
    assert list_of(run, store, "ann") == expected
    for at in range(len(expected)):
        assert run(store.blocked("ann", expected[at], 1_000)) == expected[at + 1 :]
    for size in (1, 2, 5):
        pages: list[str] = []
        while page := run(store.blocked("ann", pages[-1] if pages else "", size)):
            assert len(page) <= size
            pages += page
        assert pages == expected
    assert run(store.blocked("ann", "no such id", 1_000)) == [one for one in expected if one.encode() > b"no such id"]


def test_ids_that_look_alike_are_others(run: Run, store: Store) -> None:
    for user in ODD_IDS[::2]:
        assert run(store.block(user, dict.fromkeys(ODD_IDS[1::2], user), 1_000))
    found = blocking(run, store, *((user, other) for user in ODD_IDS for other in ODD_IDS))
    assert found == {(user, other): user for user in ODD_IDS[::2] for other in ODD_IDS[1::2]}


def test_who_does_not_let_the_inviter_ring_has_no_part_in_the_invitation(run: Run, store: Store) -> None:
    busy = (Busy("eve", "mask", b"8 bytes!"),)
    one = step(None, Ask("ann", invite("ben", "eve", iid="i1"), busy), NOW).invitation
    assert one is not None
    assert run(store.commit([first(one)])) == [True]
    assert run(store.load(["i1"])) == {"i1": Held(one, 0)}
    over = accepted(one, "ben")
    assert over.ended is not None
    for _ in range(2):
        assert [[ring.iid for ring in run(store.of_user(user, 0, "", 9))] for user in ("ann", "ben", "eve")] == [
            ["i1"], ["i1"], [],
        ]  # fmt: skip
        run(store.commit([then(one, over)]))
    assert run(store.purge(NOW * 2, 10)) == 1
    assert [run(store.of_user(user, 0, "", 9)) for user in ("ann", "ben", "eve")] == [[], [], []]


def test_a_caller_that_gives_up_blocks_all_the_same(run: Run, store: Store) -> None:
    users = [f"u{at}" for at in range(20)]

    async def give_up(*calls: "asyncio.Task[object]") -> None:
        await let_run()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await store.blocked("ann", "", 1)

    async def block_and_give_up() -> None:
        await give_up(*(asyncio.create_task(store.block(user, {"eve": "m"}, 10)) for user in users))

    async def unblock_and_give_up() -> None:
        await give_up(*(asyncio.create_task(store.unblock(user, ["eve"])) for user in users))

    def blockers() -> Collection[tuple[str, str]]:
        return run(store.blocking([(user, "eve") for user in users])).keys()

    run(block_and_give_up())
    assert blockers() == {(user, "eve") for user in users}
    run(unblock_and_give_up())
    assert blockers() == set()


def test_a_closed_store_says_so(run: Run, store: Store) -> None:
    run(store.close())
    for call in (
        lambda: store.block("ann", {"eve": "m"}, 10),
        lambda: store.unblock("ann", ["eve"]),
        lambda: store.blocked("ann", "", 10),
        lambda: store.blocking([("ann", "eve")]),
    ):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            run(call())


def test_lists_are_there_after_opening_again(run: Run, kept: Place) -> None:
    store = kept.open()
    assert block(run, store, "ann", "a", "b")
    assert block(run, store, "ben", "a")
    assert block(run, store, "cas", "a")
    run(store.unblock("ann", ["b"]))
    run(store.unblock("cas", ["a"]))
    run(store.close())

    store = kept.open()
    assert [list_of(run, store, user) for user in ("ann", "ben", "cas")] == [["a"], ["a"], []]
    assert blocking(run, store, *((user, "a") for user in ("ann", "ben", "cas"))) == {
        ("ann", "a"): "mask of a", ("ben", "a"): "mask of a",
    }  # fmt: skip
    assert not block(run, store, "ann", "b", "c", limit=2)
    run(store.unblock("ann", ["a"]))
    assert blocking(run, store, ("ann", "a")) == {}
