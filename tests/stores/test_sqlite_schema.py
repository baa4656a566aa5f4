"""What only the sqlite store has of its schema: a newer one is refused, an older one brought up step by step."""

import sqlite3
from pathlib import Path

import pytest

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores import migrate
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.kinds import Run
from tests.stores.made import first, rung


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
