"""The checks of a redis or valkey store: one server, the one that sentinels name, or the nodes of a cluster."""

import asyncio
import contextlib
import dataclasses
import secrets
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Final

from ringline_broker.doctor.backlog import Backlog, judge
from ringline_broker.doctor.report import Check, Found, Skipped, Verdict, fail, ok, warn
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.redis.keys import LAYOUT, Keys
from ringline_broker.stores.redis.scripts import Command, Reply
from ringline_broker.stores.redis.server_time import ServerTime
from ringline_broker.stores.redis.servers import Servers
from ringline_broker.stores.redis.url import Options

AREA: Final = "store"
_OLDEST: Final = (7, 0)
_CLOSE_S: Final = 0.5
_ROUND_TRIPS: Final = 50
_SLOW_MS: Final = 10
_FAR_OFF_MS: Final = 1_000
_NEARLY_FULL: Final = 0.8
_MORE_ROOM: Final = "raise maxmemory, or lower --retention-s"
_MEASURE_S: Final = 2.0
_KEPT_MS: Final = 60_000
_ORDER: Final = (Verdict.OK, Verdict.WARN, Verdict.FAIL)


class RedisChecks:
    """The checks of one store; all but the first need it to answer.

    Args:
        options: the store's URL.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._keys = Keys(options.prefix, options.shards)
        # no wait, else each reading would write something to wait for; where we do wait, it may take as long
        timeout_ms = options.timeout_ms + (options.wait_ms if options.wait else 0)
        asking = dataclasses.replace(options, wait=0, timeout_ms=timeout_ms)
        self._servers = Servers(asking, self._keys, ServerTime(SystemClock()))
        self._token = secrets.token_hex(8)
        self._infos: dict[int, dict[str, str]] = {}
        """What each server says of itself, by the first shard that it has."""
        self._takes_writes = False

    def all(self) -> tuple[Check, ...]:
        """The checks, in their order."""
        return (
            Check(AREA, "reached", self._reach),
            Check(AREA, "layout", self._look_at_layout),
            Check(AREA, "persistence", self._look_at_persistence),
            Check(AREA, "memory", self._look_at_memory),
            Check(AREA, "replicas", self._look_at_replicas),
            Check(AREA, "writes", self._try_writing),
            Check(AREA, "latency", self._measure),
            Check(AREA, "clock", self._look_at_clock),
            Check(AREA, "backlog", self._look_at_backlog),
        )

    async def close(self) -> None:
        """Let go of all connections; what a silent server still owes is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._servers.close()

    async def _reach(self) -> Found:
        infos: dict[str, int] = {}
        for shard in self._keys.shards:
            (said,) = await self._servers.run(shard, [("INFO",)])
            info = dict(line.split(":", 1) for line in said.decode().splitlines() if ":" in line)
            if infos.setdefault(info["run_id"], shard) == shard:
                self._infos[shard] = info
        kinds = sorted({_kind(info) for info in self._infos.values()})
        old = [kind for kind, version in map(_version, self._infos.values()) if version < _OLDEST]
        if old:
            return fail(f"{old[0]} is too old", "Ringline needs redis 7.0 or later, or valkey")
        count = len(self._infos)
        return ok(f"{' and '.join(kinds)}{f', {count} servers' if count > 1 else ''}")

    async def _look_at_layout(self) -> Found:
        self._must_answer()
        theirs = {await self._get(shard, "layout") for shard in self._keys.shards} - {b""}
        if not theirs:
            return ok(f"nothing is stored yet under {self._options.prefix!r}")
        layout, shards = theirs.pop().decode().split(" ")
        if layout != str(LAYOUT):
            return fail(f"layout {layout}, and this version of Ringline knows {LAYOUT}", "use the version that made it")
        if shards != str(self._options.shards):
            text = f"say shards={shards} in the store's URL; another prefix= makes another store"
            return fail(f"made with shards={shards}, and the URL says shards={self._options.shards}", text)
        return ok(f"layout {layout}, shards {shards}")

    async def _look_at_persistence(self) -> Found:
        if any(map(_cannot_save, self._must_answer())):
            return fail("it cannot write to its disk", "see its log, and make room: until then it may refuse writing")
        if all(info.get("aof_enabled") == "1" for info in self._infos.values()):
            synced = {await self._setting(shard, "appendfsync") for shard in self._infos}
            if "no" in synced:
                text = "an append-only file, appendfsync no: a power cut loses what the system had not yet written"
                return warn(text, "set appendfsync everysec or always")
            return ok(f"an append-only file, appendfsync {' and '.join(sorted(one or 'not told' for one in synced))}")
        text = "set appendonly yes, appendfsync everysec or always"
        if all([await self._setting(shard, "save") != "" for shard in self._infos]):
            return warn("snapshots only: a restart loses what came after the last one", text)
        return warn("none: a restart forgets all open invitations and all groups", text)

    async def _look_at_memory(self) -> Found:
        self._must_answer()
        return _worst((_fullness(info), shard, _memory(info)) for shard, info in self._infos.items())

    async def _look_at_replicas(self) -> Found:
        counts = [int(info.get("connected_slaves", "0")) for info in self._must_answer()]
        least, most, wait = min(counts), max(counts), self._options.wait
        what = f"replicas: {least}{f' to {most}' if most > least else ''}, wait={wait}"
        if least < wait:
            text = "see why they do not follow, or ask for fewer with wait= in the store's URL"
            return fail(f"{what}: nothing would be answered", text)
        if (least or self._options.kind) and not wait:
            text = "wait=1 in the store's URL has a replica hold what is answered; it costs a round trip to that"
            return warn(f"{what}: a failover may lose what was answered last", text)
        if 0 < wait < most:
            text = (
                f"wait={most} excludes that, and answers nothing while a replica is away; or leave one replica less; "
                "or see that who fails over picks one that has it all (docs/scaling.md)"
            )
            return warn(f"{what}: a failover may promote a replica that lacks what was answered", text)
        return ok(f"{what}: {'each answer is held by as many' if wait else 'the server alone has it all'}")

    async def _try_writing(self) -> Found:
        """With a key of the store's, that goes again; a server that refuses says why."""
        self._must_answer()
        for shard in self._infos:
            _, *reached, _ = await self._servers.run(shard, [*self._write(shard), ("DEL", self._key(shard))])
            if reached and reached[0] < self._options.wait:
                what = f"wait={self._options.wait}: {reached[0]} have it after {self._options.wait_ms} ms"
                text = "see why the replicas do not follow, or give them longer with wait_ms= in the store's URL"
                return fail(f"{what}, so nothing is answered", text)
        self._takes_writes = True
        return ok(f"taken, with wait={self._options.wait}")

    async def _measure(self) -> Found:
        """Each server, as a request waits for it."""
        self._must_answer()
        if self._options.wait and not self._takes_writes:
            raise Skipped("writes are not taken, so there is none to wait for")
        return _worst([await self._time_server(shard) for shard in self._infos])

    async def _time_server(self, shard: int) -> tuple[float, int, Found]:
        asked: Sequence[Command] = self._write(shard) if self._options.wait else [("PING",)]
        took_ms: list[float] = []
        until = time.monotonic() + _MEASURE_S
        while len(took_ms) < _ROUND_TRIPS and time.monotonic() < until:
            began = time.perf_counter()
            await self._servers.run(shard, asked)
            took_ms.append(1_000 * (time.perf_counter() - began))
        if self._options.wait:
            await self._servers.run(shard, [("DEL", self._key(shard))])
        median, worst = statistics.median(took_ms), max(took_ms)
        what = f"a write with wait={self._options.wait}" if self._options.wait else "a round trip"
        text = f"{median:.2f} ms {what} (median of {len(took_ms)}; the slowest {worst:.2f} ms)"
        if median < _SLOW_MS:
            return median, shard, ok(text)
        remedy = "bring workers, store and replicas closer together, or see what keeps the store busy"
        return median, shard, warn(text, remedy)

    async def _look_at_clock(self) -> Found:
        self._must_answer()
        return _worst([await self._compare_clocks(shard) for shard in self._infos])

    async def _compare_clocks(self, shard: int) -> tuple[float, int, Found]:
        """What a server's is ahead of this machine's, halfway through the question."""
        began = time.time_ns()
        there_ms = await self._time_ms(shard)
        here_ms = (began + time.time_ns()) / 2_000_000
        written_ms = int(await self._get(shard, "clock") or 0) / 1_000
        ahead_ms, behind_ms = there_ms - here_ms, written_ms - there_ms
        text = f"{ahead_ms:+.0f} ms from this machine's"
        if behind_ms > _FAR_OFF_MS:
            behind = f"{text}, and {behind_ms / 1_000:.1f} s behind what was written with it before"
            remedy = "let NTP keep the store's machine; deadlines stand, but its clock must come up again"
            return max(behind_ms, abs(ahead_ms)), shard, warn(behind, remedy)
        if abs(ahead_ms) > _FAR_OFF_MS:
            remedy = "let NTP keep both machines: deadlines are by the store's clock, logs by this one's"
            return abs(ahead_ms), shard, warn(text, remedy)
        return abs(ahead_ms), shard, ok(text)

    async def _look_at_backlog(self) -> Found:
        self._must_answer()
        parts = [await self._backlog(shard) for shard in self._keys.shards]
        unmarked, overdue, oldest = zip(*parts, strict=True)
        return judge(Backlog(sum(unmarked), sum(overdue), max(oldest)))

    async def _backlog(self, shard: int) -> Backlog:
        base = self._keys.base(shard)
        now = max(int(await self._time_ms(shard)), int(await self._get(shard, "clock") or 0) // 1_000)
        asked: list[Command] = [("ZCARD", f"{base}unmarked:{kind}") for kind in "ig"]
        asked += [("ZCOUNT", f"{base}due", "-inf", now), ("ZRANGE", f"{base}due", 0, 0, "WITHSCORES")]
        invitations, groups, overdue, first = await self._servers.run(shard, asked)
        return Backlog(invitations + groups, overdue, max(0, now - int(float(first[1]))) if first else 0)

    def _key(self, shard: int) -> str:
        return f"{self._keys.base(shard)}doctor:{self._token}"

    def _write(self, shard: int) -> Sequence[Command]:
        """A write, and where replicas must have it the wait for them. What it writes goes by itself, should we not."""
        write: Command = ("SET", self._key(shard), "", "PX", _KEPT_MS)
        wait, wait_ms = self._options.wait, self._options.wait_ms
        return [write, ("WAIT", wait, wait_ms)] if wait else [write]

    async def _time_ms(self, shard: int) -> float:
        ((seconds, microseconds),) = await self._servers.run(shard, [("TIME",)])
        return int(seconds) * 1_000 + int(microseconds) / 1_000

    async def _setting(self, shard: int, name: str) -> str | None:
        """A setting of the server that has a shard; None where it does not say."""
        try:
            (said,) = await self._servers.run(shard, [("CONFIG", "GET", name)])
        except StoreUnavailable:  # it may be forbidden, as on servers that others run
            return None
        return said[1].decode() if len(said) > 1 else None

    async def _get(self, shard: int, name: str) -> bytes:
        (value,) = await self._servers.run(shard, [("GET", f"{self._keys.base(shard)}{name}")])
        return _bytes(value)

    def _must_answer(self) -> Iterable[dict[str, str]]:
        if not self._infos:
            raise Skipped("the store is not reached")
        return self._infos.values()


def _bytes(value: Reply) -> bytes:
    return bytes(value or b"")


def _kind(info: dict[str, str]) -> str:
    valkey = info.get("valkey_version")
    return f"valkey {valkey}" if valkey else f"redis {info['redis_version']}"


def _version(info: dict[str, str]) -> tuple[str, tuple[int, ...]]:
    return _kind(info), tuple(int(part) for part in info["redis_version"].split(".")[:2])


def _cannot_save(info: dict[str, str]) -> bool:
    return "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status"))


def _fullness(info: dict[str, str]) -> float:
    """What is used of the limit; buffers for replicas do not count towards it."""
    most = int(info.get("maxmemory", "0"))
    return _used(info) / most if most else 0.0


def _used(info: dict[str, str]) -> int:
    return int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", "0"))


def _memory(info: dict[str, str]) -> Found:
    policy = info.get("maxmemory_policy", "noeviction")
    most = int(info.get("maxmemory", "0"))
    text = f"{_size(_used(info))} of {_size(most) if most else 'no limit'}, maxmemory-policy {policy}"
    if policy.startswith("allkeys"):
        remedy = "set maxmemory-policy noeviction"
        if most:
            return fail(f"{text}: it forgets invitations when it is full, and workers refuse it", remedy)
        return warn(f"{text}: with a limit it would forget invitations", remedy)
    if _fullness(info) >= 1:
        return fail(f"{text}: full, so it refuses all writes", _MORE_ROOM)
    if _fullness(info) > _NEARLY_FULL:
        return warn(f"{text}: nearly full", _MORE_ROOM)
    return ok(text)


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _worst(found: Iterable[tuple[float, int, Found]]) -> Found:
    """Of what was found of each server: how bad it is, one of its shards, and in words."""
    servers = list(found)
    _, shard, worst = max(servers, key=lambda one: (_ORDER.index(one[2].verdict), one[0]))
    if len(servers) == 1:
        return worst
    return worst._replace(text=f"{worst.text}, the server of shard {shard}, the worst of {len(servers)}")
