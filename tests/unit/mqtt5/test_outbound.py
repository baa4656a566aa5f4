"""Messages on their way: a window, bounds, an order, and an end for each."""

import asyncio

import pytest

from ringline_broker.bindings.mqtt5.counters import LinkCounters
from ringline_broker.bindings.mqtt5.outbound import LAST_PACKET_ID, Outbound
from ringline_broker.bindings.mqtt5.packets import PubAck
from ringline_broker.service.ports import Reach
from ringline_broker.testing import ManualClock
from tests.unit.mqtt5.peers import run


class Wire:
    """A connection that only writes down."""

    def __init__(self, max_messages: int = 100, max_bytes: int = 10_000) -> None:
        self.clock = ManualClock()
        self.counters = LinkCounters()
        self.out = Outbound(max_messages, max_bytes, self.clock.monotonic_ms, self.counters)
        self.sent: list[tuple[int, bytes, int | None]] = []

    def pump(self, now_ms: int) -> None:
        while (ready := self.out.next(now_ms)) is not None:
            packet_id, message, left_s = ready
            self.sent.append((packet_id, message.payload, left_s))

    def attach(self, window: int = 10) -> None:
        self.out.attach(self.pump, window)

    def put(self, payload: bytes, expiry_ms: int | None = None) -> asyncio.Future[Reach]:
        return self.out.put("t", payload, expiry_ms)

    def acknowledge(self, packet_id: int, code: int) -> None:
        self.out.acknowledged(PubAck(packet_id, code), self.clock.monotonic_ms())

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.sent]


def test_no_more_than_the_window_is_on_its_way() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach(3)
        told = [wire.put(bytes((n,))) for n in range(8)]
        assert (wire.out.in_flight, wire.out.waiting) == (3, 5)
        wire.acknowledge(wire.sent[1][0], 0)
        assert (wire.out.in_flight, wire.out.waiting) == (3, 4)
        assert [one.done() for one in told] == [False, True] + 6 * [False]
        assert wire.payloads() == [bytes((n,)) for n in range(4)]

    run(scenario())


def test_what_the_broker_said_is_told() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach()
        told = [wire.put(b"") for _ in range(3)]
        for (packet_id, _, _), code in zip(wire.sent, (0, 0x10, 0x87), strict=True):
            wire.acknowledge(packet_id, code)
        assert [one.result() for one in told] == [Reach.SOMEBODY, Reach.NOBODY, Reach.UNKNOWN]
        assert (wire.counters.published, wire.counters.refused, wire.out.last_refusal) == (2, 1, 0x87)
        wire.acknowledge(4_711, 0)  # an id nobody used
        assert wire.out.empty.is_set()

    run(scenario())


def test_what_was_not_acknowledged_goes_again_first_and_in_order() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach(3)
        told = [wire.put(bytes((n,))) for n in range(5)]
        wire.acknowledge(wire.sent[0][0], 0)
        wire.out.detach()
        assert (wire.out.in_flight, wire.out.waiting, wire.counters.repeated) == (0, 4, 3)
        wire.put(b"later")
        wire.sent.clear()
        wire.attach(10)
        assert wire.payloads() == [b"\1", b"\2", b"\3", b"\4", b"later"]
        for packet_id, _, _ in wire.sent:
            wire.acknowledge(packet_id, 0)
        assert all(one.result() is Reach.SOMEBODY for one in told)

    run(scenario())


@pytest.mark.parametrize(("max_messages", "max_bytes"), [(4, 10_000), (100, 40)])
def test_what_is_over_the_bound_is_given_up_and_said_so(
    max_messages: int, max_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        wire = Wire(max_messages, max_bytes)
        told = [wire.put(10 * b"x") for _ in range(9)]
        assert [one.done() for one in told] == 4 * [False] + 5 * [True]
        assert {one.result() for one in told[4:]} == {Reach.LOST}
        assert wire.counters.overflowed == 5
        assert len(caplog.records) == 3  # the first, the second, the fourth
        wire.attach()
        for packet_id, _, _ in list(wire.sent):
            wire.acknowledge(packet_id, 0)
        assert not wire.put(10 * b"x").done()  # there is room again

    run(scenario())


@pytest.mark.parametrize(("code", "reach"), [(0x97, Reach.LOST), (0x87, Reach.UNKNOWN), (0x90, Reach.UNKNOWN)])
def test_what_a_broker_has_no_room_for_is_tried_again_and_what_it_forbids_is_not(code: int, reach: Reach) -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach()
        told = wire.put(b"")
        wire.acknowledge(wire.sent[0][0], code)
        assert told.result() is reach

    run(scenario())


def test_what_the_broker_says_of_a_refusal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach()
        wire.put(b"")
        wire.out.acknowledged(PubAck(wire.sent[0][0], 0x87, "not you"), 0)
        assert "'not you'" in caplog.text

    run(scenario())


def test_time_left_is_rounded_up_and_what_has_none_is_not_sent() -> None:
    async def scenario() -> None:
        wire = Wire()
        late, good, always = wire.put(b"late", 5_000), wire.put(b"good", 9_001), wire.put(b"always")
        wire.clock.advance(5_000)
        wire.attach()
        assert [(payload, left_s) for _, payload, left_s in wire.sent] == [(b"good", 5), (b"always", None)]
        assert late.result() is Reach.UNKNOWN
        assert wire.counters.expired == 1
        assert not good.done()
        assert not always.done()

    run(scenario())


def test_it_is_told_how_long_a_broker_has_acknowledged_nothing() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.clock.advance(5_000)
        assert wire.out.silent_ms == 0, "nothing is to be acknowledged"
        wire.attach()
        wire.put(b"")
        wire.clock.advance(700)
        wire.put(b"")
        wire.clock.advance(300)
        assert wire.out.silent_ms == 1_000
        wire.acknowledge(wire.sent[0][0], 0)
        assert wire.out.silent_ms == 0
        wire.clock.advance(1)
        assert wire.out.silent_ms == 1
        wire.acknowledge(wire.sent[1][0], 0)
        wire.clock.advance(1)
        assert wire.out.silent_ms == 0

    run(scenario())


def test_packet_ids_in_use_are_not_used_again() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach(2)
        wire.put(b"stays")
        first = wire.sent[0][0]
        for _ in range(LAST_PACKET_ID + 10):
            wire.put(b"")
            wire.acknowledge(wire.sent[-1][0], 0)
        ids = [packet_id for packet_id, _, _ in wire.sent]
        assert ids.count(first) == 1
        assert (min(ids), max(ids)) == (1, LAST_PACKET_ID)

    run(scenario())


def test_whoever_gave_up_waiting_stops_nothing() -> None:
    async def scenario() -> None:
        wire = Wire()
        told = wire.put(b"")
        told.cancel()
        wire.attach()
        wire.acknowledge(wire.sent[0][0], 0)
        assert wire.counters.published == 1

    run(scenario())


def test_everybody_is_told_when_nothing_more_is_sent() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.attach(1)
        told = [wire.put(b""), wire.put(b"")]
        assert not wire.out.empty.is_set()
        wire.out.give_up()
        assert [one.result() for one in told] == [Reach.LOST, Reach.LOST]
        assert wire.out.empty.is_set()
        assert wire.put(b"").result() is Reach.LOST
        assert (wire.out.waiting, wire.counters.abandoned) == (0, 3)

    run(scenario())


def test_a_quarter_of_the_bound_is_behind() -> None:
    async def scenario() -> None:
        wire = Wire(max_messages=8)
        for expected in (False, False, True):
            wire.put(b"")
            assert wire.out.is_behind is expected

    run(scenario())
