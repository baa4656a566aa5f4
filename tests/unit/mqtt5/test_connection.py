"""One connection, beside brokers that do what no real one would."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, SubscribeRefused
from ringline_broker.service.ports import Reach
from ringline_broker.testing import ManualClock
from tests.support.running import free_port
from tests.unit.mqtt5.peers import FakeBroker, Peer, Visit, here, run, said, turns

QOS_1 = mqtt5.QoS.AT_LEAST_ONCE
SOON = LinkBounds(answer_s=0.3)


def message(n: int, size: int = 1) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket("t", bytes((n,)) * size, qos=QOS_1, packet_id=n)


def test_the_login_asks_for_what_a_worker_wants() -> None:
    logins: list[mqtt5.ConnectPacket] = []

    async def part(visit: Visit) -> None:
        logins.append(await visit.accept())

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            for _ in range(2):
                peer = await Peer(LinkBounds(receive_max=7, max_packet_bytes=900, keep_alive_s=30)).join(
                    here(broker.port, username="worker", password=b"secret")
                )
                raw = peer.connection._transport
                assert raw is not None
                assert raw.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                await peer.ended()
                peer.close()

    run(scenario())
    login, other = logins
    assert login.clean_start
    assert (login.username, login.password) == ("worker", b"secret")
    assert (login.session_expiry_interval, login.keep_alive) == (0, 30)
    assert (login.receive_max, login.max_packet_size) == (7, 900)
    assert login.client_id != other.client_id
    assert len(login.client_id) <= 23
    assert login.client_id.isalnum()


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
            await turns()
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
            await turns()
            assert len(sends) == 1
            for _ in range(10):
                peer.publish("t", 30_000 * b"x")
            assert len(sends) >= 4, "a turn that makes much sends before its end"
            peer.connection._transport = transport
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
            await turns()
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
                await turns()
                assert len(peer.settle) <= n + 4
                assert peer.connection.unsettled <= 4
                assert transport.is_reading() is (n >= 85)
                peer.settle[n]()
            assert [payload for _, payload in peer.came] == [bytes((n,)) for n in range(1, 91)]
            assert peer.outbound.counters.held > 80
            peer.close()

    run(scenario())


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
                await turns()
                clock.advance(10_000)
            await turns()
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


GARBAGE = {
    "garbage": (b"\x00\x04garb", "PacketType", 0x81),
    "an oversize packet": (message(1, 2_000).write(), "the limit is", 0x81),
    "a length that never ends": (b"\x30\xff\xff\xff\xff\xff", "more than four bytes", 0x81),
    "a second CONNACK": (mqtt5.ConnAckPacket().write(), "ConnAckPacket", 0x82),
    "a CONNECT": (mqtt5.ConnectPacket("x").write(), "ConnectPacket", 0x82),
    "QoS 2": (b"\x34\x05\x00\x01a\x00\x01\x00", "QoS 2", 0x81),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_broker_that_breaks_the_protocol_is_left(kind: str) -> None:
    stream, why, code = GARBAGE[kind]
    codes: list[int] = []

    async def part(visit: Visit) -> None:
        await visit.accept()
        await visit.read_publish()
        visit.send(stream)
        codes.append(int((await visit.read_disconnect()).reason_code))

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(LinkBounds(max_packet_bytes=1_000)).join(here(broker.port))
            told = peer.publish("t")
            assert why in await peer.ended()
            assert not told.done(), "it goes again on the next connection"
            assert peer.outbound.waiting == 1

    run(scenario())
    assert codes == [code]


async def says_nothing(visit: Visit) -> None:
    await visit.at_end()


async def hangs_up(visit: Visit) -> None:
    await visit.read()


async def refuses(visit: Visit) -> None:
    await visit.read()
    visit.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, reason_str="no"))


async def is_busy(visit: Visit) -> None:
    await visit.read()
    visit.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY))


async def is_old(visit: Visit) -> None:
    await visit.read()
    visit.send(b"\x20\x02\x00\x01")


async def babbles(visit: Visit) -> None:
    await visit.read()
    visit.send(mqtt5.PingRespPacket())
    await visit.at_end()


@pytest.mark.parametrize(
    ("part", "failure", "why", "lasts"),
    [
        (says_nothing, BrokerUnreachable, "did not answer within 0.3 s", False),
        (hangs_up, BrokerUnreachable, "closed the connection", False),
        (refuses, LoginRefused, "reason 0x86 .'no'.: check the worker's user name", True),
        (is_busy, LoginRefused, "reason 0x89: the broker is overloaded", False),
        (is_old, BrokerUnreachable, "speaks no MQTT 5", False),
        (babbles, BrokerUnreachable, "before its CONNACK", False),
    ],
)
def test_a_login_that_fails_says_why(
    part: Callable[[Visit], Awaitable[None]], failure: type[BrokerUnreachable], why: str, lasts: bool
) -> None:
    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            with pytest.raises(failure, match=why) as failed:
                await Peer(SOON).join(here(broker.port))
            assert failed.value.lasts is lasts

    run(scenario())


def test_where_nobody_listens_that_is_said() -> None:
    async def scenario() -> None:
        port = free_port()
        with pytest.raises(BrokerUnreachable, match=f"no broker at 127[.]0[.]0[.]1:{port}: "):
            await Peer().join(here(port))
        with pytest.raises(BrokerUnreachable, match=r"no broker at nowhere\.invalid"):
            await Peer().join(replace(here(port), host="nowhere.invalid"))

    run(scenario())


def test_a_disconnect_says_why_and_what_to_do() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        visit.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER, reason_str="gone"))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            reason = await (await Peer().join(here(broker.port))).ended()
            assert "reason 0x8e ('gone')" in reason
            assert "client id" in reason

    run(scenario())


@pytest.mark.parametrize("server_keep_alive", [None, 4])
def test_a_silent_broker_is_asked_and_then_left(server_keep_alive: int | None) -> None:
    clock, asked, answer = ManualClock(), asyncio.Event, asyncio.Event
    half_ms = 500 * (server_keep_alive or 20)

    async def scenario() -> None:
        pinged, go = asked(), answer()

        async def part(visit: Visit) -> None:
            await visit.accept(server_keep_alive=server_keep_alive)
            assert isinstance(await visit.read(), mqtt5.PingReqPacket)
            visit.send(mqtt5.PingRespPacket(), message(1))
            assert isinstance(await visit.read(), mqtt5.PubAckPacket)
            assert isinstance(await visit.read(), mqtt5.PingReqPacket)
            pinged.set()
            await visit.at_end()
            go.set()

        async with FakeBroker(part) as broker:
            peer = await Peer(clock=clock).join(here(broker.port))
            await turns()
            clock.advance(half_ms - 1)
            await turns()
            clock.advance(1)
            await peer.until(lambda: bool(peer.came))
            await turns()
            clock.advance(half_ms)
            await pinged.wait()
            await turns()
            assert not peer.connection.ended.is_set()
            clock.advance(half_ms)
            assert await peer.ended() == "the broker is silent"
            await go.wait()

    run(scenario())


def test_a_subscribe_refused_or_unanswered_says_so() -> None:
    async def part(visit: Visit) -> None:
        await visit.accept()
        packet = await visit.read()
        assert isinstance(packet, mqtt5.SubscribePacket)
        granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, mqtt5.SubAckReasonCode.NOT_AUTHORIZED]
        visit.send(mqtt5.SubAckPacket(packet.packet_id, granted))
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            peer = await Peer(SOON).join(here(broker.port))
            with pytest.raises(SubscribeRefused, match="refuses 'b'; reason 0x87: give the worker's user"):
                await peer.connection.subscribe(("a", "b"))
            assert not peer.connection.ended.is_set()
            with pytest.raises(BrokerUnreachable, match=r"did not answer UNSUBSCRIBE within 0\.3 s"):
                await peer.connection.unsubscribe(("a",))
            assert peer.connection.ended.is_set()
            with pytest.raises(BrokerUnreachable):
                await peer.connection.subscribe(("a",))

    run(scenario())


@pytest.mark.parametrize(
    "name", ["receive_max", "max_packet_bytes", "window", "max_messages", "max_bytes", "keep_alive_s", "answer_s"]
)
def test_bounds_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LinkBounds(**{name: 0})
    with pytest.raises(ValueError, match="65535"):
        LinkBounds(receive_max=65_536)
