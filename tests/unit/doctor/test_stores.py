"""What the doctor finds about stores, over real ones."""

import asyncio
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hiredis import ReplyError

from ringline_broker.doctor.report import Finding, run
from ringline_broker.doctor.store import checks_of
from ringline_broker.service.clock import SystemClock
from ringline_broker.stores import open_store
from ringline_broker.stores.redis.keys import Keys
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import (
    QUICK,
    RedisServer,
    cluster,
    eventually,
    primary_and_replica,
    redis_binary,
    valkey_binary,
)
from tests.support.running import free_port
from tests.support.services import missing


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(redis_binary() or missing("redis-server"), *QUICK) as server:
        yield server


def examined(url: str) -> dict[str, Finding]:
    async def all_checks() -> dict[str, Finding]:
        checks = checks_of(url)
        try:
            return {check.name: await run(check) for check in checks.all()}
        finally:
            await checks.close()

    return asyncio.run(all_checks())


def closed(url: str) -> None:
    """Make a store, and close it again."""

    async def open_and_close() -> None:
        await open_store(url, SystemClock()).close()

    asyncio.run(open_and_close())


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.verdict for name, one in found.items()}


def test_a_redis_that_forgets(redis: RedisServer) -> None:
    found = examined(redis.url)
    assert "redis 7." in found["reached"].text
    assert (found["layout"].verdict, found["layout"].text) == ("ok", "nothing is stored yet under 'ringline'")
    assert (found["persistence"].verdict, found["persistence"].text[:5]) == ("warn", "none:")
    assert "appendonly yes" in found["persistence"].remedy
    assert redis.call("DBSIZE") == 0, "it writes nothing"


def test_a_redis_with_snapshots_only(redis: RedisServer) -> None:
    redis.call("CONFIG", "SET", "save", "60 1")
    found = examined(redis.url)["persistence"]
    assert (found.verdict, found.text.split(":")[0]) == ("warn", "snapshots only")


@pytest.mark.parametrize(("synced", "verdict"), [("no", "warn"), ("everysec", "ok"), ("always", "ok")])
def test_a_redis_that_leaves_its_file_to_the_system(redis: RedisServer, synced: str, verdict: str) -> None:
    redis.call("CONFIG", "SET", "appendonly", "yes")
    redis.call("CONFIG", "SET", "appendfsync", synced)
    found = examined(redis.url)["persistence"]
    assert found.verdict == verdict
    assert found.text.startswith(f"an append-only file, appendfsync {synced}")
    assert found.remedy == ("" if verdict == "ok" else "set appendfsync everysec or always")


@pytest.mark.parametrize(("limit", "verdict"), [(0, "warn"), (2**30, "FAIL")])
def test_a_redis_that_evicts(redis: RedisServer, limit: int, verdict: str) -> None:
    redis.call("CONFIG", "SET", "maxmemory", limit)
    redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    found = examined(redis.url)["memory"]
    assert (found.verdict, found.remedy) == (verdict, "set maxmemory-policy noeviction")


def test_a_redis_that_is_nearly_full(redis: RedisServer) -> None:
    examined(redis.url)  # from now on it has the scripts
    used = next(line for line in redis.call("INFO", "memory").decode().split() if line.startswith("used_memory:"))
    redis.call("CONFIG", "SET", "maxmemory", int(int(used.split(":")[1]) * 1.2))
    found = examined(redis.url)["memory"]
    assert (found.verdict, "raise maxmemory" in found.remedy) == ("warn", True)


def test_a_redis_that_is_full(redis: RedisServer) -> None:
    redis.call("CONFIG", "SET", "maxmemory", 1)
    found = examined(redis.url)
    memory, writes = found["memory"], found["writes"]
    assert (memory.verdict, "raise maxmemory" in memory.remedy) == ("FAIL", True)
    assert re.match(r"\d+\.\d [KM]iB of 1 B, maxmemory-policy noeviction: full", memory.text), memory
    assert (writes.verdict, writes.remedy) == ("FAIL", "raise its maxmemory")
    assert "OOM command not allowed" in writes.text


def test_a_redis_that_refuses_writes_for_another_reason(redis: RedisServer) -> None:
    assert verdicts(examined(redis.url))["writes"] == "ok"
    redis.call("CONFIG", "SET", "min-replicas-to-write", 1)
    writes = examined(redis.url)["writes"]
    assert (writes.verdict, "NOREPLICAS" in writes.text) == ("FAIL", True)
    redis.call("CONFIG", "SET", "min-replicas-to-write", 0)
    assert redis.call("DBSIZE") == 0, "what it wrote is gone"


@pytest.mark.parametrize("login", ["", ":wrong@"])
def test_a_redis_with_another_password(redis: RedisServer, login: str) -> None:
    redis.call("CONFIG", "SET", "requirepass", "secret")
    found = examined(f"redis://{login}{redis.address}")
    assert found["reached"].verdict == "FAIL"
    assert "password" in found["reached"].text
    assert "store's URL" in found["reached"].remedy
    assert set(verdicts(found).values()) == {"FAIL", "skipped"}
    assert verdicts(examined(f"redis://:secret@{redis.address}"))["reached"] == "ok"


def test_a_redis_that_is_not_there() -> None:
    found = examined(f"redis://127.0.0.1:{free_port()}")["reached"]
    assert (found.verdict, found.remedy) == ("FAIL", "start it, or correct the store's URL")


def test_a_broker_in_the_place_of_redis(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        found = examined(f"redis://127.0.0.1:{broker.port}")["reached"]
    assert found.verdict == "FAIL"
    assert found.text.startswith(f"redis at 127.0.0.1:{broker.port} went away: ")
    assert found.remedy == "see whether it is redis that listens there, and look in its log"


def test_a_redis_with_too_few_replicas(redis: RedisServer) -> None:
    found = examined(f"{redis.url}?wait=1")["replicas"]
    assert (found.verdict, "wait=" in found.remedy) == ("FAIL", True)


def test_replicas_that_nobody_waits_for() -> None:
    with primary_and_replica(redis_binary() or missing("redis-server")) as (primary, replica):
        found = examined(primary.url)["replicas"]
        assert (found.verdict, "wait=1" in found.remedy) == ("warn", True)
        before = _calls(primary, "wait")
        waiting = examined(f"{primary.url}?wait=1&wait_ms=10000")  # a new replica may be silent for a second
        assert _calls(primary, "wait") - before == 51, "one to see that they are taken, and fifty are measured"
        assert (waiting["replicas"].verdict, waiting["writes"].text) == ("ok", "taken, with wait=1")
        assert "ms a write with wait=1 (" in waiting["latency"].text
        assert "read-only replica" in examined(replica.url)["reached"].text
        replica.pause()
        waiting = examined(f"{primary.url}?wait=1&wait_ms=50")
        assert (waiting["replicas"].verdict, waiting["writes"].verdict) == ("ok", "FAIL"), "it is still connected"
        assert waiting["writes"].text == "wait=1: 0 have it after 50 ms, so nothing is answered"
        assert waiting["latency"].verdict == "skipped"
        assert primary.call("DBSIZE") == 0, "what it wrote is gone"


def _calls(server: RedisServer, command: str) -> int:
    """How often it was given this command."""
    counted = re.search(rb"cmdstat_%b:calls=(\d+)" % command.encode(), server.call("INFO", "commandstats"))
    return int(counted[1]) if counted else 0


def test_one_of_two_replicas_is_waited_for() -> None:
    with primary_and_replica(redis_binary() or missing("redis-server")) as (primary, _):
        follow = ("--replicaof", f"127.0.0.1 {primary.port}")
        with RedisServer(redis_binary() or "", *QUICK, *follow) as other:
            eventually(other.follows, "the other replica follows")
            eventually(lambda: primary.call("WAIT", 2, 100) == 2, "the primary knows both")
            found = examined(f"{primary.url}?wait=1")["replicas"]
            assert found.verdict == "warn"
            assert found.text.startswith("replicas: 2, wait=1: a failover may promote a replica that lacks")
            assert found.remedy.startswith("wait=2 excludes that")
            assert verdicts(examined(f"{primary.url}?wait=2"))["replicas"] == "ok"


def test_every_server_of_a_cluster_is_looked_at() -> None:
    with cluster(redis_binary() or missing("redis-server")) as nodes:
        url = f"redis+cluster://{nodes[0].address}?shards=3"
        found = examined(url)
        assert "FAIL" not in verdicts(found).values(), found
        assert re.search(r", the server of shard \d, the worst of 3$", found["latency"].text), found
        for primary in nodes[:3]:
            assert _calls(primary, "ping") >= 50, "its round trips are measured"
        bases = [Keys("ringline", 3).base(shard) for shard in range(3)]
        ahead = int(1_000_000 * (time.time() + 3_600))
        eventually(lambda: _set_somewhere(nodes[:3], f"{bases[2]}clock", ahead), "somebody has the last shard")
        clock = examined(url)["clock"]
        assert (clock.verdict, ", the server of shard 2, the worst of 3" in clock.text) == ("warn", True), clock


def _set_somewhere(nodes: Sequence[RedisServer], key: str, value: int) -> bool:
    """Whether one of these nodes has the key's slot, and now the value."""
    for node in nodes:
        with suppress(ReplyError):
            return bool(node.call("SET", key, value) == b"OK")
    return False


def test_a_store_made_with_other_shards(redis: RedisServer) -> None:
    closed(f"{redis.url}?shards=4")
    assert verdicts(examined(f"{redis.url}?shards=4"))["layout"] == "ok"
    found = examined(redis.url)["layout"]
    assert (found.verdict, "shards=4" in found.remedy) == ("FAIL", True)


def test_workers_that_are_behind(redis: RedisServer) -> None:
    closed(redis.url)
    late = int(1_000 * time.time()) - 60_000
    redis.call("ZADD", "ringline:{s00}:due", late, "one", late + 120_000, "another")
    redis.call("ZADD", "ringline:{s00}:unmarked:i", late, "one")
    found = examined(redis.url)["backlog"]
    assert found.verdict == "warn"
    assert found.text.startswith("1 unmarked, 1 overdue, the oldest for ")
    assert "start workers" in found.remedy


def test_a_store_whose_clock_was_set_back(redis: RedisServer) -> None:
    redis.call("SET", "ringline:{s00}:clock", int(1_000_000 * (time.time() + 3_600)))
    found = examined(redis.url)["clock"]
    assert (found.verdict, "NTP" in found.remedy) == ("warn", True)


def test_a_user_of_redis_who_may_not_see_its_settings(redis: RedisServer) -> None:
    redis.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all", "-config")
    url = f"redis://worker:secret@{redis.address}"
    found = examined(url)
    assert "FAIL" not in verdicts(found).values(), found
    assert found["persistence"].text.startswith("snapshots only"), "it is believed to make them"
    redis.call("CONFIG", "SET", "appendonly", "yes")
    kept = examined(url)["persistence"]
    assert (kept.verdict, kept.text) == ("ok", "an append-only file, appendfsync not told")


def test_valkey_by_its_name() -> None:
    with RedisServer(valkey_binary() or missing("valkey-server"), *QUICK) as server:
        assert examined(server.url)["reached"].text.startswith("valkey ")


def test_a_file_that_a_server_has(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/calls.sqlite"

    async def look() -> dict[str, Finding]:
        store = open_store(url, SystemClock())
        try:
            return await asyncio.to_thread(examined, url)
        finally:
            await store.close()

    found = asyncio.run(look())
    assert (found["reached"].verdict, "in use by a running server, process" in found["reached"].text) == ("ok", True)
    looked_at = {"reached", "who may read", "disk space"}
    assert {name for name, verdict in verdicts(found).items() if verdict == "skipped"} == found.keys() - looked_at


def test_a_file_that_is_well_is_left_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/calls.sqlite"
    closed(url)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = examined(url)
    assert set(verdicts(found).values()) <= {"ok", "warn"}, found  # disk space and mode may be what they are
    assert found["integrity"].text == "PRAGMA quick_check finds no fault"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("mode", "of", "verdict"),
    [(0o600, "", "ok"), (0o640, "", "ok"), (0o644, "", "warn"), (0o604, "", "warn"), (0o644, "-wal", "warn")],
)
def test_who_may_read_a_file(tmp_path: Path, mode: int, of: str, verdict: str) -> None:
    path = tmp_path / "calls.sqlite"
    closed(f"sqlite:{path}")
    path.chmod(0o600)
    changed = path.with_name(path.name + of)
    changed.touch()
    changed.chmod(mode)
    found = examined(f"sqlite:{path}")["who may read"]
    assert found.verdict == verdict
    if verdict == "warn":
        assert f"{changed} (mode {mode:04o})" in found.text
        assert found.remedy.startswith(f"chmod o= {path}")


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    closed(f"sqlite:{path}")
    raw = bytearray(path.read_bytes())
    raw[4_096:] = b"\xff" * (len(raw) - 4_096)
    path.write_bytes(raw)
    found = examined(f"sqlite:{path}")["integrity"]
    assert (found.verdict, "backup" in found.remedy) == ("FAIL", True)


def test_a_file_that_is_none_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_text("something else " * 1_000)
    assert verdicts(examined(f"sqlite:{path}"))["layout"] == "FAIL"


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/calls.sqlite"
    closed(url)
    db = sqlite3.connect(tmp_path / "calls.sqlite")
    db.execute("PRAGMA user_version = 9999")
    db.close()
    found = examined(url)["layout"]
    assert (found.verdict, found.remedy) == ("FAIL", "install a newer one")
