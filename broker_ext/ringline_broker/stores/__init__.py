"""Stores, opened by URL."""

from pathlib import Path

from ringline_broker.service.ports import Clock, Store
from ringline_broker.stores.redis.url import is_redis, parse, without_passwords


def open_store(url: str, clock: Clock, durability: str = "full") -> Store:
    """Open a store.

    Args:
        url: `memory:`, `sqlite:PATH` (a relative or absolute path; made where missing), or for redis or valkey
            `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`,
            `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST…/SERVICE[/DB]` or
            `redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST…`; `rediss` in place of `redis` is encrypted. Options
            follow as `?name=value&…`: `prefix` of all keys (`ringline`); `shards`, over how many slots of a cluster the
            data is spread (1; the same for ever); `wait`, how many replicas must have what is answered (0), within
            `wait_ms` (500); `timeout_ms`, how long a server may take to answer (1000); `sentinel_username`,
            `sentinel_password`; `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (PEM files), `ssl_check_hostname`.
        clock: where the store takes time from.
        durability: for sqlite: `full` survives power loss, `normal` may lose the last moments to it.

    Raises:
        ValueError: no such kind of store, no path, no such option, or no such durability.
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
    if is_redis(url):
        from ringline_broker.stores.redis.store import RedisStore  # noqa: PLC0415 - likewise

        return RedisStore(parse(url), clock)
    raise ValueError(f"no such store: {without_passwords(url)!r}; use memory:, sqlite:PATH or redis://HOST")
