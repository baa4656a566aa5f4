"""Stores, opened by URL."""

from pathlib import Path

from ringline_broker.service.ports import Clock, Store


def open_store(url: str, clock: Clock, durability: str = "full") -> Store:
    """Open a store.

    Args:
        url: `memory:` or `sqlite:PATH` (a relative or absolute path; made where missing).
        clock: where the store takes time from.
        durability: for sqlite: `full` survives power loss, `normal` may lose the last moments to it.

    Raises:
        ValueError: no such kind of store, no path, or no such durability.
        StoreInUse: another process has it open.
        StoreUnavailable: it cannot be opened.
    """
    kind, _, rest = url.partition(":")
    if durability not in ("full", "normal"):
        raise ValueError(f"durability must be full or normal, not {durability!r}")
    if kind == "memory" and not rest:
        from ringline_broker.stores.memory import MemoryStore  # noqa: PLC0415 - a store loads only what it needs

        return MemoryStore(clock)
    if kind == "sqlite" and rest:
        from ringline_broker.stores.sqlite import SqliteStore  # noqa: PLC0415 - likewise

        return SqliteStore(Path(rest), clock, durability)
    raise ValueError(f"no such store: {url!r}; use memory: or sqlite:PATH")
