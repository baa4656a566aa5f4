"""What the Store Protocol promises, over every kind of store: what is committed is there, whole, until it is forgotten.

Deadlines, marks and the invitations of a user have modules of their own.
"""

import asyncio
import sys

import pytest

from ringline_broker.service.ports import Change, Held, Mark, Store, StoreUnavailable
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE, change, iids_of, open_of, put, standing
from tests.stores.kinds import Place, Run
from tests.stores.made import NOW, accepted, buried, first, made, rejected, rung, then
from tests.support.turns import let_run
from tests.unit.engine.play import cancel

# load and commit


def test_nothing_is_there_at_first(run: Run, store: Store) -> None:
    assert run(store.load(["nobody"])) == {}
    assert run(store.load([])) == {}
    assert run(store.next_due()) is None
    assert run(store.claim_due(LEASE, 10)) == []
    assert run(store.claim_unmarked(0, 10)) == []
    assert run(store.of_user("ann", 0, "", 10)) == []
    assert open_of(run, store, "ann") == 0
    assert run(store.purge(NOW * 2, 10)) == 0


def test_what_was_committed_is_loaded_whole(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"), data=bytes(range(256)), answers=1, audience="parties", online_only=True)
    two = rejected(one, "cas", data=b"\0", reason="busy", text="später — 稍后 🙂")
    three = accepted(two, "ben", dev="d9")
    put(run, store, one, rung("i2"))
    assert run(store.load(["i1", "unknown"])) == {"i1": Held(one, 0)}
    change(run, store, one, two)
    assert standing(run, store, "i1") == two
    change(run, store, two, three)
    assert standing(run, store, "i1") == three
    assert set(run(store.load(["i2", "i1", "i2"]))) == {"i1", "i2"}


def test_a_used_id_is_not_written_as_new(run: Run, store: Store) -> None:
    stands = rung("i1")
    put(run, store, stands)
    assert run(store.commit([first(rung("i1", by="eve"))])) == [False]
    assert standing(run, store, "i1") == stands


def test_an_unknown_id_is_not_written_as_a_next_version(run: Run, store: Store) -> None:
    base = rung("i1")
    assert run(store.commit([then(base, accepted(base))])) == [False]
    assert standing(run, store, "i1") is None
    assert iids_of(run, store, "ben", 0) == []


def test_versions_of_one_invitation_are_written_one_after_the_other(
    run: Run, store: Store, clock: ManualClock
) -> None:
    one = rung("i1", timeout=30)
    over = accepted(one)
    changes = [first(one), first(rung("i1", by="eve")), then(one, over), then(one, over), first(rung("i2"))]
    assert run(store.commit(changes)) == [True, False, True, False, True]
    assert (standing(run, store, "i1"), open_of(run, store, "ann")) == (over, 1)
    clock.advance(NOW)
    assert run(store.claim_due(LEASE, 10)) == ["i2"]
    assert run(store.purge(store.now(), 10)) == 1


def test_only_the_next_version_of_what_stands_is_written(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas", "dot"))
    two = accepted(one, "ben")
    three = accepted(two, "cas")
    put(run, store, one)
    assert run(store.commit([then(two, three)])) == [False], "the expected version was never there"
    change(run, store, one, two)
    assert run(store.commit([then(one, rejected(one, "ben"))])) == [False], "the expected version is gone"
    assert run(store.commit([Change(three, 0)])) == [False]
    assert standing(run, store, "i1") == two
    change(run, store, two, three)


def test_a_conflict_stops_nothing_else_of_its_batch(run: Run, store: Store) -> None:
    old, unknown = rung("old"), rung("unknown")
    put(run, store, old)
    new = accepted(old)
    batch = [
        first(rung("a")), first(rung("old", by="eve")), first(rung("b")), then(unknown, accepted(unknown)),
        then(old, new), first(rung("c")),
    ]  # fmt: skip
    assert run(store.commit(batch)) == [True, False, True, False, True, True]
    assert set(run(store.load(["a", "old", "b", "unknown", "c"]))) == {"a", "old", "b", "c"}
    assert standing(run, store, "old") == new


def test_an_empty_batch_is_nothing(run: Run, store: Store) -> None:
    assert run(store.commit([])) == []


def test_changes_of_one_id_in_one_batch_apply_in_order(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"))
    two = accepted(one, "ben")
    assert run(store.commit([first(one), then(one, two), then(one, rejected(one, "cas")), first(one)])) == [
        True, True, False, False,
    ]  # fmt: skip
    assert standing(run, store, "i1") == two


def test_of_many_at_once_one_wins(run: Run, store: Store) -> None:
    base = rung("i1", to=tuple(f"u{at}" for at in range(20)))
    put(run, store, base)
    rivals = [accepted(base, f"u{at}") for at in range(20)]

    async def race() -> list[list[bool]]:
        return await asyncio.gather(*(store.commit([then(base, rival)]) for rival in rivals))

    written = run(race())
    assert sorted(written) == [[False]] * 19 + [[True]]
    assert standing(run, store, "i1") == rivals[written.index([True])]


def test_a_caller_that_gives_up_harms_nobody(run: Run, store: Store) -> None:
    async def give_up(at: int) -> None:
        leaving = [asyncio.create_task(call) for call in (store.claim_due(LEASE, 1), store.commit([first(rung("i1"))]))]
        staying = asyncio.create_task(store.commit([first(rung(f"j{at}"))]))
        await let_run()
        for call in leaving:
            call.cancel()
        assert await staying == [True]
        await asyncio.gather(*leaving, return_exceptions=True)

    for at in range(20):
        run(give_up(at))
    put(run, store, rung("i2"))
    assert standing(run, store, "i2") is not None


# forgetting


def test_what_ended_before_is_forgotten(run: Run, store: Store) -> None:
    ends = {"early": NOW + 1, "on time": NOW + 2, "late": NOW + 3}
    for iid, ended in ends.items():
        one = rung(iid)
        put(run, store, one)
        change(run, store, one, accepted(one, now=ended))
    put(run, store, rung("open"), buried("grave", now=NOW))
    assert run(store.purge(NOW + 2, 10)) == 2
    assert set(run(store.load(["early", "on time", "late", "open", "grave"]))) == {"on time", "late", "open"}
    assert iids_of(run, store, "ben", 0) == ["late", "on time", "open"]
    assert run(store.purge(NOW + 2, 10)) == 0
    assert run(store.purge(NOW * 2, 10)) == 2
    assert iids_of(run, store, "ben", 0) == ["open"]


def test_the_oldest_are_forgotten_first_and_no_more_than_asked_for(run: Run, store: Store) -> None:
    for at in (3, 1, 4, 0, 2):
        one = rung(f"i{at}")
        put(run, store, one)
        change(run, store, one, accepted(one, now=NOW + at))
    assert run(store.purge(NOW + 4, 3)) == 3
    assert iids_of(run, store, "ben", 0) == ["i3", "i4"]
    assert run(store.purge(NOW + 4, 3)) == 1
    assert iids_of(run, store, "ben", 0) == ["i4"]


def test_a_forgotten_id_is_free(run: Run, store: Store, clock: ManualClock) -> None:
    one = rung("i1", by="ann", to=("ben", "cas"))
    over = made(one, "ann", cancel(iid="i1"), NOW + 1)
    put(run, store, one)
    change(run, store, one, over)
    clock.advance(10_000)
    assert run(store.purge(store.now(), 10)) == 1
    assert run(store.commit([then(one, over)])) == [False]
    again = rung("i1", by="dot", to=("ben",), now=store.now())
    put(run, store, again)
    assert iids_of(run, store, "ben") == ["i1"]
    assert iids_of(run, store, "ann", 0) == []
    assert iids_of(run, store, "cas", 0) == []
    assert [held.invitation.iid for held in run(store.claim_unmarked(0, 10))] == ["i1"]


# sizes


def test_a_record_of_256_kib(run: Run, store: Store) -> None:
    users = tuple(f"u{at}" for at in range(32))
    version = rung("i1", to=users, data=b"\xff" * 8_192)
    put(run, store, version)
    for user in users:
        data = b"" if user == "u31" else bytes(range(256)) * 30
        base, version = version, accepted(version, user, data=data)
        change(run, store, base, version)
    assert 250 * 1024 < version.size <= 256 * 1024
    assert version.ended is not None
    assert standing(run, store, "i1") == version
    assert run(store.of_user("u31", 0, "", 1)) == [version]
    assert run(store.purge(NOW * 2, 1)) == 1
    assert standing(run, store, "i1") is None


def test_every_character_comes_back(run: Run, store: Store) -> None:
    everything = [chr(at) for at in range(sys.maxunicode + 1) if not 0xD800 <= at <= 0xDFFF]
    texts = ["".join(everything[at : at + 50_000]) for at in range(0, len(everything), 50_000)]
    one = rung("i1", to=tuple(f"u{at}" for at in range(len(texts))))
    for at, text in enumerate(texts):
        one = rejected(one, f"u{at}", text=text)
    put(run, store, one)
    assert standing(run, store, "i1") == one


def test_a_batch_of_a_thousand(run: Run, store: Store) -> None:
    many = [rung(f"i{at:04}") for at in range(1_000)]
    put(run, store, *many)
    assert run(store.of_user("ben", None, "", 1_000)) == many
    assert len(run(store.load([one.iid for one in many]))) == 1_000


# closing


def test_closing_twice_is_closing_once(run: Run, store: Store) -> None:
    put(run, store, rung("i1"))
    run(store.close())
    run(store.close())


def test_closing_finishes_what_was_begun(run: Run, store: Store) -> None:
    async def close_at_once() -> list[bool]:
        commit = asyncio.create_task(store.commit([first(rung("i1"))]))
        await let_run()
        await asyncio.gather(store.close(), store.close())
        return await commit

    assert run(close_at_once()) == [True]


def test_a_closed_store_says_so(run: Run, store: Store) -> None:
    run(store.close())
    for call in (
        lambda: store.load(["i1"]),
        lambda: store.commit([first(rung("i1"))]),
        lambda: store.claim_due(LEASE, 1),
        store.next_due,
        lambda: store.mark([Mark("i1", 0, 1)]),
        lambda: store.claim_unmarked(0, 1),
        lambda: store.of_user("ann", None, "", 1),
        lambda: store.usage(["ann"]),
        lambda: store.purge(0, 1),
    ):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            run(call())
    assert store.now() == NOW


# what outlives the process


def test_everything_is_there_after_opening_again(run: Run, kept: Place) -> None:
    store = kept.open()
    over, open_, grave = rung("over"), rung("open", to=("ben", "cas"), timeout=60), buried("grave")
    put(run, store, over, open_, grave, rung("claimed", timeout=1))
    change(run, store, over, ended := accepted(over))
    run(store.mark([Mark("over", 0, ended.n), Mark("open", 0, 1)]))
    kept.clock.advance(1_000)
    assert run(store.claim_due(LEASE, 10)) == ["claimed"]
    held = run(store.load(["over", "open", "grave", "claimed"]))
    run(store.close())

    store = kept.open()
    assert run(store.load(["over", "open", "grave", "claimed"])) == held
    assert [one.invitation.iid for one in run(store.claim_unmarked(0, 10))] == ["claimed", "grave"]
    assert run(store.next_due()) == NOW + 1_000 + LEASE
    assert iids_of(run, store, "ben", 0) == ["claimed", "open", "over"]
    assert open_of(run, store, "ann") == 2
    change(run, store, open_, accepted(open_, "cas"))
    assert run(store.purge(NOW * 2, 10)) == 2
