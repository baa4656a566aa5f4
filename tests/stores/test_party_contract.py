"""What the Store Protocol promises of who is in what: the invitations of a user, over every kind of store."""

from ringline_broker.service.ports import Store, Usage
from ringline_broker.testing import ManualClock
from tests.stores.calls import LEASE, change, iids_of, open_of, put, standing
from tests.stores.ids import ODD_IDS
from tests.stores.kinds import Run
from tests.stores.made import NOW, accepted, buried, first, made, rejected, rung, then, timed_out
from tests.unit.engine.play import invite


def test_the_invitations_of_a_user_are_those_they_are_a_party_to(run: Run, store: Store) -> None:
    put(
        run, store, rung("made", by="ann", to=("ben", "cas")), rung("got", by="ben", to=("ann",)),
        rung("neither", by="ben", to=("cas",)),
    )  # fmt: skip
    assert iids_of(run, store, "ann") == ["got", "made"]
    assert iids_of(run, store, "ben") == ["got", "made", "neither"]
    assert iids_of(run, store, "cas") == ["made", "neither"]
    assert iids_of(run, store, "dot") == []


def test_who_answered_is_still_a_party(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"))
    put(run, store, one)
    two = rejected(one, "ben")
    change(run, store, one, two)
    assert run(store.of_user("ben", None, "", 10)) == [two]


def test_ended_ones_are_told_where_they_ended_after_since(run: Run, store: Store) -> None:
    one, two = rung("open"), rung("over")
    over = accepted(two, now=NOW + 500)
    put(run, store, one, two)
    change(run, store, two, over)
    assert iids_of(run, store, "ben", None) == ["open"]
    assert iids_of(run, store, "ben", NOW + 499) == ["open", "over"]
    assert iids_of(run, store, "ben", NOW + 500) == ["open"]
    assert iids_of(run, store, "ben", NOW + 501) == ["open"]
    assert iids_of(run, store, "ben", 0) == ["open", "over"]
    assert run(store.of_user("ben", 0, "open", 10)) == [over]


def test_ids_come_in_byte_order_and_page_by_page(run: Run, store: Store) -> None:
    expected = sorted(ODD_IDS, key=str.encode)
    assert expected != sorted(ODD_IDS, key=lambda iid: iid.encode("utf-16-be")), "the ids tell the orders apart"
    put(run, store, *(rung(iid) for iid in reversed(ODD_IDS)))
    assert iids_of(run, store, "ben") == expected
    for at in range(len(expected)):
        assert iids_of(run, store, "ben", after=expected[at]) == expected[at + 1 :]
    for size in (1, 2, 5):
        pages: list[str] = []
        while page := run(store.of_user("ben", None, pages[-1] if pages else "", size)):
            assert len(page) <= size
            pages += [one.iid for one in page]
        assert pages == expected
    assert iids_of(run, store, "ben", after="no such id") == [iid for iid in expected if iid.encode() > b"no such id"]


def test_pages_are_filled_past_what_is_not_told(run: Run, store: Store) -> None:
    both = [rung(f"i{at}") for at in range(10)]
    put(run, store, *both, *(buried(f"i{at}x", by="ben") for at in range(10)))
    for one in both[::2]:
        change(run, store, one, accepted(one))
    assert [one.iid for one in run(store.of_user("ben", None, "i0", 3))] == ["i1", "i3", "i5"]


def test_ids_that_look_alike_are_others(run: Run, store: Store) -> None:
    users = [iid for iid in ODD_IDS if iid != "a"]
    put(run, store, *(rung(iid, by=iid, to=("a",)) for iid in users))
    for user in users:
        assert iids_of(run, store, user) == [user]
    usage = run(store.usage(ODD_IDS))
    assert {user: usage.get(user, Usage()).open for user in ODD_IDS} == {user: int(user != "a") for user in ODD_IDS}
    assert set(run(store.load(ODD_IDS))) == set(users)
    assert standing(run, store, "1") is None


def test_a_tombstone_is_kept_but_is_no_invitation_of_anybody(run: Run, store: Store) -> None:
    grave = buried("i1", by="ann")
    put(run, store, grave)
    assert standing(run, store, "i1") == grave
    assert iids_of(run, store, "ann", 0) == []
    assert open_of(run, store, "ann") == 0
    assert run(store.next_due()) is None
    assert run(store.commit([first(rung("i1", by="ann"))])) == [False]


def test_anothers_invitation_takes_the_place_of_a_tombstone(run: Run, store: Store, clock: ManualClock) -> None:
    grave = buried("i1", by="eve")
    put(run, store, grave)
    ring = made(grave, "ann", invite("ben", iid="i1", timeout=30), NOW + 1)
    change(run, store, grave, ring)
    assert standing(run, store, "i1") == ring
    assert iids_of(run, store, "ann") == ["i1"]
    assert iids_of(run, store, "ben") == ["i1"]
    assert iids_of(run, store, "eve", 0) == []
    assert (open_of(run, store, "ann"), open_of(run, store, "eve")) == (1, 0)
    clock.advance(30_001)
    assert run(store.claim_due(LEASE, 10)) == ["i1"]
    change(run, store, ring, timed_out(ring))
    assert run(store.purge(store.now() + 1, 10)) == 1
    assert [iids_of(run, store, user, 0) for user in ("ann", "ben", "eve")] == [[], [], []]


def test_a_tombstone_and_its_successor_in_one_batch(run: Run, store: Store) -> None:
    grave = buried("i1", by="eve")
    ring = made(grave, "ann", invite("ben", iid="i1"), NOW + 1)
    assert run(store.commit([first(grave), then(grave, ring)])) == [True, True]
    assert iids_of(run, store, "ben") == ["i1"]
    put(run, store, rung("i2", to=("ben",)))
    folded = made(buried("i3", by="eve"), "ann", invite("ben", iid="i3"), NOW + 1)
    put(run, store, folded)
    assert iids_of(run, store, "ben") == ["i1", "i2", "i3"]


def test_an_invitation_that_is_over_when_it_is_made_is_told_as_ended(run: Run, store: Store) -> None:
    one = rung("i1")
    over = accepted(one)
    put(run, store, over, rung("notice", answers=0))
    assert iids_of(run, store, "ben") == []
    assert iids_of(run, store, "ben", 0) == ["i1", "notice"]
    assert open_of(run, store, "ann") == 0
    assert run(store.next_due()) is None


def test_open_ones_are_counted_to_their_inviter(run: Run, store: Store) -> None:
    mine = [rung(f"i{at}", by="ann", to=("ben",)) for at in range(3)]
    put(run, store, *mine, rung("other", by="ben", to=("ann",)))
    usage = run(store.usage(["ann", "ben", "cas", "ann"]))
    assert [usage.get(user, Usage()).open for user in ("ann", "ben", "cas")] == [3, 1, 0]
    change(run, store, mine[0], accepted(mine[0]))
    assert open_of(run, store, "ann") == 2
    assert run(store.usage([])) == {}
