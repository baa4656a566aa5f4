"""Faults that lose, change or leave behind. Each is first shown on aMQTT as it is shipped, then on ours."""

import asyncio
import threading
from contextlib import ExitStack, suppress
from threading import Thread
from typing import Any

import pytest
from amqtt.contexts import Action

from ringline_broker.settings import Bounds
from tests.attacks.inside import (
    handler_of,
    has_left,
    instead_of_topic_filtering,
    leave,
    only_session,
    sessions_of,
)
from tests.attacks.raw_mqtt import (
    SUBACK,
    Attacker,
    Ended,
    connect_packet,
    device,
    password_of,
    puback_packet,
    publish_packet,
    subscribe_packet,
)
from tests.attacks.targets import TOPICS, Ours, Stock, Target, both, next_request
from tests.support.bound import BOUND_S

ALICE, BOB = TOPICS.requests("alice"), TOPICS.events("bob")


def test_b1_what_was_not_acknowledged_is_lost_in_a_session_said_to_be_kept() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob", BOB, client_id="phone", clean=False) as phone:
            target.event(BOB, b"invited")
            assert phone.hears(b"invited")
        with Attacker.tcp(target.port) as phone:
            assert phone.connect("bob", client_id="phone", clean=False) == 0
            return bool(phone.session_present) and not phone.hears(b"invited", 1.0)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_b1_a_message_is_given_up_after_five_seconds_and_its_packet_id_used_again() -> None:
    def is_given_up(target: Target, phone: Attacker, packet_id: int) -> bool:
        session = only_session(target)
        is_stock = isinstance(target, Stock)
        owner, name = (session, "_packet_id") if is_stock else (handler_of(target, session), "_last_id")
        target.loop.call(lambda: setattr(owner, name, packet_id - 1))  # as if 65,535 more had been sent meanwhile
        target.event(BOB, b"another")
        return phone.message().packet_id == packet_id

    with both() as (stock, ours), device(stock.port, "bob", BOB) as one, device(ours.port, "bob", BOB) as other:
        stock.event(BOB, b"invited")
        ours.event(BOB, b"invited")
        ids = one.message().packet_id, other.message().packet_id
        assert not is_given_up(stock, one, ids[0])
        assert not other.is_ended(5.5)
        assert is_given_up(stock, one, ids[0])
        assert not is_given_up(ours, other, ids[1])


def test_b1_who_acknowledges_nothing_still_hears_everything_and_may_acknowledge_late() -> None:
    with Ours(Bounds(unacknowledged=500)) as ours, device(ours.port, "bob", BOB) as phone:
        for round_ in range(3):
            wanted = [f"{round_}-{n}".encode() for n in range(500)]
            for payload in wanted:
                ours.event(BOB, payload)
            heard = [phone.message() for _ in wanted]
            assert [message.payload for message in heard] == wanted
            assert len({message.packet_id for message in heard}) == 500
            assert {message.qos for message in heard} == {1}
            phone.send(*(puback_packet(message.packet_id) for message in reversed(heard)))
            assert phone.messages() == []


def test_b1_who_leaves_too_much_unacknowledged_is_cut_off_not_skipped() -> None:
    with Ours(Bounds(unacknowledged=10)) as ours, device(ours.port, "bob", BOB) as phone:
        for n in range(12):
            ours.event(BOB, bytes([n]))
        heard = []
        with suppress(Ended):
            while True:
                heard.append(phone.message().payload)
        assert heard == [bytes([n]) for n in range(len(heard))]
        ours.wait_for_connections(0)
        assert (ours.filters, ours.sessions) == ([], 0)


def test_b1_a_packet_id_is_not_used_again_before_it_is_acknowledged() -> None:
    with Ours() as ours, device(ours.port, "bob", BOB) as phone:
        ours.event(BOB, b"first")
        first = phone.message().packet_id
        (connection,) = ours.broker._devices
        connection._last_id = 65_534
        for _ in range(3):
            ours.event(BOB, b"later")
        assert [phone.message().packet_id for _ in range(3)] == [65_535, first + 1, first + 2]


def test_b5_a_bad_topic_leaves_a_session_that_takes_nothing_and_does_not_end() -> None:
    def works_on(target: Target, topic: str) -> bool:
        with device(target.port, "alice") as alice:
            alice.send(publish_packet(topic, b"", 1, 1), publish_packet(ALICE, b"invite", 1, 2))
            return next_request(target, 0.3) is None and not alice.is_ended(0.3)

    with both() as (stock, ours):
        for topic in ("$x", ""):
            assert works_on(stock, topic), topic
        for topic in ("$x", "", "a/#", "+"):
            assert not works_on(ours, topic), topic
        ours.wait_for_connections(0)
        assert ours.sessions == 0


@pytest.mark.parametrize(
    "packet",
    [subscribe_packet(1, (BOB, 1)), publish_packet(TOPICS.requests("bob"), b"accept")],
    ids=["subscribe", "publish"],
)
def test_b5_a_plugin_that_raises_leaves_a_session_behind(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("a fault of the plugin's")

    async def fails_too(**_: Any) -> None:
        fails()

    def works_on(target: Target) -> bool:
        instead_of_topic_filtering(target, fails_too)
        if isinstance(target, Ours):  # which asks no plugin who may publish
            target.binding.on_request = fails
        with device(target.port, "bob") as bob:
            bob.send(packet)
            assert bob.is_ended()
        return not has_left(target, "bob", 1.0)

    with both() as (stock, ours):
        leave(stock, "bob", client_id="phone")  # as it should be
        assert works_on(stock)
        caplog.clear()
        assert not works_on(ours)
        assert sessions_of(ours, "bob") == []
    assert "a fault of the plugin's" in caplog.text


def _lost_while_others_leave(target: Target, qos: int) -> tuple[int, int]:
    """How many messages devices that stay did not hear, while others of the same topic left; and of how many."""
    with ExitStack() as stack:
        leaving, staying = ([stack.enter_context(device(target.port, "bob")) for _ in range(40)] for _ in range(2))
        for one in (*leaving, *staying):
            assert one.subscribe(BOB, qos=qos) == [qos]

        def leave() -> None:
            for one in leaving:
                one.unsubscribe(BOB)

        thread = Thread(target=leave)
        thread.start()
        sent = 0
        while thread.is_alive():
            target.event(BOB, b"event")
            sent += 1
        target.event(BOB, b"end")
        heard = 0
        for one in staying:
            while (message := one.message()).payload != b"end":
                heard += 1
                if qos:
                    one.send(puback_packet(message.packet_id))
        return sent * len(staying) - heard, sent * len(staying)


def test_b6_who_stays_loses_messages_when_others_leave() -> None:
    with both() as (stock, ours):
        lost, sent = _lost_while_others_leave(stock, 0)
        print(f"stock aMQTT: {lost} of {sent} lost")  # noqa: T201 - the proof is a count
        assert lost > 0
        for qos in (0, 1):
            lost, sent = _lost_while_others_leave(ours, qos)
            print(f"ours: {lost} of {sent} lost at QoS {qos}")  # noqa: T201 - the proof is a count
            assert lost == 0


def test_b6_who_subscribes_during_a_fan_out_takes_it_from_others() -> None:
    both_filters = BOB, f"{TOPICS.prefix}/u/bob/+"

    def works_on(target: Target) -> bool:
        is_asked, may_answer = threading.Event(), asyncio.Event()

        async def thinks(*, topic: str, action: Action, **_: Any) -> bool:
            if action is Action.RECEIVE:
                is_asked.set()
                await may_answer.wait()
            return topic in both_filters or topic == TOPICS.events("alice")

        instead_of_topic_filtering(target, thinks)
        with ExitStack() as stack:
            bobs = [stack.enter_context(device(target.port, "bob", one)) for one in both_filters]
            target.event(BOB, b"invited")
            if isinstance(target, Stock):  # ours asks nobody once somebody has subscribed
                assert is_asked.wait(BOUND_S)
            stack.enter_context(device(target.port, "alice", TOPICS.events("alice")))
            target.loop.call(may_answer.set)
            assert bobs[0].hears(b"invited")
            return not bobs[1].hears(b"invited", 1.0)

    with Stock() as stock:
        assert works_on(stock)
    with Ours() as ours, ExitStack() as stack:  # no filter of ours matches what another does, so there is none to lose
        both_filters = BOB, BOB
        assert not works_on(ours)
        assert stack.enter_context(device(ours.port, "bob")).subscribe(f"{TOPICS.prefix}/u/bob/+") == [0x80]


def test_b6_who_connects_while_others_subscribe_is_never_answered() -> None:
    def unanswered(target: Target) -> int:
        with ExitStack() as stack:
            for number in range(30):
                stack.enter_context(device(target.port, "bob", TOPICS.answers("bob", f"kept-{number}")))
                kept = target.broker.retain_message(None, TOPICS.answers("bob", f"kept-{number}"), b"retained", 0)
                target.loop.run(kept)
            many = [stack.enter_context(Attacker.tcp(target.port)) for _ in range(40)]
            for number, one in enumerate(many):
                asks = subscribe_packet(1, (TOPICS.answers("bob", f"new-{number}"), 0))
                one.send(connect_packet("bob", password_of("bob")), asks)
            without = 0
            for one in many:
                try:
                    one.expect(2)
                    one.expect(SUBACK, 1.0)
                except (TimeoutError, Ended):
                    without += 1
            return without

    with both() as (stock, ours):
        print(f"stock aMQTT: {unanswered(stock)} of 40 never answered")  # noqa: T201 - the proof is a count
        assert unanswered(ours) == 0


def test_b7_a_second_subscription_does_not_change_the_qos() -> None:
    def works_on(target: Target) -> bool:
        with device(target.port, "bob") as bob:
            assert bob.subscribe(BOB, qos=0) == [0]
            assert bob.subscribe(BOB, qos=1) == [1]
            target.event(BOB, b"invited")
            return bob.message().qos == 0

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_b7_a_message_at_qos_0_comes_at_qos_1() -> None:
    def works_on(target: Target) -> bool:
        async def allows(**_: Any) -> bool:
            return True

        instead_of_topic_filtering(target, allows)
        with device(target.port, "bob", BOB) as bob, device(target.port, "alice") as alice:
            alice.send(publish_packet(BOB, b"at 0"))
            try:
                return bob.message(1.0).qos == 1
            except TimeoutError:
                return False

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours), "whatever a plugin allows: from device to device nothing goes"


def test_b7_what_a_plugin_sends_comes_at_the_lower_qos() -> None:
    with Ours() as ours, device(ours.port, "bob", BOB) as bob:
        handler = handler_of(ours, only_session(ours))
        for qos in (0, 1, 2):
            ours.loop.run(handler.mqtt_publish(BOB, b"event", qos, retain=True))
        heard = bob.messages()
        assert [message.qos for message in heard] == [0, 1, 1]
        assert not any(message.is_retained for message in heard)


@pytest.mark.parametrize(("asked", "granted"), [(0, 0), (1, 1), (2, 1)])
def test_b7_messages_come_at_the_granted_qos_and_once(asked: int, granted: int) -> None:
    with Ours() as ours, device(ours.port, "bob", BOB) as bob:
        assert bob.subscribe(BOB, BOB, qos=asked) == [granted, granted]
        ours.event(BOB, b"invited")
        assert [message.qos for message in bob.messages()] == [granted]


def test_b10_unsubscribing_leaves_an_empty_entry_for_ever() -> None:
    def works_on(target: Target) -> bool:
        answers = [TOPICS.answers("bob", f"device-{n}") for n in range(50)]
        with device(target.port, "bob", *answers) as bob:
            bob.unsubscribe(*answers[:25], "never subscribed")
        with device(target.port, "bob", BOB, client_id="the next"):
            return len(target.filters) > 26

    with both() as (stock, ours):
        assert works_on(stock)
        ours.wait_for_connections(0)
        assert not works_on(ours)
        ours.wait_for_connections(0)
        assert ours.filters == []
