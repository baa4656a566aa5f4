"""The kinds of abuse: each does one thing over one connection, until the server ends it; then it is begun again."""

import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from ringline.protocol.group_requests import CreateGroup, DismissGroup
from ringline.protocol.requests import Cancel, Get, Invite, Sync
from ringline.protocol.shapes import Request
from ringline_broker.bindings.amqtt import mqtt311
from tests.attacks.raw_mqtt import PING, connect_packet, publish_packet, subscribe_packet
from tests.faults.hostile import DEVICE, TOPICS, Connection, Hostile
from tests.support.raw import request_id

AT_ONCE: Final = 20
INVITEES: Final = 100
_DRIP_S: Final = 0.05
_DATA: Final = bytes(1_000)
_LARGE_DATA: Final = bytes(8_000)
_TOO_LARGE: Final = b"\x30\xff\xff\x7f" + bytes(60_000)
_MALFORMED: Final = (
    b"\x00\x00", b"\xf0\x00", b"\x10\xff\xff\xff\xff\x01", b"\x82\x00", b"\x36\x05\x00\x01a\x00\x01",
    b"\x30\x02\x00\x09", b"\x82\x05\x00\x01\x00\x00\x01",
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)  # fmt: skip


@dataclass(frozen=True)
class Crowd:
    """Who is abused.

    Attributes:
        everybody: users who are connected.
        blockers: users who have blocked those that do `blocked`.
    """

    everybody: list[str]
    blockers: list[str]


Abuse = Callable[[Hostile, Crowd], Awaitable[None]]


def made(kind: type[Request], **fields: Any) -> Request:
    """A request with an id of its own."""
    return kind(id=request_id(), dev=DEVICE, **fields)


async def send_all(device: Connection, wanted: list[Request]) -> None:
    """Send requests in one go, and wait for something to come."""
    await device.send(b"".join(map(device.request, wanted)), len(wanted))
    await device.more()


# What those who are logged in can do.


async def requests(me: Hostile, _crowd: Crowd) -> None:
    """A flood of requests."""
    device = await me.log_in()
    while True:
        await send_all(device, [made(Get, iid="none") for _ in range(AT_ONCE)])


async def pings(me: Hostile, _crowd: Crowd) -> None:
    """A flood of pings."""
    device = await me.log_in()
    while True:
        await device.send(PING * 500, 500)
        await device.more()


async def subscriptions(me: Hostile, _crowd: Crowd) -> None:
    """A flood of SUBSCRIBEs, to what they may have, some of them with many filters."""
    device = await me.log_in()
    own = TOPICS.events(me.user)
    packets = subscribe_packet(2, (own, 1)) * AT_ONCE + subscribe_packet(3, *[(own, 0)] * 500)
    while True:
        await device.send(packets, AT_ONCE + 1)
        await device.more()


async def foreign_topics(me: Hostile, crowd: Crowd) -> None:
    """Publishing in others' names, and listening in."""
    device = await me.log_in()
    while True:
        other = random.choice(crowd.everybody)
        await device.send(publish_packet(TOPICS.requests(other), b"x", 1, 2) * AT_ONCE, AT_ONCE)
        await device.send(publish_packet(TOPICS.events(other), b"x", 1, 2) * AT_ONCE, AT_ONCE)
        await device.send(subscribe_packet(3, (TOPICS.events(other), 1), ("#", 1), ("ringline/v1/u/+/evt", 1)))
        await device.more()


async def deaf(me: Hostile, crowd: Crowd) -> None:
    """Asking for much, and reading nothing of it."""
    device = await me.log_in()
    others = random.sample(crowd.everybody, 30)
    for other in others:
        await device.send(device.request(made(Invite, iid=secrets.token_hex(8), to=(other,), data=_LARGE_DATA)))
    await device.ask(made(Get, iid="none"))  # which is answered after them
    device.stop_reading()
    while True:
        await send_all(device, [made(Sync) for _ in range(AT_ONCE)])


async def syncs(me: Hostile, _crowd: Crowd) -> None:
    """A flood of syncs, each from the beginning."""
    device = await me.log_in()
    while True:
        await send_all(device, [made(Sync, since=0) for _ in range(AT_ONCE)])


async def everybody(me: Hostile, crowd: Crowd) -> None:
    """Ringing everybody, again and again."""
    device = await me.log_in()
    while True:
        iids = [secrets.token_hex(8) for _ in range(AT_ONCE // 2)]
        invites = [
            made(Invite, iid=iid, to=tuple(random.sample(crowd.everybody, INVITEES)), data=_DATA) for iid in iids
        ]
        await send_all(device, [*invites, *(made(Cancel, iid=iid) for iid in iids)])


async def blocked(me: Hostile, crowd: Crowd) -> None:
    """Ringing those who have blocked them."""
    device = await me.log_in()
    while True:
        invites = [
            made(Invite, iid=secrets.token_hex(8), to=tuple(crowd.blockers[:INVITEES])) for _ in range(AT_ONCE // 2)
        ]
        await send_all(device, invites)


async def groups(me: Hostile, _crowd: Crowd) -> None:
    """Making groups and dismissing them."""
    await _make_groups(me, [])


async def groups_of_many(me: Hostile, crowd: Crowd) -> None:
    """The same, with others in them, who were not asked."""
    await _make_groups(me, crowd.everybody)


async def _make_groups(me: Hostile, others: list[str]) -> None:
    device = await me.log_in()
    while True:
        gids = [secrets.token_hex(8) for _ in range(AT_ONCE // 2)]
        to = tuple(random.sample(others, min(INVITEES, len(others))))
        wanted = [(made(CreateGroup, gid=gid, preset="work", to=to), made(DismissGroup, gid=gid)) for gid in gids]
        await send_all(device, [request for pair in wanted for request in pair])


async def too_large(me: Hostile, _crowd: Crowd) -> None:
    """Packets over the limit."""
    device = await me.log_in()
    await device.send(_TOO_LARGE)
    await device.end()


async def drip(me: Hostile, _crowd: Crowd) -> None:
    """A request that comes byte by byte."""
    device = await me.log_in()
    while True:
        for byte in device.request(made(Get, iid="none")):
            await device.send(bytes((byte,)))
            await device.more(_DRIP_S)


# What strangers can do.


async def malformed(me: Hostile, _crowd: Crowd) -> None:
    """Packets that are none, before the login or after it, and again from a new connection."""
    device = await random.choice((me.reach, me.log_in))()
    await device.send(random.choice(_MALFORMED) + bytes(10))
    await device.end()


async def half_open(me: Hostile, _crowd: Crowd) -> None:
    """Connections that say nothing, or half of what they should."""
    some = [await me.reach() for _ in range(10)]
    for number, device in enumerate(some):
        await device.send(connect_packet(me.user, me.password)[: number * 2])
    for device in some[1:]:
        await device.is_over.wait()
    await some[0].end()


async def passwords(me: Hostile, crowd: Crowd) -> None:
    """Guessing, at users who are there and at others."""
    device = await me.reach()
    user = random.choice((random.choice(crowd.everybody), secrets.token_hex(4)))
    await device.send(connect_packet(user, secrets.token_hex(4)))
    await device.hear(mqtt311.PacketType.CONNACK)
    await device.end()


ABUSES: Final[dict[str, Abuse]] = {
    abuse.__name__: abuse
    for abuse in (
        requests, pings, subscriptions, foreign_topics, deaf, syncs, everybody, blocked, groups, groups_of_many,
        too_large, drip, malformed, half_open, passwords,
    )
}  # fmt: skip
STRANGERS: Final = ("malformed", "half_open", "passwords")
"""What needs no login."""
