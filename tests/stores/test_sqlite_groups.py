"""What only the sqlite store has of groups: group commit, marks that cost nothing, damage, and files of before."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from ringline_broker.engine.groups.model import Standing
from ringline_broker.service.ports import Mark, StoreUnavailable
from ringline_broker.stores import migrate, record
from tests.stores import made
from tests.stores.kinds import Place, Run, held_up, watch
from tests.stores.made_groups import first, founded, later, member, then
from tests.stores.test_records import INVITATION, LAYOUT_1
from tests.support.turns import let_run


def test_commits_of_groups_and_of_invitations_that_wait_share_one_transaction(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    seen = watch(run, store)

    async def commit_many() -> list[list[bool]]:
        async with held_up(store):
            groups = [store.commit_groups([first(founded(f"g{at}"), member("ann"))]) for at in range(50)]
            rings = [store.commit([made.first(made.rung(f"i{at}"))]) for at in range(50)]
            commits = [asyncio.create_task(call) for pair in zip(groups, rings, strict=True) for call in pair]
            await let_run()
        return await asyncio.gather(*commits)

    assert run(commit_many()) == [[True]] * 100
    assert seen.count("COMMIT") == 2, "one for what held the thread, one for all that waited meanwhile"


def test_marks_cost_no_transaction_and_go_with_any_commit(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    run(store.commit_groups([first(founded("g1"))]))
    seen = watch(run, store)
    run(store.mark_groups([Mark("g1", 0, 1)]))
    assert seen == []
    run(store.commit([made.first(made.rung("i1"))]))
    assert seen.count("COMMIT") == 1
    assert any(statement.startswith("UPDATE grp SET mark") for statement in seen)


def test_a_load_under_way_sees_the_marks_that_a_commit_takes_along(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()

    async def load_meanwhile() -> int:
        async with held_up(store):
            loading = asyncio.create_task(store.load_groups({"g1": ()}))
            await let_run()
            commit = asyncio.create_task(store.commit_groups([first(founded("g2"))]))
            await let_run()
        await commit
        return (await loading)["g1"].mark

    assert run(store.commit_groups([first(founded("g1"))])) == [True]
    run(store.mark_groups([Mark("g1", 0, 1)]))
    assert run(load_meanwhile()) == 1


def test_what_cannot_be_encoded_fails_nobody_else(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()

    async def commit_both() -> list[object]:
        bad = store.commit_groups([first(founded("bad", name=object()), member("ann"))])
        return list(await asyncio.gather(bad, store.commit_groups([first(founded("g1"))]), return_exceptions=True))

    failed, written = run(commit_both())
    assert isinstance(failed, TypeError)
    assert written == [True]


def test_a_failed_transaction_leaves_neither_group_nor_rows(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    one = founded("g1")
    run(store.commit_groups([first(one, member("ann"))]))

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("out of luck")

    async def fail_together() -> None:
        async with held_up(store):
            batch = [then(one, later(one), {"ann": None, "ben": member("ben")}), first(founded("g2"), member("ben"))]
            commit = asyncio.create_task(store.commit_groups(batch))
            failing = asyncio.create_task(store._thread.run(fail))
            await let_run()
        for task in (commit, failing):
            with pytest.raises(StoreUnavailable, match="the store failed: out of luck"):
                await task

    run(fail_together())
    loaded = run(store.load_groups({"g1": ["ann", "ben"], "g2": ["ben"]}))
    assert {gid: (held.view.group, held.view.people) for gid, held in loaded.items()} == {
        "g1": (one, {"ann": member("ann")})
    }


def test_damage_is_told_and_stops_no_other(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    run(store.commit_groups([first(founded(gid), member("ann"), member("ben")) for gid in ("g1", "g2", "g3")]))

    def damage(db: sqlite3.Connection) -> None:
        db.execute("UPDATE grp SET body = x'00' WHERE gid = 'g1'")
        db.execute("UPDATE person SET body = x'00' WHERE gid = 'g2' AND user = 'ben'")

    run(store._thread.run(damage))
    with pytest.raises(StoreUnavailable, match="a group's record cannot be read"):
        run(store.load_groups({"g1": ()}))
    with pytest.raises(StoreUnavailable, match="a person's record cannot be read"):
        run(store.load_groups({"g2": ["ann", "ben"]}))
    with pytest.raises(StoreUnavailable, match="a person's record cannot be read"):
        run(store.people("g2", Standing.MEMBER, "", 10))
    assert set(run(store.load_groups({"g2": ["ann"], "g3": ["ann", "ben"]}))) == {"g2", "g3"}
    assert run(store.groups_of("ben", "", 10)) == [("g1", 1), ("g2", 1), ("g3", 1)]


def test_a_file_of_before_there_were_groups_is_brought_up(run: Run, sqlite: Place) -> None:
    old = INVITATION._replace(gid="")
    db = sqlite3.connect(sqlite.path)
    for script in sorted(Path(migrate.__file__).with_name("migrations").glob("000[12]_*.sql")):
        db.executescript(script.read_text())
    db.execute("PRAGMA user_version = 2")
    row = (old.iid, old.inviter, old.n, 1, old.due, old.ended, LAYOUT_1)
    db.execute("INSERT INTO invitation (iid, inviter, n, mark, due, ended, body) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO party VALUES ('cas', 'i1')")
    db.commit()
    db.close()

    store = sqlite.open_sqlite()
    assert run(store.of_user("cas", None, "", 10)) == [old]
    held = run(store.load(["i1"]))["i1"]
    assert (held.invitation, held.mark) == (old, 1)
    assert run(store.of_group("", "", 10)) == []
    next_one = made.accepted(old, "cas")
    assert run(store.commit([made.then(old, next_one)])) == [True]
    (body,) = run(store._thread.run(lambda db: db.execute("SELECT body FROM invitation").fetchone()))
    assert record.decode(body) == next_one
    assert run(store.commit_groups([first(founded("g1"), member("cas"))])) == [True]
    assert run(store.groups_of("cas", "", 10)) == [("g1", 1)]
