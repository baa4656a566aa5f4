"""What only the sqlite store has of files: the lock on them, folders, damage, full disks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringline_broker.service.ports import StoreInUse, StoreUnavailable
from ringline_broker.stores import record
from ringline_broker.stores.lock import FileLock
from ringline_broker.stores.sqlite import SqliteStore
from ringline_broker.testing import ManualClock
from tests.stores.kinds import WITHIN_S, Place, Run
from tests.stores.made import accepted, first, rung, then
from tests.stores.processes import child, line_of, rest_of

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


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """What most accounts have: others may read what they make."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(path: Path) -> dict[str, int]:
    """Of all files of the store, by what their names end in."""
    return {one.name.removeprefix(path.name): one.stat().st_mode & 0o777 for one in path.parent.iterdir()}


@pytest.mark.usefixtures("usual_umask")
def test_a_new_file_and_those_beside_it_are_their_owners_alone(run: Run, path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    assert run(store.commit([first(rung("i1"))])) == [True]
    assert modes(path) == dict.fromkeys(["", "-wal", "-shm", ".lock"], 0o600)
    run(store.close())


@pytest.mark.usefixtures("usual_umask")
def test_a_file_that_is_there_keeps_its_mode(run: Run, path: Path) -> None:
    run(SqliteStore(path, ManualClock()).close())
    path.chmod(0o640)
    store = SqliteStore(path, ManualClock())
    assert run(store.commit([first(rung("i1"))])) == [True]
    assert modes(path) == dict.fromkeys(["", "-wal", "-shm"], 0o640) | {".lock": 0o600}
    run(store.close())


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
