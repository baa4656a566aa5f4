"""A broker that answers pings, and what becomes of a message that it does not acknowledge."""

import asyncio
import logging
from collections.abc import Callable

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.binding import WorkerBinding
from ringline_broker.service.ports import Reach
from ringline_broker.testing import ManualClock
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import (
    EVENTS,
    SHARE,
    TOPICS,
    WITHIN_S,
    FakeBroker,
    Moves,
    Peer,
    Visit,
    here,
    run,
    said,
)

HALF_MS = 500 * LinkBounds().keep_alive_s
PATIENCE = int(1_000 * LinkBounds().unacknowledged_s) // HALF_MS
"""Pings in the time that a message may stay unacknowledged."""


class Forgetful(Moves):
    """A broker that does everything right, but for messages that it never acknowledges.

    Args:
        forgets: the payloads of those, on the first connection.
    """

    def __init__(self, *forgets: bytes) -> None:
        super().__init__()
        self.visits = 0
        self.pings = 0
        self._forgets = forgets
        self.came: list[bytes] = []

    async def part(self, visit: Visit) -> None:
        await visit.accept()
        self.visits += 1
        forgets = self._forgets if self.visits == 1 else ()
        while True:
            packet = await visit.read()
            if isinstance(packet, mqtt5.PublishPacket):
                self.came.append(bytes(packet.payload))
                if packet.payload not in forgets:
                    visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
            elif isinstance(packet, mqtt5.SubscribePacket):
                visit.send(mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]))
            elif isinstance(packet, mqtt5.UnsubscribePacket):
                visit.send(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode.SUCCESS]))
            elif isinstance(packet, mqtt5.PingReqPacket):
                self.pings += 1
                visit.send(mqtt5.PingRespPacket())
            self.move()

    async def ping(self, clock: ManualClock) -> None:
        """Let it be pinged once."""
        before = self.pings
        await let_run()
        clock.advance(HALF_MS)
        await self.until(lambda: self.pings > before)


def test_a_message_that_is_never_acknowledged_ends_the_connection_and_goes_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else the worker would take its broker for unresponsive for good, and leave deadlines and recovery to nobody."""

    async def scenario() -> None:
        clock, broker = ManualClock(), Forgetful(b"forgotten")
        async with FakeBroker(broker.part) as fake:
            binding = WorkerBinding(here(fake.port), TOPICS, SHARE, clock)
            await binding._new_keeper().start(WITHIN_S)  # without the self-test
            told = binding.publish(EVENTS, b"forgotten", None)
            for _ in range(PATIENCE):
                await broker.ping(clock)
                assert await said(binding.publish(EVENTS, b"later", None)) is Reach.SOMEBODY
            assert (broker.visits, told.done()) == (1, False)
            clock.advance(2_000)
            responsive = [binding.is_responsive]
            await let_run()
            clock.advance(HALF_MS - 2_000)
            await until(lambda: not binding.is_connected)
            clock.advance(10_000)
            assert await said(told) is Reach.SOMEBODY
            assert (broker.visits, broker.came[-1]) == (2, b"forgotten")
            await until(lambda: binding.is_connected)
            clock.advance(2_000)
            responsive.append(binding.is_responsive)
            assert responsive == [False, True]
            await binding.stop()

    async def until(so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not so():
                await let_run()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert "lost: the broker answers pings, and left a message unacknowledged for 10 s" in caplog.text


def test_an_acknowledgement_in_the_last_moment_counts() -> None:
    async def scenario() -> None:
        clock, moved = ManualClock(), Moves()
        pings = 0

        async def part(visit: Visit) -> None:
            nonlocal pings
            await visit.accept()
            packet = await visit.read_publish()
            while pings <= PATIENCE:
                assert isinstance(await visit.read(), mqtt5.PingReqPacket)
                pings += 1
                if pings > PATIENCE:
                    visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
                visit.send(mqtt5.PingRespPacket())
                moved.move()
            visit.send(mqtt5.PublishPacket("t", b"all answered"))
            await visit.at_end()

        async with FakeBroker(part) as fake:
            peer = await Peer(clock=clock).join(here(fake.port))
            told = peer.publish("t")
            for n in range(PATIENCE + 1):
                await let_run()
                clock.advance(HALF_MS)
                await moved.until(lambda: pings > n)  # noqa: B023 - awaited within its turn
            assert await said(told) is Reach.SOMEBODY
            await peer.until(lambda: bool(peer.came))
            assert not peer.connection.ended.is_set()
            peer.close()

    run(scenario())


def test_pings_from_before_a_message_say_nothing_of_it() -> None:
    """A broker far behind answers many at once, and has not read the message yet."""

    async def scenario() -> None:
        clock, moved = ManualClock(), Moves()
        pings = 0

        async def part(visit: Visit) -> None:
            nonlocal pings
            await visit.accept()
            while pings < 2 * PATIENCE:
                assert isinstance(await visit.read(), mqtt5.PingReqPacket)
                visit.send(mqtt5.PublishPacket("busy", b""))
                pings += 1
                moved.move()
            packet = await visit.read_publish()
            assert isinstance(await visit.read(), mqtt5.PingReqPacket)
            visit.send(*(mqtt5.PingRespPacket() for _ in range(pings + 1)), mqtt5.PublishPacket("t", b"all answered"))
            visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
            await visit.at_end()

        async with FakeBroker(part) as fake:
            peer = await Peer(clock=clock).join(here(fake.port))
            for n in range(2 * PATIENCE):
                await let_run()
                clock.advance(HALF_MS)
                await moved.until(lambda: pings > n)  # noqa: B023 - awaited within its turn
                await peer.until(lambda: len(peer.came) > n)  # noqa: B023 - likewise
            told = peer.publish("t")
            await let_run()
            clock.advance(HALF_MS)
            assert await said(told) is Reach.SOMEBODY
            assert peer.came[-1] == ("t", b"all answered")
            assert not peer.connection.ended.is_set()
            peer.close()

    run(scenario())
