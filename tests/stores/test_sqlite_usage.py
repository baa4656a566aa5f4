"""What only the sqlite store has of usage and blocklists: what they cost, failed transactions, files of before."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, Store, StoreUnavailable, Usage
from ringline_broker.stores import migrate, record
from tests.stores.kinds import Place, Run, held_up, watch
from tests.stores.made import NOW, accepted, buried, first, made, rejected, rung, then
from tests.stores.made_groups import dismissed, founded, later
from tests.stores.made_groups import first as first_group
from tests.stores.made_groups import then as then_group
from tests.stores.test_records import GROUP, GROUP_LAYOUT_1, INVITATION, LAYOUT_1
from tests.stores.usage import usage_of
from tests.support.turns import let_run
from tests.unit.engine.play import invite

OLD_INVITATION = INVITATION._replace(gid="")
_OLD_ROW = "INSERT INTO invitation (iid, inviter, n, mark, due, ended, gid, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


# what it costs


def test_usage_is_counted_without_a_question(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    seen = watch(run, store)
    one = rung("i1")
    run(store.commit([first(one), first(buried("grave"))]))
    run(store.commit([then(one, accepted(one))]))
    run(store.commit_groups([first_group(founded("g1"))]))
    assert usage_of(run, store, "ann").groups == 1
    run(store.usage(["ann", "ben"]))
    statements = [words for words in seen if words.split()[0] not in ("BEGIN", "COMMIT")]
    print(f"{len(statements)} statements, {seen.count('COMMIT')} transactions")  # noqa: T201 - the proof is a count
    assert [words for words in statements if words.startswith("SELECT")] == []


def test_whom_nobody_blocks_costs_no_question(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    assert run(store.block("cas", {"eve": "d1"}, 10))
    assert run(store.block("dot", {"eve": "d1"}, 10))
    assert not run(store.block("fay", {"eve": "d1"}, 0))
    run(store.unblock("dot", ["eve"]))
    seen = watch(run, store)
    assert run(store.blocking([(user, "eve") for user in ("ann", "ben", "dot", "eve", "fay")])) == {}
    assert seen == [], "none of them has a list"
    asked = run(store.blocking([("ann", "eve"), ("cas", "eve"), ("cas", "ben"), ("ben", "cas")]))
    assert asked == {("cas", "eve"): "d1"}
    print(f"of 4 pairs {sum(words.startswith('SELECT') for words in seen)} asked for")  # noqa: T201 - likewise
    assert sum(words.startswith("SELECT") for words in seen) == 2, "only those of who has one"


def test_who_has_a_list_is_known_after_opening_again(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    assert run(store.block("cas", {"eve": "d1"}, 10))
    run(store.close())
    store = sqlite.open_sqlite()
    seen = watch(run, store)
    assert run(store.blocking([("ann", "eve")])) == {}
    assert seen == []
    assert run(store.blocking([("cas", "eve")])) == {("cas", "eve"): "d1"}


def test_what_is_purged_in_the_transaction_that_made_it_is_gone(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()

    async def make_and_purge() -> None:
        async with held_up(store):
            making = asyncio.create_task(store.commit([first(rung("notice", answers=0))]))
            await let_run()
            purging = asyncio.create_task(store.purge(NOW * 2, 10))
            await let_run()
        assert (await making, await purging) == ([True], 1)

    run(make_and_purge())
    assert run(store.load(["notice"])) == {}
    assert run(store.usage(["ann"])) == {}


# faults


def test_a_failed_transaction_counts_for_nothing(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    grave, over = buried("grave", by="eve"), accepted(rung("over"))
    run(store.commit([first(grave), first(over)]))
    assert run(store.block("ben", {"eve": "d1"}, 10))
    users = ("ann", "ben", "cas", "eve")
    before = run(store.usage(users))

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("out of luck")

    async def fail_together() -> None:
        async with held_up(store):
            ring = made(grave, "ann", invite("ben", iid="grave"), NOW + 1)
            calls = (
                store.commit([first(rung("i1")), then(grave, ring)]), store.commit_groups([first_group(founded("g1"))]),
                store.purge(NOW * 2, 10), store.block("cas", {"eve": "d1"}, 10), store.unblock("ben", ["eve"]),
                store._thread.run(fail),
            )  # fmt: skip
            tasks = [asyncio.create_task(call) for call in calls]
            await let_run()
        for task in tasks:
            with pytest.raises(StoreUnavailable, match="the store failed: out of luck"):
                await task

    run(fail_together())
    assert run(store.usage(users)) == before
    assert set(run(store.load(["over", "grave", "i1"]))) == {"over", "grave"}
    assert run(store.blocking([(user, "eve") for user in users])) == {("ben", "eve"): "d1"}
    assert run(store.purge(NOW * 2, 10)) == 2
    assert run(store.usage(users)) == {}


# files of before


def make_of_before(path: Path, *, damaged: bool = False) -> list[Invitation]:
    """A file as it was before usage was counted and lists were kept; returns the invitations in it."""
    rows = [
        (OLD_INVITATION, LAYOUT_1),  # of ann
        *((one, record.encode(one)) for one in (
            rung("open", data=b"x" * 7_000), accepted(rung("over", by="ben", to=("cas",)), "cas"),
            buried("grave", by="eve")._replace(size=0),
        )),
    ]  # fmt: skip
    db = sqlite3.connect(path)
    for script in sorted(Path(migrate.__file__).with_name("migrations").glob("000[123]_*.sql")):
        db.executescript(script.read_text())
    db.execute("PRAGMA user_version = 3")
    for one, body in rows:
        row = (one.iid, one.inviter, one.n, 1, one.due, one.ended, one.gid, b"\0" if damaged else body)
        db.execute(_OLD_ROW, row)
        parties = () if one.is_tombstone else one.parties
        db.executemany("INSERT INTO party VALUES (?, ?)", [(user, one.iid) for user in parties])
    group = (GROUP.gid, GROUP.n, 1, None, b"\0" if damaged else GROUP_LAYOUT_1)
    db.execute("INSERT INTO grp (gid, n, mark, dismissed, body) VALUES (?, ?, ?, ?, ?)", group)
    db.execute("UPDATE clock SET ms = ?", (NOW + 77_000,))
    db.commit()
    db.close()
    return [one for one, _ in rows]


USERS = ("ann", "ben", "eve")


def settle_all(run: Run, store: Store, old: list[Invitation]) -> None:
    """End all that is open, have an invitation take the tombstone's place, dismiss the group."""
    of_ann, open_, _, grave = old
    ring = made(grave, "ann", invite("ben", iid="grave", answers=0), NOW + 1)
    later_ones = [then(of_ann, rejected(of_ann, "cas")), then(open_, accepted(open_)), then(grave, ring)]
    assert run(store.commit(later_ones)) == [True] * 3
    sizes = sum(change.invitation.size for change in later_ones)
    assert run(store.usage(USERS)) == {"ann": Usage(0, sizes), "ben": Usage(0, old[2].size, 1)}
    gone = dismissed(GROUP)
    assert run(store.commit_groups([then_group(GROUP, gone)])) == [True]


def test_what_a_file_of_before_has_is_counted(run: Run, sqlite: Place) -> None:
    old = make_of_before(sqlite.path)
    store = sqlite.open_sqlite()
    assert store.now() == NOW + 77_000
    held = run(store.load([one.iid for one in old]))
    assert {iid: (one.invitation, one.mark) for iid, one in held.items()} == {one.iid: (one, 1) for one in old}
    assert [one.iid for one in run(store.of_user("ben", 0, "", 10))] == ["i1", "open", "over"]
    assert [one.invitation.iid for one in run(store.claim_unmarked(0, 10))] == ["i1", "over"]
    before = run(store.usage(USERS))
    assert before == {"ann": Usage(2, old[0].size + old[1].size), "ben": Usage(0, old[2].size, 1)}
    assert run(store.blocking([("ben", "ann")])) == {}
    run(store.close())

    store = sqlite.open_sqlite()
    assert run(store.usage(USERS)) == before
    settle_all(run, store, old)
    assert run(store.purge(NOW * 2, 100)) == 5
    assert run(store.usage(USERS)) == {}
    assert run(store.block("ben", {"ann": "d1"}, 1))
    assert run(store.commit_groups([first_group(founded("g1")), then_group(founded("g1"), later(founded("g1")))]))
    assert usage_of(run, store, "ann") == Usage(groups=1)


def test_damage_in_a_file_of_before_stops_nothing(run: Run, sqlite: Place) -> None:
    make_of_before(sqlite.path, damaged=True)
    store = sqlite.open_sqlite()
    assert run(store.usage(USERS)) == {"ann": Usage(2, 0)}
    with pytest.raises(StoreUnavailable, match="a record cannot be read"):
        run(store.load(["i1"]))
    assert run(store.commit([Change(rung("new"), 0)])) == [True]


def test_the_body_is_the_last_column(run: Run, sqlite: Place) -> None:
    """Sqlite reads through all of a large body to what stands behind it."""
    store = sqlite.open_sqlite()

    def columns(db: sqlite3.Connection) -> list[str]:
        tables = ("invitation", "grp", "person")
        return [db.execute(f"PRAGMA table_info({table})").fetchall()[-1][1] for table in tables]

    assert run(store._thread.run(columns)) == ["body"] * 3
