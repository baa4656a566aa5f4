"""What only the sqlite store has: group commit, durability, an index for every question."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ringline_broker.engine.groups.model import Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, GroupChange, Mark, StoreUnavailable
from ringline_broker.stores import open_store
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.calls import change, mark_of, put
from tests.stores.kinds import WITHIN_S, Held, Place, Run, held_up, watch
from tests.stores.made import NOW, accepted, first, rung
from tests.stores.made_groups import founded
from tests.support.turns import let_run

# group commit


def test_all_commits_that_wait_share_one_transaction(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    seen = watch(run, store)

    async def commit_many() -> list[list[bool]]:
        async with held_up(store):
            commits = [asyncio.create_task(store.commit([first(rung(f"i{at}"))])) for at in range(256)]
            await let_run()
        return await asyncio.gather(*commits)

    assert run(commit_many()) == [[True]] * 256
    print(f"256 commits that waited: {seen.count('COMMIT') - 1} transaction")  # noqa: T201 - the proof is a count
    assert seen.count("COMMIT") == 2, "one for what held the thread, one for all that waited meanwhile"


def test_commits_of_one_moment_share_few_transactions(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    seen = watch(run, store)

    async def commit_many() -> list[list[bool]]:
        return await asyncio.gather(*(store.commit([first(rung(f"i{at}"))]) for at in range(1_000)))

    assert run(commit_many()) == [[True]] * 1_000
    count = seen.count("COMMIT")
    print(f"1000 commits of one moment: {count} transactions")  # noqa: T201 - likewise
    assert count <= 100


def test_an_answer_leaves_only_after_its_commit(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    before, after = Held(), Held()

    def on_disk() -> int:
        db = sqlite3.connect(sqlite.path)
        try:
            return int(db.execute("SELECT count(*) FROM invitation").fetchone()[0])
        finally:
            db.close()

    async def commit_slowly() -> None:
        first_job = asyncio.create_task(store._thread.run(before))
        await asyncio.to_thread(before.begun.wait, WITHIN_S)
        commit = asyncio.create_task(store.commit([first(rung("i1"))]))
        await let_run()
        last_job = asyncio.create_task(store._thread.run(after))
        await let_run()
        before.let_go()
        await asyncio.to_thread(after.begun.wait, WITHIN_S)
        await let_run()
        # The change is made and its transaction is not committed yet.
        assert first_job.done()
        assert not commit.done()
        assert on_disk() == 0
        after.let_go()
        assert await commit == [True]
        assert on_disk() == 1
        await last_job

    run(commit_slowly())


def test_a_load_under_way_sees_the_marks_that_move(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()

    async def load_meanwhile() -> int:
        async with held_up(store):
            loading = asyncio.create_task(store.load(["i1", "unknown"]))
            await let_run()
            await store.mark([Mark("i1", 0, 1)])
        return (await loading)["i1"].mark

    assert run(store.commit([first(rung("i1"))])) == [True]
    assert run(load_meanwhile()) == 1


def test_marks_cost_no_transaction(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    run(store.commit([first(rung("i1"))]))
    seen = watch(run, store)
    run(store.mark([Mark("i1", 0, 1)]))
    assert seen == []
    run(store.commit([first(rung("i2"))]))
    assert seen.count("COMMIT") == 1
    assert any(statement.startswith("UPDATE invitation SET mark") for statement in seen)


def test_a_mark_costs_no_statement_where_its_invitation_is_written(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    one = rung("i1", to=("ben", "cas"))
    put(run, store, one)
    run(store.mark([Mark("i1", 0, 1)]))
    seen = watch(run, store)
    change(run, store, one, accepted(one, "ben"))
    assert len([statement for statement in seen if statement.startswith("UPDATE invitation")]) == 1
    run(store.close())
    assert mark_of(run, sqlite.open(), "i1") == 1


def test_a_failed_transaction_loses_its_own_batch_and_no_other(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("out of luck")

    async def fail_together() -> None:
        assert await store.commit([first(rung("before"))]) == [True]
        async with held_up(store):
            together = [
                asyncio.create_task(store.commit([first(rung("i1"))])),
                asyncio.create_task(store._thread.run(fail)),
                asyncio.create_task(store.commit([first(rung("i2"))])),
            ]
            await let_run()
        for task in together:
            with pytest.raises(StoreUnavailable, match="the store failed: out of luck"):
                await task
        assert await store.commit([first(rung("after"))]) == [True]
        assert set(await store.load(["before", "i1", "i2", "after"])) == {"before", "after"}
        assert [one.iid for one in await store.of_user("ben", None, "", 10)] == ["after", "before"]

    run(fail_together())


# durability


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_the_setting_reaches_sqlite(run: Run, path: Path, durability: str, level: int) -> None:
    store = SqliteStore(path, ManualClock(NOW), durability)

    def read(db: sqlite3.Connection) -> tuple[int, str]:
        return db.execute("PRAGMA synchronous").fetchone()[0], db.execute("PRAGMA journal_mode").fetchone()[0]

    assert run(store._thread.run(read)) == (level, "wal")
    run(store.close())


@pytest.mark.parametrize(
    ("url", "durability", "words"),
    [
        ("memory:", "paranoid", "durability must be full or normal, not 'paranoid'"),
        ("memory:more", "full", "no such store: 'memory:more'; use memory:, sqlite:PATH or redis://HOST"),
        ("sqlite:", "full", "no such store: 'sqlite:'"),
        ("postgres://db", "full", "no such store: 'postgres://db'"),
        ("", "full", "no such store: ''"),
    ],
)
def test_a_wrong_url_is_told(url: str, durability: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_store(url, ManualClock(), durability)


# what sqlite does for a statement


@pytest.mark.parametrize(
    ("call", "indexes"),
    [
        ("load", ["sqlite_autoindex_invitation_1 (iid=?)"]),
        ("claim", ["invitation_due (due<?)"]),
        ("next", ["invitation_due"]),
        ("of_user", ["PRIMARY KEY (user=? AND iid>?)", "sqlite_autoindex_invitation_1 (iid=?)"]),
        ("purge", ["invitation_ended (ended<?)", "grp_dismissed (dismissed<?)"]),
        ("load_groups", ["sqlite_autoindex_grp_1 (gid=?)", "PRIMARY KEY (gid=? AND user=?)"]),
        ("people", ["person_standing (gid=? AND standing=? AND user>?)"]),
        ("groups_of", ["person_member (user=? AND gid>?)", "sqlite_autoindex_grp_1 (gid=?)"]),
        ("of_group", ["invitation_of_group (gid=? AND iid>?)"]),
        ("block", ["PRIMARY KEY (user=? AND blocked=?)", "PRIMARY KEY (user=?)"]),
        ("blocked", ["PRIMARY KEY (user=? AND blocked>?)"]),
        ("blocking", ["PRIMARY KEY (user=? AND blocked=?)"]),
    ],
)
def test_every_question_has_its_index(run: Run, sqlite: Place, call: str, indexes: list[str]) -> None:
    store = sqlite.open_sqlite()
    run(store.commit_groups([GroupChange(founded("g1"), 0, {})]))
    assert run(store.block("ann", {"eve": "d1"}, 1))
    seen = watch(run, store)
    calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "load": lambda: store.load(["i1"]),
        "claim": lambda: store.claim_due(1, 1),
        "next": store.next_due,
        "of_user": lambda: store.of_user("ann", 0, "", 1),
        "purge": lambda: store.purge(1, 1),
        "load_groups": lambda: store.load_groups({"g1": ["ann"]}),
        "people": lambda: store.people("g1", Standing.MEMBER, "", 1),
        "groups_of": lambda: store.groups_of("ann", "", 1),
        "of_group": lambda: store.of_group("g1", "", 1),
        "block": lambda: store.block("ben", {"eve": "d1"}, 1),
        "blocked": lambda: store.blocked("ann", "", 1),
        "blocking": lambda: store.blocking([("ann", "eve")]),
    }
    run(calls[call]())
    questions = [statement for statement in seen if statement.startswith("SELECT")]
    assert questions

    def plans(db: sqlite3.Connection) -> list[str]:
        return [row[3] for question in questions for row in db.execute(f"EXPLAIN QUERY PLAN {question}")]

    steps = run(store._thread.run(plans))
    for index in indexes:
        assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") and "USING" not in step for step in steps), steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps, "everything is read that a page is taken from"


def changes(*invitations: Invitation) -> list[Change]:
    return [first(one) for one in invitations]


def test_what_waited_when_the_process_closed_the_store_is_written(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    run(store.commit(changes(rung("i1"), rung("i2"))))
    run(store.mark([Mark("i1", 0, 1)]))
    run(store.close())
    store = sqlite.open_sqlite()
    assert {iid: held.mark for iid, held in run(store.load(["i1", "i2"])).items()} == {"i1": 1, "i2": 0}
