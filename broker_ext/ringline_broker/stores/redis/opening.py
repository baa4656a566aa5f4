"""What is looked at before a redis store is used: that it is there, can be used, and was made with the same shards."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.redis.base import Tools
from ringline_broker.stores.redis.keys import LAYOUT, Keys
from ringline_broker.stores.redis.scripts import Command
from ringline_broker.stores.redis.server_time import ServerTime, Tickets
from ringline_broker.stores.redis.servers import Servers
from ringline_broker.stores.redis.url import Options

_OLDEST: Final = (7, 0)


def inspect(options: Options, time: ServerTime) -> Tools:
    """Look at all servers, from a thread and event loop of its own, and wait for it.

    Raises:
        StoreUnavailable: the store cannot be used; the message says what to do.
    """
    keys, tickets = Keys(options.prefix, options.shards), Tickets()
    with ThreadPoolExecutor(1, "ringline-redis") as thread:
        tickets.last = thread.submit(asyncio.run, _inspect(options, keys, time)).result()
    return Tools(Servers(options, keys, time), keys, time, tickets)


async def _inspect(options: Options, keys: Keys, time: ServerTime) -> int:
    """The newest time that a process wrote, microseconds."""
    servers = Servers(options, keys, time)
    try:
        newest = [await _inspect_shard(servers, keys, shard) for shard in keys.shards]
    finally:
        await servers.close()
    time.at_least(max(newest) // 1_000)
    return max(newest)


async def _inspect_shard(servers: Servers, keys: Keys, shard: int) -> int:
    base = keys.base(shard)
    ours = f"{LAYOUT} {len(keys.shards)}"
    asked: list[Command] = [("INFO",), ("SETNX", f"{base}layout", ours)]
    asked += [("GET", f"{base}layout"), ("GET", f"{base}clock")]
    said, _, theirs, clock = await servers.run(shard, asked)
    _check_server(dict(line.split(":", 1) for line in said.decode().splitlines() if ":" in line))
    if theirs.decode() != ours:
        layout, shards = theirs.decode().split(" ")
        if layout != str(LAYOUT):
            raise StoreUnavailable(f"the store has layout {layout}, and this version of Ringline knows {LAYOUT}")
        raise StoreUnavailable(
            f"the store was made with shards={shards}, and the URL says shards={len(keys.shards)}: correct the URL; "
            "the number cannot be changed, another prefix= makes another store"
        )
    return int(clock or 0)


def _check_server(info: dict[str, str]) -> None:
    version = info["redis_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise StoreUnavailable(f"redis is {version}: Ringline needs 7.0 or later, or valkey")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys") and info.get("maxmemory", "0") != "0":
        raise StoreUnavailable(
            f"redis forgets keys when its memory is full (maxmemory-policy {policy}), and would forget invitations: "
            "set maxmemory-policy noeviction"
        )
