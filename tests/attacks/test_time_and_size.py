"""Attacks that hold the broker up, or fill its memory. What aMQTT suffers as it is shipped is shown on it first."""

import resource
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosed

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.settings import Bounds
from tests.attacks.raw_mqtt import (
    GOODBYE,
    PING,
    PUBACK,
    Attacker,
    Ended,
    SocketWire,
    connect_packet,
    device,
    length,
    publish_packet,
    subscribe_packet,
    text,
)
from tests.attacks.targets import SLOW, TOPICS, Ours, Stock, Target, next_request
from tests.support.bound import BOUND_S
from tests.support.certificates import Certificates

ALICE, BOB = TOPICS.requests("alice"), TOPICS.events("bob")
HASTY = Bounds(connect_s=0.3)
HUGE = 60_000_000


def _drips(attacker: Attacker, packet: bytes, every_s: float, count: int) -> bool:
    """Send so many bytes of a packet one by one; whether the connection is ended on the way."""
    for byte in packet[:count]:
        with suppress(OSError, ConnectionClosed):
            attacker.send(bytes([byte]))
        if attacker.is_ended(every_s):
            return True
    return False


def test_s8_a_silent_connection_is_held_for_ever() -> None:
    def works_on(target: Target) -> bool:
        with Attacker.tcp(target.port) as silent:
            return not silent.is_ended(2.0)

    with Stock() as stock, Ours(HASTY) as ours:
        assert works_on(stock)
        assert not works_on(ours)


def test_s8_a_connect_that_drips_is_held_as_long_as_it_drips() -> None:
    def works_on(target: Target) -> bool:
        with Attacker.tcp(target.port) as slow:
            return not _drips(slow, connect_packet("bob", "x" * 100), 0.1, 25)

    with Stock() as stock, Ours(HASTY) as ours:
        assert works_on(stock)
        assert not works_on(ours)


def test_s8_a_later_packet_that_drips_is_held_as_long_as_it_drips() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "alice") as slow:
            return not _drips(slow, publish_packet(ALICE, b"x" * 100), 0.1, 25)

    with Stock() as stock, Ours(Bounds(packet_s=0.3)) as ours:
        assert works_on(stock)
        assert not works_on(ours)


def test_s8_between_packets_a_device_may_be_silent_longer_than_a_packet_may_take() -> None:
    with Ours(Bounds(connect_s=0.2, packet_s=0.2)) as ours, device(ours.port, "alice") as idle:
        assert not idle.is_ended(1.2)
        idle.publish(ALICE, b"invite")


@pytest.mark.parametrize("kind", ["tls", "websocket"])
def test_s8_a_connection_that_never_says_what_it_is(kind: str, tmp_path: Path) -> None:
    files = Certificates(tmp_path)
    listener = {
        "tls": Listener(port=0, certfile=files.certfile, keyfile=files.keyfile),
        "websocket": Listener(port=0, websocket=True),
    }[kind]
    with Ours(HASTY, {"default": listener}) as ours:
        with Attacker.tcp(ours.port) as silent:
            assert silent.is_ended(5.0)
        with Attacker.tcp(ours.port) as half:
            half.send(b"\x16\x03" if kind == "tls" else b"GET /mqtt HT")
            assert half.is_ended(5.0)


def test_s8_a_websocket_that_stays_silent_after_its_handshake() -> None:
    with Ours(HASTY, {"default": Listener(port=0, websocket=True)}) as ours:
        with Attacker.websocket(ours.port) as silent:
            assert silent.is_ended(5.0)
        with Attacker.websocket(ours.port) as slow:
            assert _drips(slow, connect_packet("bob", "x" * 100), 0.1, 30)


def test_s9_a_huge_packet_is_taken() -> None:
    def works_on(target: Target, size: int) -> bool:
        chunk = bytes(65_536)
        left = size - len(ALICE) - 4
        with device(target.port, "alice") as mallory:
            try:
                mallory.send(b"\x32" + length(size), text(ALICE), b"\0\1")
                for _ in range(left // len(chunk)):
                    mallory.send(chunk)
                mallory.send(bytes(left % len(chunk)))
                return mallory.receive().kind == PUBACK
            except (OSError, Ended):
                return False

    with Stock() as stock:
        assert works_on(stock, HUGE // 6)  # all of it works too, and takes ten seconds
    with Ours() as ours:
        before = _resident()
        assert not works_on(ours, HUGE)
        grown = _resident() - before
    print(f"resident memory grew by {grown / 1e6:.1f} MB")  # noqa: T201 - the proof is a count
    assert grown < HUGE / 4


def test_s9_the_length_alone_ends_it() -> None:
    with Ours() as ours:
        with device(ours.port, "alice") as mallory:
            mallory.send(b"\x32" + length(HUGE))
            assert mallory.is_ended()
        with Attacker.tcp(ours.port) as stranger:
            stranger.send(b"\x10" + length(HUGE))
            assert stranger.is_ended()
        with device(ours.port, "alice") as mallory:
            mallory.send(b"\x32\xff\xff\xff\xff\x7f")
            assert mallory.is_ended()


def test_s9_what_is_just_within_the_limit_is_taken() -> None:
    with Ours(Bounds(packet_bytes=1_000)) as ours:
        payload = b"x" * (1_000 - len(ALICE) - 4)
        with device(ours.port, "alice") as alice:
            alice.publish(ALICE, payload)
            assert next_request(ours) == ("alice", payload)
            with pytest.raises(Ended):
                alice.publish(ALICE, payload + b"x")
        assert next_request(ours, 0.1) is None


def test_b4_a_device_that_fell_silent_stays_connected() -> None:
    def works_on(target: Target) -> bool:
        with Attacker.tcp(target.port) as gone:
            assert gone.connect("bob", keep_alive=1) == 0
            assert gone.subscribe(BOB) == [1]
            assert not gone.is_ended(1.4), "one and a half times the keepalive is not over"
            return not gone.is_ended(2.0)

    with Stock() as stock, Ours() as ours:
        assert works_on(stock)
        assert not works_on(ours)
        ours.wait_for_connections(0)
        assert (ours.filters, ours.sessions) == ([], 0)


def test_b4_a_device_that_pings_stays_connected() -> None:
    with Ours() as ours, Attacker.tcp(ours.port) as bob:
        assert bob.connect("bob", keep_alive=1) == 0
        for _ in range(3):
            assert bob.messages() == []
            assert not bob.is_ended(0.9)


# Not of aMQTT's list: what else fills memory.


@contextmanager
def _unread(ours: Ours, user: str, *filters: str) -> Generator[Attacker]:
    """A device without a keepalive; between it and the broker, systems take little that nobody reads."""
    with Attacker(SocketWire(ours.port, window=4_096)) as attacker:
        assert attacker.connect(user, keep_alive=0) == 0
        ours.narrow_sockets()
        if filters:
            assert attacker.subscribe(*filters) == [1] * len(filters)
        yield attacker


def test_a_device_that_reads_nothing_is_cut_off_not_skipped() -> None:
    with Ours(Bounds(waiting_bytes=100_000)) as ours, _unread(ours, "bob", BOB) as slow:
        sent = 0
        while ours.sessions:
            ours.event(BOB, bytes(10_000))
            sent += 1
            assert sent < 2_000
        print(f"cut off after {sent * 10_000} bytes")  # noqa: T201 - the proof is a count
        numbers = []
        with suppress(Ended):
            while True:
                numbers.append(slow.message().packet_id)
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("flood", [PING, subscribe_packet(1, ("#", 0)), publish_packet("x", b"", 1)])
def test_answers_to_a_flood_that_nobody_reads_are_bounded(flood: bytes) -> None:
    with Ours(Bounds(waiting_bytes=50_000)) as ours, _unread(ours, "mallory") as mallory:
        burst = flood * (10_000 // len(flood))
        with suppress(ConnectionError):
            for _ in range(5_000):
                mallory.send(burst)
            pytest.fail("it was never cut off")
        ours.wait_for_connections(0)


def test_what_a_refused_device_never_reads_is_thrown_away() -> None:
    bounds = Bounds(close_s=0.2)
    with Ours(bounds) as ours, _unread(ours, "bob", BOB) as slow:
        for _ in range(80):
            ours.event(BOB, bytes(10_000))
        slow.send(GOODBYE)
        ours.wait_for_connections(0)


def test_requests_that_wait_for_the_store_hold_their_device_up_and_no_other() -> None:
    with Ours(Bounds(unsettled=16)) as ours, device(ours.port, "alice") as flood, device(ours.port, "bob") as bob:
        ours.settle = False
        packets = b"".join(publish_packet(ALICE, bytes(1_000), 1, packet_id) for packet_id in range(1, 5_001))
        sender = Thread(target=flood.send, args=(packets,))
        sender.start()
        taken = 0
        while next_request(ours, 0.5):
            taken += 1
        print(f"{taken} of 5000 taken before the first is settled")  # noqa: T201 - the proof is a count
        assert 16 <= taken < 200
        bob.send(publish_packet(TOPICS.requests("bob"), b"accept"))
        assert next_request(ours) == ("bob", b"accept")
        ours.settle_all()
        for _ in range(5_000 - taken):
            assert next_request(ours)
        numbers = [int.from_bytes(flood.expect(PUBACK).body, "big") for _ in range(5_000)]
        assert numbers == list(range(1, 5_001))
        sender.join()


def test_requests_that_are_never_settled_end_the_connection() -> None:
    bounds = Bounds(unsettled=4, packet_s=0.3)
    with Ours(bounds) as ours, device(ours.port, "alice") as alice:
        ours.settle = False
        alice.send(*(publish_packet(ALICE, b"invite", 1, packet_id) for packet_id in range(1, 5)))
        assert alice.is_ended(5.0)


def test_pubacks_come_in_the_order_of_the_publishes() -> None:
    with Ours() as ours, device(ours.port, "alice") as alice:
        ours.settle = False
        for packet_id, topic in enumerate((ALICE, ALICE, "not mine", ALICE), 1):
            alice.send(publish_packet(topic, b"", 1, packet_id))
        for _ in range(3):
            assert next_request(ours)
        ours.unsettled.reverse()
        ours.settle_all()
        assert [alice.expect(PUBACK).body for _ in range(4)] == [b"\0\1", b"\0\2", b"\0\3", b"\0\4"]


def test_a_device_may_not_subscribe_without_end() -> None:
    with Ours(Bounds(subscriptions=3)) as ours, device(ours.port, "bob", BOB) as bob:
        answers = [TOPICS.answers("bob", str(n)) for n in range(4)]
        assert bob.subscribe(*answers) == [1, 1, 0x80, 0x80]
        bob.unsubscribe(BOB)
        assert bob.subscribe(answers[3], answers[0]) == [1, 1]
        assert sorted(ours.filters) == [answers[0], answers[1], answers[3]]


def test_stuck_devices_do_not_hold_up_the_end(tmp_path: Path) -> None:
    files = Certificates(tmp_path)
    listeners = {
        "default": Listener(port=0),
        "tls": Listener(port=0, certfile=files.certfile, keyfile=files.keyfile),
        "ws": Listener(port=0, websocket=True),
    }
    with Ours(listeners=listeners) as ours, ExitStack() as stack:
        ports = ours.binding.ports()
        in_login, *_ = [
            stack.enter_context(attacker)
            for attacker in (
                Attacker.tcp(ours.port),
                Attacker.tcp(ports["tls"]),
                Attacker.tcp(ports["ws"]),
                Attacker.websocket(ports["ws"]),
            )
        ]
        in_login.send(connect_packet("alice", SLOW))
        assert ours.doorman.is_asked.wait(BOUND_S)
        stack.enter_context(_unread(ours, "bob", BOB))
        well = stack.enter_context(device(ours.port, "bob", BOB))
        for _ in range(50):
            ours.event(BOB, bytes(10_000))
        broker = ours.broker
        began = time.monotonic()
        ours.loop.run(ours.binding.stop())
        took = time.monotonic() - began
        print(f"stopped in {took:.2f} s")  # noqa: T201 - the proof is a count
        assert took < 3.0
        assert len(broker._devices) == 1, "that whose password is still being checked"
        assert well.is_ended(1.0)


def _resident() -> int:
    """Bytes of memory this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
