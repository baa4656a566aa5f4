"""What only the redis store has: servers that die, are silent, refuse, forget; replicas and sentinels."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Mark, Store, StoreUnavailable
from ringline_broker.stores import open_store
from ringline_broker.stores.redis.keys import Keys
from ringline_broker.stores.redis.slots import SLOTS, slot_of
from tests.stores.kinds import Run
from tests.stores.made import NOW, accepted, first, rung, then
from tests.stores.made_groups import first as first_group
from tests.stores.made_groups import founded, member
from tests.support.bound import BOUND_S
from tests.support.redis_servers import KEEPING, RedisServer, eventually, primary_and_replica, sentinels
from tests.support.running import free_port

CLOCK = SystemClock()


@pytest.fixture
def own(binary: str) -> Iterator[RedisServer]:
    """A server of the test's own, which keeps what it answered."""
    with RedisServer(binary, *KEEPING) as server:
        yield server


@contextmanager
def opened(run: Run, url: str) -> Generator[Store]:
    store = open_store(url, CLOCK)
    try:
        yield store
    finally:
        run(store.close())


def until_available(run: Run, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Repeat until the store is there again, as the service and its clients do."""

    def done() -> bool:
        try:
            run(work())
        except StoreUnavailable:
            return False
        return True

    eventually(done, "the store is available again")


def commit_each(run: Run, store: Store, prefix: str, count: int) -> list[str]:
    """Commits one by one, and several at once; the ids of those that were answered."""
    iids = [f"{prefix}{at}" for at in range(count)]

    async def commit(iid: str) -> str | None:
        try:
            return iid if await store.commit([first(rung(iid, now=store.now(), timeout=3_600))]) == [True] else None
        except StoreUnavailable:
            return None

    async def all_of_them() -> list[str | None]:
        return await asyncio.gather(*(commit(iid) for iid in iids))

    return [iid for iid in run(all_of_them()) if iid]


# a server that goes away


@pytest.mark.parametrize("times", [3])
def test_what_was_answered_outlives_a_kill(run: Run, own: RedisServer, times: int) -> None:
    with opened(run, own.url) as store:
        answered = commit_each(run, store, "before ", 50)
        for at in range(times):

            async def commit_and_kill(at: int = at) -> list[str]:
                async def commit(iid: str) -> list[str]:
                    try:
                        return [iid] if await store.commit([first(rung(iid, timeout=3_600))]) == [True] else []
                    except StoreUnavailable:
                        return []

                going = [asyncio.create_task(commit(f"{at} {number}")) for number in range(300)]
                await going[20]
                await asyncio.to_thread(own.kill)
                return [iid for some in await asyncio.gather(*going) for iid in some]

            answered += run(commit_and_kill())
            own.start()
            until_available(run, store.next_due)
            held = run(store.load(answered))
            assert set(held) == set(answered), "nothing that was answered is lost"
            assert {one.iid for one in run(store.of_user("ben", None, "", 10_000))} >= set(answered)
        usage = run(store.usage(["ann"]))["ann"]
        everything = run(store.of_user("ann", None, "", 10_000))
        assert (usage.open, usage.bytes) == (len(everything), sum(one.size for one in everything))


def test_a_server_that_is_not_there_any_more_says_so_and_comes_back(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        run(store.commit([first(rung("i1"))]))
        own.kill()
        with pytest.raises(StoreUnavailable, match=rf"redis at {own.address} went away|no redis at {own.address}"):
            run(store.load(["i1"]))
        with pytest.raises(StoreUnavailable, match=rf"no redis at {own.address}: .*; start it, or correct"):
            run(store.commit([first(rung("i2"))]))
        own.start()
        until_available(run, store.next_due)
        assert set(run(store.load(["i1", "i2"]))) == {"i1"}


def test_a_connection_that_was_cut_while_idle_harms_no_call(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        run(store.commit([first(rung("i1"))]))
        ids = [int(found) for found in re.findall(rb"(?:^|\n)id=(\d+)", own.call("CLIENT", "LIST"))]
        for one in ids:
            own.call("CLIENT", "KILL", "ID", one)
        run(asyncio.to_thread(eventually, lambda: own.call("CLIENT", "LIST").count(b"\n") == 1, "it is cut"))
        assert set(run(store.load(["i1"]))) == {"i1"}


def test_a_server_that_is_silent_holds_nobody_up(run: Run, own: RedisServer) -> None:
    one, group = rung("i1"), founded("g1")
    with opened(run, f"{own.url}?timeout_ms=300") as store:
        assert run(store.commit([first(one)])) == [True]
        own.pause()
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: store.load(["i1"]), lambda: store.commit([then(one, accepted(one))]), store.next_due,
            lambda: store.claim_due(1_000, 10), lambda: store.claim_unmarked(0, 10),
            lambda: store.of_user("ann", 0, "", 10), lambda: store.usage(["ann"]), lambda: store.purge(NOW, 10),
            lambda: store.load_groups({"g1": ["ann"]}),
            lambda: store.commit_groups([first_group(group, member("ann"))]), lambda: store.groups_of("ann", "", 10),
            lambda: store.block("ann", {"eve": "m"}, 10), lambda: store.blocking([("ann", "eve")]),
        ]  # fmt: skip

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

        for said in run(all_at_once()):
            assert isinstance(said, StoreUnavailable)
            assert "did not answer within 0.3 s; see whether it runs" in str(said)
        with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.3 s"):
            run(store.next_due())
        own.resume()
        until_available(run, store.next_due)


def test_opening_a_silent_server_ends_too(own: RedisServer) -> None:
    own.pause()
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.3 s"):
        open_store(f"{own.url}?timeout_ms=300", CLOCK)
    own.resume()


def test_a_server_that_forgot_its_scripts_is_told_them_again(run: Run, own: RedisServer) -> None:
    one = rung("i1")
    with opened(run, own.url) as store:
        run(store.commit([first(one)]))
        own.call("SCRIPT", "FLUSH")
        assert run(store.commit([then(one, accepted(one))])) == [True]
        own.call("SCRIPT", "FLUSH")
        run(store.mark([Mark("i1", 0, accepted(one).n)]))
        run(store.next_due())
        assert run(store.claim_unmarked(0, 10)) == [], "a mark is not lost with the script that moves it"


def test_what_cannot_even_be_sent_is_told_and_stops_no_other(
    run: Run, own: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(run, own.url) as store:
        run(store.commit([first(rung("i1"))]))

        async def loaded(iid: str) -> set[str]:
            async with asyncio.timeout(BOUND_S):
                return set(await store.load([iid]))

        with pytest.raises(StoreUnavailable, match="surrogates not allowed") as failed:
            run(loaded("\ud800"))
        assert isinstance(failed.value.__cause__, UnicodeEncodeError)
        assert [record.exc_info is not None for record in caplog.records] == [True]
        assert run(loaded("i1")) == {"i1"}


def test_on_the_loop_that_servers_run_on(own: RedisServer) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, opened(runner.run, own.url) as store:
        assert len(commit_each(runner.run, store, "i", 100)) == 100
        own.kill()
        with pytest.raises(StoreUnavailable):
            runner.run(store.next_due())
        own.start()
        until_available(runner.run, store.next_due)
        assert len(runner.run(store.of_user("ben", None, "", 1_000))) == 100


# what is refused, and what to do


def test_nobody_there() -> None:
    port = free_port()
    with pytest.raises(StoreUnavailable, match=rf"no redis at 127.0.0.1:{port}: .*; start it, or correct"):
        open_store(f"redis://127.0.0.1:{port}", CLOCK)


def test_passwords(run: Run, own: RedisServer) -> None:
    with pytest.raises(StoreUnavailable, match=r"has no password .*; take the password out of the store's URL"):
        open_store(f"redis://:secret@{own.address}", CLOCK)
    own.call("CONFIG", "SET", "requirepass", "sec/ret")
    with pytest.raises(StoreUnavailable, match=r"asks for a password .*; put it into the store's URL"):
        open_store(own.url, CLOCK)
    with pytest.raises(StoreUnavailable, match="the user name or the password is wrong") as wrong:
        open_store(f"redis://:nonsense@{own.address}", CLOCK)
    assert "nonsense" not in str(wrong.value)
    with opened(run, f"redis://:sec%2Fret@{own.address}") as store:
        assert run(store.commit([first(rung("i1"))])) == [True]


def test_out_of_memory(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        one = rung("i1")
        assert run(store.commit([first(one)])) == [True]
        own.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable, match=r"out of memory .*; raise its maxmemory"):
            run(store.commit([then(one, accepted(one))]))
        assert run(store.load(["i1"]))["i1"].invitation == one, "what is there can be read"
        own.call("CONFIG", "SET", "maxmemory", "0")
        assert run(store.commit([then(one, accepted(one))])) == [True]


def test_nothing_is_committed_in_every_shard(run: Run, own: RedisServer) -> None:
    with opened(run, f"{own.url}?shards=3") as store:
        assert run(store.commit([])) == []
        assert len(own.call("KEYS", "ringline:*:clock")) == 3


def test_a_server_that_forgets_when_it_is_full_is_no_store(own: RedisServer) -> None:
    own.call("CONFIG", "SET", "maxmemory", "1gb")
    own.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnavailable, match="would forget invitations: set maxmemory-policy noeviction"):
        open_store(own.url, CLOCK)


@pytest.mark.parametrize("shards", [1, 3, 16, 100])
@pytest.mark.parametrize("nodes", [3, 6])
def test_nodes_with_as_many_slots_have_as_many_shards(shards: int, nodes: int) -> None:
    keys = Keys("any", shards)
    of_node = Counter(slot_of(keys.base(shard)) * nodes // SLOTS for shard in keys.shards)
    assert len({keys.base(shard) for shard in keys.shards}) == shards
    for node in range(nodes):
        assert abs(of_node[node] - shards / nodes) < 2, of_node


def test_another_number_of_shards_is_refused(run: Run, own: RedisServer) -> None:
    with opened(run, f"{own.url}?shards=2") as store:
        run(store.commit([first(rung("i1"))]))
    with pytest.raises(StoreUnavailable, match="was made with shards=2, and the URL says shards=1: correct the URL"):
        open_store(own.url, CLOCK)
    with opened(run, f"{own.url}?prefix=other") as other:
        assert run(other.load(["i1"])) == {}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://h?shard=2", "no such option of a redis store: 'shard'; there are shards, wait"),
        ("redis://h?shards=0", "shards must be a number from 1 to 1024, not '0'"),
        ("redis://h?wait=x", "wait must be a number from 0 to 16, not 'x'"),
        ("redis://", "no host and port where it says ''"),
        ("redis://h:x", "no host and port where it says 'h:x'"),
        ("redis://h/x", "the database must be a number, not 'x'"),
        ("redis://secret@h", "must have a colon before the password"),
        ("redis://h?prefix=a{b", "prefix must not be empty, nor have"),
        ("redis+sentinel://h", "must name the service: redis+sentinel://HOST,HOST/SERVICE"),
        ("redis+cluster://h/1", "a cluster has database 0 only"),
        ("rediss://h?ssl_ca_certs=/no/such/file", "a certificate of the store's URL cannot be read"),
        ("redis+mine://:secret@h/0?prefix=x&sentinel_password=secret", "no such store: 'redis+mine://h/0?prefix=x'"),
        ("redis://:sec/ret@h", "a password has %2F for /"),
        ("redis://:sec?ret@h", "a password has %2F for /"),
    ],
)
def test_urls_that_are_wrong(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as wrong:
        open_store(url, CLOCK)
    assert ":sec" not in str(wrong.value)
    assert "=secret" not in str(wrong.value)


# replicas


def test_a_replica_is_no_store(binary: str) -> None:
    with (
        primary_and_replica(binary) as (primary, replica),
        pytest.raises(StoreUnavailable, match=rf"is a read-only replica of {primary.address}; give the primary's"),
    ):
        open_store(replica.url, CLOCK)


def test_nothing_is_answered_before_replicas_have_it(run: Run, binary: str) -> None:
    one = rung("i1")
    two = accepted(one)
    with (
        primary_and_replica(binary) as (primary, replica),
        opened(run, f"{primary.url}?wait=1&wait_ms=2000") as store,
    ):
        assert run(store.commit([first(one)])) == [True]
        assert replica.call("EXISTS", "ringline:{s00}:i:i1") == 1, "it is there when the commit returns"
        replica.pause()
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas have it after 2000 ms; see why they do not follow"):
            run(store.commit([then(one, two)]))
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            run(store.load(["i1"]))  # it would tell of what may yet be lost
        replica.resume()
        until_available(run, store.next_due)
        assert run(store.load(["i1"]))["i1"].invitation == two, "it was written all the same"


def test_a_server_that_becomes_a_replica_says_so(run: Run, binary: str) -> None:
    with primary_and_replica(binary) as (primary, replica), opened(run, primary.url) as store:
        one = rung("i1")
        run(store.commit([first(one)]))
        replica.call("REPLICAOF", "NO", "ONE")
        primary.call("REPLICAOF", "127.0.0.1", replica.port)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="read-only replica"):
                run(store.commit([then(one, accepted(one))]))


# failover


def test_sentinels_lead_to_the_new_primary(run: Run, binary: str) -> None:
    with sentinels(binary) as (watching, primary, replica):
        hosts = ",".join(one.address for one in watching)
        with pytest.raises(StoreUnavailable, match="know no service 'other'"):
            open_store(f"redis+sentinel://{hosts}/other", CLOCK)
        with opened(run, f"redis+sentinel://{hosts}/calls?wait=1") as store:
            answered = commit_each(run, store, "i", 20)
            assert len(answered) == 20
            eventually(replica.follows, "the replica follows")
            primary.kill()
            with pytest.raises(StoreUnavailable):
                run(store.commit([first(rung("while it is gone"))]))
        watching[0].kill()
        hosts = ",".join(one.address for one in watching)
        eventually(lambda: replica.call("ROLE")[0] == b"master", "the replica took over")
        eventually(lambda: _names(watching[1], replica) and _names(watching[2], replica), "the sentinels say so")
        with opened(run, f"redis+sentinel://{hosts}/calls") as store:
            assert set(run(store.load(answered))) == set(answered), "nothing that was answered is lost"
            assert commit_each(run, store, "j", 20)


def test_an_open_store_follows_the_sentinels(run: Run, binary: str) -> None:
    with sentinels(binary) as (watching, primary, _):
        hosts = ",".join(one.address for one in watching)
        with opened(run, f"redis+sentinel://{hosts}/calls") as store:
            answered = commit_each(run, store, "i", 5)
            primary.kill()
            until_available(run, lambda: store.commit([first(rung("after"))]))
            assert set(run(store.load([*answered, "after"]))) >= {"after"}


def _names(sentinel: RedisServer, primary: RedisServer) -> bool:
    return int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "calls")[1]) == primary.port
