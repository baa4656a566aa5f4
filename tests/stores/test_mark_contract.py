"""What the Store Protocol promises of marks, over every kind of store."""

import asyncio

import pytest

from ringline_broker.service.ports import Held, Mark, Store
from ringline_broker.stores.redis.url import is_redis
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE, change, mark_of, put
from tests.stores.kinds import Place, Run
from tests.stores.made import accepted, buried, rung, then


def test_a_mark_goes_forward_and_over_nothing_that_was_not_handed_over(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas", "dot"))
    two = accepted(one, "ben")
    three = accepted(two, "cas")
    put(run, store, one)
    assert mark_of(run, store, "i1") == 0
    run(store.mark([Mark("i1", 1, 2)]))
    assert mark_of(run, store, "i1") == 0, "it does not stand at 1"
    run(store.mark([Mark("i1", 0, 1)]))
    assert mark_of(run, store, "i1") == 1
    change(run, store, one, two)
    assert mark_of(run, store, "i1") == 1, "a new version leaves it"
    change(run, store, two, three)
    run(store.mark([Mark("i1", 2, 3)]))
    assert mark_of(run, store, "i1") == 1, "nobody handed the second over"
    run(store.mark([Mark("i1", 0, 3)]))
    assert mark_of(run, store, "i1") == 3, "another process handed all of it over"
    run(store.mark([Mark("i1", 0, 2), Mark("i1", 1, 2)]))
    assert mark_of(run, store, "i1") == 3, "it never goes back"


def test_what_is_ahead_counts_once_what_is_before_it_is_marked(run: Run, store: Store) -> None:
    """Another process handed over the second event, and is faster than whoever hands over the first."""
    one, other = rung("i1", to=("ben", "cas", "dot")), rung("i2", to=("ben", "cas"))
    two = accepted(one, "ben")
    three = accepted(two, "cas")
    put(run, store, one, other)
    change(run, store, one, two)
    run(store.mark([Mark("i1", 1, 2)]))
    assert mark_of(run, store, "i1") == 0
    change(run, store, two, three)
    run(store.mark([Mark("i1", 2, 3), Mark("i2", 0, 1)]))
    assert [held.invitation.iid for held in run(store.claim_unmarked(0, 10))] == ["i1"]
    run(store.mark([Mark("i1", 0, 1)]))
    assert mark_of(run, store, "i1") == three.n == 3
    assert run(store.claim_unmarked(0, 10)) == []


@pytest.mark.parametrize("first", [False, True])
def test_of_two_that_are_ahead_and_do_not_touch_the_first_counts(run: Run, store: Store, first: bool) -> None:
    versions = [rung("i1", to=("a", "b", "c", "d", "e"))]
    put(run, store, versions[0])
    for user in "abcd":
        versions.append(accepted(versions[-1], user))
        change(run, store, *versions[-2:])
    ahead = [Mark("i1", 1, 2), Mark("i1", 3, 4)]
    run(store.mark(ahead if first else ahead[::-1]))
    run(store.mark([Mark("i1", 0, 1)]))
    assert mark_of(run, store, "i1") == 2, "the other is handed over again"
    run(store.mark([Mark("i1", 4, 5), Mark("i1", 3, 4), Mark("i1", 2, 3)]))
    assert mark_of(run, store, "i1") == 5, "these touch, so both are remembered"


def test_a_mark_beyond_the_newest_version_is_nothing(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"))
    put(run, store, one)
    run(store.mark([Mark("i1", 0, 2), Mark("i1", 1, 2)]))
    change(run, store, one, accepted(one, "ben"))
    assert mark_of(run, store, "i1") == 0
    run(store.mark([Mark("i1", 0, 1)]))
    assert mark_of(run, store, "i1") == 1


def test_marks_hold_while_others_are_committed(run: Run, store: Store) -> None:
    one, other = rung("i1", to=("ben", "cas")), rung("other")
    put(run, store, one, other)
    run(store.mark([Mark("i1", 1, 2), Mark("i1", 0, 1)]))
    put(run, store, rung("i2"))
    assert mark_of(run, store, "i1") == 1
    assert mark_of(run, store, "other") == 0
    run(store.mark([Mark("i1", 0, 1)]))
    put(run, store, rung("i3"))
    assert mark_of(run, store, "i1") == 1


def test_a_mark_moves_whatever_becomes_of_a_commit_after_it(run: Run, store: Store) -> None:
    one, other = rung("i1", to=("ben", "cas")), rung("i2", to=("ben", "cas"))
    two = accepted(one, "ben")
    put(run, store, one, other)
    run(store.mark([Mark("i1", 0, 1), Mark("i2", 5, 6)]))
    assert run(store.commit([then(two, accepted(two, "cas")), then(other, accepted(other))])) == [False, True]
    assert (mark_of(run, store, "i1"), mark_of(run, store, "i2")) == (1, 0)
    run(store.mark([Mark("i1", 2, 3)]))
    change(run, store, one, two)
    assert mark_of(run, store, "i1") == 1, "it does not stand at 2"


def test_a_mark_of_an_unknown_id_is_nothing(run: Run, store: Store) -> None:
    run(store.mark([Mark("i1", 0, 1)]))
    put(run, store, rung("i1"))
    assert mark_of(run, store, "i1") == 0
    assert [held.invitation.iid for held in run(store.claim_unmarked(0, 10))] == ["i1"]
    run(store.mark([]))


def test_a_forgotten_invitation_leaves_no_mark_to_its_successor(run: Run, store: Store, clock: ManualClock) -> None:
    one = rung("i1")
    put(run, store, one)
    over = accepted(one)
    change(run, store, one, over)
    run(store.mark([Mark("i1", 0, over.n)]))
    clock.advance(60_000)
    assert run(store.purge(store.now(), 10)) == 1
    put(run, store, rung("i1", by="cas", now=store.now()))
    assert mark_of(run, store, "i1") == 0


def test_unmarked_are_those_with_events_after_their_mark(run: Run, store: Store) -> None:
    one, two, three, grave = rung("i1"), rung("i2"), rung("i3"), buried("grave")
    put(run, store, one, two, three, grave)

    def unmarked() -> dict[str, int]:
        return {held.invitation.iid: held.mark for held in run(store.claim_unmarked(0, 10))}

    assert unmarked() == {"i1": 0, "i2": 0, "i3": 0, "grave": 0}
    run(store.mark([Mark("i1", 0, one.n), Mark("grave", 0, 1), Mark("i3", 5, 6)]))
    assert unmarked() == {"i2": 0, "i3": 0}
    over = accepted(one)
    change(run, store, one, over)
    assert unmarked() == {"i1": one.n, "i2": 0, "i3": 0}
    assert Held(over, one.n) in run(store.claim_unmarked(0, 10))
    run(store.mark([Mark("i2", 0, two.n), Mark("i3", 0, three.n), Mark("i1", one.n, one.n + 1)]))
    assert unmarked() == {}


def test_unmarked_are_at_most_as_many_as_asked_for(run: Run, store: Store) -> None:
    put(run, store, *(rung(f"i{at}") for at in range(10)))
    seen: set[str] = set()
    while some := run(store.claim_unmarked(0, 3)):
        assert len(some) <= 3
        assert seen.isdisjoint(held.invitation.iid for held in some)
        seen.update(held.invitation.iid for held in some)
        run(store.mark([Mark(held.invitation.iid, held.mark, held.invitation.n) for held in some]))
    assert len(seen) == 10


def _claimed(run: Run, store: Store, lease_ms: int = LEASE, limit: int = 10) -> list[str]:
    return [held.invitation.iid for held in run(store.claim_unmarked(lease_ms, limit))]


def test_what_is_unmarked_is_claimed_a_lease_after_it_was_committed(
    run: Run, store: Store, clock: ManualClock
) -> None:
    one = rung("i1", to=("ben", "cas"))
    put(run, store, one)
    clock.advance(LEASE - 1)
    assert _claimed(run, store) == []
    change(run, store, one, accepted(one, "ben"))
    clock.advance(LEASE - 1)
    assert _claimed(run, store) == [], "somebody has worked at it"
    clock.advance(1)
    assert _claimed(run, store) == ["i1"]


def test_a_claim_of_what_is_unmarked_lasts_one_lease(run: Run, store: Store, clock: ManualClock) -> None:
    put(run, store, rung("i1"))
    clock.advance(2 * LEASE)
    assert _claimed(run, store) == ["i1"]
    clock.advance(LEASE - 1)
    assert _claimed(run, store) == []
    clock.advance(1)
    assert _claimed(run, store) == ["i1"]


def test_the_longest_left_are_claimed_first_and_the_lowest_ids(run: Run, store: Store, clock: ManualClock) -> None:
    for iids in (["d", "b"], ["c"], ["é", "a"]):
        put(run, store, *map(rung, iids))
        clock.advance(1)
    clock.advance(LEASE)
    assert _claimed(run, store, limit=3) == ["b", "d", "c"]
    assert _claimed(run, store, limit=3) == ["a", "é"]


def test_nobody_claims_what_somebody_else_claims(run: Run, store: Store, clock: ManualClock) -> None:
    put(run, store, *(rung(f"i{at}") for at in range(50)))
    clock.advance(LEASE)

    async def race() -> list[list[Held]]:
        return await asyncio.gather(*(store.claim_unmarked(LEASE, 7) for _ in range(10)))

    claimed = [held.invitation.iid for some in run(race()) for held in some]
    assert len(claimed) == len(set(claimed)) == 50


def test_what_is_forgotten_is_not_claimed(run: Run, store: Store, clock: ManualClock) -> None:
    one = rung("i1")
    put(run, store, one)
    change(run, store, one, accepted(one))
    clock.advance(LEASE)
    assert run(store.purge(store.now(), 10)) == 1
    assert _claimed(run, store) == []


def test_what_a_process_left_is_there_for_the_next_at_once_or_after_the_lease(run: Run, kept: Place) -> None:
    store = kept.open()
    put(run, store, rung("i1"), rung("i2"))
    run(store.mark([Mark("i2", 0, 1)]))
    run(store.close())
    store = kept.open()
    assert _claimed(run, store) == ([] if is_redis(kept.kind.url) else ["i1"]), "a file has one owner"
    kept.clock.advance(LEASE)
    assert _claimed(run, store) == ["i1"]
