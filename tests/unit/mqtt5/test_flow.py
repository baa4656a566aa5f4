"""What goes over one connection, how much at a time and in which order, beside brokers that no real one is like."""

import asyncio
import logging

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.service.ports import Reach
from ringline_broker.testing import ManualClock
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import EVENTS, FakeBroker, Peer, Visit, here, message, run, said


def test_never_more_unacknowledged_than_the_broker_takes() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept(receive_max=3)
        first = [await visit.read_publish() for _ in range(3)]
        visit.send(mqtt5.PublishPacket("is that all", b""))
        assert await visit.read() is not None  # the peer's word that it was, and not a fourth message
        for packet in first:
            visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
        for _ in range(7):
            packet = await visit.read_publish()
            visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer().join(here(broker.port))
            told = [peer.publish("t", bytes((n,))) for n in range(10)]
            await peer.until(lambda: bool(peer.came))
            await let_run()
            assert (peer.outbound.in_flight, peer.outbound.waiting) == (3, 7)
            peer.connection._write(mqtt5.PingReqPacket().write())
            assert {await said(one) for one in told} == {Reach.SOMEBODY}
            peer.close()

    run(scenario())


def test_one_turn_of_the_loop_is_one_send() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer().join(here(broker.port))
            sends: list[int] = []
            transport = peer.connection._transport
            assert transport is not None

            class Counting:
                def write(self, data: bytes) -> None:
                    sends.append(len(data))

                def __getattr__(self, name: str) -> object:
                    return getattr(transport, name)

            peer.connection._transport = Counting()  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
            for n in range(50):
                peer.publish("t", bytes((n,)))
            assert sends == []
            await let_run()
            assert len(sends) == 1
            for _ in range(10):
                peer.publish("t", 30_000 * b"x")
            assert len(sends) >= 4, "a turn that makes much sends before its end"
            peer.connection._transport = transport
            peer.close()

    run(scenario())


class CountingClock(ManualClock):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def monotonic_ms(self) -> int:
        self.read += 1
        return super().monotonic_ms()


def test_the_clock_is_read_once_however_much_comes_at_once() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        await visit.at_end()

    async def scenario() -> None:
        clock = CountingClock()
        async with FakeBroker(part) as broker:
            peer = await Peer(clock=clock).join(here(broker.port))
            told = [peer.publish("t", expiry_ms=60_000) for _ in range(40)]
            acks = [mqtt5.PubAckPacket(packet_id).write() for packet_id in range(1, 41)]
            clock.advance(700)
            clock.read = 0
            peer.connection.data_received(b"".join(acks[:39]))
            assert clock.read == 1
            assert [one.done() for one in told] == 39 * [True] + [False]
            assert sum(peer.outbound.seconds.counts) == 5, "of every eight the first"
            assert peer.outbound.seconds.total == pytest.approx(5 * 0.7)
            clock.advance(300)
            assert peer.outbound.silent_ms == 300
            peer.connection.data_received(acks[39])
            peer.publish("t")
            assert peer.outbound.silent_ms == 0
            peer.close()

    run(scenario())


def test_what_a_full_socket_does_not_take_waits_where_it_is_counted() -> None:
    stuck = asyncio.Event

    async def scenario() -> None:
        go = stuck()

        async def part(visit: Visit) -> None:
            await visit.accept()
            await go.wait()
            for _ in range(1_000):
                packet = await visit.read_publish()
                visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
            await visit.at_end()

        async with FakeBroker(part) as broker:
            peer = await Peer(LinkBounds(window=1_000, max_bytes=100_000_000)).join(here(broker.port))
            told = [peer.publish("t", 30_000 * b"x") for _ in range(1_000)]
            await let_run()
            transport = peer.connection._transport
            assert transport is not None
            assert peer.outbound.waiting > 500
            assert transport.get_write_buffer_size() < 1_000_000
            go.set()
            assert {await said(one) for one in told} == {Reach.SOMEBODY}
            peer.close()

    run(scenario())


def test_a_message_says_how_long_it_is_of_use() -> None:
    expiries: list[int | None] = []

    async def part(visit: Visit) -> None:
        await visit.accept()
        for _ in range(3):
            packet = await visit.read_publish()
            expiries.append(packet.message_expiry_interval)
            visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(clock=ManualClock()).join(here(broker.port))
            for expiry_ms in (1, 30_001, None):
                await said(peer.publish("t", b"", expiry_ms))
            peer.close()

    run(scenario())
    assert expiries == [1, 31, None]


def test_a_message_over_the_brokers_maximum_is_not_sent() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept(max_packet_size=100)
        packet = await visit.read_publish()
        assert packet.payload == b"small"
        visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer().join(here(broker.port))
            large, small = peer.publish("t", 100 * b"x"), peer.publish("t", b"small")
            assert await said(small) is Reach.SOMEBODY
            assert await said(large) is Reach.UNKNOWN
            peer.close()

    run(scenario())


def test_a_broker_that_sends_more_than_the_receive_maximum_is_not_read() -> None:
    """Mosquitto 2.0.11 is one. What it sends stays in the socket, and nothing is lost."""

    async def part(visit: Visit) -> None:
        await visit.accept()
        visit.send(*(mqtt5.PublishPacket("t", bytes((n,))) for n in range(1, 30)), *(message(n) for n in range(30, 90)))
        acks = [await visit.read() for _ in range(60)]
        assert [ack.packet_id for ack in acks if isinstance(ack, mqtt5.PubAckPacket)] == list(range(30, 90))
        visit.send(message(90))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(LinkBounds(receive_max=4), settles=False).join(here(broker.port))
            transport = peer.connection._transport
            assert transport is not None
            for n in range(90):
                await peer.until(lambda: len(peer.settle) > n)  # noqa: B023 - awaited within its turn
                await let_run()
                assert len(peer.settle) <= n + 4
                assert peer.connection.unsettled <= 4
                assert transport.is_reading() is (n >= 85)
                peer.settle[n]()
            assert [payload for _, payload in peer.came] == [bytes((n,)) for n in range(1, 91)]
            assert peer.outbound.counters.held > 80
            peer.close()

    run(scenario())


def test_a_message_too_large_is_acknowledged_in_its_turn_and_never_seen(caplog: pytest.LogCaptureFixture) -> None:
    """Also where more of them come than the receive maximum, each in many pieces, while a message before them waits."""
    acks: list[int] = []
    oversize = [mqtt5.PublishPacket("t", bytes(300_000)), *(message(n, 300_000) for n in range(2, 12))]

    async def part(visit: Visit) -> None:
        await visit.accept()
        visit.send(message(1), *oversize, message(12))
        while len(acks) < 12:
            packet = await visit.read()
            assert isinstance(packet, mqtt5.PubAckPacket)
            acks.append(packet.packet_id)

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(LinkBounds(receive_max=4), settles=False).join(here(broker.port))
            await peer.until(lambda: len(peer.settle) == 2)
            assert acks == [], "the first is not settled"
            for settle in peer.settle:
                settle()
            assert await peer.ended() == "the broker closed the connection"
            assert [payload for _, payload in peer.came] == [bytes((1,)), bytes((12,))]
            assert peer.outbound.counters.oversize == 11

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert acks == list(range(1, 13))
    said = [one.getMessage() for one in caplog.records]
    assert said[0].startswith("messages read past, the last of 300004 bytes on 't'")
    assert len(said) == 4, "of the first, the second, the fourth and the eighth"


def test_a_worker_that_does_not_listen_does_not_blame_the_broker() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        visit.send(*(message(n) for n in range(1, 6)))
        await visit.at_end()

    async def scenario() -> None:
        clock = ManualClock()
        async with FakeBroker(part) as broker:
            peer = await Peer(LinkBounds(receive_max=2), clock, settles=False).join(here(broker.port))
            await peer.until(lambda: len(peer.settle) == 2)
            for _ in range(5):
                await let_run()
                clock.advance(10_000)
            await let_run()
            assert not peer.connection.ended.is_set()
            peer.close()

    run(scenario())


def test_what_is_settled_is_acknowledged_in_order() -> None:
    acks: list[int] = []

    async def part(visit: Visit) -> None:
        await visit.accept()
        visit.send(message(1), message(2), message(3))
        for _ in range(3):
            packet = await visit.read()
            assert isinstance(packet, mqtt5.PubAckPacket)
            acks.append(packet.packet_id)

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(settles=False).join(here(broker.port))
            await peer.until(lambda: len(peer.settle) == 3)
            for settle in reversed(peer.settle):
                settle()
            await peer.ended()

    run(scenario())
    assert acks == [1, 2, 3]


def test_a_worker_whose_broker_takes_no_events_takes_no_requests() -> None:
    """Else what they bring about would queue without bound."""

    async def scenario() -> None:
        taken = asyncio.Event()

        async def part(visit: Visit) -> None:
            await visit.accept(receive_max=2)
            visit.send(*(mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=n) for n in range(1, 7)))
            acks = 0
            events: list[int] = []
            while len(events) < 2:
                packet = await visit.read()
                acks += isinstance(packet, mqtt5.PubAckPacket)
                events += [packet.packet_id or 0] if isinstance(packet, mqtt5.PublishPacket) else []
            await taken.wait()
            visit.send(mqtt5.PingRespPacket())
            assert acks <= 5  # behind since its fifth event waits: a quarter of 10, and two under way
            held.append(6 - acks)
            while acks < 6 or events:
                if events:
                    visit.send(mqtt5.PubAckPacket(events.pop(0)))
                packet = await visit.read()
                acks += isinstance(packet, mqtt5.PubAckPacket)
                events += [packet.packet_id or 0] if isinstance(packet, mqtt5.PublishPacket) else []

        held: list[int] = []
        async with FakeBroker(part) as broker:
            peer = Peer(LinkBounds(max_messages=10), settles=False)
            await peer.join(here(broker.port))
            await peer.until(lambda: len(peer.settle) == 6)
            for settle in peer.settle:
                peer.publish(EVENTS)
                settle()
            assert peer.connection.unsettled == 0
            assert peer.connection._receipts.owed > 0
            taken.set()
            await peer.ended()
            assert held[0] > 0

    run(scenario())
