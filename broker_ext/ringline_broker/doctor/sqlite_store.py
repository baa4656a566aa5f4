"""The checks of a sqlite store, which one process has at a time."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import stat
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

from ringline_broker.doctor.backlog import Backlog, judge
from ringline_broker.doctor.report import Check, Found, Skipped, fail, ok, warn

AREA: Final = "store"
_ROUND_TRIPS: Final = 50
_LITTLE_ROOM: Final = 2**30
_NO_ROOM: Final = 64 * 2**20
_CHECK_S: Final = 10.0
_STEPS: Final = 10_000
"""Of sqlite's machine, between two looks at the time."""
_OWNER: Final = "change its owner, or look as the user that the server runs as"
T = TypeVar("T")


class SqliteChecks:
    """The checks of one file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._why_not = "the file was not looked at"
        """Why nothing can be read; empty where it can."""

    def all(self) -> tuple[Check, ...]:
        """The checks, in their order."""
        return (
            Check(AREA, "reached", self._reach),
            Check(AREA, "who may read", self._look_at_mode),
            Check(AREA, "disk space", self._look_at_room),
            Check(AREA, "layout", self._look_at_schema),
            Check(AREA, "integrity", self._check_integrity, 2 * _CHECK_S),
            Check(AREA, "latency", self._measure),
            Check(AREA, "backlog", self._look_at_backlog),
        )

    async def close(self) -> None:
        """Each check closes what it opens."""

    async def _reach(self) -> Found:
        path, folder = self._path, _nearest(self._path.parent)
        if not os.access(folder, os.W_OK | os.X_OK):
            self._why_not = f"{folder} cannot be written"
            return fail(f"{folder} cannot be written by this user", _OWNER)
        if not path.exists():
            self._why_not = "there is no file yet"
            return ok(f"sqlite {sqlite3.sqlite_version}; {path} is not there yet, and will be made")
        if not os.access(path, os.R_OK | os.W_OK):
            self._why_not = f"{path} cannot be written"
            return fail(f"{path} cannot be written by this user", _OWNER)
        if holder := _holder(path):
            self._why_not = "a running server has the file"
            return ok(f"sqlite {sqlite3.sqlite_version}; {path} is in use by a running server, process {holder}")
        self._why_not = ""
        return ok(f"sqlite {sqlite3.sqlite_version}; {path}, {path.stat().st_size / 2**20:.1f} MiB")

    async def _look_at_mode(self) -> Found:
        """Of the file, and of the log of changes beside it, which has what is not in the file yet."""
        files = [file for file in (self._path, _log_of(self._path)) if file.exists()]
        if not files:
            raise Skipped("there is no file yet")
        for file in files:
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & stat.S_IROTH:
                text = f"chmod o= {' '.join(map(str, files))}, and see who may read its copies"
                return warn(f"everybody on this machine may read {file} (mode {mode:04o}), which has all calls", text)
        return ok("its owner, and at most a group")

    async def _look_at_room(self) -> Found:
        free = shutil.disk_usage(_nearest(self._path.parent)).free
        text = f"{free / 2**30:.1f} GiB free"
        if free < _NO_ROOM:
            return fail(text, "make room: a store that cannot write refuses every request")
        return warn(text, "make room, or watch it") if free < _LITTLE_ROOM else ok(text)

    async def _look_at_schema(self) -> Found:
        (standing,) = await self._read(lambda db: db.execute("PRAGMA user_version").fetchone())
        newest = _newest_schema()
        if standing > newest:
            return fail(f"schema {standing}, and this version of Ringline knows {newest}", "install a newer one")
        return ok(f"schema {standing}" + (f"; a start brings it to {newest}" if standing < newest else ""))

    async def _check_integrity(self) -> Found:
        try:
            faults = await self._read(_quick_check)
        except sqlite3.OperationalError as failed:
            if failed.sqlite_errorname == "SQLITE_INTERRUPT":
                raise Skipped(f"the file is too large to check in {_CHECK_S:g} s") from failed
            raise
        except sqlite3.DatabaseError as broken:
            faults = [str(broken)]
        if faults == ["ok"]:
            return ok("PRAGMA quick_check finds no fault")
        if _holder(self._path):
            raise Skipped("a server has started meanwhile")
        return fail(f"the file is damaged: {'; '.join(faults)}", "stop the server, keep a copy, use the last backup")

    async def _measure(self) -> Found:
        def measure(db: sqlite3.Connection) -> float:
            took: list[float] = []
            for _ in range(_ROUND_TRIPS):
                began = time.perf_counter()
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
                took.append(1_000 * (time.perf_counter() - began))
            return statistics.median(took)

        return ok(f"{await self._read(measure):.3f} ms a read (median of {_ROUND_TRIPS})")

    async def _look_at_backlog(self) -> Found:
        return judge(await self._read(_backlog))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read the file, on a thread."""
        if self._why_not:
            raise Skipped(self._why_not)
        return await asyncio.to_thread(self._read_now, work)

    def _read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _opened(self._path) as db:
            return work(db)


@contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    """Read-only. Where nobody left a log of changes behind, sqlite is to make none either."""
    has_log = _log_of(path).exists()
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{'mode=ro' if has_log else 'immutable=1'}", uri=True)
    try:
        yield db
    finally:
        db.close()


def _log_of(path: Path) -> Path:
    """Where sqlite keeps what was committed and is not in the file yet."""
    return path.with_name(path.name + "-wal")


def _holder(path: Path) -> str:
    """The process that has the store, where one has; see stores/lock.py. Held by us for no longer than the look."""
    try:
        fd = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(fd, 64).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(fd)
    return ""


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def _newest_schema() -> int:
    names = (file.name for file in files("ringline_broker.stores.migrations").iterdir())
    return max(int(name[:4]) for name in names if name.endswith(".sql"))


def _quick_check(db: sqlite3.Connection) -> list[str]:
    until = time.monotonic() + _CHECK_S
    db.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
    return [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]


def _backlog(db: sqlite3.Connection) -> Backlog:
    (invitations,) = db.execute("SELECT count(*) FROM invitation WHERE mark < n").fetchone()
    (groups,) = db.execute("SELECT count(*) FROM grp WHERE mark < n").fetchone()
    now = time.time_ns() // 1_000_000
    overdue, first = db.execute("SELECT count(*), min(due) FROM invitation WHERE due <= ?", (now,)).fetchone()
    return Backlog(invitations + groups, overdue, now - first if overdue else 0)
