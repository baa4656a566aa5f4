"""Attacks on other people's sessions. Each first succeeds on aMQTT as it is shipped, then fails on ours."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from ringline_broker.settings import Bounds, ConnectionLimits
from tests.attacks.inside import becomes
from tests.attacks.raw_mqtt import GOODBYE, Attacker, Ended, connect_packet, device, password_of, publish_packet
from tests.attacks.targets import SLOW, TOPICS, Ours, Stock, Target, both, next_request
from tests.support.bound import BOUND_S

BOB = TOPICS.events("bob")
A_WHILE = 1.5
"""Seconds after which what did not come does not come."""


def test_s1_a_stranger_deletes_a_session() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob", BOB, client_id="phone") as phone, Attacker.tcp(target.port) as stranger:
            assert stranger.connect("bob", "a guess", "phone") != 0
            target.event(BOB, b"invited")
            return not phone.hears(b"invited", A_WHILE)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_s2_a_stranger_leaves_a_will_in_a_session() -> None:
    def works_on(target: Target) -> tuple[bool, bool]:
        with (
            device(target.port, "bob", BOB, client_id="phone", clean=False) as phone,
            device(target.port, "bob", BOB) as tablet,
            Attacker.tcp(target.port) as stranger,
        ):
            assert stranger.connect("bob", "a guess", "phone", clean=False, will=(BOB, b"forged")) != 0
            return tablet.hears(b"forged", A_WHILE), phone.is_ended(0.1)

    with both() as (stock, ours):
        assert works_on(stock) == (True, True), "an event was forged, and the victim's connection ended"
        assert works_on(ours) == (False, False)


def test_s3_a_user_changes_name_while_a_slow_check_goes_on() -> None:
    def works_on(target: Target) -> bool:
        with (
            device(target.port, "mallory", client_id="phone", clean=False) as link,
            Attacker.tcp(target.port) as second,
        ):
            second.send(connect_packet("alice", SLOW, "phone", clean=False))
            assert target.doorman.is_asked.wait(BOUND_S)
            link.publish(TOPICS.requests("alice"), b"invite")
            return next_request(target, A_WHILE) == ("alice", b"invite")

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_s4_a_user_sends_an_event_as_a_will() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob", BOB) as phone, Attacker.tcp(target.port) as mallory:
            code = mallory.connect("mallory", will=(BOB, b"forged"))
            mallory.cut()
            assert code in (0, 5)
            return phone.hears(b"forged", A_WHILE)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_s4_a_will_is_refused_in_so_many_words(caplog: pytest.LogCaptureFixture) -> None:
    with Ours() as ours, Attacker.tcp(ours.port) as mallory:
        assert mallory.connect("mallory", will=(TOPICS.events("mallory"), b"to myself")) == 5
        assert mallory.is_ended()
    assert "it has a will, which Ringline does not offer" in caplog.text


def test_s5_a_user_resumes_another_users_session() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob", BOB, client_id="phone", clean=False) as phone:
            phone.send(GOODBYE)
            assert phone.is_ended()
        target.event(BOB, b"invited")
        with device(target.port, "mallory", client_id="phone", clean=False) as mallory:
            target.event(BOB, b"cancelled")
            return mallory.hears(b"invited", A_WHILE)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_s5_a_session_of_somebody_else_is_not_even_said_to_be_there() -> None:
    with Ours() as ours, device(ours.port, "bob", client_id="phone", clean=False), Attacker.tcp(ours.port) as mallory:
        assert mallory.connect("mallory", client_id="phone", clean=False) == 0
        assert not mallory.session_present
        assert ours.sessions == 2


def test_s6_whoever_connects_is_given_what_is_retained_for_others() -> None:
    def works_on(target: Target) -> bool:
        target.loop.run(target.broker.retain_message(None, BOB, b"secret", 1))
        with device(target.port, "bob", BOB), device(target.port, "mallory") as mallory:
            return mallory.hears(b"secret", A_WHILE)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_s8_silent_connections_lock_everybody_out() -> None:
    def works_on(target: Target) -> bool:
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(Attacker.tcp(target.port))
            alice = stack.enter_context(Attacker.tcp(target.port))
            alice.send(connect_packet("alice", password_of("alice")))
            try:  # B12: stock accepts the connection, and never says a word
                return alice.receive(A_WHILE).body != b"\0\0"
            except (TimeoutError, Ended):
                return True

    limits = ConnectionLimits(max_logins=20, max_logins_per_address=20)
    with Stock() as stock, Ours(limits=limits) as ours:
        server = stock.broker._servers["default"]
        server.semaphore = asyncio.Semaphore(20)  # what `max_connections: 20` makes
        assert works_on(stock)
        assert becomes(stock, lambda: server.conn_count == 0)
        assert not works_on(ours)


def test_s8_who_is_sent_away_before_anything_was_read_leaves_nothing_behind() -> None:
    with Ours(limits=ConnectionLimits(max_logins=20, max_logins_per_address=20)) as ours, ExitStack() as stack:
        have_come = threading.Event()
        ours.loop.loop.call_soon_threadsafe(have_come.wait, BOUND_S)  # so they all wait to be accepted at once
        for _ in range(30):
            stack.enter_context(Attacker.tcp(ours.port))
        have_come.set()
        alice = stack.enter_context(device(ours.port, "alice"))
        assert alice.messages() == []
        stack.close()
        assert becomes(ours, lambda: not ours.broker._visits, 5.0), ours.broker._visits


def test_b2_who_takes_over_hears_nothing() -> None:
    def works_on(target: Target) -> bool:
        with (
            device(target.port, "bob", BOB, client_id="phone", clean=False) as old,
            device(target.port, "bob", BOB, client_id="phone", clean=False) as new,
        ):
            assert old.is_ended()
            target.event(BOB, b"invited")
            return not new.hears(b"invited", A_WHILE)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_b3_who_was_taken_over_goes_on() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob", client_id="phone") as old, device(target.port, "bob", client_id="phone"):
            try:
                old.send(publish_packet(TOPICS.requests("bob"), b"accept", 1))
            except OSError:
                return False
            return next_request(target, A_WHILE) is not None

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_b3_another_users_same_client_id_takes_nothing_over() -> None:
    with (
        Ours() as ours,
        device(ours.port, "bob", BOB, client_id="phone") as phone,
        device(ours.port, "mallory", client_id="phone"),
        Attacker.tcp(ours.port) as stranger,
    ):
        assert stranger.connect("mallory", client_id="../bob/phone") == 0
        ours.event(BOB, b"invited")
        assert phone.hears(b"invited")
        assert ours.sessions == 3


def test_a_login_whose_time_is_over_takes_nothing_over() -> None:
    with (
        Ours(Bounds(connect_s=0.2)) as ours,
        device(ours.port, "bob", BOB, client_id="phone") as phone,
        Attacker.tcp(ours.port) as late,
    ):
        ours.doorman.slow_is_right = True
        late.send(connect_packet("bob", SLOW, "phone"))
        assert ours.doorman.is_asked.wait(BOUND_S)
        assert late.is_ended()
        ours.doorman.answer()
        ours.wait_for_connections(1)
        ours.event(BOB, b"invited")
        assert phone.hears(b"invited")
        assert ours.filters == [BOB]
