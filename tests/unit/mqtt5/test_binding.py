"""The worker's binding beside a real Mosquitto."""

import asyncio
import logging
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mqtt5
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ringline.client import SignalingClient
from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, TlsFailed
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Reach
from ringline_broker.service.service import Service
from ringline_broker.stores import open_store
from ringline_broker.testing import ManualClock
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto, find_mosquitto
from tests.support.recorder import Recorder
from tests.support.running import LoopThread, free_port
from tests.unit.mqtt5.peers import SHARE, TOPICS, WITHIN_S, FakeBroker, Peer, Visit, Worker, here, run, said, turns

RAISED = "max_inflight_messages 1000\nmax_queued_messages 100000\n"
EVENTS = TOPICS.events("bob")


async def eventually(worker: Worker, so: Callable[[], bool]) -> None:
    """Until something is so; looked at after each answer of the broker to this worker."""
    async with asyncio.timeout(WITHIN_S):
        while not so():
            await worker.binding.publish(TOPICS.events("nobody"), b"", None)


async def request(peer: Peer, worker: Worker, user: str = "alice") -> None:
    """Repeat a request, as a client would, until this worker has it."""
    before = len(worker.requests)
    async with asyncio.timeout(WITHIN_S):
        while len(worker.requests) == before:
            await peer.publish(TOPICS.requests(user), b"")


def test_every_request_comes_once_to_one_of_the_workers(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port)
        async with Worker(address) as one, Worker(address) as other:
            device = await Peer().join(address)
            told = [device.publish(TOPICS.requests(f"user{n % 50}"), n.to_bytes(2, "big")) for n in range(5_000)]
            assert {await said(one) for one in told} == {Reach.SOMEBODY}
            async with asyncio.timeout(WITHIN_S):
                while len(one.requests) + len(other.requests) < 5_000:
                    await turns()
            for worker in (one, other):  # whatever came twice would have come before these answers
                await said(worker.binding.publish(EVENTS, b"", None))
            came = Counter((r.user, r.payload) for r in one.requests + other.requests)
            assert came == Counter((f"user{n % 50}", n.to_bytes(2, "big")) for n in range(5_000))
            assert min(len(one.requests), len(other.requests)) > 1_000
            assert {r.received_ms for r in one.requests} == {1_234}
            counts = one.binding.counts()
            assert (counts["requests"], counts["unsettled"], counts["sharing"]) == (len(one.requests), 0, 1)
            device.close()

    with Mosquitto(tmp_path, RAISED) as broker:
        run(scenario(broker))


def test_a_worker_keeps_to_its_brokers_receive_maximum(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        bob = await Peer().join(here(broker.port), EVENTS)
        async with Worker(here(broker.port)) as worker:
            assert worker.binding.report is not None
            assert worker.binding.report.receive_max == 3
            told = [worker.binding.publish(EVENTS, bytes((n,)), None) for n in range(100)]
            assert (worker.binding.counts()["in_flight"], worker.binding.counts()["waiting"]) == (3, 97)
            for one in told:
                assert await said(one) is Reach.SOMEBODY
                assert worker.binding.counts()["in_flight"] <= 3
            await bob.until(lambda: len(bob.came) == 100)
            assert [payload for _, payload in bob.came] == [bytes((n,)) for n in range(100)]
        bob.close()

    with Mosquitto(tmp_path, "max_inflight_messages 3\n") as broker:
        run(scenario(broker))


def test_whether_anybody_was_there_is_told(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        async with Worker(here(broker.port)) as worker:
            assert await said(worker.binding.publish(EVENTS, b"1", None)) is Reach.NOBODY
            bob = await Peer().join(here(broker.port), EVENTS)
            assert await said(worker.binding.publish(EVENTS, b"2", 30_000)) is Reach.SOMEBODY
            await bob.until(lambda: bool(bob.came))
            assert bob.came == [(EVENTS, b"2")]
            bob.close()
            await eventually_nobody(worker)
            counts = worker.binding.counts()
            assert (counts["waiting"], counts["in_flight"], counts["refused"]) == (0, 0, 0)

    async def eventually_nobody(worker: Worker) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await worker.binding.publish(EVENTS, b"3", None) is not Reach.NOBODY:
                pass

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


def test_a_device_of_mqtt_5_sees_how_long_an_event_is_of_use(tmp_path: Path) -> None:
    came: list[MQTTMessage] = []

    async def scenario(broker: Mosquitto) -> None:
        loop, done, subscribed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def take(_client: Client, _userdata: object, message: MQTTMessage) -> None:
            came.append(message)
            loop.call_soon_threadsafe(done.set)

        def granted(*_: object) -> None:
            loop.call_soon_threadsafe(subscribed.set)

        device = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        device.on_message = take
        device.on_subscribe = granted
        device.connect("127.0.0.1", broker.port)
        device.loop_start()
        device.subscribe(EVENTS, qos=1)
        try:
            async with asyncio.timeout(WITHIN_S):
                await subscribed.wait()
                async with Worker(here(broker.port)) as worker:
                    await worker.binding.publish(EVENTS, b"news", 59_001)
                    await done.wait()
        finally:
            device.disconnect()
            device.loop_stop()

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))
    assert came[0].properties is not None
    left_s = vars(came[0].properties)["MessageExpiryInterval"]
    assert 50 <= left_s <= 60


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
                    await turns()
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


def test_a_worker_that_settles_nothing_takes_no_more_than_its_receive_maximum(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port)
        async with Worker(address, LinkBounds(receive_max=5), settles=False) as worker:
            device = await Peer().join(address)
            told = [device.publish(TOPICS.requests("alice"), bytes((n,))) for n in range(50)]
            for one in told:
                await said(one)
            # what the broker had sent it before this answer has come
            await said(worker.binding.publish(EVENTS, b"", None))
            assert len(worker.requests) == 5
            assert worker.binding.counts()["unsettled"] == 5
            at = 0
            while at < 50:
                await worker.until(lambda: len(worker.requests) > at)  # noqa: B023 - awaited within its turn
                worker.requests[at].settle()
                at += 1
                assert worker.binding.counts()["unsettled"] <= 5
            assert [r.payload for r in worker.requests] == [bytes((n,)) for n in range(50)]
            device.close()

    with Mosquitto(tmp_path, RAISED) as broker:
        run(scenario(broker))


def test_a_worker_whose_broker_takes_no_events_takes_no_requests() -> None:
    """Else what they bring about would queue without bound."""

    async def scenario() -> None:
        taken = asyncio.Event()

        async def part(visit: Visit) -> None:
            await visit.accept(receive_max=2)
            visit.send(*(mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=n) for n in range(1, 7)))
            acks = 0
            events: list[int] = []
            while len(events) < 2:
                packet = await visit.read()
                acks += isinstance(packet, mqtt5.PubAckPacket)
                events += [packet.packet_id or 0] if isinstance(packet, mqtt5.PublishPacket) else []
            await taken.wait()
            visit.send(mqtt5.PingRespPacket())
            assert acks <= 5  # behind since its fifth event waits: a quarter of 10, and two under way
            held.append(6 - acks)
            while acks < 6 or events:
                if events:
                    visit.send(mqtt5.PubAckPacket(events.pop(0)))
                packet = await visit.read()
                acks += isinstance(packet, mqtt5.PubAckPacket)
                events += [packet.packet_id or 0] if isinstance(packet, mqtt5.PublishPacket) else []

        held: list[int] = []
        async with FakeBroker(part) as broker:
            peer = Peer(LinkBounds(max_messages=10), settles=False)
            await peer.join(here(broker.port))
            await peer.until(lambda: len(peer.settle) == 6)
            for settle in peer.settle:
                peer.publish(EVENTS)
                settle()
            assert peer.connection.unsettled == 0
            assert peer.connection._receipts.owed > 0
            taken.set()
            await peer.ended()
            assert held[0] > 0

    run(scenario())


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
                    await turns()
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
        assert await said(worker.binding.publish(EVENTS, b"after the end", None)) is Reach.UNKNOWN
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
            await turns()
            clock.advance(1_999)
            await turns()
            assert not stopping.done()
            clock.advance(1)
            await said(stopping)
            assert told.result() is Reach.UNKNOWN
            assert binding.counts()["abandoned"] == 1

    run(scenario())
    assert left == [f"$share/{SHARE}/{TOPICS.requests('+')}"], "the requests go to others meanwhile"


def test_messages_on_topics_that_are_no_request_topics_are_passed_over(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        async with Worker(here(broker.port), LinkBounds(receive_max=2)) as worker:
            device = await Peer().join(here(broker.port))
            for _ in range(5):
                await said(device.publish(TOPICS.requests("$user")))
            await request(device, worker)
            assert {r.user for r in worker.requests} == {"alice"}
            assert worker.binding.counts()["strays"] == 5
            device.close()

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


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
        with pytest.raises(TlsFailed, match="certificate is not trusted"):
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
        await turns(100)
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(WITHIN_S):
            while not starting.done():
                clock.advance(10)
                await turns()
        await starting
        assert worker.binding.is_sharing
        await worker.binding.stop()

    with closing(_Stopped(tmp_path)) as broker:
        run(scenario(broker.mosquitto))


class _Stopped:
    """A broker that is started later."""

    def __init__(self, folder: Path) -> None:
        self.mosquitto = Mosquitto(folder)

    def close(self) -> None:
        self.mosquitto.stop()


def test_a_call_goes_through(tmp_path: Path) -> None:
    """The service over this binding, real devices on both sides."""

    async def serve(port: int, up: Callable[[], None], over: asyncio.Event) -> None:
        clock = SystemClock()
        binding = WorkerBinding(here(port), TOPICS, SHARE, clock)
        service = Service(open_store("memory:", clock), binding, clock)
        binding.on_request, binding.now = service.take, service.now
        await service.start()
        await binding.start()
        up()
        await over.wait()
        await service.stop()
        await binding.stop()

    with Mosquitto(tmp_path) as broker, closing(LoopThread()) as thread:
        is_up, over = threading.Event(), asyncio.Event()
        serving = thread.submit(serve(broker.port, is_up.set, over))
        try:
            assert is_up.wait(WITHIN_S)
            heard = {user: Recorder() for user in ("alice", "bob")}
            alice, bob = (
                SignalingClient(f"mqtt://127.0.0.1:{broker.port}", user=user, listener=heard[user])
                for user in ("alice", "bob")
            )
            for client in (alice, bob):
                client.connect()
                assert client.wait_connected(WITHIN_S)
            call = alice.invite(["bob", "carol"])
            heard["bob"].wait("receive_new_invitation", invite_id=call.invite_id)
            assert heard["alice"].wait("invitation_created").offline == ("carol",)
            bob.accept(call.invite_id).result(WITHIN_S)
            assert heard["alice"].wait("invitee_accepted").invitee == "bob"
            for client in (alice, bob):
                client.close()
        finally:
            thread.call(over.set)
            serving.result(WITHIN_S)


@pytest.mark.parametrize("share", ["", "a/b", "+", "#", "$x", 65 * "x"])
def test_a_share_name_that_no_broker_takes(share: str) -> None:
    with pytest.raises(ValueError, match="the share's name must"):
        WorkerBinding(here(1883), TOPICS, share, SystemClock())
