"""Faults that lose, change or leave behind. Each is first shown on aMQTT as it is shipped, then on ours."""

from contextlib import ExitStack, suppress
from threading import Thread
from typing import Any

import pytest

from ringline_broker.bindings.amqtt.device import Bounds
from tests.attacks.raw_mqtt import (
    Attacker,
    Ended,
    device,
    puback_packet,
    publish_packet,
    subscribe_packet,
)
from tests.attacks.targets import TOPICS, Ours, Target, both, next_request

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


def test_b5_a_plugin_that_raises_leaves_a_session_behind(caplog: pytest.LogCaptureFixture) -> None:
    def works_on(target: Target) -> bool:
        async def fails(**_: Any) -> bool:
            raise RuntimeError("a fault of the plugin's")

        (plugin,) = target.broker.plugins_manager.plugins
        setattr(plugin, "topic_filtering", fails)  # noqa: B010 - type checkers forbid it the other way
        with device(target.port, "bob") as bob:
            bob.send(subscribe_packet(1, (BOB, 1)))
            assert bob.is_ended()
        with device(target.port, "alice"):
            return target.sessions > 1

    with both() as (stock, ours):
        assert works_on(stock)
        caplog.clear()
        assert not works_on(ours)
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
