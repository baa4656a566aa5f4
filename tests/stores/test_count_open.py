"""What the Store Protocol promises of the number of open invitations, over every kind of store."""

from ringline_broker.service.ports import Store
from tests.stores.kinds import Place, Run
from tests.stores.made import accepted, buried, first, rejected, rung, then


def test_an_invitation_counts_until_it_ends(run: Run, store: Store) -> None:
    assert run(store.count_open()) == 0
    one, other = rung("i1", to=("ben", "cas")), rung("i2", by="ben", to=("ann",))
    assert run(store.commit([first(one), first(other)])) == [True, True]
    assert run(store.count_open()) == 2
    two = accepted(one, "ben")
    assert run(store.commit([then(one, two)])) == [True]
    assert run(store.count_open()) == 2, "cas may still answer"
    assert run(store.commit([then(two, rejected(two, "cas"))])) == [True]
    assert run(store.count_open()) == 1


def test_neither_a_tombstone_nor_a_lost_race_counts(run: Run, store: Store) -> None:
    assert run(store.commit([first(buried("i1"))])) == [True]
    assert run(store.commit([first(rung("i2"))])) == [True]
    assert run(store.commit([first(rung("i2", by="dan"))])) == [False]
    assert run(store.count_open()) == 1


def test_a_deadline_that_is_claimed_leaves_it_open(run: Run, store: Store, place: Place) -> None:
    run(store.commit([first(rung("i1"))]))
    place.clock.advance(60_000)
    assert run(store.claim_due(5_000, 10)) == ["i1"]
    assert run(store.count_open()) == 1


def test_it_is_known_again_after_a_restart(run: Run, kept: Place) -> None:
    run(kept.open().commit([first(rung("i1")), first(rung("i2"))]))
    kept.close()
    assert run(kept.open().count_open()) == 2
