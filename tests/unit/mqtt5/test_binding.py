"""The worker's binding beside a real Mosquitto: the requests that come to it, and what becomes of its events."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ringline.client import SignalingClient
from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import Reach
from ringline_broker.service.service import Service
from ringline_broker.stores import open_store
from tests.support.mosquitto import Mosquitto
from tests.support.recorder import Recorder
from tests.support.running import LoopThread
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import EVENTS, SHARE, TOPICS, WITHIN_S, Peer, Worker, here, request, run, said

RAISED = "max_inflight_messages 1000\nmax_queued_messages 100000\n"


def test_every_request_comes_once_to_one_of_the_workers(tmp_path: Path) -> None:
    async def scenario(broker: Mosquitto) -> None:
        address = here(broker.port)
        async with Worker(address) as one, Worker(address) as other:
            device = await Peer().join(address)
            told = [device.publish(TOPICS.requests(f"user{n % 50}"), n.to_bytes(2, "big")) for n in range(5_000)]
            assert {await said(one) for one in told} == {Reach.SOMEBODY}
            async with asyncio.timeout(WITHIN_S):
                while len(one.requests) + len(other.requests) < 5_000:
                    await let_run()
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


def test_users_are_remembered_and_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringline_broker.bindings.mqtt5.binding.USERS_KNOWN", 3)
    binding = WorkerBinding(here(1), TOPICS, SHARE, SystemClock())
    came: list[str] = []
    binding.on_request = lambda incoming: came.append(incoming.user)
    users = ["alice", "bob", "alice", "carol", "dave", "alice", "eve", "bob"]
    for user in users:
        binding._take(TOPICS.requests(user), b"", lambda: None)
        binding._take(TOPICS.requests(f"{user}/x"), b"", lambda: None)
        assert TOPICS.requests(user) in binding._users
        assert len(binding._users) <= 3
    assert came == users
    assert binding.counts()["strays"] == len(users)


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
