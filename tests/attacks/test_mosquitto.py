"""A black hole under the configuration that `ringline deploy mosquitto` writes: a user who may log in, and then takes,
forges and overhears whatever MQTT has words for, while others call one another.
"""

import json
import queue
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ringline.client import SignalingClient
from ringline.protocol.requests import Invite, encode_request
from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.roles import CONTROL_ANSWERS, CONTROL_TOPIC
from tests.cli.process import Ringline
from tests.support.bound import BOUND_S
from tests.support.deployed import PASSWORD, Deployed
from tests.support.recorder import Recorder

TOPICS: Final = Topics()
CALLS: Final = 200
AT_ONCE: Final = 20
PROTOCOLS: Final = (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5)
FORGED: Final = encode_request(Invite(id=b"forged--", dev="raw", iid="forged", to=("bob",)))
TAKES_OVER: Final = json.dumps(
    {"commands": [
        {"command": "deleteClient", "username": "alice"},
        {"command": "addClientRole", "username": "mallory", "rolename": "ringline/v1/control"},
    ]}
).encode()  # fmt: skip
FORBIDDEN: Final = {
    TOPICS.requests("alice"): FORGED,
    TOPICS.events("bob"): b"forged",
    TOPICS.answers("bob", "phone"): b"forged",
    TOPICS.group_events("g"): b"forged",
    f"{TOPICS.prefix}/probe/x": b"forged",
    "anything": b"forged",
    "$SYS/broker/uptime": b"forged",
    CONTROL_TOPIC: TAKES_OVER,
    CONTROL_ANSWERS: b"forged",
}
OWN: Final = (TOPICS.events("mallory"), TOPICS.answers("mallory", "raw"), TOPICS.answers("mallory", "+"))


def overheard(share: str) -> tuple[str, ...]:
    """Filters of somebody who would like to hear, or to take, what is others'."""
    requests = TOPICS.requests("+")
    return (
        f"$share/{share}/{requests}", f"$share/other/{requests}", f"$share/{share}/{TOPICS.requests('alice')}",
        "$share/x/#", f"$share/{share}/#", f"$share/x/{TOPICS.events('bob')}", f"$share/x/{TOPICS.events('mallory')}",
        f"$share/x/{TOPICS.group_events('+')}", f"$share/x/{TOPICS.prefix}/probe/+",
        "#", "+/#", "/#", f"{TOPICS.prefix}/#", f"{TOPICS.prefix}/u/+/evt", f"{TOPICS.prefix}/u/mallory/#",
        f"{TOPICS.prefix}/u/mallory/d/#", f"{TOPICS.prefix}/+/mallory/evt", f"{TOPICS.prefix}/g/#",
        TOPICS.events("bob"), TOPICS.answers("bob", "phone"), TOPICS.answers("bob", "+"), TOPICS.answers("+", "+"),
        requests, TOPICS.requests("alice"), TOPICS.requests("mallory"), f"{TOPICS.prefix}/probe/+",
        "$SYS/#", "$SYS/broker/uptime", "$CONTROL/#", "$CONTROL/+/v1", CONTROL_TOPIC, CONTROL_ANSWERS,
        "$CONTROL/dynamic-security/#",
    )  # fmt: skip


class Mallory:
    """One connection of theirs, over either protocol.

    Args:
        port: the broker's.
        protocol: which.
        will: a topic, a payload and whether it is retained.
    """

    def __init__(
        self, port: int, protocol: MQTTProtocolVersion, will: tuple[str, bytes, bool] | None = None
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._over = threading.Event()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "", protocol=protocol, reconnect_on_failure=False
        )
        client.username_pw_set("mallory", PASSWORD)
        if will is not None:
            client.will_set(will[0], will[1], qos=1, retain=will[2])
        client.on_connect = lambda _c, _d, _f, code, _p: self._told.put(code)
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self._told.put(codes)
        client.on_publish = lambda _c, _d, _m, code, _p: self._told.put(code)
        client.on_message = lambda _c, _d, message: self.heard.append((message.topic, bytes(message.payload)))
        client.on_disconnect = lambda *_: self._end()
        client.connect("127.0.0.1", port)
        client.loop_start()
        code = self._told.get(timeout=BOUND_S)
        self.is_in = code is not None and not code.is_failure

    def subscribe(self, wanted: str) -> bool:
        self._client.subscribe(wanted, qos=1)
        return not self._told.get(timeout=BOUND_S)[0].is_failure

    def publish(self, topic: str, payload: bytes) -> bool:
        """Whether the broker says that it took it; MQTT 3.1.1 has no word for no."""
        self._client.publish(topic, payload, qos=1)
        return not self._told.get(timeout=BOUND_S).is_failure

    def is_put_out_for(self, topic: str) -> bool:
        """Whether a retained message ends the connection."""
        self._client.publish(topic, b"kept", qos=0, retain=True)
        return self._over.wait(BOUND_S)

    def _end(self) -> None:
        self._over.set()
        self._told.put(None)

    def die(self) -> None:
        """Leave without a word: the will is due."""
        raw = self._client.socket()
        assert isinstance(raw, socket.socket)
        raw.shutdown(socket.SHUT_RDWR)
        assert self._over.wait(BOUND_S)
        self._client.loop_stop()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    with Deployed(tmp_path, "alice", "bob", "mallory", group_topics=True) as deployed:
        yield deployed


@pytest.fixture
def worker(broker: Deployed) -> Iterator[Ringline]:
    at = f"mqtt://ringline-worker@127.0.0.1:{broker.port}"
    words = ("--store", "memory:", "--request-rate", "0", "--permissions", "dynsec", "--group-topics")
    process = Ringline("worker", "--broker", at, *words, env=broker.env)
    process.line("works beside")
    yield process
    process.interrupt()
    assert not any("Traceback" in line for line in process.err)


def test_a_black_hole_gets_nothing_and_takes_nothing(broker: Deployed, worker: Ringline) -> None:
    heard, counts = Recorder(), Counter[str]()
    with (
        closing(SignalingClient(broker.url("alice"), listener=heard, device="alice")) as alice,
        closing(SignalingClient(broker.url("bob"), listener=(bob_heard := Recorder()), device="phone")) as bob,
        ThreadPoolExecutor(1) as pool,
    ):
        bob_heard.react("receive_new_invitation", lambda event: bob.accept(event.invite_id))
        for client in (alice, bob):
            client.connect()
            assert client.wait_connected(BOUND_S)
        alice.groups.create("g", preset="public", members=["bob"]).result(BOUND_S)
        calls = pool.submit(_call, alice, heard)
        rounds = 0
        while not calls.done() or not rounds:
            rounds += 1
            for protocol in PROTOCOLS:
                counts += _attack(broker, protocol)
        assert calls.result() == CALLS
        bob_heard.wait("invitation_ended", count=CALLS)
        assert {event.inviter for event in bob_heard.events("receive_new_invitation")} == {"alice"}
        assert len(bob_heard.events("receive_new_invitation")) == CALLS
        for recorder in (heard, bob_heard):
            recorder.assert_nothing_twice()
            assert not recorder.events("disconnected")
    assert worker.out
    print(f"{CALLS} calls answered; of the black hole, in {rounds} rounds:", dict(counts))  # noqa: T201


def _call(alice: SignalingClient, heard: Recorder) -> int:
    """How many of so many calls were answered; every other one is heard on the topic of a group."""
    answered = 0
    for _ in range(CALLS // AT_ONCE):
        calls = [alice.invite(["bob"], group_id="g" * (number % 2)) for number in range(AT_ONCE)]
        for call in calls:
            heard.wait("invitee_accepted", invite_id=call.invite_id)
            answered += 1
    return answered


def _attack(broker: Deployed, protocol: MQTTProtocolVersion) -> Counter[str]:
    """Everything once, over one protocol; what was tried, and refused."""
    tried = Counter[str]()
    mallory = Mallory(broker.port, protocol)
    assert mallory.is_in
    for wanted in OWN:
        assert mallory.subscribe(wanted), wanted
    assert mallory.subscribe(TOPICS.group_events("+"))  # granted, so that clients do not take a group for lost; mute
    for wanted in overheard(broker.share):
        assert not mallory.subscribe(wanted), wanted
        tried["subscriptions refused"] += 1
    for topic, payload in FORBIDDEN.items():
        taken = mallory.publish(topic, payload)
        assert taken == (protocol is MQTTProtocolVersion.MQTTv311), topic
        tried["messages refused"] += 1
    for topic, payload in FORBIDDEN.items():
        dying = Mallory(broker.port, protocol, (topic, payload, False))
        if dying.is_in:
            dying.die()
        tried["wills refused"] += 1
    kept = Mallory(broker.port, protocol, (TOPICS.events("bob"), b"forged", True))
    assert not kept.is_in
    kept.close()
    assert mallory.heard == []
    assert mallory.is_put_out_for(TOPICS.requests("mallory"))
    mallory.close()
    tried["retained messages refused"] += 2
    return tried
