"""Whether a server or a worker says that it takes requests, and what it counts of its connections."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.server import Server, ServerConfig
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Store, StoreUnavailable
from ringline_broker.settings import Bounds, ConnectionLimits
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.worker import Worker, WorkerConfig
from tests.support.mosquitto import Mosquitto
from tests.support.redis_servers import QUICK, RedisServer, redis_binary
from tests.support.services import missing

WITHIN_S = 10.0


class FlakyStore(MemoryStore):
    """Can be told to fail, or to say nothing."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.fails = False
        self.silence: asyncio.Event | None = None

    async def next_due(self) -> int | None:
        if self.fails:
            raise StoreUnavailable("it is gone")
        if self.silence is not None:
            await self.silence.wait()
        return await super().next_due()

    async def count_open(self) -> int:
        await self.next_due()
        return await super().count_open()


class FlakyServer(Server):
    def open_store(self) -> Store:
        self.flaky = FlakyStore()
        return self.flaky


class FlakyWorker(Worker):
    def open_store(self) -> Store:
        self.flaky = FlakyStore()
        return self.flaky


def run(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(main)


async def eventually(true: Callable[[], object]) -> None:
    """Look again whenever the loop has had a turn."""
    async with asyncio.timeout(WITHIN_S):
        while not true():
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.005, turn.set_result, None)
            await turn


@asynccontextmanager
async def working(broker: Mosquitto) -> AsyncGenerator[FlakyWorker]:
    worker = FlakyWorker(WorkerConfig(BrokerAddress("127.0.0.1", broker.port), "a secret share"))
    assert await worker.unready() == "starting"
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def test_a_server() -> None:
    async def main() -> None:
        server = FlakyServer(ServerConfig({"default": Listener(port=0)}))
        assert await server.unready() == "starting"
        assert not (await server.reading()).gauges
        await server.start()
        assert await server.unready() == ""
        assert (await server.reading()).gauges.keys() >= {"invitations_open", "requests_waiting", "broker_devices"}
        server.flaky.fails = True
        assert await server.unready() == "the store does not answer: it is gone"
        assert "invitations_open" not in (await server.reading()).gauges
        server.flaky.fails = False
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.ensure_future(_drains(server))
        await stopping

    run(main())


def test_a_store_that_is_full(tmp_path: Path) -> None:
    async def main(broker: Mosquitto, redis: RedisServer) -> None:
        worker = Worker(WorkerConfig(BrokerAddress("127.0.0.1", broker.port), "a secret share", redis.url))
        await worker.start()
        try:
            assert await worker.unready() == ""
            redis.call("CONFIG", "SET", "maxmemory", 1)
            async with asyncio.timeout(WITHIN_S):
                while not (why := await worker.unready()):  # the same millisecond is not written once more
                    pass
            assert re.match("the store takes no writes: redis at .*OOM command not allowed.*; raise its maxmem", why)
            redis.call("CONFIG", "RESETSTAT")
            await eventually(lambda: b"cmdstat_zrangebyscore:calls=3" in redis.call("INFO", "commandstats"))
            assert worker._binding is not None
            assert worker._binding.is_sharing, "it was looked at, and who asks what they missed is still answered"
            redis.call("CONFIG", "SET", "maxmemory", 0)
            assert await worker.unready() == ""
        finally:
            await worker.stop()

    program = redis_binary() or missing("redis-server")
    with Mosquitto(tmp_path) as broker, RedisServer(program, *QUICK) as redis:
        run(main(broker, redis))


async def _drains(one: Server | Worker) -> None:
    assert (await one.unready()).startswith("draining")


def test_a_store_that_says_nothing_does_not_hold_up_the_answer() -> None:
    async def main() -> None:
        server = FlakyServer(ServerConfig({"default": Listener(port=0)}))
        await server.start()
        server.flaky.silence = asyncio.Event()
        asked = asyncio.gather(server.unready(), server.reading())
        why, reading = await asyncio.wait_for(asked, WITHIN_S)
        assert why == "the store does not answer: nothing within 1 s"
        assert "invitations_open" not in reading.gauges
        server.flaky.silence.set()
        await server.stop()

    run(main())


def test_a_worker(tmp_path: Path) -> None:
    async def main(broker: Mosquitto) -> None:
        async with working(broker) as worker:
            binding = worker._binding
            assert binding is not None
            assert await worker.unready() == ""
            binding.pause()
            await eventually(lambda: not binding.is_sharing)
            assert await worker.unready() == "it is not in the share"
            assert (await worker.reading()).gauges["link_paused"] == 1
            binding.resume()
            await eventually(lambda: binding.is_sharing)
            worker.flaky.fails = True
            assert await worker.unready() == "the store does not answer: it is gone"
            worker.flaky.fails = False
            broker.kill()
            await eventually(lambda: not binding.is_connected)
            assert await worker.unready() == "there is no connection to the broker"
            gauges = (await worker.reading()).gauges
            assert (gauges["link_connected"], gauges["link_sharing"]) == (0, 0)
            stopping = asyncio.ensure_future(worker.stop())
            await asyncio.ensure_future(_drains(worker))
            await stopping

    with Mosquitto(tmp_path) as broker:
        run(main(broker))


def test_what_the_broker_took_is_timed(tmp_path: Path) -> None:
    async def main(broker: Mosquitto) -> None:
        async with working(broker) as worker:
            assert worker._binding is not None
            for _ in range(9):
                await worker._binding.publish("ringline/v1/u/ann/evt", b"", None)
            reading = await worker.reading()
            assert sum(reading.histograms["publish_seconds"].counts) == 2, "of every eight the first"
            assert reading.counters["link"].published == 9

    with Mosquitto(tmp_path) as broker:
        run(main(broker))


def test_a_worker_that_leaves_waits_until_the_broker_has_let_it_go(tmp_path: Path) -> None:
    async def main(broker: Mosquitto) -> None:
        async with working(broker) as worker:
            assert worker._binding is not None
            await worker._binding.leave()
            assert not worker._binding.is_sharing
            worker._binding.pause()
            worker._binding.resume()
            await worker._binding.publish("ringline/v1/u/ann/evt", b"", None)
            assert not worker._binding.is_sharing, "it leaves for good"

    with Mosquitto(tmp_path) as broker:
        run(main(broker))


def test_connections_are_counted() -> None:
    async def main() -> None:
        limits = ConnectionLimits(connect_burst=3, connect_rate=1)
        server = Server(ServerConfig({"default": Listener(port=0)}, bounds=Bounds(connect_s=0.1), connections=limits))
        await server.start()
        counters = (await server.reading()).counters["broker"]
        with socket.socket() as silent, socket.socket() as refused, socket.socket() as known, socket.socket() as late:
            for link, hello in ((silent, b""), (refused, _connect(_WILL)), (known, _connect()), (late, b"")):
                link.setblocking(False)
                await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", server.port))
                await asyncio.get_running_loop().sock_sendall(link, hello)
            await eventually(lambda: counters.turned_away and counters.refused and counters.cut_off)
            await eventually(lambda: server._binding is not None and server._binding.standing()["devices"])
            gauges = (await server.reading()).gauges
            assert (gauges["broker_devices"], gauges["broker_logging_in"]) == (1, 0)
        assert (counters.connections, counters.turned_away, counters.refused, counters.cut_off) == (3, 1, 1, 1)
        await server.stop()

    run(main())


_WILL = b"\x00\x01t\x00\x01m"


def _connect(will: bytes = b"") -> bytes:
    """CONNECT of a user, with a clean session."""
    body = b"\x00\x04MQTT\x04" + (b"\x86" if will else b"\x82") + b"\x00<\x00\x01c" + will + b"\x00\x03ann"
    return b"\x10" + bytes([len(body)]) + body
