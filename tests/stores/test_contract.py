"""What the Store Protocol promises, over every kind of store."""

import asyncio
import sys

import pytest

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, Held, Mark, Store, StoreUnavailable, Usage
from ringline_broker.testing import ManualClock
from tests.stores.kinds import Place, Run, turn
from tests.stores.made import NOW, accepted, buried, first, made, rejected, rung, then, timed_out
from tests.unit.engine.play import cancel, invite, modify

LEASE = 5_000


def put(run: Run, store: Store, *invitations: Invitation) -> None:
    """Commit the first versions of these."""
    assert run(store.commit([first(one) for one in invitations])) == [True] * len(invitations)


def change(run: Run, store: Store, base: Invitation, invitation: Invitation) -> None:
    """Commit the version after this one."""
    assert run(store.commit([then(base, invitation)])) == [True]


def standing(run: Run, store: Store, iid: str) -> Invitation | None:
    held = run(store.load([iid])).get(iid)
    return held.invitation if held else None


def mark_of(run: Run, store: Store, iid: str) -> int:
    return run(store.load([iid]))[iid].mark


def iids_of(run: Run, store: Store, user: str, since_ms: int | None = None, after: str = "") -> list[str]:
    return [one.iid for one in run(store.of_user(user, since_ms, after, 1_000))]


def open_of(run: Run, store: Store, user: str) -> int:
    return run(store.usage([user])).get(user, Usage()).open


# load and commit


def test_nothing_is_there_at_first(run: Run, store: Store) -> None:
    assert run(store.load(["nobody"])) == {}
    assert run(store.load([])) == {}
    assert run(store.next_due()) is None
    assert run(store.claim_due(LEASE, 10)) == []
    assert run(store.unmarked(10)) == []
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
        await turn()
        for call in leaving:
            call.cancel()
        assert await staying == [True]
        await asyncio.gather(*leaving, return_exceptions=True)

    for at in range(20):
        run(give_up(at))
    put(run, store, rung("i2"))
    assert standing(run, store, "i2") is not None


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


# marks


def test_a_mark_moves_only_from_where_it_stands(run: Run, store: Store) -> None:
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
    run(store.mark([Mark("i1", 0, 3)]))
    assert mark_of(run, store, "i1") == 1, "it does not stand at 0 any more"
    run(store.mark([Mark("i1", 1, 2), Mark("i1", 1, 3), Mark("i1", 2, 3)]))
    assert mark_of(run, store, "i1") == 3


def test_marks_hold_while_others_are_committed(run: Run, store: Store) -> None:
    one, other = rung("i1", to=("ben", "cas")), rung("other")
    put(run, store, one, other)
    run(store.mark([Mark("i1", 1, 2), Mark("i1", 0, 1)]))
    put(run, store, rung("i2"))
    assert mark_of(run, store, "i1") == 1
    assert mark_of(run, store, "other") == 0
    run(store.mark([Mark("i1", 0, 2)]))
    put(run, store, rung("i3"))
    assert mark_of(run, store, "i1") == 1


def test_a_mark_of_an_unknown_id_is_nothing(run: Run, store: Store) -> None:
    run(store.mark([Mark("i1", 0, 1)]))
    put(run, store, rung("i1"))
    assert mark_of(run, store, "i1") == 0
    assert [held.invitation.iid for held in run(store.unmarked(10))] == ["i1"]
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
        return {held.invitation.iid: held.mark for held in run(store.unmarked(10))}

    assert unmarked() == {"i1": 0, "i2": 0, "i3": 0, "grave": 0}
    run(store.mark([Mark("i1", 0, one.n), Mark("grave", 0, 1), Mark("i3", 5, 6)]))
    assert unmarked() == {"i2": 0, "i3": 0}
    over = accepted(one)
    change(run, store, one, over)
    assert unmarked() == {"i1": one.n, "i2": 0, "i3": 0}
    assert Held(over, one.n) in run(store.unmarked(10))
    run(store.mark([Mark("i2", 0, two.n), Mark("i3", 0, three.n), Mark("i1", one.n, one.n + 1)]))
    assert unmarked() == {}


def test_unmarked_are_at_most_as_many_as_asked_for(run: Run, store: Store) -> None:
    put(run, store, *(rung(f"i{at}") for at in range(10)))
    seen: set[str] = set()
    while some := run(store.unmarked(3)):
        assert len(some) <= 3
        assert seen.isdisjoint(held.invitation.iid for held in some)
        seen.update(held.invitation.iid for held in some)
        run(store.mark([Mark(held.invitation.iid, held.mark, held.invitation.n) for held in some]))
    assert len(seen) == 10


# who is in what


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


ODD_IDS = (
    "0", "00", "0.0", "1e3", "1000", "-1", "A", "B", "Z", "a", "a ", "a  b", "aA", "ab", "b", "z", "~", "NULL", "'; --",
    '"', "%", "_", "\\", "é", "e\N{COMBINING ACUTE ACCENT}", "ß", "ss", "SS", "ÿ", "Ā", "İ", "i", "ﬁ",
    "\N{LATIN SMALL LETTER DOTLESS I}", "\N{ZERO WIDTH SPACE}", "\N{RIGHT-TO-LEFT OVERRIDE}x", "€", "\ud7ff", "\ue000",
    "\N{FULLWIDTH TILDE}", "\ufffd", "\uffff",
    "\U00010000", "😀", "😀😀", "\U0010ffff", "x" * 64, "😀" * 16, "é" * 32,
)  # fmt: skip
"""Ids that differ to the byte, among them those that other ways of comparing would sort otherwise or take for equal."""


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
    assert [held.invitation.iid for held in run(store.unmarked(10))] == ["i1"]


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


# closing


def test_closing_twice_is_closing_once(run: Run, store: Store) -> None:
    put(run, store, rung("i1"))
    run(store.close())
    run(store.close())


def test_closing_finishes_what_was_begun(run: Run, store: Store) -> None:
    async def close_at_once() -> list[bool]:
        commit = asyncio.create_task(store.commit([first(rung("i1"))]))
        await turn()
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
        lambda: store.unmarked(1),
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
    assert [one.invitation.iid for one in run(store.unmarked(10))] == ["grave", "claimed"]
    assert run(store.next_due()) == NOW + 1_000 + LEASE
    assert iids_of(run, store, "ben", 0) == ["claimed", "open", "over"]
    assert open_of(run, store, "ann") == 2
    change(run, store, open_, accepted(open_, "cas"))
    assert run(store.purge(NOW * 2, 10)) == 2


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
