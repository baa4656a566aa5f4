"""What the Store Protocol promises of who is in which group and of the invitations made in it, over every kind of
store.
"""

from ringline_broker.service.ports import Held, Store
from tests.stores.calls import put as ring
from tests.stores.group_calls import APPLICANT, BANNED, MEMBER, gids_of, iids_in, people_of, put, users_of
from tests.stores.ids import ODD_IDS
from tests.stores.kinds import Run
from tests.stores.made import NOW, accepted, buried, made
from tests.stores.made import then as then_ring
from tests.stores.made_groups import applicant, banned, first, founded, later, member, rung_in, then
from tests.unit.engine.play import invite

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
