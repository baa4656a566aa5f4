"""What the Store Protocol promises of what each user takes, over every kind of store."""

import asyncio

import pytest

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, Store, Usage
from tests.stores import made_groups
from tests.stores.group_calls import put as put_groups
from tests.stores.kinds import Place, Run
from tests.stores.made import NOW, accepted, buried, first, made, rejected, rung, then
from tests.stores.made_groups import dismissed, founded, later
from tests.stores.usage import NOTHING, added_up, usage_of
from tests.support.turns import let_run
from tests.unit.engine.play import cancel, invite, modify


def put(run: Run, store: Store, *changes: Change) -> None:
    """Commit these; all must be written."""
    assert run(store.commit(changes)) == [True] * len(changes)


def test_who_has_made_nothing_takes_nothing(run: Run, store: Store) -> None:
    put(run, store, first(rung("i1", by="ann", to=("ben",))))
    usage = run(store.usage(["ben", "nobody"]))
    assert [usage.get(user, NOTHING) for user in ("ben", "nobody")] == [NOTHING, NOTHING]
    assert run(store.usage([])) == {}


def test_bytes_are_those_of_all_versions_that_stand(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"), data=b"x" * 1_000)
    other = rung("i2", by="ben", to=("ann",), data=b"y" * 50)
    put(run, store, first(one), first(other))
    assert one.size > 1_000
    assert usage_of(run, store, "ann") == Usage(1, one.size)
    assert usage_of(run, store, "ben") == Usage(1, other.size)
    two = accepted(one, "ben", data=b"z" * 500)
    put(run, store, then(one, two))
    assert two.size > one.size + 500
    assert usage_of(run, store, "ann") == Usage(1, two.size)
    three = rejected(two, "cas")
    put(run, store, then(two, three))
    assert three.ended is not None
    assert usage_of(run, store, "ann") == Usage(0, three.size), "it is over, and remembered"
    assert usage_of(run, store, "ben") == Usage(1, other.size), "who answers takes nothing"


def test_a_version_that_is_smaller_gives_bytes_back(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben",))
    two = made(one, "ann", modify(b"x" * 8_000, iid="i1"), NOW + 1)
    three = made(two, "ann", modify(b"", iid="i1"), NOW + 2)
    assert three.size < two.size
    put(run, store, first(one), then(one, two))
    assert usage_of(run, store, "ann") == Usage(1, two.size)
    put(run, store, then(two, three))
    assert usage_of(run, store, "ann") == Usage(1, three.size)


def test_what_is_not_written_takes_nothing(run: Run, store: Store) -> None:
    one = rung("i1", to=("ben", "cas"))
    two = accepted(one, "ben")
    put(run, store, first(one), then(one, two))
    lost = [first(rung("i1", by="eve")), then(one, rejected(one, "cas")), then(rung("no"), accepted(rung("no")))]
    assert run(store.commit(lost)) == [False] * 3
    assert usage_of(run, store, "ann") == Usage(1, two.size)
    assert usage_of(run, store, "eve") == NOTHING


def test_what_is_over_when_it_is_made_takes_its_bytes(run: Run, store: Store) -> None:
    notice, over = rung("notice", answers=0), accepted(rung("i1"))
    put(run, store, first(notice), first(over))
    assert usage_of(run, store, "ann") == Usage(0, notice.size + over.size)


def test_a_tombstone_takes_bytes_of_who_set_it_until_anothers_invitation_takes_its_place(
    run: Run, store: Store
) -> None:
    grave = buried("i1", by="eve")
    assert grave.size > 0
    put(run, store, first(grave))
    assert usage_of(run, store, "eve") == Usage(0, grave.size)
    ring = made(grave, "ann", invite("ben", iid="i1"), NOW + 1)
    put(run, store, then(grave, ring))
    assert usage_of(run, store, "eve") == NOTHING
    assert usage_of(run, store, "ann") == Usage(1, ring.size)
    over = accepted(ring)
    put(run, store, then(ring, over))
    assert usage_of(run, store, "ann") == Usage(0, over.size)
    assert run(store.purge(NOW * 2, 10)) == 1
    assert usage_of(run, store, "ann") == NOTHING


def test_a_tombstone_and_its_successor_in_one_batch(run: Run, store: Store) -> None:
    grave = buried("i1", by="eve")
    ring = made(grave, "ann", invite("ben", iid="i1"), NOW + 1)
    late = made(grave, "dot", invite("ben", iid="i1"), NOW + 1)
    assert run(store.commit([first(grave), then(grave, ring), then(grave, late)])) == [True, True, False]
    assert [usage_of(run, store, user) for user in ("eve", "ann", "dot")] == [NOTHING, Usage(1, ring.size), NOTHING]
    folded = made(buried("i2", by="eve"), "ann", invite("ben", iid="i2"), NOW + 1)
    put(run, store, first(folded))
    assert usage_of(run, store, "eve") == NOTHING
    assert usage_of(run, store, "ann") == Usage(2, ring.size + folded.size)


def test_what_is_purged_gives_its_bytes_back_and_no_other_does(run: Run, store: Store) -> None:
    over = made(rung("over"), "ann", cancel(iid="over"), NOW + 1)
    stays, grave = rung("stays"), buried("grave", now=NOW + 2)
    put(run, store, first(over), first(stays), first(grave))
    assert usage_of(run, store, "ann") == Usage(1, over.size + stays.size + grave.size)
    assert run(store.purge(NOW + 2, 10)) == 1
    assert usage_of(run, store, "ann") == Usage(1, stays.size + grave.size)
    assert run(store.purge(NOW + 3, 10)) == 1
    assert usage_of(run, store, "ann") == Usage(1, stays.size)
    put(run, store, first(over))
    assert usage_of(run, store, "ann") == Usage(1, stays.size + over.size), "the id is free, and takes bytes anew"


def test_groups_count_for_who_made_them_until_they_are_forgotten(run: Run, store: Store) -> None:
    one, two = founded("g1", "ann"), founded("g2", "ann")
    put_groups(run, store, made_groups.first(one), made_groups.first(two), made_groups.first(founded("g3", "ben")))
    assert usage_of(run, store, "ann") == Usage(groups=2)
    handed_on = later(one, owner="ben")
    put_groups(run, store, made_groups.then(one, handed_on))
    assert usage_of(run, store, "ann") == Usage(groups=2), "whoever owns them now"
    assert usage_of(run, store, "ben") == Usage(groups=1)
    put_groups(run, store, made_groups.then(handed_on, dismissed(handed_on, NOW + 5)))
    assert usage_of(run, store, "ann") == Usage(groups=2), "dismissed and remembered"
    assert run(store.purge(NOW + 6, 10)) == 1
    assert usage_of(run, store, "ann") == Usage(groups=1)
    assert usage_of(run, store, "ben") == Usage(groups=1)


def test_a_group_that_is_not_written_counts_for_nobody(run: Run, store: Store) -> None:
    one = founded("g1")
    put_groups(run, store, made_groups.first(one), made_groups.first(dismissed(founded("g2"))))
    lost = [
        made_groups.first(founded("g1", "eve")),
        made_groups.then(founded("no", "eve"), later(founded("no", "eve"))),
    ]
    assert run(store.commit_groups(lost)) == [False, False]
    assert usage_of(run, store, "ann") == Usage(groups=2)
    assert usage_of(run, store, "eve") == NOTHING


def test_both_kinds_are_purged_together(run: Run, store: Store) -> None:
    over = accepted(rung("i1"), now=NOW + 1)
    put(run, store, first(over))
    put_groups(run, store, made_groups.first(dismissed(founded("g1"), NOW + 2)))
    assert usage_of(run, store, "ann") == Usage(0, over.size, 1)
    assert run(store.purge(NOW + 9, 1)) == 1
    assert usage_of(run, store, "ann") == Usage(0, 0, 1)
    assert run(store.purge(NOW + 9, 1)) == 1
    assert run(store.usage(["ann"])).get("ann", NOTHING) == NOTHING


def test_a_caller_that_gives_up_is_counted_all_the_same(run: Run, store: Store) -> None:
    """Whatever was written is counted, also where nobody waits for the answer any more."""
    groups = {f"g{at}": () for at in range(20)}
    iids = [f"i{at}" for at in range(20)]

    async def give_up(iid: str, gid: str) -> None:
        leaving = [
            asyncio.create_task(store.commit([first(rung(iid))])),
            asyncio.create_task(store.commit_groups([made_groups.first(founded(gid))])),
        ]
        await let_run()
        for call in leaving:
            call.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await store.commit([first(rung(f"{iid} stays"))])

    for iid, gid in zip(iids, groups, strict=True):
        run(give_up(iid, gid))
    held = run(store.load([*iids, *(f"{iid} stays" for iid in iids)]))
    made_ones = [one.view.group for one in run(store.load_groups(groups)).values() if one.view.group]
    print(f"{len(held)} invitations and {len(made_ones)} groups are there")  # noqa: T201 - the proof is a count
    assert len(held) > 20, "some were written whose caller had given up"
    assert run(store.usage(["ann"])) == added_up([one.invitation for one in held.values()], made_ones)

    async def purge_and_give_up() -> None:
        leaving = asyncio.create_task(store.purge(NOW * 2, 100))
        await let_run()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await store.next_due()

    over = accepted(rung("over", by="eve"))
    put(run, store, first(over))
    run(purge_and_give_up())
    assert run(store.load(["over"])) == {}
    assert usage_of(run, store, "eve") == NOTHING


def test_many_of_many_users(run: Run, store: Store) -> None:
    standing: dict[str, Invitation] = {}
    for at in range(300):
        one = rung(f"i{at}", by=f"u{at % 7}", data=b"x" * (at * 11))
        standing[one.iid] = one
    put(run, store, *(first(one) for one in standing.values()))
    changes = [then(one, accepted(one, data=b"y" * at)) for at, one in enumerate(standing.values()) if at % 3]
    put(run, store, *changes)
    standing |= {change.invitation.iid: change.invitation for change in changes}
    users = [f"u{at}" for at in range(7)]
    assert run(store.usage(users)) == added_up(standing.values())


@pytest.mark.parametrize("times", [1, 2])
def test_it_is_the_same_after_opening_again(run: Run, kept: Place, times: int) -> None:
    store = kept.open()
    one, two, grave = rung("i1", data=b"x" * 8_000), rung("i2", by="ben", to=("ann",)), buried("grave", by="ben")
    ring = made(grave, "ann", invite("ben", iid="grave"), NOW + 1)
    over = accepted(one, data=b"y" * 700)
    put(run, store, first(one), first(two), first(grave), then(one, over), then(grave, ring), first(buried("i3")))
    put_groups(run, store, made_groups.first(founded("g1", "cas")), made_groups.first(dismissed(founded("g2", "cas"))))
    before = run(store.usage(["ann", "ben", "cas"]))
    assert before == {
        "ann": Usage(1, over.size + ring.size + grave.size), "ben": Usage(1, two.size), "cas": Usage(groups=2)
    }  # fmt: skip
    for _ in range(times):
        run(store.close())
        store = kept.open()
    assert run(store.usage(["ann", "ben", "cas"])) == before
    put(run, store, then(ring, accepted(ring)), then(two, accepted(two, "ann")))
    assert run(store.purge(NOW * 2, 100)) == 5
    assert run(store.usage(["ann", "ben", "cas"])) == {"cas": Usage(groups=1)}
