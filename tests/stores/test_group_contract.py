"""What the Store Protocol promises of groups, over every kind of store: what is committed is there, whole, until it is
dismissed and forgotten.

Marks, and who is in which group, have modules of their own.
"""

import asyncio
from collections.abc import Collection

import pytest

from ringline_broker.engine.groups.model import GroupView, Person, Standing
from ringline_broker.service.ports import GroupChange, HeldGroup, Mark, Store, StoreUnavailable
from tests.stores import made_groups
from tests.stores.calls import put as ring
from tests.stores.group_calls import (
    APPLICANT,
    BANNED,
    LEFT,
    MEMBER,
    gids_of,
    group_of,
    held,
    iids_in,
    people_of,
    put,
    users_of,
)
from tests.stores.kinds import Place, Run
from tests.stores.made import NOW, accepted
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
from tests.support.turns import let_run

# load and commit


def test_nothing_is_there_at_first(run: Run, store: Store) -> None:
    assert run(store.load_groups({"g1": ["ann"]})) == {}
    assert run(store.load_groups({})) == {}
    assert run(store.commit_groups([])) == []
    assert run(store.claim_unmarked_groups(0, 10)) == []
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
        await let_run()
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


def test_who_was_a_member_of_a_dismissed_group_is_known_until_it_is_forgotten(run: Run, store: Store) -> None:
    one, other = founded("g1"), founded("g2")
    put(run, store, first(one, member("ann"), member("é"), member("Ben"), applicant("ben"), banned("eve")))
    put(run, store, first(other, member("ann")))
    assert run(store.last_members("g1", "", 10)) == []
    gone = dismissed(one)
    put(run, store, then(one, gone))
    assert run(store.last_members("g1", "", 10)) == ["Ben", "ann", "é"]
    assert run(store.last_members("g1", "Ben", 1)) == ["ann"]
    assert run(store.last_members("g2", "", 10)) == run(store.last_members("nobody", "", 10)) == []
    assert run(store.purge(NOW * 2, 10)) == 1
    assert run(store.last_members("g1", "", 10)) == []
    put(run, store, first(one, member("ann")))
    assert run(store.last_members("g1", "", 10)) == []


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


# closing


def test_closing_finishes_what_was_begun(run: Run, store: Store) -> None:
    async def close_at_once() -> list[bool]:
        commit = asyncio.create_task(store.commit_groups([first(founded("g1"))]))
        await let_run()
        await store.close()
        return await commit

    assert run(close_at_once()) == [True]


def test_a_closed_store_says_so(run: Run, store: Store) -> None:
    run(store.close())
    for call in (
        lambda: store.load_groups({"g1": ()}),
        lambda: store.commit_groups([first(founded("g1"))]),
        lambda: store.mark_groups([Mark("g1", 0, 1)]),
        lambda: store.claim_unmarked_groups(0, 1),
        lambda: store.people("g1", MEMBER, "", 1),
        lambda: store.last_members("g1", "", 1),
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
    assert [held.view.group for held in run(store.claim_unmarked_groups(0, 10))] == [one]
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
