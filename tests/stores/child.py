"""A process of its own with a sqlite store open: `python -m tests.stores.child WHAT PATH …`.

hold PATH           opens the store and says so, then waits to be killed
story PATH SEED     commits the story of a seed, several batches at once, and says the number of each when it returned
full PATH           runs out of disk, then gets some, and says what happened
"""

import asyncio
import os
import resource
import sys
from collections.abc import Callable, Coroutine
from itertools import islice
from pathlib import Path
from typing import Any

from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.sqlite import SqliteStore
from tests.stores.made import first, rung
from tests.stores.story import batches

AT_ONCE = 3
TRIES = 40


def say(words: object) -> None:
    os.write(1, f"{words}\n".encode())


async def hold(path: Path) -> None:
    store = SqliteStore(path, SystemClock())
    say(f"open {os.getpid()}")
    await asyncio.Event().wait()
    await store.close()


async def story(path: Path, seed: str) -> None:
    store = SqliteStore(path, SystemClock())
    await store._thread.run(lambda db: db.execute("PRAGMA wal_autocheckpoint = 50").fetchone())
    story = enumerate(batches(int(seed)))

    async def tell() -> None:
        number, batch = next(story)
        assert all(await store.commit(batch))
        say(number)

    while True:
        await asyncio.gather(*(tell() for _ in range(AT_ONCE)))


async def full(path: Path) -> None:
    """Commits until nothing more fits, gets room, and commits again; says which were written."""
    store = SqliteStore(path, SystemClock())
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, resource.RLIM_INFINITY))
    failures = 0
    for at in range(TRIES):
        try:
            await store.commit([first(rung(f"i{at}", data=os.urandom(8_000)))])
            say(f"written i{at}")
        except StoreUnavailable as failed:
            failures += 1
            say(f"unavailable i{at}: {failed}")
    assert failures > 1, "the disk was never full"
    assert await store.next_due() is not None, "what was written can be read meanwhile"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for at in islice(range(TRIES, 2 * TRIES), 5):
        await store.commit([first(rung(f"i{at}", data=os.urandom(8_000)))])
        say(f"written i{at}")
    await store.close()
    say("closed")


WHAT: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"hold": hold, "story": story, "full": full}

if __name__ == "__main__":
    asyncio.run(WHAT[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
