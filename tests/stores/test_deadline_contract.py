"""What the Store Protocol promises of deadlines and of time, over every kind of store."""

import asyncio

import pytest

from ringline_broker.service.ports import Store
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE, change, put
from tests.stores.kinds import Place, Run
from tests.stores.made import NOW, accepted, made, rejected, rung, then, timed_out
from tests.unit.engine.play import modify

# deadlines


def test_an_invitation_is_claimed_when_it_is_due_and_not_before(run: Run, store: Store, clock: ManualClock) -> None:
    put(run, store, rung("i1", timeout=30))
    clock.advance(29_999)
    assert run(store.claim_due(LEASE, 10)) == []
    clock.advance(1)
    assert run(store.claim_due(LEASE, 10)) == ["i1"]


def test_a_claim_lasts_one_lease(run: Run, store: Store, clock: ManualClock) -> None:
    put(run, store, rung("i1", timeout=30))
    clock.advance(31_000)
    assert run(store.claim_due(LEASE, 10)) == ["i1"]
    assert run(store.next_due()) == NOW + 31_000 + LEASE
    clock.advance(LEASE - 1)
    assert run(store.claim_due(LEASE, 10)) == []
    clock.advance(1)
    assert run(store.claim_due(LEASE * 2, 10)) == ["i1"]
    assert run(store.next_due()) == NOW + 31_000 + LEASE + LEASE * 2


def test_the_earliest_are_claimed_first_and_no_more_than_asked_for(
    run: Run, store: Store, clock: ManualClock
) -> None:
    timeouts = {"c": 3, "a": 5, "é": 2, "b": 1, "d": 4, "not yet": 3_600}
    put(run, store, *(rung(iid, timeout=timeout) for iid, timeout in timeouts.items()))
    clock.advance(10_000)
    assert run(store.claim_due(LEASE, 2)) == ["b", "é"]
    assert run(store.claim_due(LEASE, 2)) == ["c", "d"]
    assert run(store.claim_due(LEASE, 2)) == ["a"]
    assert run(store.claim_due(LEASE, 2)) == []


def test_of_those_due_at_once_the_lowest_ids_are_claimed_first(run: Run, store: Store, clock: ManualClock) -> None:
    iids = ["b", "\U0001f600", "B", "\N{FULLWIDTH TILDE}", "é", "a"]
    put(run, store, *(rung(iid, timeout=1) for iid in iids))
    clock.advance(1_000)
    claimed = [run(store.claim_due(LEASE, 4)), run(store.claim_due(LEASE, 4))]
    assert claimed == [["B", "a", "b", "é"], ["\N{FULLWIDTH TILDE}", "\U0001f600"]]


def test_nobody_claims_what_somebody_else_claims(run: Run, store: Store, clock: ManualClock) -> None:
    put(run, store, *(rung(f"i{at}", timeout=1) for at in range(50)))
    clock.advance(1_000)

    async def race() -> list[list[str]]:
        return await asyncio.gather(*(store.claim_due(LEASE, 7) for _ in range(10)))

    claimed = [iid for some in run(race()) for iid in some]
    assert len(claimed) == 50
    assert len(set(claimed)) == 50


def test_what_is_over_is_never_due(run: Run, store: Store, clock: ManualClock) -> None:
    one, two, three = rung("i1"), rung("i2"), rung("i3")
    put(run, store, one, two, three)
    change(run, store, one, accepted(one))
    clock.advance(60_000)
    assert run(store.claim_due(LEASE, 10)) == ["i2", "i3"]
    change(run, store, two, timed_out(two))
    assert run(store.next_due()) == NOW + 60_000 + LEASE
    clock.advance(60_000)
    assert run(store.claim_due(LEASE, 10)) == ["i3"]
    change(run, store, three, timed_out(three))
    assert run(store.next_due()) is None


def test_a_commit_sets_the_deadline_anew(run: Run, store: Store, clock: ManualClock) -> None:
    one = rung("i1", timeout=30)
    put(run, store, one)
    clock.advance(30_000)
    assert run(store.claim_due(LEASE, 10)) == ["i1"]
    change(run, store, one, made(one, "ann", modify(b"read in time", iid="i1"), NOW + 29_999))
    assert run(store.next_due()) == NOW + 30_000
    assert run(store.claim_due(LEASE, 10)) == ["i1"]


def test_a_lost_commit_leaves_the_claim(run: Run, store: Store, clock: ManualClock) -> None:
    one = rung("i1", to=("ben", "cas"), timeout=30)
    put(run, store, one)
    change(run, store, one, accepted(one, "ben"))
    clock.advance(30_000)
    assert run(store.claim_due(LEASE, 10)) == ["i1"]
    assert run(store.commit([then(one, accepted(one, "cas"))])) == [False]
    assert run(store.next_due()) == NOW + 30_000 + LEASE


def test_next_due_is_the_earliest(run: Run, store: Store) -> None:
    late, soon, quiet = rung("late", timeout=60), rung("soon", timeout=2), rung("quiet", timeout=0)
    put(run, store, quiet)
    assert run(store.next_due()) == quiet.due
    put(run, store, late, soon)
    assert run(store.next_due()) == NOW + 2_000
    change(run, store, soon, accepted(soon))
    assert run(store.next_due()) == NOW + 60_000


# time


def test_time_is_the_machines_when_the_store_opens(store: Store) -> None:
    assert store.now() == NOW


@pytest.mark.parametrize("wall", [0, NOW - 3_600_000, NOW + 365 * 86_400_000], ids=["epoch", "hour back", "year on"])
def test_setting_the_clock_moves_no_time_and_no_deadline(
    run: Run, store: Store, clock: ManualClock, wall: int
) -> None:
    put(run, store, rung("i1", timeout=30))
    clock.set_wall(wall)
    assert store.now() == NOW
    clock.advance(29_999)
    assert store.now() == NOW + 29_999
    assert run(store.claim_due(LEASE, 10)) == []
    clock.set_wall(wall)
    clock.advance(1)
    assert store.now() == NOW + 30_000
    assert run(store.claim_due(LEASE, 10)) == ["i1"]


# what outlives the process


def test_time_goes_on_after_opening_again(run: Run, kept: Place) -> None:
    run(kept.open().close())
    kept.clock.advance(5_000)
    assert kept.open().now() == NOW + 5_000


@pytest.mark.parametrize("what", ["invited", "answered", "ended", "forgotten"])
def test_time_never_starts_before_the_newest_commit(run: Run, kept: Place, what: str) -> None:
    store = kept.open()
    one = rung("i1", to=("ben", "cas"), timeout=30)
    put(run, store, one)
    if what != "invited":
        kept.clock.advance(20_000)
        last = {"answered": accepted(one, "ben", NOW + 20_000)}.get(what, rejected(accepted(one, "ben"), "cas"))
        change(run, store, one, last)
    if what == "forgotten":
        assert run(store.purge(NOW * 2, 10)) == 1
    newest = store.now()
    run(store.close())
    kept.clock.set_wall(NOW - 3_600_000)
    store = kept.open()
    assert store.now() == newest
    kept.clock.advance(10)
    assert store.now() == newest + 10
    if what in ("invited", "answered"):
        kept.clock.advance(30_000)
        assert run(store.claim_due(LEASE, 1)) == ["i1"]
