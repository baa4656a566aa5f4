"""One thread that owns a sqlite connection; whatever waits for it shares one transaction."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from queue import SimpleQueue
from typing import Any, TypeVar

from ringline_broker.service.ports import StoreUnavailable

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: "asyncio.Future[Any]"
    after: Callable[[Any], None] | None
    result: Any = None
    failed: Exception | None = None


class WriterThread:
    """Runs work on a connection, in order, in batches.

    Args:
        db: the connection; from now on it is this thread's.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._main, args=(db,), name="ringline-sqlite", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], after: Callable[[T], None] | None = None) -> T:
        """Have work done, and return when its transaction is on disk. Cancelled, it may be done all the same.

        Args:
            work: what is done to the connection.
            after: told of the result on the caller's loop, before the caller, and also where the caller was cancelled.

        Raises:
            StoreUnavailable: the transaction failed and was rolled back, or the thread was stopped.
        """
        if self._stopped:
            raise StoreUnavailable("the store is closed")
        job = _Job(work, asyncio.get_running_loop().create_future(), after)
        self._jobs.put(job)
        result: T = await job.done
        return result

    async def stop(self) -> None:
        """Finish what waits and close the connection; a second call does nothing more."""
        if not self._stopped:
            self._stopped = True
            self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _main(self, db: sqlite3.Connection) -> None:
        while batch := self._next_batch():
            _transact(db, batch)
            for loop, jobs in groupby(batch, key=lambda job: job.done.get_loop()):
                with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                    loop.call_soon_threadsafe(_tell, list(jobs))
        with contextlib.suppress(sqlite3.Error):
            db.close()

    def _next_batch(self) -> list[_Job]:
        """Everything that waits, at least one job; nothing only once the thread was stopped."""
        batch: list[_Job] = []
        while not batch or not self._jobs.empty():
            job = self._jobs.get()
            if job is None:  # the last there is: what it was taken with comes first, then it comes again
                if batch:
                    self._jobs.put(None)
                break
            batch.append(job)
        return batch


def _transact(db: sqlite3.Connection, batch: list[_Job]) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.result = job.work(db)
        db.execute("COMMIT")
    except Exception as failed:  # noqa: BLE001 - whoever waits gets it
        with contextlib.suppress(sqlite3.Error):
            if db.in_transaction:
                db.execute("ROLLBACK")
        for job in batch:
            job.failed = failed


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.after is not None and job.failed is None:
            job.after(job.result)
        if job.done.done():  # whoever waited was cancelled
            continue
        if job.failed is None:
            job.done.set_result(job.result)
        else:
            unavailable = StoreUnavailable(f"the store failed: {job.failed}")
            unavailable.__cause__ = job.failed
            job.done.set_exception(unavailable)
