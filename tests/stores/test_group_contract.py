"""What the Store Protocol promises of groups, over every kind of store."""

import asyncio
from collections.abc import Collection

import pytest

from ringline_broker.engine.groups.model import Group, GroupView, Person, Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import GroupChange, Held, HeldGroup, Mark, Store, StoreUnavailable
from tests.stores import made_groups
from tests.stores.kinds import Place, Run, turn
from tests.stores.made import NOW, accepted, buried, made
from tests.stores.made import first as first_ring
from tests.stores.made import then as then_ring
from tests.stores.made_groups import (
    applicant,
    banned,
    dismissed,
    first,
    founded,
    later,
    member,
    rung_in,
    then,
    whole,
)
from tests.stores.test_contract import ODD_IDS
from tests.unit.engine.play import invite

MEMBER, APPLICANT, BANNED, LEFT = Standing


def put(run: Run, store: Store, *changes: GroupChange) -> None:
    """Commit these; all must be written."""
    assert run(store.commit_groups(changes)) == [True] * len(changes)


def ring(run: Run, store: Store, *invitations: Invitation) -> None:
    assert run(store.commit([first_ring(one) for one in invitations])) == [True] * len(invitations)


def held(run: Run, store: Store, gid: str, users: Collection[str] = ()) -> HeldGroup | None:
    return run(store.load_groups({gid: users})).get(gid)


def group_of(run: Run, store: Store, gid: str) -> Group | None:
    found = held(run, store, gid)
    return found.view.group if found else None


def people_of(run: Run, store: Store, gid: str, *users: str) -> dict[str, Person]:
    found = held(run, store, gid, users)
    assert found is not None
    return dict(found.view.people)


def mark_of(run: Run, store: Store, gid: str) -> int:
    found = held(run, store, gid)
    assert found is not None
    return found.mark


def users_of(run: Run, store: Store, gid: str, standing: Standing = MEMBER, after: str = "") -> list[str]:
    return [person.user for person in run(store.people(gid, standing, after, 1_000))]


def gids_of(run: Run, store: Store, user: str, after: str = "") -> list[str]:
    return [gid for gid, _ in run(store.groups_of(user, after, 1_000))]


def iids_in(run: Run, store: Store, gid: str, after: str = "") -> list[str]:
    return [one.iid for one in run(store.of_group(gid, after, 1_000))]


# load and commit


def test_nothing_is_there_at_first(run: Run, store: Store) -> None:
    assert run(store.load_groups({"g1": ["ann"]})) == {}
    assert run(store.load_groups({})) == {}
    assert run(store.commit_groups([])) == []
    assert run(store.unmarked_groups(10)) == []
    assert run(store.people("g1", MEMBER, "", 10)) == []
    assert run(store.groups_of("ann", "", 10)) == []
    assert run(store.of_group("g1", "", 10)) == []


def test_what_was_committed_is_loaded_whole(run: Run, store: Store) -> None:
    group = whole("g1")
    people = (
        Person("ann", MEMBER, NOW, "card 名", {"k": b"\0\xff", "é": b""}, NOW + 5, ""),
        Person("é", APPLICANT, NOW + 1, text="please 🙂"),
        Person("eve", BANNED, NOW + 2, until=2**53 - 1),
        Person("fay", LEFT, NOW + 3, until=NOW + 60_000),
    )
    put(run, store, first(group, *people))
    rows = {person.user: person for person in people}
    found = run(store.load_groups({"g1": [*rows, "nobody"], "unknown": ["ann"]}))
    assert found == {"g1": HeldGroup(GroupView(group, rows), 0)}
    for person in people:
        assert run(store.people("g1", person.standing, "", 10)) == [person]


def test_an_empty_mapping_is_an_empty_mapping(run: Run, store: Store) -> None:
    put(run, store, first(founded("g1"), member("ann")))
    found = held(run, store, "g1", ["ann"])
    assert found is not None
    assert found.view == GroupView(founded("g1"), {"ann": member("ann")})
    assert found.view.people["ann"].custom == {}
    assert held(run, store, "g1") == HeldGroup(GroupView(founded("g1"), {}), 0)


def test_only_the_rows_of_the_users_named_are_loaded(run: Run, store: Store) -> None:
    put(run, store, first(founded("g1"), member("ann"), member("ben")), first(founded("g2"), member("ann")))
    found = run(store.load_groups({"g1": {"ben", "cas"}, "g2": ("ann", "ben", "ann")}))
    assert {gid: set(one.view.people) for gid, one in found.items()} == {"g1": {"ben"}, "g2": {"ann"}}


def test_rows_change_with_their_group(run: Run, store: Store) -> None:
    one = founded("g1")
    put(run, store, first(one, member("ann"), applicant("ben"), member("cas"), member("dot")))
    two = later(one)
    put(run, store, then(one, two, {"ben": member("ben", card="B"), "cas": None, "eve": banned("eve"), "fay": None}))
    assert group_of(run, store, "g1") == two
    assert people_of(run, store, "g1", "ann", "ben", "cas", "dot", "eve", "fay") == {
        "ann": member("ann"), "ben": member("ben", card="B"), "dot": member("dot"), "eve": banned("eve"),
    }  # fmt: skip
    assert users_of(run, store, "g1") == ["ann", "ben", "dot"]
    assert users_of(run, store, "g1", APPLICANT) == []
    assert gids_of(run, store, "ben") == ["g1"]
    assert gids_of(run, store, "cas") == gids_of(run, store, "eve") == []
    three = later(two)
    put(run, store, then(two, three, {"ben": banned("ben"), "cas": member("cas")}))
    assert gids_of(run, store, "ben") == []
    assert gids_of(run, store, "cas") == ["g1"]


def test_the_rows_of_one_group_are_none_of_anothers(run: Run, store: Store) -> None:
    one = founded("g1")
    put(run, store, first(one, member("ann"), member("ben")), first(founded("g2"), member("ann"), applicant("ben")))
    put(run, store, then(one, later(one), {"ann": None, "ben": None}))
    assert users_of(run, store, "g1") == []
    assert people_of(run, store, "g2", "ann", "ben") == {"ann": member("ann"), "ben": applicant("ben")}


def test_a_conflict_writes_neither_group_nor_rows_and_stops_nothing_else(run: Run, store: Store) -> None:
    one = founded("g1")
    two = later(one)
    put(run, store, first(one, member("ann")), then(one, two))
    batch = [
        first(founded("a"), member("ann")),
        first(founded("g1", "eve"), member("eve"), banned("ann")),
        then(one, later(one), {"eve": member("eve"), "ann": None}),
        then(founded("unknown"), later(founded("unknown")), {"eve": member("eve")}),
        GroupChange(later(later(two)), 3, {"eve": member("eve")}),
        first(founded("b"), member("ann")),
    ]
    assert run(store.commit_groups(batch)) == [True, False, False, False, False, True]
    assert group_of(run, store, "g1") == two
    assert group_of(run, store, "unknown") is None
    assert people_of(run, store, "g1", "ann", "eve") == {"ann": member("ann")}
    assert users_of(run, store, "unknown") == gids_of(run, store, "eve") == []
    assert gids_of(run, store, "ann") == ["a", "b", "g1"]


def test_a_dismissal_that_loses_dismisses_nobody(run: Run, store: Store) -> None:
    one = founded("g1")
    two = later(one)
    put(run, store, first(one, member("ann")), then(one, two))
    assert run(store.commit_groups([then(one, dismissed(one))])) == [False]
    assert group_of(run, store, "g1") == two
    assert users_of(run, store, "g1") == ["ann"]


def test_changes_of_one_group_in_one_batch_apply_in_order(run: Run, store: Store) -> None:
    one = founded("g1")
    two, three = later(one, name="two"), later(later(one, name="two"), name="three")
    batch = [
        first(one, member("ann"), member("ben")),
        then(one, two, {"ann": None, "cas": member("cas"), "ben": banned("ben")}),
        then(one, later(one, name="late"), {"dot": member("dot")}),
        then(two, three, {"cas": None, "ann": applicant("ann")}),
    ]
    assert run(store.commit_groups(batch)) == [True, True, False, True]
    assert group_of(run, store, "g1") == three
    assert people_of(run, store, "g1", "ann", "ben", "cas", "dot") == {"ann": applicant("ann"), "ben": banned("ben")}
    put(run, store, first(founded("g2"), member("ann")), then(founded("g2"), dismissed(founded("g2"))))
    assert users_of(run, store, "g2") == []


def test_of_many_at_once_one_wins(run: Run, store: Store) -> None:
    base = founded("g1")
    put(run, store, first(base, member("ann")))
    rivals = [then(base, later(base, name=f"{at}"), {f"u{at}": member(f"u{at}")}) for at in range(20)]

    async def race() -> list[list[bool]]:
        return await asyncio.gather(*(store.commit_groups([rival]) for rival in rivals))

    written = run(race())
    assert sorted(written) == [[False]] * 19 + [[True]]
    winner = rivals[written.index([True])]
    assert group_of(run, store, "g1") == winner.group
    assert users_of(run, store, "g1") == ["ann", *winner.people]


def test_a_caller_that_gives_up_harms_nobody(run: Run, store: Store) -> None:
    async def give_up(at: int) -> None:
        committed = store.commit_groups([first(founded("g1"), member("ann"))])
        leaving = [asyncio.create_task(call) for call in (store.load_groups({"g1": ["ann"]}), committed)]
        staying = asyncio.create_task(store.commit_groups([first(founded(f"h{at}"), member("ann"))]))
        await turn()
        for call in leaving:
            call.cancel()
        assert await staying == [True]
        await asyncio.gather(*leaving, return_exceptions=True)

    for at in range(20):
        run(give_up(at))
    assert set(gids_of(run, store, "ann")) - {"g1"} == {f"h{at}" for at in range(20)}


def test_the_largest_group_and_many_members(run: Run, store: Store) -> None:
    attributes = {f"k{at}": bytes([at]) * 1_000 for at in range(16)}
    group = founded("g1", attributes=attributes, introduction="x" * 400)
    events = tuple(made_groups.event(n, "counter", "ann", key="k" * 200, value=n) for n in range(1, 257))
    group = group._replace(n=256, events=events)
    users = [f"u{at:05}" for at in range(3_000)]
    put(run, store, first(group, *(member(user) for user in users)))
    assert group_of(run, store, "g1") == group
    assert [one.user for one in run(store.people("g1", MEMBER, "u01499", 5))] == users[1_500:1_505]
    assert set(people_of(run, store, "g1", *users)) == set(users)
    put(run, store, then(group, dismissed(group)))
    assert users_of(run, store, "g1") == []


# dismissed groups


def test_a_dismissed_group_is_known_and_has_nobody(run: Run, store: Store) -> None:
    one = founded("g1")
    put(run, store, first(one, member("ann"), applicant("ben"), banned("eve")), first(founded("g2"), member("ann")))
    gone = dismissed(one)
    put(run, store, then(one, gone, {"ann": member("ann"), "cas": member("cas"), "ben": None}))
    assert held(run, store, "g1", ["ann", "ben", "cas", "eve"]) == HeldGroup(GroupView(gone, {}), 0)
    assert [users_of(run, store, "g1", standing) for standing in Standing] == [[]] * len(Standing)
    assert gids_of(run, store, "ann") == ["g2"]
    assert gids_of(run, store, "cas") == []


def test_a_group_may_be_dismissed_when_it_is_first_written(run: Run, store: Store) -> None:
    put(run, store, first(dismissed(founded("g1")), member("ann")))
    assert people_of(run, store, "g1", "ann") == {}
    assert gids_of(run, store, "ann") == []
    assert run(store.purge(NOW * 2, 10)) == 1


def test_the_id_of_a_dismissed_group_is_taken_until_it_is_purged(run: Run, store: Store) -> None:
    one = founded("g1")
    gone = dismissed(one, NOW + 5)
    put(run, store, first(one, member("ann")), then(one, gone))
    run(store.mark_groups([Mark("g1", 0, gone.n)]))
    assert run(store.commit_groups([first(founded("g1", "eve"), member("eve"))])) == [False]
    assert group_of(run, store, "g1") == gone
    assert run(store.purge(NOW + 5, 10)) == 0, "it was dismissed then, not before"
    assert run(store.purge(NOW + 6, 10)) == 1
    assert held(run, store, "g1", ["ann"]) is None
    assert run(store.commit_groups([then(gone, later(gone))])) == [False]
    again = founded("g1", "eve")
    put(run, store, first(again, member("eve")))
    assert held(run, store, "g1", ["ann", "eve"]) == HeldGroup(GroupView(again, {"eve": member("eve")}), 0)
    assert gids_of(run, store, "ann") == []


def test_a_group_that_stands_is_never_purged(run: Run, store: Store) -> None:
    put(run, store, first(founded("g1"), member("ann")))
    assert run(store.purge(NOW * 2, 10)) == 0
    assert gids_of(run, store, "ann") == ["g1"]


def test_the_oldest_of_both_kinds_are_forgotten_first_and_no_more_than_asked_for(run: Run, store: Store) -> None:
    for at in (3, 1, 5):
        one = rung_in("", f"i{at}")
        ring(run, store, one)
        assert run(store.commit([then_ring(one, accepted(one, now=NOW + at))])) == [True]
    for at in (2, 4, 0):
        put(run, store, first(founded(f"g{at}")), then(founded(f"g{at}"), dismissed(founded(f"g{at}"), NOW + at)))

    def left() -> set[str]:
        gids = run(store.load_groups({f"g{at}": () for at in range(6)}))
        return {*gids, *run(store.load([f"i{at}" for at in range(6)]))}

    assert run(store.purge(NOW + 5, 3)) == 3
    assert left() == {"i3", "g4", "i5"}
    assert run(store.purge(NOW + 5, 3)) == 2
    assert left() == {"i5"}
    assert run(store.purge(NOW * 2, 0)) == 0


# marks


def test_a_mark_moves_only_from_where_it_stands(run: Run, store: Store) -> None:
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
    run(store.mark_groups([Mark("g1", 0, 3)]))
    assert mark_of(run, store, "g1") == 1, "it does not stand at 0 any more"
    run(store.mark_groups([Mark("g1", 1, 2), Mark("g1", 1, 3), Mark("g1", 2, 3)]))
    assert mark_of(run, store, "g1") == 3


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
    assert [one.invitation.iid for one in run(store.unmarked(10))] == ["same", "next"]


def test_unmarked_are_those_with_events_after_their_mark(run: Run, store: Store) -> None:
    one, two, three = founded("g1"), founded("g2"), founded("g3")
    put(run, store, first(one, member("ann")), first(two, member("ann")), first(three))

    def unmarked() -> dict[str, int]:
        found = run(store.unmarked_groups(10))
        assert all(held.view.people == {} for held in found)
        return {held.view.group.gid: held.mark for held in found if held.view.group}

    assert unmarked() == {"g1": 0, "g2": 0, "g3": 0}
    run(store.mark_groups([Mark("g1", 0, 1), Mark("g3", 5, 6)]))
    assert unmarked() == {"g2": 0, "g3": 0}
    gone = dismissed(one)
    put(run, store, then(one, gone))
    assert unmarked() == {"g1": 1, "g2": 0, "g3": 0}
    assert HeldGroup(GroupView(gone, {}), 1) in run(store.unmarked_groups(10))
    run(store.mark_groups([Mark("g2", 0, 1), Mark("g3", 0, 1), Mark("g1", 1, 2)]))
    assert unmarked() == {}


def test_unmarked_are_at_most_as_many_as_asked_for(run: Run, store: Store) -> None:
    put(run, store, *(first(founded(f"g{at}")) for at in range(10)))
    seen: set[str] = set()
    while some := run(store.unmarked_groups(3)):
        gids = {held.view.group.gid for held in some if held.view.group}
        assert len(some) == len(gids) <= 3
        assert seen.isdisjoint(gids)
        seen |= gids
        run(store.mark_groups([Mark(gid, 0, 1) for gid in gids]))
    assert len(seen) == 10


# who is in what


def test_people_come_in_byte_order_by_standing_and_page_by_page(run: Run, store: Store) -> None:
    expected = sorted(ODD_IDS, key=str.encode)
    put(run, store, first(founded("g1"), *(member(user) for user in reversed(ODD_IDS))))
    one = founded("g2")
    put(run, store, first(one, *map(applicant, expected[::2]), *map(member, expected[1::2])))
    assert users_of(run, store, "g1") == expected
    assert users_of(run, store, "g1", APPLICANT) == users_of(run, store, "g1", BANNED) == []
    assert users_of(run, store, "g2", APPLICANT) == expected[::2]
    assert users_of(run, store, "g2") == expected[1::2]
    for at in range(len(expected)):
        assert users_of(run, store, "g1", after=expected[at]) == expected[at + 1 :]
        assert users_of(run, store, "g2", APPLICANT, expected[at]) == expected[at + 2 - at % 2 :: 2]
    for size in (1, 2, 5):
        pages: list[str] = []
        while page := run(store.people("g1", MEMBER, pages[-1] if pages else "", size)):
            assert len(page) <= size
            pages += [person.user for person in page]
        assert pages == expected
    beyond = [user for user in expected if user.encode() > b"no such id"]
    assert users_of(run, store, "g1", after="no such id") == beyond
    assert people_of(run, store, "g1", *ODD_IDS) == {user: member(user) for user in ODD_IDS}


def test_groups_come_in_byte_order_with_their_versions_and_page_by_page(run: Run, store: Store) -> None:
    expected = sorted(ODD_IDS, key=str.encode)
    put(run, store, *(first(founded(gid), member("ann")) for gid in reversed(ODD_IDS)))
    assert gids_of(run, store, "ann") == expected
    for at in range(len(expected)):
        assert gids_of(run, store, "ann", expected[at]) == expected[at + 1 :]
    for size in (1, 2, 5):
        pages: list[tuple[str, int]] = []
        while page := run(store.groups_of("ann", pages[-1][0] if pages else "", size)):
            assert len(page) <= size
            pages += page
        assert pages == [(gid, 1) for gid in expected]
    one = founded("é")
    put(run, store, then(one, later(one)))
    assert run(store.groups_of("ann", "é", 0)) == []
    assert dict(run(store.groups_of("ann", "", 1_000)))["é"] == 2
    assert set(run(store.load_groups(dict.fromkeys(ODD_IDS, ())))) == set(ODD_IDS)


def test_one_is_in_the_groups_one_is_a_member_of(run: Run, store: Store) -> None:
    put(
        run, store, first(founded("g1"), member("ann"), member("ben")), first(founded("g2"), applicant("ann")),
        first(founded("g3"), banned("ann")), first(founded("g4"), member("ann")), first(founded("g5"), member("Ann")),
    )  # fmt: skip
    assert run(store.groups_of("ann", "", 10)) == [("g1", 1), ("g4", 1)]
    assert gids_of(run, store, "ben") == ["g1"]
    assert gids_of(run, store, "cas") == []


# invitations made in groups


def test_the_invitations_of_a_group_are_the_open_ones_made_in_it(run: Run, store: Store) -> None:
    mine, over, others = rung_in("g1", "mine"), rung_in("g1", "over"), rung_in("g2", "others")
    ring(run, store, mine, over, others, rung_in("", "of none"), buried("grave")._replace(gid="g1"))
    assert iids_in(run, store, "g1") == ["mine", "over"]
    assert run(store.commit([then_ring(over, ended := accepted(over))])) == [True]
    assert ended.gid == "g1"
    assert run(store.of_group("g1", "", 10)) == [mine]
    assert run(store.of_group("g2", "", 10)) == [others]
    assert iids_in(run, store, "g3") == iids_in(run, store, "") == []
    assert run(store.load(["over"])) == {"over": Held(ended, 0)}


def test_an_invitation_takes_its_group_to_the_place_of_a_tombstone(run: Run, store: Store) -> None:
    grave = buried("i1", by="eve")
    ring(run, store, grave)
    rung = made(grave, "ann", invite("ben", iid="i1"), NOW + 1)._replace(gid="g1")
    assert run(store.commit([then_ring(grave, rung)])) == [True]
    assert run(store.of_group("g1", "", 10)) == [rung]


def test_invitations_of_a_group_come_in_byte_order_and_page_by_page(run: Run, store: Store) -> None:
    expected = sorted(ODD_IDS, key=str.encode)
    ring(run, store, *(rung_in("g1", iid) for iid in reversed(ODD_IDS)))
    assert iids_in(run, store, "g1") == expected
    for at in range(len(expected)):
        assert iids_in(run, store, "g1", expected[at]) == expected[at + 1 :]
    for size in (1, 2, 5):
        pages: list[str] = []
        while page := run(store.of_group("g1", pages[-1] if pages else "", size)):
            assert len(page) <= size
            pages += [one.iid for one in page]
        assert pages == expected


def test_invitations_of_groups_whose_ids_look_alike_are_others(run: Run, store: Store) -> None:
    ring(run, store, *(rung_in(gid, f"i{at}") for at, gid in enumerate(ODD_IDS)))
    assert [iids_in(run, store, gid) for gid in ODD_IDS] == [[f"i{at}"] for at in range(len(ODD_IDS))]


def test_a_purged_invitation_is_none_of_its_group(run: Run, store: Store) -> None:
    one = rung_in("g1", "i1")
    ring(run, store, one)
    assert run(store.commit([then_ring(one, accepted(one))])) == [True]
    assert run(store.purge(NOW * 2, 10)) == 1
    ring(run, store, rung_in("g2", "i1"))
    assert (iids_in(run, store, "g1"), iids_in(run, store, "g2")) == ([], ["i1"])


# closing


def test_closing_finishes_what_was_begun(run: Run, store: Store) -> None:
    async def close_at_once() -> list[bool]:
        commit = asyncio.create_task(store.commit_groups([first(founded("g1"))]))
        await turn()
        await store.close()
        return await commit

    assert run(close_at_once()) == [True]


def test_a_closed_store_says_so(run: Run, store: Store) -> None:
    run(store.close())
    for call in (
        lambda: store.load_groups({"g1": ()}),
        lambda: store.commit_groups([first(founded("g1"))]),
        lambda: store.mark_groups([Mark("g1", 0, 1)]),
        lambda: store.unmarked_groups(1),
        lambda: store.people("g1", MEMBER, "", 1),
        lambda: store.groups_of("ann", "", 1),
        lambda: store.of_group("g1", "", 1),
    ):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            run(call())


# what outlives the process


def test_everything_is_there_after_opening_again(run: Run, kept: Place) -> None:
    store = kept.open()
    one, group = founded("g1"), whole("g2")
    put(run, store, first(one, member("ann"), applicant("ben")), first(group, member("ann", custom={"k": b"v"})))
    put(run, store, first(founded("g3"), member("ann")), then(founded("g3"), dismissed(founded("g3"))))
    ring(run, store, rung_in("g1", "i1"))
    run(store.mark_groups([Mark("g2", 0, group.n), Mark("g3", 0, 1), Mark("g3", 1, 2)]))
    wanted: dict[str, Collection[str]] = {"g1": ("ann", "ben"), "g2": ["ann"], "g3": ["ann"]}
    before = run(store.load_groups(wanted))
    run(store.close())

    store = kept.open()
    assert run(store.load_groups(wanted)) == before
    assert [held.view.group for held in run(store.unmarked_groups(10))] == [one]
    assert run(store.groups_of("ann", "", 10)) == [("g1", 1), ("g2", group.n)]
    assert users_of(run, store, "g1", APPLICANT) == ["ben"]
    assert iids_in(run, store, "g1") == ["i1"]
    put(run, store, then(one, later(one), {"ben": member("ben")}))
    assert gids_of(run, store, "ben") == ["g1"]
    assert run(store.purge(NOW * 2, 10)) == 1


def test_time_never_starts_before_the_newest_commit_of_a_group(run: Run, kept: Place) -> None:
    store = kept.open()
    kept.clock.advance(20_000)
    put(run, store, first(founded("g1")))
    run(store.close())
    kept.clock.set_wall(NOW - 3_600_000)
    assert kept.open().now() == NOW + 20_000
