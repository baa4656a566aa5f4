"""Whether the store is there, keeps what it is given, and is worked at. What is written to try it goes again."""

from pathlib import Path
from typing import Final, Protocol

from ringline_broker.doctor.redis_store import RedisChecks
from ringline_broker.doctor.report import Check, Found, warn
from ringline_broker.doctor.sqlite_store import SqliteChecks
from ringline_broker.stores.redis.url import is_redis, parse, without_passwords

AREA: Final = "store"


class StoreChecks(Protocol):
    """The checks of one kind of store."""

    def all(self) -> tuple[Check, ...]:
        """The checks, in their order."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


def checks_of(url: str) -> StoreChecks:
    """The checks for a store, by its URL as `open_store` takes it.

    Raises:
        ValueError: it is no store's URL.
    """
    kind, _, rest = url.partition(":")
    if kind == "memory" and not rest:
        return _MemoryChecks()
    if kind == "sqlite" and rest:
        return SqliteChecks(Path(rest))
    if is_redis(url):
        return RedisChecks(parse(url))
    raise ValueError(f"no such store: {without_passwords(url)!r}; use memory:, sqlite:PATH or redis://HOST")


class _MemoryChecks:
    def all(self) -> tuple[Check, ...]:
        return (Check(AREA, "persistence", self._look),)

    async def close(self) -> None:
        """Nothing was opened."""

    async def _look(self) -> Found:
        return warn("memory forgets all invitations with its process", "use sqlite:PATH, or redis://HOST for workers")
