"""One thread that owns a sqlite connection; whatever waits for it shares one transaction."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from ringline_broker.service.ports import StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: "Future[Any]"


class WriterThread:
    """Runs work on a connection, in order, in batches.

    Args:
        connect: opens the connection; called on the thread, and what it raises is raised here.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._opened: Future[sqlite3.Connection] = Future()
        self._thread = threading.Thread(target=self._main, args=(connect,), name="ringline-sqlite", daemon=True)
        self._thread.start()
        self._opened.result()

    def call(self, work: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """Queue work; its future is done when its transaction is on disk, or failed with StoreUnavailable."""
        job = _Job(work, Future())
        self._jobs.put(job)
        return job.done

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Queue work and wait for it."""
        return await asyncio.wrap_future(self.call(work))

    async def stop(self) -> None:
        """Finish what waits and close the connection."""
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _main(self, connect: Callable[[], sqlite3.Connection]) -> None:
        try:
            db = connect()
        except BaseException as failed:  # noqa: BLE001 - whoever waits gets it
            self._opened.set_exception(failed)
            return
        self._opened.set_result(db)
        while (batch := self._next_batch()) is not None:
            self._transact(db, batch)
        db.close()

    def _next_batch(self) -> list[_Job] | None:
        first = self._jobs.get()
        if first is None:
            return None
        batch = [first]
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    @staticmethod
    def _transact(db: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            db.execute("BEGIN IMMEDIATE")
            results = [job.work(db) for job in batch]
            db.execute("COMMIT")
        except Exception as failed:  # noqa: BLE001 - whoever waits gets it
            if db.in_transaction:
                db.execute("ROLLBACK")
            for job in batch:
                unavailable = StoreUnavailable(f"the store failed: {failed}")
                unavailable.__cause__ = failed
                job.done.set_exception(unavailable)
            return
        for job, result in zip(batch, results, strict=True):
            job.done.set_result(result)
