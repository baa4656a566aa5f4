"""Attacks on what all connections share: how many there may be, how fast they may be, how often a login may be wrong.

aMQTT has none of these limits; each attack first succeeds against it, or against ours with the limit out of reach.
"""

import logging
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from ringline_broker.bindings.amqtt.admission import address_key
from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.settings import Bounds, ConnectionLimits
from tests.attacks.raw_mqtt import (
    CONNACK,
    PING,
    PINGRESP,
    SUBACK,
    Attacker,
    Ended,
    SocketWire,
    connect_packet,
    device,
    password_of,
    publish_packet,
    subscribe_packet,
)
from tests.attacks.targets import FREE, SLOW, TOPICS, Ours, Stock, Target, next_request
from tests.support.bound import BOUND_S

ALICE = TOPICS.requests("alice")
UNAVAILABLE = 3
"""CONNACK: try again later."""


class FromElsewhere(SocketWire):
    """A connection from another address of this machine: 127.0.0.2 and so on."""

    def __init__(self, port: int, address: str) -> None:
        raw = socket.socket()
        raw.bind((address, 0))
        raw.settimeout(10)
        raw.connect(("127.0.0.1", port))
        self.socket = raw


@contextmanager
def limited(bounds: Bounds | None = None, **limits: int) -> Generator[Ours]:
    with Ours(bounds, limits=replace(FREE, **limits)) as ours:
        yield ours


def _silent(port: int, count: int, stack: ExitStack, address: str = "127.0.0.1") -> list[Attacker]:
    return [stack.enter_context(Attacker(FromElsewhere(port, address))) for _ in range(count)]


def _gets_in(target: Target, user: str = "alice", address: str = "127.0.0.1", bound_s: float = 5.0) -> bool:
    """Whether somebody can log in, and do something."""
    try:
        with Attacker(FromElsewhere(target.port, address)) as one:
            one.send(connect_packet(user, password_of(user)))
            return one.expect(CONNACK, bound_s).body[1] == 0 and one.subscribe(TOPICS.events(user)) == [1]
    except (Ended, TimeoutError, OSError):
        return False


# Connections.


def test_silent_connections_lock_nobody_out() -> None:
    """S8, E33: 50 silent sockets and stock aMQTT with max_connections=50 lets nobody in; ours keeps 20 of 200."""
    with limited(max_logins=20) as ours, ExitStack() as stack:
        silent = _silent(ours.port, 200, stack)
        assert _gets_in(ours)
        ours.wait_for_connections(20)
        assert sum(one.is_ended(0.01) for one in silent) >= 180


def test_one_address_cannot_take_the_place_of_others() -> None:
    with limited(max_logins_per_address=5, max_logins=10) as ours, ExitStack() as stack:
        silent = _silent(ours.port, 50, stack, "127.0.0.2")
        assert _gets_in(ours, address="127.0.0.3")
        assert _gets_in(ours, address="127.0.0.2"), "one of the silent ones goes for it"
        ours.wait_for_connections(5)
        assert sum(one.is_ended(0.01) for one in silent) >= 45


def test_who_waits_for_us_is_not_sent_away_for_who_says_nothing() -> None:
    with limited(max_logins=3) as ours, ExitStack() as stack:
        slow = [stack.enter_context(Attacker.tcp(ours.port)) for _ in range(3)]
        for number, one in enumerate(slow):
            one.send(connect_packet(f"user{number}", SLOW))
        assert ours.doorman.is_asked.wait(BOUND_S)
        while len(ours.loop.call(lambda: [d for d in ours.broker._devices if d.has_spoken])) < 3:
            pass
        assert not _gets_in(ours, address="127.0.0.2", bound_s=2.0), "three are being looked at: one too many"
        ours.doorman.slow_is_right = True
        ours.doorman.answer()
        assert [one.expect(CONNACK).body[1] for one in slow] == [0, 0, 0]
        assert _gets_in(ours, address="127.0.0.2")


def test_devices_have_an_end_and_who_is_in_stays_in() -> None:
    with limited(max_devices=3) as ours, ExitStack() as stack:
        inside = [stack.enter_context(device(ours.port, f"user{number}")) for number in range(3)]
        with Attacker.tcp(ours.port) as one_too_many:
            assert one_too_many.connect("alice") == UNAVAILABLE
            assert one_too_many.is_ended()
        assert [one.messages() for one in inside] == [[], [], []]
        inside[0].cut()
        ours.wait_for_connections(2)
        assert _gets_in(ours)


def test_devices_of_one_address_have_an_end() -> None:
    with limited(max_devices_per_address=2) as ours, ExitStack() as stack:
        for number in range(2):
            stack.enter_context(device(ours.port, f"user{number}"))
        assert not _gets_in(ours)
        assert _gets_in(ours, address="127.0.0.2")


def test_of_too_many_devices_of_a_user_the_most_silent_goes() -> None:
    """Connections that died without a word must not lock their user out, nor those of others."""
    with limited(max_devices_per_user=3) as ours, ExitStack() as stack:
        first, second, third = [stack.enter_context(device(ours.port, "alice")) for _ in range(3)]
        other = stack.enter_context(device(ours.port, "bob"))
        first.messages()
        fourth = stack.enter_context(device(ours.port, "alice"))
        assert second.is_ended()
        assert [one.messages() for one in (first, third, fourth, other)] == [[]] * 4


def test_connecting_in_a_loop_is_slowed_down_for_the_address_that_does_it() -> None:
    with limited(connect_burst=20, connect_rate=1) as ours:
        in_time = sum(_gets_in(ours, address="127.0.0.2", bound_s=1.0) for _ in range(40))
        print(f"{in_time} of 40 connections in a loop got in")  # noqa: T201 - the proof is a count
        assert 20 <= in_time < 30
        assert _gets_in(ours, address="127.0.0.3")


def test_what_is_turned_away_is_logged_and_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    with limited(connect_burst=1, connect_rate=1) as ours, ExitStack() as stack:
        caplog.set_level(logging.INFO)
        _silent(ours.port, 1_500, stack)
        ours.loop.call(lambda: None)
        lines = [line for line in caplog.messages if "sent away: too many from there" in line]
        print(f"{len(lines)} lines for 1,500 connections")  # noqa: T201 - the proof is a count
        assert 1 <= len(lines) < 500


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no address", "no address"),
    ],
)
def test_who_has_one_address_of_a_site_has_them_all(address: str, key: str) -> None:
    assert address_key(address) == key


# Logins.


def _guesses(target: Target, count: int, address: str, user: str = "alice") -> list[int]:
    codes = []
    for number in range(count):
        with Attacker(FromElsewhere(target.port, address)) as mallory:
            codes.append(mallory.connect(user, f"guess {number}"))
    return codes


def test_guessing_is_slowed_down_after_a_few() -> None:
    with Stock() as stock:
        assert len(_guesses(stock, 30, "127.0.0.2")) == 30, "all of them are looked at"
    with limited(max_failures=5, failure_s=1_000) as ours:
        assert _guesses(ours, 30, "127.0.0.2") == [4] * 5 + [UNAVAILABLE] * 25
        assert not _gets_in(ours, "bob", "127.0.0.2"), "not even with the right password, for now"
        assert _gets_in(ours, "bob", "127.0.0.3"), "others are not held to it"


def test_guesses_at_the_same_time_are_no_more() -> None:
    with limited(max_failures=5, failure_s=1_000) as ours, ExitStack() as stack:
        many = [stack.enter_context(Attacker(FromElsewhere(ours.port, "127.0.0.2"))) for _ in range(50)]
        for number, one in enumerate(many):
            one.send(connect_packet("alice", f"guess {number}"))
        codes = [one.expect(CONNACK).body[1] for one in many]
        looked_at = codes.count(4)
        print(f"{looked_at} of 50 guesses at the same time were looked at")  # noqa: T201 - the proof is a count
        assert 5 <= looked_at <= 6


def test_guessing_from_many_addresses_is_slowed_down_for_the_user_and_not_for_who_was_in() -> None:
    with limited(max_failures=5, failure_s=1_000) as ours:
        assert _gets_in(ours, "alice", "127.0.0.99"), "alice's own device, before"
        codes = [code for n in range(2, 22) for code in _guesses(ours, 1, f"127.0.0.{n}")]
        assert codes == [4] * 5 + [UNAVAILABLE] * 15
        assert _gets_in(ours, "alice", "127.0.0.99"), "and again, while it goes on"
        assert not _gets_in(ours, "alice", "127.0.0.98"), "from an address she never came from, not now"
        assert _gets_in(ours, "bob", "127.0.0.98")


# Packets.


def _flood(port: int, packets: bytes, address: str = "127.0.0.1") -> Attacker:
    flooder = Attacker(FromElsewhere(port, address))
    assert flooder.connect("mallory") == 0
    flooder.send(packets)
    return flooder


def _answered(flooder: Attacker, pause_s: float = 0.2) -> int:
    """How many answers come before there is a pause."""
    for count in range(1_000_000):
        try:
            flooder.receive(pause_s)
        except TimeoutError:
            return count
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize(
    ("packet", "answer"),
    [(PING, PINGRESP), (subscribe_packet(1, ("$SYS/#", 1)), SUBACK), (publish_packet(ALICE, b"x", 1, 7), 4)],
    ids=["pings", "subscribes", "foreign publishes"],
)
def test_a_flood_is_read_at_the_rate_that_a_user_may_send(packet: bytes, answer: int) -> None:
    with limited(packet_burst=100, packet_rate=10) as ours, _flood(ours.port, packet * 2_000) as mallory:
        for _ in range(45):
            assert mallory.receive().kind == answer
        with device(ours.port, "alice") as alice:
            alice.publish(ALICE, b"invite")
            assert next_request(ours) == ("alice", b"invite")
        answered = 45 + _answered(mallory, 0.4)
        print(f"{answered} of 2,000 answered at once")  # noqa: T201 - the proof is a count
        assert answered < 400
        assert mallory.receive(10).kind == answer, "and it goes on, slowly"


def test_all_connections_of_a_user_share_what_the_user_may_send() -> None:
    with limited(packet_burst=100, packet_rate=1) as ours, ExitStack() as stack:
        answered = 0
        for _ in range(10):
            answered += _answered(stack.enter_context(_flood(ours.port, PING * 200)))
        print(f"{answered} of 2,000 pings on 10 connections answered")  # noqa: T201 - the proof is a count
        assert answered < 150


def test_to_connect_anew_gives_nothing_back() -> None:
    with limited(packet_burst=100, packet_rate=1) as ours:
        answered = 0
        for _ in range(10):
            with _flood(ours.port, PING * 200) as mallory:
                answered += _answered(mallory)
        assert answered < 150


def test_acknowledging_what_came_costs_nothing() -> None:
    """Else a busy device would be slowed down by what others send it."""
    with limited(packet_burst=10, packet_rate=1) as ours, device(ours.port, "bob", TOPICS.events("bob")) as bob:
        for number in range(300):
            ours.event(TOPICS.events("bob"), b"%d" % number)
        for _ in range(300):
            bob.send(b"\x40\x02" + bob.message().packet_id.to_bytes(2, "big"))
        ours.event(TOPICS.events("bob"), b"one more")
        assert bob.message().payload == b"one more"
        assert bob.messages() == []


def test_acknowledging_what_never_came_costs_as_anything_does() -> None:
    acks = b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in range(1, 2_000))
    with limited(packet_burst=50, packet_rate=1) as ours, _flood(ours.port, acks + PING) as mallory:
        assert not _comes(lambda: mallory.receive(1.5).kind == PINGRESP)


def test_a_connection_that_was_slowed_down_is_not_late_for_it() -> None:
    with limited(Bounds(packet_s=0.5), packet_burst=20, packet_rate=5) as ours, _flood(ours.port, b"") as mallory:
        mallory.send(PING * 40)
        assert [mallory.receive().kind for _ in range(39)] == [PINGRESP] * 39


def test_frames_without_anything_in_them_are_work_too() -> None:
    listeners = {"default": Listener(port=0), "ws": Listener(port=0, websocket=True)}
    limits = replace(FREE, packet_burst=50, packet_rate=1)
    with Ours(None, listeners, limits) as ours, Attacker.websocket(ours.binding.ports()["ws"]) as mallory:
        assert mallory.connect("mallory") == 0
        raw = mallory.wire.connection.socket  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        ping_frame = b"\x89\x80\0\0\0\0"
        raw.sendall(ping_frame * 1_000)
        mallory.send(PING)
        assert not _comes(lambda: mallory.receive(1.5).kind == PINGRESP)
        assert _gets_in(ours)


def _comes(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except (TimeoutError, Ended):
        return False


# What waits to be sent.


def test_many_slow_readers_together_have_a_bound_too() -> None:
    events = TOPICS.events("bob")
    with limited(max_waiting_bytes=2_000_000) as ours, ExitStack() as stack:
        slow = [stack.enter_context(Attacker(SocketWire(ours.port, window=4_096))) for _ in range(8)]
        for one in slow:
            assert one.connect("bob") == 0
            assert one.subscribe(events) == [1]
        ours.narrow_sockets()
        honest = stack.enter_context(device(ours.port, "alice", TOPICS.events("alice")))
        for _ in range(60):
            ours.event(events, bytes(10_000))
        ours.wait_for_connections(5)
        ours.event(TOPICS.events("alice"), b"still here")
        assert honest.message().payload == b"still here"


def test_the_defaults_are_what_the_documents_say() -> None:
    assert ConnectionLimits() == ConnectionLimits(
        10_000, 32, 2_048, 1_024, 128, 50, 2_000, 10, 60, 50, 500, 268_435_456
    )
