"""What the interoperability suite of the Paho project asks of an MQTT 3.1.1 server, with paho-mqtt as the client.

docs/interoperability.md lists that suite's cases, and says which of them do not apply and why.
"""

import socket
from collections.abc import Iterator

import pytest

from tests.attacks.targets import TOPICS, Ours, next_request
from tests.interop.phone import Phone
from tests.support.bound import BOUND_S

REQUESTS, EVENTS = TOPICS.requests("alice"), TOPICS.events("alice")
ANSWERS = TOPICS.answers("alice", "phone")
NOT_AUTHORIZED, BAD_CREDENTIALS = 135, 134
"""What paho makes of the CONNACK codes 5 and 4."""


@pytest.fixture
def ours() -> Iterator[Ours]:
    with Ours() as ours:
        yield ours


def test_connect_disconnect_and_connect_again(ours: Ours) -> None:
    for _ in range(2):
        with Phone(ours.port, "alice", "myclientid") as phone:
            assert phone.connect() == (0, False)
            assert ours.sessions == 1
            phone.client.disconnect()
            assert phone.end() == "Normal disconnection"
            ours.wait_for_connections(0)
            assert ours.sessions == 0


def test_a_wrong_password_is_refused(ours: Ours) -> None:
    with Phone(ours.port, "alice") as phone:
        phone.client.username_pw_set("alice", "a guess")
        assert phone.connect() == (BAD_CREDENTIALS, False)
        assert phone.end()


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_events_come_at_the_granted_qos_in_order(asked: int, ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        assert phone.subscribe((EVENTS, asked)) == [min(asked, 1)]
        for number in range(100):
            ours.event(EVENTS, b"%d" % number)
        assert [phone.heard() for _ in range(100)] == [(b"%d" % number, min(asked, 1)) for number in range(100)]


@pytest.mark.parametrize("qos", [0, 1])
def test_requests_are_taken_in_order(qos: int, ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        for number in range(100):
            phone.publish(REQUESTS, b"%d" % number, qos)
        assert [next_request(ours) for _ in range(100)] == [("alice", b"%d" % number) for number in range(100)]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 32_000])
def test_payloads_of_every_length_come_whole(size: int, ours: Ours) -> None:
    payload = bytes(number % 251 for number in range(size))
    with Phone(ours.port, "alice").connected() as phone:
        assert phone.subscribe((EVENTS, 1)) == [1]
        phone.publish(REQUESTS, payload, 1)
        assert next_request(ours) == ("alice", payload)
        ours.event(EVENTS, payload)
        assert phone.heard() == (payload, 1)


def test_qos_2_is_not_offered(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        phone.client.publish(REQUESTS, b"invite", 2)
        assert phone.end()
    assert next_request(ours, 0.1) is None


def test_a_second_connect_ends_the_connection(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        phone.client._send_connect(60)
        assert phone.end()


def test_clients_without_a_client_id_are_told_apart(ours: Ours) -> None:
    with Phone(ours.port, "alice") as one, Phone(ours.port, "alice") as other:
        for phone in (one, other):
            phone.connected()
        assert one.end(0.2) is None
        assert other.end(0.2) is None
        assert ours.sessions == 2


def test_the_same_client_id_takes_the_connection_over(ours: Ours) -> None:
    with Phone(ours.port, "alice", "myclientid").connected() as old:
        assert old.subscribe((EVENTS, 1)) == [1]
        with Phone(ours.port, "alice", "myclientid").connected() as new:
            assert old.end()
            assert new.subscribe((ANSWERS, 1)) == [1]
            ours.wait_for_connections(1)
            assert ours.filters == [ANSWERS]


def test_a_subscription_may_fail_beside_others_that_do_not(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        asked = (TOPICS.events("bob"), 1), (EVENTS, 1), ("test/nosubscribe", 2), (ANSWERS, 0)
        assert phone.subscribe(*asked) == [0x80, 1, 0x80, 0]


def test_filters_that_overlap_are_refused_and_the_same_again_replaces(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        overlapping = ("#", 2), ("+/+", 1), (f"{TOPICS.prefix}/u/alice/#", 2), (f"{TOPICS.prefix}/u/alice/+", 1)
        assert phone.subscribe((EVENTS, 0), *overlapping, (EVENTS, 1)) == [0, *(0x80 for _ in overlapping), 1]
        ours.event(EVENTS, b"once")
        ours.event(EVENTS, b"the next")
        assert [phone.heard(), phone.heard()] == [(b"once", 1), (b"the next", 1)]


def test_topics_that_begin_with_a_dollar_are_nobodys(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        assert phone.subscribe(("$SYS/#", 0), (f"${EVENTS}", 1), (f"$share/g/{EVENTS}", 1)) == [0x80] * 3
        assert phone.subscribe((EVENTS, 1)) == [1]
        phone.publish(f"${REQUESTS}", b"dropped", 1)
        phone.publish(REQUESTS, b"taken", 1)
        assert next_request(ours) == ("alice", b"taken")
        ours.event(f"${EVENTS}", b"unheard")
        ours.event(EVENTS, b"heard")
        assert phone.heard() == (b"heard", 1)


def test_unsubscribing_ends_one_subscription_and_no_other(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        others = TOPICS.answers("alice", "tablet")
        assert phone.subscribe((EVENTS, 1), (ANSWERS, 1), (others, 1)) == [1, 1, 1]
        phone.unsubscribe(ANSWERS, "never subscribed")
        for topic in (ANSWERS, EVENTS, others):
            ours.event(topic, topic.encode())
        assert [phone.heard()[0], phone.heard()[0]] == [EVENTS.encode(), others.encode()]
        assert phone.messages.empty()


def test_who_keeps_no_contact_is_cut_off(ours: Ours) -> None:
    with Phone(ours.port, "alice", keepalive=1).connected() as lively, Phone(ours.port, "alice", keepalive=1) as silent:
        silent.connected()
        silent.client.loop_stop()  # nobody pings for it any more
        connection = silent.client.socket()
        assert isinstance(connection, socket.socket)
        connection.settimeout(BOUND_S)
        while connection.recv(100):
            pass
        assert lively.end(0.1) is None
        lively.publish(REQUESTS, b"still there", 1)


def test_a_request_that_was_not_acknowledged_is_sent_again_and_taken(ours: Ours) -> None:
    with Phone(ours.port, "alice", "myclientid", clean=False, returns=True).connected() as phone:
        ours.settle = False
        mid = phone.client.publish(REQUESTS, b"invite", 1).mid
        assert next_request(ours) == ("alice", b"invite")
        ours.loop.call(next(iter(ours.broker._devices)).cut_off)
        assert phone.end()
        ours.settle_all()
        assert phone.connacks.get(timeout=BOUND_S) == (0, False)
        assert next_request(ours) == ("alice", b"invite")
        assert phone.pubacks.get(timeout=BOUND_S) == mid


def test_nothing_is_kept_for_a_session_that_wants_to_last(ours: Ours) -> None:
    with Phone(ours.port, "alice", "myclientid", clean=False).connected() as phone:
        assert phone.subscribe((EVENTS, 1)) == [1]
    ours.wait_for_connections(0)
    ours.event(EVENTS, b"while away")
    with Phone(ours.port, "alice", "myclientid", clean=False).connected() as phone:
        assert phone.subscribe((EVENTS, 1)) == [1]
        ours.event(EVENTS, b"when back")
        assert phone.heard() == (b"when back", 1)


def test_a_retained_message_is_not(ours: Ours) -> None:
    with Phone(ours.port, "alice").connected() as phone:
        phone.publish(REQUESTS, b"invite", 1, retain=True)
        assert next_request(ours) == ("alice", b"invite")
        phone.publish(EVENTS, b"forged", 1, retain=True)
    with Phone(ours.port, "alice").connected() as phone:
        assert phone.subscribe((EVENTS, 1)) == [1]
        ours.event(EVENTS, b"the first")
        assert phone.heard() == (b"the first", 1)


def test_a_will_is_refused(ours: Ours) -> None:
    with Phone(ours.port, "alice") as phone:
        phone.client.will_set(EVENTS, b"client not disconnected", 1)
        assert phone.connect() == (NOT_AUTHORIZED, False)
        assert phone.end()
