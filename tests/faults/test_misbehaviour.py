"""Applications and brokers that do what they should not: callbacks that raise or block, names used twice, no broker."""

import logging
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from ringline.client import SignalingClient
from ringline.errors import SignalingError
from tests.support.bound import BOUND_S
from tests.support.proxy import Proxy
from tests.support.recorder import Recorder
from tests.support.running import Ring, free_port

RING = "receive_new_invitation"
ENDED = "invitation_ended"
CREATED = "invitation_created"
AT_ONCE_S = 2.0
"""What closing may take on a busy machine; to wait for a broker takes 5 s and more."""


@contextmanager
def at_once(bound_s: float = AT_ONCE_S) -> Generator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < bound_s


def test_two_clients_with_one_name_are_one_device(ring: Ring) -> None:
    alice = ring.device("alice")
    twins = [ring.device("bob", "phone") for _ in range(2)]
    call = alice.client.invite(["bob"], timeout=30)
    for twin in twins:
        twin.heard.wait(RING, invite_id=call.invite_id)
    for twin in twins:
        twin.client.accept(call.invite_id).result(BOUND_S)
    for device in (alice, *twins):
        device.heard.wait(ENDED)
    for twin in twins:
        assert twin.heard.wait("invitee_accepted").this_device
        assert twin.heard.names() == [RING, "invitee_accepted", ENDED]
    assert alice.heard.names() == [CREATED, "invitee_accepted", ENDED]
    with pytest.raises(SignalingError, match="8010 invitation_over"):
        twins[0].client.reject(call.invite_id).result(BOUND_S)
    assert twins[0].client.state(call.invite_id).invitees == {"bob": "accepted"}


def test_two_clients_with_one_name_that_answer_differently_get_one_outcome(ring: Ring) -> None:
    alice = ring.device("alice")
    twins = [ring.device("bob", "phone") for _ in range(2)]
    call = alice.client.invite(["bob"], timeout=30)
    for twin in twins:
        twin.heard.wait(RING, invite_id=call.invite_id)
    answers = [twins[0].client.accept(call.invite_id), twins[1].client.reject(call.invite_id)]
    refused = []
    for answer in answers:
        try:
            answer.result(BOUND_S)
        except SignalingError as error:
            refused.append(error.name)
    assert refused == ["invitation_over"]
    outcomes = {device.heard.wait(ENDED).outcome for device in (alice, *twins)}
    assert outcomes == {alice.client.state(call.invite_id).outcome}


def test_a_callback_that_raises_stops_nothing(ring: Ring, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the application's own fault")

    alice, bob = ring.device("alice"), ring.device("bob")
    other = Recorder()
    bob.client.add_listener(other)
    for name in (RING, "invitation_cancelled"):
        bob.heard.react(name, fail)
    with caplog.at_level(logging.ERROR, "ringline"):
        call = alice.client.invite(["bob"], timeout=30)
        bob.heard.wait(RING)
        alice.client.cancel(call.invite_id).result(BOUND_S)
        bob.heard.wait(ENDED)
        other.wait(ENDED)
    assert bob.heard.names() == other.names() == [RING, "invitation_cancelled", ENDED]
    assert caplog.text.count("raised; going on") == 2


def test_a_callback_that_blocks_delays_callbacks_and_nothing_else(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    go_on = threading.Event()
    bob.heard.react(RING, lambda _: go_on.wait(BOUND_S))
    calls = [alice.client.invite(["bob"], timeout=30) for _ in range(3)]
    for call in calls:
        call.result(BOUND_S)
    bob.heard.wait(RING)
    bob.client.accept(calls[0].invite_id).result(BOUND_S)  # the network's thread is not the callbacks'
    assert bob.client.state(calls[1].invite_id).invitees == {"bob": "pending"}
    alice.heard.wait(ENDED, invite_id=calls[0].invite_id)
    ring.advance(30_000)
    for call in calls[1:]:
        alice.heard.wait(ENDED, invite_id=call.invite_id)
    assert bob.heard.names() == [RING]
    go_on.set()
    for call in calls:
        bob.heard.wait(ENDED, invite_id=call.invite_id)
    assert bob.heard.names(calls[0].invite_id) == [RING, "invitee_accepted", ENDED]


def test_a_callback_may_wait_for_an_answer_and_close_its_client(ring: Ring) -> None:
    alice, bob = ring.device("alice"), ring.device("bob")
    closed = threading.Event()

    def answer_and_close(event: Any) -> None:
        bob.client.accept(event.invite_id).result(BOUND_S)
        bob.client.close()
        closed.set()

    bob.heard.react(RING, answer_and_close)
    alice.client.invite(["bob"], timeout=30)
    assert closed.wait(BOUND_S)
    assert alice.heard.wait(ENDED).outcome == "accepted"


def test_without_a_broker_requests_fail_in_their_time_and_closing_does_not_hang() -> None:
    heard = Recorder()
    client = SignalingClient(f"mqtt://127.0.0.1:{free_port()}", user="alice", listener=heard).connect()
    short = client.invite(["bob"], timeout=1)
    long = client.invite(["bob"], timeout=60)
    with pytest.raises(SignalingError) as failed:
        short.result(BOUND_S)
    assert (failed.value.code, failed.value.name) == (9508, "not_connected")
    assert "cannot reach" in heard.wait("disconnected").reason
    with at_once():
        client.close()
    with pytest.raises(SignalingError, match="closed"):
        long.result(0)


def test_a_broker_that_takes_the_connection_and_says_nothing_does_not_hold_up_closing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = SignalingClient(f"mqtt://127.0.0.1:{mute.getsockname()[1]}", user="alice").connect()
        accepted, _ = mute.accept()
        with accepted:
            assert accepted.recv(1)  # its CONNECT is here: it waits for the CONNACK
            request = client.invite(["bob"], timeout=60)
            assert not client.wait_connected(0)
            with at_once():
                client.close()
        with pytest.raises(SignalingError, match="closed"):
            request.result(0)


def test_a_broker_that_loses_everything_gives_no_answer_and_does_not_hold_up_closing(ring: Ring) -> None:
    with Proxy(ring.port) as proxy:
        alice = ring.device("alice", url=proxy.url)
        proxy.to_server.lose = 1.0
        request = alice.client.invite(["bob"], timeout=1)
        waiting = alice.client.invite(["bob"], timeout=60)
        with pytest.raises(SignalingError) as failed:
            request.result(BOUND_S)
        assert (failed.value.code, failed.value.name) == (9520, "no_answer")
        with at_once():
            alice.client.close()
        with pytest.raises(SignalingError, match="closed"):
            waiting.result(0)
        assert proxy.counts.lost >= 2


# beside a broker, only the worker ends
@pytest.mark.parametrize("ring", ["amqtt-memory", "amqtt-sqlite"], indirect=True)
def test_a_broker_that_dies_is_noticed_and_found_again(ring: Ring) -> None:
    alice = ring.device("alice")
    ring.stop()
    alice.heard.wait("disconnected")
    request = alice.client.invite(["bob"], timeout=60)
    assert not request.done
    ring.start()
    alice.heard.wait("connected", count=2)
    request.result(BOUND_S)
