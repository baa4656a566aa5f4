"""What is left after many connections that ended in every way there is: nothing."""

import asyncio
import gc
from collections import Counter

from amqtt.session import Session

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.device import Device
from ringline_broker.bindings.amqtt.link import StreamLink
from ringline_broker.bindings.amqtt.websocket import WebSocketLink
from ringline_broker.settings import Bounds
from tests.attacks.raw_mqtt import GOODBYE, Attacker, connect_packet, publish_packet, subscribe_packet
from tests.attacks.targets import SLOW, TOPICS, Ours

ROUNDS = 1_000
BOB = TOPICS.events("bob")
KEPT = (Device, Session, StreamLink, WebSocketLink)


def _round(ours: Ours, number: int, ports: dict[str, int]) -> None:
    attacker = Attacker.websocket(ports["ws"]) if number % 10 == 0 else Attacker.tcp(ports["default"])
    with attacker:
        match number % 7:
            case 0:
                assert attacker.connect("bob", "a guess") == 4
            case 1:
                assert attacker.connect("bob", will=(BOB, b"forged")) == 5
            case 2:
                attacker.send(b"\x10\x02no")
                assert attacker.is_ended()
            case _:
                assert attacker.connect("bob", client_id="phone" if number % 7 < 5 else "") == 0
                assert attacker.subscribe(BOB, TOPICS.answers("bob", "phone")) == [1, 1]
                attacker.publish(TOPICS.requests("bob"), b"accept")
                ours.event(BOB, b"invited")
                assert attacker.hears(b"invited")
                attacker.send(GOODBYE if number % 2 else b"\xf0\x00")


def _kept() -> dict[str, int]:
    gc.collect()
    found = Counter(type(one) for one in gc.get_objects() if isinstance(one, KEPT))
    return {kind.__name__: count for kind, count in found.items()}


def test_a_thousand_connections_leave_nothing_behind() -> None:
    before = _kept()
    with Ours(listeners={"default": Listener(port=0), "ws": Listener(port=0, websocket=True)}) as ours:
        ports = ours.binding.ports()
        tasks = len(asyncio.all_tasks(ours.loop.loop))
        for number in range(ROUNDS):
            _round(ours, number, ports)
        ours.wait_for_connections(0)
        ours.loop.call(lambda: None)
        left = {
            "connections": len(ours.broker._devices),
            "sessions": ours.sessions,
            "filters": len(ours.filters),
            "tasks": len(asyncio.all_tasks(ours.loop.loop)) - tasks,
        }
        objects = Counter(_kept()) - Counter(before)
        print(f"after {ROUNDS} connections: {left}, {dict(objects)}")  # noqa: T201 - the proof is a count
        assert not any(left.values())
        assert objects.total() < 10, "more than the last of them"


def test_who_leaves_while_a_password_is_checked_leaves_nothing_behind() -> None:
    with Ours(Bounds(connect_s=0.3)) as ours:
        for _ in range(20):
            with Attacker.tcp(ours.port) as impatient:
                impatient.send(connect_packet("bob", SLOW), subscribe_packet(1, (BOB, 1)), publish_packet(BOB, b""))
        with Attacker.tcp(ours.port) as impatient:
            impatient.send(connect_packet("bob", SLOW))
            assert impatient.is_ended(5.0)
        ours.doorman.slow_is_right = True
        ours.doorman.answer()
        ours.wait_for_connections(0)
        assert (ours.filters, ours.sessions) == ([], 0)
