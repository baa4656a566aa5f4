"""What the Store Protocol promises of the marks of groups, over every kind of store."""

from ringline_broker.engine.groups.model import GroupView
from ringline_broker.service.ports import HeldGroup, Mark, Store
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE
from tests.stores.calls import put as ring
from tests.stores.group_calls import mark_of, put
from tests.stores.kinds import Run
from tests.stores.made_groups import dismissed, first, founded, later, member, rung_in, then


def test_a_mark_goes_forward_and_over_nothing_that_was_not_handed_over(run: Run, store: Store) -> None:
    one = founded("g1")
    two = later(one)
    put(run, store, first(one))
    run(store.mark_groups([Mark("g1", 1, 2)]))
    assert mark_of(run, store, "g1") == 0, "it does not stand at 1"
    run(store.mark_groups([Mark("g1", 0, 1)]))
    assert mark_of(run, store, "g1") == 1
    put(run, store, then(one, two))
    assert mark_of(run, store, "g1") == 1, "a new version leaves it"
    put(run, store, then(two, later(two)))
    run(store.mark_groups([Mark("g1", 2, 3)]))
    assert mark_of(run, store, "g1") == 1, "nobody handed the second over"
    run(store.mark_groups([Mark("g1", 0, 3)]))
    assert mark_of(run, store, "g1") == 3, "another process handed all of it over"
    run(store.mark_groups([Mark("g1", 0, 2), Mark("g1", 1, 2)]))
    assert mark_of(run, store, "g1") == 3, "it never goes back"


def test_a_mark_of_an_unknown_group_is_nothing(run: Run, store: Store) -> None:
    run(store.mark_groups([Mark("g1", 0, 1)]))
    put(run, store, first(founded("g1")))
    assert mark_of(run, store, "g1") == 0
    run(store.mark_groups([]))


def test_marks_of_groups_are_none_of_invitations(run: Run, store: Store) -> None:
    ring(run, store, rung_in("", "same"), rung_in("", "other"))
    put(run, store, first(founded("same")))
    run(store.mark_groups([Mark("same", 0, 1)]))
    run(store.mark([Mark("other", 0, 1)]))
    ring(run, store, rung_in("", "next"))  # a commit, with which marks may be written
    assert mark_of(run, store, "same") == 1
    assert {iid: one.mark for iid, one in run(store.load(["same", "other"])).items()} == {"same": 0, "other": 1}
    assert [one.invitation.iid for one in run(store.claim_unmarked(0, 10))] == ["next", "same"]


def test_unmarked_are_those_with_events_after_their_mark(run: Run, store: Store) -> None:
    one, two, three = founded("g1"), founded("g2"), founded("g3")
    put(run, store, first(one, member("ann")), first(two, member("ann")), first(three))

    def unmarked() -> dict[str, int]:
        found = run(store.claim_unmarked_groups(0, 10))
        assert all(held.view.people == {} for held in found)
        return {held.view.group.gid: held.mark for held in found if held.view.group}

    assert unmarked() == {"g1": 0, "g2": 0, "g3": 0}
    run(store.mark_groups([Mark("g1", 0, 1), Mark("g3", 5, 6)]))
    assert unmarked() == {"g2": 0, "g3": 0}
    gone = dismissed(one)
    put(run, store, then(one, gone))
    assert unmarked() == {"g1": 1, "g2": 0, "g3": 0}
    assert HeldGroup(GroupView(gone, {}), 1) in run(store.claim_unmarked_groups(0, 10))
    run(store.mark_groups([Mark("g2", 0, 1), Mark("g3", 0, 1), Mark("g1", 1, 2)]))
    assert unmarked() == {}


def test_unmarked_are_at_most_as_many_as_asked_for(run: Run, store: Store) -> None:
    put(run, store, *(first(founded(f"g{at}")) for at in range(10)))
    seen: set[str] = set()
    while some := run(store.claim_unmarked_groups(0, 3)):
        gids = {held.view.group.gid for held in some if held.view.group}
        assert len(some) == len(gids) <= 3
        assert seen.isdisjoint(gids)
        seen |= gids
        run(store.mark_groups([Mark(gid, 0, 1) for gid in gids]))
    assert len(seen) == 10


def test_what_is_unmarked_is_claimed_for_a_lease_a_lease_after_it_was_committed(
    run: Run, store: Store, clock: ManualClock
) -> None:
    def claimed(limit: int) -> list[str]:
        found = run(store.claim_unmarked_groups(LEASE, limit))
        return [held.view.group.gid for held in found if held.view.group]

    put(run, store, first(founded("g2")), first(founded("g1")))
    clock.advance(1)
    put(run, store, first(founded("g0")))
    clock.advance(LEASE - 1)
    assert claimed(1) == ["g1"]
    assert claimed(9) == ["g2"]
    clock.advance(1)
    assert claimed(9) == ["g0"]
    clock.advance(LEASE - 1)
    assert claimed(9) == ["g1", "g2"]
