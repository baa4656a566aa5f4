"""What only the sqlite store has: group commit, durability, its lock, its files and their faults."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from ringline_broker.engine.groups.model import Standing
from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change, GroupChange, Mark, StoreInUse, StoreUnavailable
from ringline_broker.stores import migrate, open_store, record
from ringline_broker.stores.lock import FileLock
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.kinds import KINDS, WITHIN_S, Held, Place, Run, turn
from tests.stores.made import NOW, accepted, first, rung, then
from tests.stores.made_groups import founded
from tests.stores.processes import child, line_of, rest_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringline.sqlite"


@pytest.fixture
def sqlite(tmp_path: Path, run: Run) -> Iterator[Place]:
    place = Place(KINDS["sqlite-full"], tmp_path, run)
    yield place
    place.close()


def watch(run: Run, store: SqliteStore) -> list[str]:
    """The statements that the store's connection runs from now on."""
    seen: list[str] = []
    run(store._thread.run(lambda db: db.set_trace_callback(seen.append)))
    seen.clear()
    return seen


# group commit


def test_all_commits_that_wait_share_one_transaction(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    seen = watch(run, store)
    holding = Held()

    async def commit_many() -> list[list[bool]]:
        held = asyncio.create_task(store._thread.run(holding))
        await asyncio.to_thread(holding.begun.wait, WITHIN_S)
        commits = [asyncio.create_task(store.commit([first(rung(f"i{at}"))])) for at in range(256)]
        await turn()
        holding.let_go()
        await held
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
        await turn()
        last_job = asyncio.create_task(store._thread.run(after))
        await turn()
        before.let_go()
        await asyncio.to_thread(after.begun.wait, WITHIN_S)
        await turn()
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
    holding = Held()

    async def load_meanwhile() -> int:
        held = asyncio.create_task(store._thread.run(holding))
        await asyncio.to_thread(holding.begun.wait, WITHIN_S)
        loading = asyncio.create_task(store.load(["i1", "unknown"]))
        await turn()
        await store.mark([Mark("i1", 0, 1)])
        holding.let_go()
        await held
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


def test_a_failed_transaction_loses_its_own_batch_and_no_other(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    holding = Held()

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("out of luck")

    async def fail_together() -> None:
        assert await store.commit([first(rung("before"))]) == [True]
        held = asyncio.create_task(store._thread.run(holding))
        await asyncio.to_thread(holding.begun.wait, WITHIN_S)
        together = [
            asyncio.create_task(store.commit([first(rung("i1"))])),
            asyncio.create_task(store._thread.run(fail)),
            asyncio.create_task(store.commit([first(rung("i2"))])),
        ]
        await turn()
        holding.let_go()
        await held
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


# the lock


def test_a_second_process_is_refused_by_name_until_the_first_is_dead(run: Run, path: Path) -> None:
    with child("hold", path) as holder:
        assert line_of(holder) == f"open {holder.pid}"
        with pytest.raises(StoreInUse) as refused:
            SqliteStore(path, ManualClock())
        assert str(refused.value) == f"{path} is in use by another server, process {holder.pid}"
        holder.kill()
        holder.wait(WITHIN_S)
        store = SqliteStore(path, ManualClock())
        run(store.close())


def test_this_process_is_refused_a_second_time_too(run: Run, path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}$"):
        SqliteStore(path, ManualClock())
    assert run(store.load(["i1"])) == {}, "the refused one has done no harm"
    run(store.close())
    run(SqliteStore(path, ManualClock()).close())


def test_a_lock_without_a_name_is_a_lock_all_the_same(run: Run, path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    path.with_name(path.name + ".lock").write_text("")
    with pytest.raises(StoreInUse, match="process unknown"):
        SqliteStore(path, ManualClock())
    run(store.close())


def test_two_stores_of_one_folder_do_not_disturb_one_another(run: Run, tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / name, ManualClock()) for name in ("a.sqlite", "b.sqlite")]
    assert run(stores[0].commit([first(rung("i1"))])) == [True]
    assert run(stores[1].load(["i1"])) == {}
    for store in stores:
        run(store.close())


def test_a_released_lock_may_be_released_again(path: Path) -> None:
    lock = FileLock(path)
    lock.release()
    lock.release()
    FileLock(path).release()


# files


def test_folders_are_made(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new" / "newer" / "ringline.sqlite"
    run(SqliteStore(path, ManualClock()).close())
    assert path.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"cannot make .*file/folder: Not a directory"):
        SqliteStore(tmp_path / "file" / "folder" / "ringline.sqlite", ManualClock())


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for _ in range(2):  # and leaves no lock
        with pytest.raises(StoreUnavailable, match=r"cannot open .*folder: unable to open database file"):
            SqliteStore(folder, ManualClock())


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "ringline.sqlite.lock").mkdir()
    with pytest.raises(StoreUnavailable, match=r"cannot lock .*ringline.sqlite: Is a directory"):
        SqliteStore(tmp_path / "ringline.sqlite", ManualClock())


def test_a_file_of_another_kind_is_told(run: Run, path: Path) -> None:
    path.write_bytes(b"this is a letter to my aunt" * 1_000)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"cannot open .*ringline.sqlite: file is not a database"):
            SqliteStore(path, ManualClock())
    path.unlink()
    run(SqliteStore(path, ManualClock()).close())


def damage(path: Path, page: int, pages: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4_096)
        file.write(b"\xa5" * pages * 4_096)


def test_damage_is_told_when_the_file_is_opened(run: Run, sqlite: Place) -> None:
    iids = [f"i{at:03}" for at in range(100)]
    store = sqlite.open_sqlite()
    assert all(run(store.commit([first(rung(iid, data=b"x" * 2_000)) for iid in iids])))
    run(store.close())
    damage(sqlite.path, 20, 60)
    with pytest.raises(StoreUnavailable, match=r"cannot open .*ringline.sqlite: database disk image is malformed"):
        sqlite.open_sqlite()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "incomplete input"),
        (b"\x93\x03\x01\x01", "its layout is 3; this version reads up to 2"),
        (b"\xc1", "a record cannot be read"),
        (record.encode(rung("i1"))[:40], "incomplete input"),
        (b"\x01", "a record cannot be read"),
        (b"\x91\x01", "a record cannot be read"),
        (b"\x94\x01\x01\x01\x01", "a record cannot be read"),
    ],
)
def test_a_record_that_cannot_be_read_is_told_and_stops_no_other(
    run: Run, sqlite: Place, body: bytes, words: str
) -> None:
    store = sqlite.open_sqlite()
    assert all(run(store.commit([first(rung("i1")), first(rung("i2"))])))
    run(store._thread.run(lambda db: db.execute("UPDATE invitation SET body = ? WHERE iid = 'i1'", (body,)).rowcount))
    run(store.close())
    store = sqlite.open_sqlite()  # one that remembers nothing
    with pytest.raises(StoreUnavailable, match=words):
        run(store.load(["i1"]))
    assert set(run(store.load(["i2"]))) == {"i2"}
    with pytest.raises(StoreUnavailable, match="a record cannot be read"):
        run(store._thread.run(lambda _: record.parties(body)))


def test_a_full_disk_is_told_and_passes(run: Run, sqlite: Place) -> None:
    store = sqlite.open_sqlite()
    one = rung("i1", to=("ben", "cas"), data=b"x" * 8_000)
    assert run(store.commit([first(one)])) == [True]
    (pages,) = run(store._thread.run(lambda db: db.execute("PRAGMA page_count").fetchone()))
    run(store._thread.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone()))
    two = accepted(one, "ben", data=b"x" * 8_000)
    batch = [then(one, two), *(first(rung(f"j{at}", data=b"x" * 8_000)) for at in range(10))]
    with pytest.raises(StoreUnavailable, match="the store failed: database or disk is full"):
        run(store.commit(batch))
    held = run(store.load(["i1", *(f"j{at}" for at in range(10))]))
    assert {iid: one.invitation for iid, one in held.items()} == {"i1": one}
    run(store._thread.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 1_000}").fetchone()))
    assert run(store.commit(batch)) == [True] * 11


def test_running_out_of_disk_in_a_real_process(run: Run, path: Path) -> None:
    with child("full", path) as process:
        said = rest_of(process)
        assert process.wait(WITHIN_S) == 0
    assert said[-1] == "closed"
    written = {line.removeprefix("written ") for line in said if line.startswith("written")}
    refused = {line.split()[1].rstrip(":") for line in said if line.startswith("unavailable")}
    reasons = {line.partition(": ")[2] for line in said if line.startswith("unavailable")}
    print(f"{len(written)} written, {len(refused)} refused: {reasons}")  # noqa: T201 - says what the system says
    assert all(reason.startswith("the store failed: ") for reason in reasons)
    store = SqliteStore(path, ManualClock())
    assert set(run(store.load([*written, *refused]))) == written
    assert run(store._thread.run(lambda db: db.execute("PRAGMA integrity_check").fetchone())) == ("ok",)
    run(store.close())


# the schema


def version_of(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def test_a_newer_schema_is_refused_and_left_alone(run: Run, path: Path) -> None:
    run(SqliteStore(path, ManualClock()).close())
    known = version_of(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 999")
    db.close()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=f"has schema 999, and this version of Ringline knows {known}: inst"):
            SqliteStore(path, ManualClock())
    assert version_of(path) == 999


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of migrations that the next stores opened use: today's, to be added to."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in Path(migrate.__file__).with_name("migrations").glob("*.sql"):
        (folder / file.name).write_text(file.read_text())
    (folder / "__init__.py").write_text("")

    def files(_: str) -> Path:
        return folder

    monkeypatch.setattr(migrate, "files", files)
    return folder


def test_an_older_file_is_brought_up_step_by_step(run: Run, path: Path, newer: Path) -> None:
    store = SqliteStore(path, ManualClock())
    one = rung("i1")
    assert run(store.commit([first(one)])) == [True]
    run(store.close())
    today = version_of(path)
    (newer / f"{today + 2:04}_second.sql").write_text("INSERT INTO added SELECT iid, 'second' FROM invitation;")
    (newer / f"{today + 1:04}_first.sql").write_text("CREATE TABLE added (iid TEXT, who TEXT);")

    store = SqliteStore(path, ManualClock())
    assert run(store._thread.run(lambda db: db.execute("SELECT * FROM added").fetchall())) == [("i1", "second")]
    assert run(store.load(["i1"]))["i1"].invitation == one
    run(store.close())
    assert version_of(path) == today + 2

    store = SqliteStore(path, ManualClock())  # and no step twice
    assert run(store._thread.run(lambda db: db.execute("SELECT count(*) FROM added").fetchone())) == (1,)
    run(store.close())


def test_a_step_that_fails_leaves_the_file_as_it_was(run: Run, path: Path, newer: Path) -> None:
    run(SqliteStore(path, ManualClock()).close())
    today = version_of(path)
    (newer / f"{today + 1:04}_good.sql").write_text("CREATE TABLE good (a TEXT);")
    bad = newer / f"{today + 2:04}_bad.sql"
    bad.write_text("CREATE TABLE half (a TEXT); INSERT INTO nowhere VALUES (1);")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"cannot open .*ringline.sqlite: no such table: nowhere"):
            SqliteStore(path, ManualClock())
        assert version_of(path) == today + 1
    bad.write_text("CREATE TABLE half (a TEXT);")
    run(SqliteStore(path, ManualClock()).close())
    assert version_of(path) == today + 2


# what sqlite does for a statement


@pytest.mark.parametrize(
    ("call", "indexes"),
    [
        ("load", ["sqlite_autoindex_invitation_1 (iid=?)"]),
        ("claim", ["invitation_due (due<?)"]),
        ("next", ["invitation_due"]),
        ("unmarked", ["invitation_unmarked"]),
        ("of_user", ["PRIMARY KEY (user=? AND iid>?)", "sqlite_autoindex_invitation_1 (iid=?)"]),
        ("purge", ["invitation_ended (ended<?)", "grp_dismissed (dismissed<?)"]),
        ("load_groups", ["sqlite_autoindex_grp_1 (gid=?)", "PRIMARY KEY (gid=? AND user=?)"]),
        ("unmarked_groups", ["grp_unmarked"]),
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
        "unmarked": lambda: store.unmarked(1),
        "of_user": lambda: store.of_user("ann", 0, "", 1),
        "purge": lambda: store.purge(1, 1),
        "load_groups": lambda: store.load_groups({"g1": ["ann"]}),
        "unmarked_groups": lambda: store.unmarked_groups(1),
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
