"""The redis store over a cluster: nodes that fail, and slots that move."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from ringline_broker.service.ports import StoreUnavailable
from tests.stores.kinds import Run
from tests.stores.made import NOW, accepted, first, rung, then, timed_out
from tests.stores.made_groups import first as first_group
from tests.stores.made_groups import founded, member
from tests.stores.redis_keys import BASE, indexes_in, indexes_of_records
from tests.stores.test_redis import commit_each, opened, until_available
from tests.support.redis_servers import RedisServer, cluster, eventually


def test_a_cluster_and_its_failover(run: Run, binary: str) -> None:
    with cluster(binary) as nodes:
        hosts = ",".join(node.address for node in nodes[:2])
        with opened(run, f"redis+cluster://{hosts}?shards=16&wait=1&wait_ms=1000") as store:
            answered = commit_each(run, store, "i", 200)
            assert len(answered) == 200
            one, group = rung("g1 i"), founded("g1")
            assert run(store.commit_groups([first_group(group, member("ann"), member("ben"))])) == [True]
            assert run(store.groups_of("ben", "", 10)) == [("g1", 1)]
            assert run(store.block("ann", {"eve": "m"}, 10))
            assert len(run(store.of_user("ben", None, "", 1_000))) == 200
            assert run(store.commit([first(one), then(one, accepted(one))])) == [True, True]
            assert all(node.call("DBSIZE") > 0 for node in nodes[:3]), "each node has a part"

            nodes[0].kill()
            eventually(lambda: nodes[3].call("ROLE")[0] == b"master", "its replica took over")
            nodes[0].start()  # which is a replica now: with wait=1 its shards are served again
            until_available(run, store.next_due)
            until_available(run, lambda: store.usage(["ann"]))
            held = run(store.load(answered))
            assert set(held) == set(answered), "nothing that was answered is lost"
            assert run(store.usage(["ann"]))["ann"].open == 200
            assert len(commit_each(run, store, "j", 200)) == 200
            assert run(store.blocked("ann", "", 10)) == ["eve"]
            late = {one.invitation.iid for one in run(store.claim_unmarked(0, 1_000))}
            assert late >= set(answered)


def test_nodes_that_are_no_primaries_any_more_are_forgotten(run: Run, binary: str) -> None:
    with cluster(binary) as nodes, opened(run, f"redis+cluster://{nodes[3].address}?shards=3") as store:

        def ports(*places: int) -> set[int]:
            return {nodes[at].port for at in places}

        run(store.next_due())
        assert _connections(nodes[0]) == 2, "the store's, and that which asks"
        nodes[3].call("CLUSTER", "FAILOVER")
        eventually(lambda: _primaries(nodes) == ports(1, 2, 3), "its replica took over")
        nodes[1].kill()
        eventually(lambda: _primaries([nodes[0], *nodes[2:]]) == ports(2, 3, 4), "its replica took over")
        until_available(run, store.next_due)
        run(asyncio.to_thread(eventually, lambda: _connections(nodes[0]) == 1, "the store has let go of it"))
        nodes[2].kill()
        with socket.create_server(("127.0.0.1", nodes[1].port)) as nobody:
            eventually(lambda: _primaries([nodes[0], *nodes[3:]]) == ports(3, 4, 5), "its replica took over")
            until_available(run, store.next_due)
            nobody.setblocking(False)
            with pytest.raises(BlockingIOError):
                nobody.accept()


def _connections(node: RedisServer) -> int:
    return int(node.call("CLIENT", "LIST", "TYPE", "normal").count(b"\n"))


def _primaries(nodes: list[RedisServer]) -> set[int]:
    """The ports of all that one of these nodes takes for a primary with slots."""
    return {int(primary[1]) for node in nodes for _, _, primary, *_ in node.call("CLUSTER", "SLOTS")}


@contextmanager
def moving(nodes: list[RedisServer], key: str) -> Generator[RedisServer]:
    """Inside, the first shard's slot is being moved, and of its keys this one is on the other side already; afterwards
    all are there. Yields where it goes.
    """
    slot = nodes[0].call("CLUSTER", "KEYSLOT", f"{BASE}clock")
    home = next(node for node in nodes[:3] if node.call("DBSIZE"))
    other = next(node for node in nodes[:3] if node is not home)
    other.call("CLUSTER", "SETSLOT", slot, "IMPORTING", home.call("CLUSTER", "MYID"))
    home.call("CLUSTER", "SETSLOT", slot, "MIGRATING", other.call("CLUSTER", "MYID"))
    home.call("MIGRATE", "127.0.0.1", other.port, "", 0, 5_000, "KEYS", f"{BASE}{key}")
    yield other
    keys = home.call("CLUSTER", "GETKEYSINSLOT", slot, 1_000)
    home.call("MIGRATE", "127.0.0.1", other.port, "", 0, 5_000, "KEYS", *keys)
    for node in (other, home):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", other.call("CLUSTER", "MYID"))


def test_a_cluster_that_moves_a_slot_is_followed(run: Run, binary: str) -> None:
    with cluster(binary) as nodes, opened(run, f"redis+cluster://{nodes[0].address}") as store:
        answered = commit_each(run, store, "i", 5)
        with moving(nodes, "clock"), pytest.raises(StoreUnavailable, match="the slot of these keys is being moved"):
            run(store.commit([first(rung(f"while it moves {at}")) for at in range(3)]))
        assert set(run(store.load(answered))) == set(answered)
        assert len(commit_each(run, store, "j", 5)) == 5


def test_what_is_forgotten_while_its_slot_moves_is_forgotten_whole(run: Run, binary: str) -> None:
    """Else a record or what it counts for would stay for ever, of which nothing says any more that it is over."""
    with cluster(binary) as nodes, opened(run, f"redis+cluster://{nodes[0].address}") as store:
        assert run(store.commit_groups([first_group(founded("g1"), member("ann"))])) == [True]  # there is all in KEYS
        homes = list(nodes)
        for key in ("i:late", "c:ann", "u:ben"):
            early, late = rung("early", by="zoe", to=("cas",)), rung("late", now=NOW + 1)
            assert run(store.commit([first(early), first(late)])) == [True, True]
            assert run(store.commit([then(early, timed_out(early)), then(late, timed_out(late))])) == [True, True]
            with moving(homes, key) as other:
                for _ in range(2):
                    with pytest.raises(StoreUnavailable, match="the slot of these keys is being moved"):
                        run(store.purge(NOW + 100_000, 10))
            assert run(store.purge(NOW + 100_000, 10)) == 1, "the other went at once"
            assert indexes_in(other) == indexes_of_records(other)
            assert run(store.load(["early", "late"])) == {}
            assert set(run(store.usage(["ann", "zoe"]))) == {"ann"}
            homes = [other, *(node for node in nodes[:3] if node is not other)]
