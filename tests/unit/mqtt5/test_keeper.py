"""One connection is kept up: waiting between attempts, subscriptions on each, and word of what happens."""

import asyncio
import logging

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused
from ringline_broker.bindings.mqtt5.keeper import Backoff, Keeper
from tests.unit.mqtt5.peers import FakeBroker, Moves, Peer, Visit, here, run

ASKING_MS = 12_000
BOUNDS = LinkBounds(keep_alive_s=2 * ASKING_MS // 1_000)


class HurriedClock:
    """Time passes where somebody waits, and only there."""

    def __init__(self) -> None:
        self.waits: list[int] = []
        self.time_ms = 0

    def wall_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        if timeout_ms == ASKING_MS:  # a keep alive's, which has its own tests
            return await event.wait()
        self.waits.append(timeout_ms)
        self.time_ms += timeout_ms
        return event.is_set()


def test_waiting_doubles_to_ten_seconds_and_is_never_the_same_for_all() -> None:
    longest, shortest = Backoff(lambda: 1.0), Backoff(lambda: 0.0)
    assert [longest.next_ms() for _ in range(9)] == [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
    assert [shortest.next_ms() for _ in range(9)] == [100, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]
    longest.reset()
    assert longest.next_ms() == 100
    assert len({Backoff().next_ms() for _ in range(3)} | {_third() for _ in range(50)}) > 10


def _third() -> int:
    backoff = Backoff()
    return [backoff.next_ms() for _ in range(3)][-1]


class Kept(Moves):
    """A keeper on a broker that is not real, with what it told."""

    def __init__(self, port: int, clock: HurriedClock) -> None:
        super().__init__()
        self.clock = clock
        self.peer = Peer(BOUNDS, clock)
        self.ups: list[Connection] = []
        self.downs: list[str] = []
        self._port = port
        self.keeper = Keeper(self._connect, clock, self._up, self._down, Backoff(lambda: 1.0))

    async def _connect(self) -> Connection:
        return await connect(here(self._port), self.peer.bounds, self.peer.outbound, self.peer._take, self.clock)

    def _up(self, connection: Connection) -> None:
        self.ups.append(connection)
        self.move()

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self.move()


async def grant(visit: Visit) -> list[str]:
    """Grant the next SUBSCRIBE; its filters."""
    packet = await visit.read()
    assert isinstance(packet, mqtt5.SubscribePacket), packet
    granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE for _ in packet.topic_filters]
    visit.send(mqtt5.SubAckPacket(packet.packet_id, granted))
    return [one.pattern for one in packet.topic_filters]


def test_every_connection_is_subscribed_before_it_is_up_and_waits_longer_each_time() -> None:
    subscribed: list[list[str]] = []

    async def part(visit: Visit) -> None:
        await visit.accept()
        subscribed.append(await grant(visit))
        if len(subscribed) < 5:
            visit.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN))
        else:
            await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            kept = Kept(broker.port, HurriedClock())
            kept.keeper.want(("a", "b"))
            await kept.keeper.start(10)
            await kept.until(lambda: len(kept.ups) == 5)
            assert kept.keeper.has == {"a", "b"}
            await kept.keeper.stop()
            assert len(kept.downs) == 5
            assert all("0x8b" in reason for reason in kept.downs[:4])
            assert [ms for ms in kept.clock.waits if ms < 1_000] == [100, 200, 400, 800]

    run(scenario())
    assert subscribed == [["a", "b"]] * 5


def test_what_is_wanted_may_change_on_a_living_connection() -> None:
    seen: list[list[str]] = []

    async def scenario() -> None:
        moved = Moves()

        async def part(visit: Visit) -> None:
            await visit.accept()
            seen.append(await grant(visit))
            packet = await visit.read()
            assert isinstance(packet, mqtt5.UnsubscribePacket)
            seen.append(packet.patterns)
            visit.send(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode.SUCCESS]))
            seen.append(await grant(visit))
            moved.move()
            await visit.at_end()

        async with FakeBroker(part) as broker:
            kept = Kept(broker.port, HurriedClock())
            kept.keeper.want(("a", "b"))
            await kept.keeper.start(10)
            kept.keeper.want(("b", "c"))
            await moved.until(lambda: len(seen) == 3)
            await kept.keeper.stop()

    run(scenario())
    assert seen == [["a", "b"], ["a"], ["c"]]


def test_a_start_that_cannot_succeed_fails_at_once_and_one_that_may_fails_in_the_end() -> None:
    codes = [mqtt5.ConnAckReasonCode.SERVER_BUSY, mqtt5.ConnAckReasonCode.NOT_AUTHORIZED]

    async def part(visit: Visit) -> None:
        await visit.read()
        visit.send(mqtt5.ConnAckPacket(reason_code=codes.pop(0)))

    async def hangs_up(visit: Visit) -> None:
        await visit.read()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            kept = Kept(broker.port, HurriedClock())
            with pytest.raises(LoginRefused, match="0x87"):
                await kept.keeper.start(10)
            assert kept.clock.waits == [100], "it tried again after SERVER_BUSY only"
        async with FakeBroker(hangs_up) as broker:
            kept = Kept(broker.port, HurriedClock())
            with pytest.raises(BrokerUnreachable, match="closed the connection"):
                await kept.keeper.start(0.3)

    run(scenario())


def test_a_failure_that_stays_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        visits = 0
        moved = Moves()

        async def part(visit: Visit) -> None:
            nonlocal visits
            visits += 1
            moved.move()
            if visits == 1:
                await visit.accept()
            elif visits < 9:
                await visit.read()
                visit.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BANNED))
            else:
                await visit.accept()
                await visit.at_end()

        async with FakeBroker(part) as broker:
            kept = Kept(broker.port, HurriedClock())
            await kept.keeper.start(10)
            await kept.until(lambda: len(kept.ups) == 2)
            await kept.keeper.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert [record.getMessage().count("0x8a") for record in caplog.records] == [1]


def test_an_owner_that_raises_does_not_end_the_keeping(caplog: pytest.LogCaptureFixture) -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            kept = Kept(broker.port, HurriedClock())
            raised: list[object] = []

            def once(connection: Connection) -> None:
                if not raised:
                    raised.append(connection)
                    raise RuntimeError("the owner's")
                kept._up(connection)

            kept.keeper._on_up = once
            await kept.keeper.start(10)
            assert len(kept.ups) == 1
            await kept.keeper.stop()

    run(scenario())
    assert "the owner's" in caplog.text


def test_after_a_connection_that_held_waiting_begins_anew() -> None:
    async def scenario() -> None:
        clock, ups = HurriedClock(), Moves()
        count = 0

        async def part(visit: Visit) -> None:
            nonlocal count
            count += 1
            await visit.accept()
            await ups.until(lambda: len(kept.ups) == count)
            if count == 6:
                await visit.at_end()

        class Holding(Kept):
            def _up(self, connection: Connection) -> None:
                super()._up(connection)
                clock.time_ms += 10_000 if len(self.ups) == 4 else 0
                ups.move()

        async with FakeBroker(part) as broker:
            kept = Holding(broker.port, clock)
            await kept.keeper.start(10)
            await kept.until(lambda: len(kept.ups) == 6)
            await kept.keeper.stop()
            assert clock.waits[:5] == [100, 200, 400, 100, 200]

    run(scenario())
