"""How one connection begins, fails and ends, beside brokers that do what no real one would."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, SubscribeRefused
from ringline_broker.testing import ManualClock
from tests.support.running import free_port
from tests.support.turns import let_run
from tests.unit.mqtt5.peers import FakeBroker, Peer, Visit, here, message, run

SOON = LinkBounds(answer_s=0.3)


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
    assert (login.receive_max, login.max_packet_size) == (7, 268_435_455), "whatever is kept of a packet"
    assert login.client_id != other.client_id
    assert len(login.client_id) <= 23
    assert login.client_id.isalnum()


GARBAGE = {
    "garbage": (b"\x00\x04garb", "PacketType", 0x81),
    "an oversize packet": (b"\x90\xd0\x0f", "the limit is", 0x81),
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


async def denies(visit: Visit) -> None:
    await visit.read()
    visit.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED))


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
        (refuses, LoginRefused, "reason 0x86 .'no'.; check the user in --broker, and RINGLINE_PASSWORD", True),
        (denies, LoginRefused, "reason 0x87; check the user in --broker, and RINGLINE_PASSWORD", True),
        (is_busy, LoginRefused, "reason 0x89; the broker is overloaded", False),
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
    half_ms = 500 * (server_keep_alive or LinkBounds().keep_alive_s)

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
            await let_run()
            clock.advance(half_ms - 1)
            await let_run()
            clock.advance(1)
            await peer.until(lambda: bool(peer.came))
            await let_run()
            clock.advance(half_ms)
            await pinged.wait()
            await let_run()
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
            with pytest.raises(SubscribeRefused, match="refuses 'b', reason 0x87; give the worker's user"):
                await peer.connection.subscribe(("a", "b"))
            assert not peer.connection.ended.is_set()
            with pytest.raises(BrokerUnreachable, match=r"did not answer UNSUBSCRIBE within 0\.3 s"):
                await peer.connection.unsubscribe(("a",))
            assert peer.connection.ended.is_set()
            with pytest.raises(BrokerUnreachable):
                await peer.connection.subscribe(("a",))

    run(scenario())


@pytest.mark.parametrize("name", [*LinkBounds.__slots__])
def test_bounds_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LinkBounds(**{name: 0})
    with pytest.raises(ValueError, match="65535"):
        LinkBounds(receive_max=65_536)
