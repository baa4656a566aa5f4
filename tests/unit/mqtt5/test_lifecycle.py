"""The worker's binding from its start to its stop, beside a real Mosquitto: logging in, pausing, losing its broker."""

import asyncio
import logging
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, TlsFailed
from ringline_broker.service.ports import Reach
from ringline_broker.testing import ManualClock
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto, find_mosquitto
from tests.support.running import free_port
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import (
    EVENTS,
    SHARE,
    TOPICS,
    WITHIN_S,
    FakeBroker,
    Peer,
    Visit,
    Worker,
    here,
    request,
    run,
    said,
)


async def eventually(worker: Worker, so: Callable[[], bool]) -> None:
    """Until something is so; looked at after each answer of the broker to this worker."""
    async with asyncio.timeout(WITHIN_S):
        while not so():
            await worker.binding.publish(TOPICS.events("nobody"), b"", None)


def test_a_broker_killed_and_started_again_has_its_worker_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(broker: Mosquitto) -> None:
        clock, address = ManualClock(), here(broker.port)
        async with Worker(address, clock=clock) as worker:
            device = await Peer().join(address)
            await request(device, worker)
            await asyncio.to_thread(broker.kill)
            async with asyncio.timeout(WITHIN_S):
                while worker.binding.counts()["connected"]:
                    await let_run()
            lost = worker.binding.publish(EVENTS, b"in the gap", 60_000)
            await asyncio.to_thread(broker.start)
            bob = await Peer().join(address, EVENTS)
            clock.advance(10_000)
            assert await said(lost) is Reach.SOMEBODY
            await bob.until(lambda: bool(bob.came))
            assert bob.came == [(EVENTS, b"in the gap")]
            device = await Peer().join(address)
            await request(device, worker)
            assert worker.binding.counts()["reconnects"] == 1
            for peer in (bob, device):
                peer.close()

    with caplog.at_level(logging.WARNING), Mosquitto(tmp_path) as broker:
        run(scenario(broker))
    assert f"connection to the broker at 127.0.0.1:{broker.port} lost" in caplog.text


def test_a_paused_worker_leaves_the_requests_to_the_others(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port)
        async with Worker(address) as one, Worker(address) as other:
            device = await Peer().join(address)
            one.binding.pause()
            one.binding.pause()
            await eventually(one, lambda: not one.binding.is_sharing)
            before = len(one.requests)
            for _ in range(20):
                assert await said(device.publish(TOPICS.requests("alice"))) is Reach.SOMEBODY
            await said(one.binding.publish(EVENTS, b"", None))
            assert len(one.requests) == before
            other.binding.pause()
            await eventually(other, lambda: not other.binding.is_sharing)
            assert await said(device.publish(TOPICS.requests("alice"))) is Reach.NOBODY
            one.binding.resume()
            await request(device, one)
            assert one.binding.counts()["pauses"] == 1
            assert one.binding.counts()["reconnects"] == 0
            device.close()

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


def test_a_worker_that_pauses_while_its_broker_is_away_comes_back_paused(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        clock, address = ManualClock(), here(broker.port)
        async with Worker(address, clock=clock) as worker:
            await asyncio.to_thread(broker.kill)
            worker.binding.pause()
            async with asyncio.timeout(WITHIN_S):
                while worker.binding.counts()["connected"]:
                    await let_run()
            await asyncio.to_thread(broker.start)
            clock.advance(10_000)
            await said(worker.binding.publish(EVENTS, b"", None))
            device = await Peer().join(address)
            assert await said(device.publish(TOPICS.requests("alice"))) is Reach.NOBODY
            worker.binding.resume()
            await request(device, worker)
            device.close()

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


def test_what_is_published_before_the_start_goes_out_with_it_and_what_waits_at_the_end_too(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        bob = await Peer().join(here(broker.port), EVENTS)
        worker = Worker(here(broker.port))
        early = [worker.binding.publish(EVENTS, bytes((n,)), None) for n in range(30)]
        async with worker:
            assert {await said(one) for one in early} == {Reach.SOMEBODY}
            late = [worker.binding.publish(EVENTS, bytes((n,)), None) for n in range(30, 200)]
        assert {one.result() for one in late} == {Reach.SOMEBODY}
        assert await said(worker.binding.publish(EVENTS, b"after the end", None)) is Reach.LOST
        await worker.binding.stop()
        await bob.until(lambda: len(bob.came) == 200)
        assert [payload for _, payload in bob.came] == [bytes((n,)) for n in range(200)]
        bob.close()

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


def test_stopping_waits_for_a_broker_that_acknowledges_nothing_two_seconds_and_no_longer() -> None:
    left: list[str] = []

    async def part(visit: Visit) -> None:
        await visit.accept()
        while True:
            packet = await visit.read()
            if isinstance(packet, mqtt5.SubscribePacket):
                visit.send(mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]))
            elif isinstance(packet, mqtt5.UnsubscribePacket):
                left.extend(packet.patterns)
                visit.send(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode.SUCCESS]))

    async def scenario() -> None:
        clock = ManualClock()
        async with FakeBroker(part) as broker:
            binding = WorkerBinding(here(broker.port), TOPICS, SHARE, clock)
            keeper = binding._new_keeper()  # without the self-test, which such a broker does not pass
            await keeper.start(WITHIN_S)
            told = binding.publish(EVENTS, b"", None)
            stopping = asyncio.ensure_future(binding.stop())
            await let_run()
            clock.advance(1_999)
            await let_run()
            assert not stopping.done()
            clock.advance(1)
            await said(stopping)
            assert told.result() is Reach.LOST
            assert binding.counts()["abandoned"] == 1

    run(scenario())
    assert left == [f"$share/{SHARE}/{TOPICS.requests('+')}"], "the requests go to others meanwhile"


def test_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    config = f"certfile {certificates.certfile}\nkeyfile {certificates.keyfile}\n"

    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port, tls=certificates.trusting())
        async with Worker(address) as worker:
            device = await Peer().join(address)
            await request(device, worker)
            assert worker.binding.report is not None
            assert worker.binding.report.is_fit
            device.close()
        with pytest.raises(TlsFailed, match=r"certificate is not trusted: .*; give its authority with --cafile FILE"):
            await Worker(here(broker.port, tls=certificates.distrusting())).binding.start()
        with pytest.raises(BrokerUnreachable):
            await Worker(here(broker.port)).binding.start(0.3)

    with Mosquitto(tmp_path, config) as broker:
        run(scenario(broker))


def test_tls_towards_a_broker_without_it(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port, tls=Certificates(tmp_path).trusting())
        with pytest.raises((TlsFailed, BrokerUnreachable)):
            await Worker(address).binding.start(0.3)

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


def test_a_login(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.touch()
    users.chmod(0o600)
    program = Path(find_mosquitto()).parent.parent / "bin/mosquitto_passwd"
    subprocess.run([program, "-b", users, "worker", "secret"], check=True, capture_output=True)

    async def scenario(broker: Mosquitto) -> None:
        async with Worker(here(broker.port, username="worker", password=b"secret")) as worker:
            assert worker.binding.is_sharing
        for wrong in ({"username": "worker", "password": b"guess"}, {}):
            with pytest.raises(LoginRefused, match=r"reason 0x8[67]") as refused:
                await Worker(here(broker.port, **wrong), clock=ManualClock()).binding.start()  # no second attempt
            assert refused.value.code in {0x86, 0x87}

    with Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {users}\n") as broker:
        run(scenario(broker))


def test_a_broker_that_is_not_there_at_the_start(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        with pytest.raises(BrokerUnreachable, match="no broker at"):
            await Worker(here(free_port())).binding.start(0.2)
        clock = ManualClock()
        worker = Worker(here(broker.port), clock=clock)
        starting = asyncio.ensure_future(worker.binding.start())
        await let_run(100)
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(WITHIN_S):
            while not starting.done():
                clock.advance(10)
                await let_run()
        await starting
        assert worker.binding.is_sharing
        await worker.binding.stop()

    with closing(_Stopped(tmp_path)) as broker:
        run(scenario(broker.mosquitto))


def test_what_is_in_the_way_of_the_start_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    visits = 0

    async def hangs_up(visit: Visit) -> None:
        nonlocal visits
        await visit.read()
        visits += 1

    async def scenario() -> None:
        clock = ManualClock()
        async with FakeBroker(hangs_up) as broker:
            starting = asyncio.ensure_future(Worker(here(broker.port), clock=clock).binding.start())
            async with asyncio.timeout(WITHIN_S):
                while visits < 5:
                    await let_run()
                    clock.advance(10)
            starting.cancel()
            await asyncio.wait((starting,))

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert [one.getMessage() for one in caplog.records] == ["the broker closed the connection; trying again for 10 s"]


class _Stopped:
    """A broker that is started later."""

    def __init__(self, folder: Path) -> None:
        self.mosquitto = Mosquitto(folder)

    def close(self) -> None:
        self.mosquitto.stop()
