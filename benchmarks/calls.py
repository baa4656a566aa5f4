"""Calls: invite and accept, through the extension, or peer to peer as a broker alone carries them."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import ClassVar, cast

import msgpack

from benchmarks.load import BOUND_S, Load, events, evt_topic, is_done, new_iid, req_topic, request
from benchmarks.orders import Order
from benchmarks.wire import LoadDevice


@dataclass
class Call:
    """A call on its way: whose it is, when the invite and the accept were sent, which parties heard `accepted`."""

    inviter: str
    invited_at: float
    rang_after: float = 0.0
    accepted_at: float = 0.0
    heard_by: set[str] = field(default_factory=set[str])


class Calls(Load):
    """What both kinds of call have in common."""

    topic: ClassVar[str]
    """Where a message from `sender` to `receiver` is published."""
    parties_that_hear: ClassVar[int]
    """Of the answer."""

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._calls: dict[str, Call] = {}

    def begin(self) -> None:
        caller, callee = self.two_users()
        iid, inviter, invitee = new_iid(), self.user(caller), self.user(callee)
        payload = self.request("invite", iid, to=[invitee])
        self._calls[iid] = Call(inviter, time.perf_counter())
        self.send(caller, self.topic.format(sender=inviter, receiver=invitee), payload)

    def rings(self, device: LoadDevice, iid: str) -> None:
        """The invitee has heard: accept. It may hear of it again, as every event may come twice."""
        call = self._calls[iid]
        if call.accepted_at:
            return
        call.accepted_at = time.perf_counter()
        call.rang_after = call.accepted_at - call.invited_at
        topic = self.topic.format(sender=device.user, receiver=call.inviter)
        self.send(device, topic, self.request("accept", iid))

    def is_accepted(self, device: LoadDevice, iid: str) -> None:
        """A party has heard the answer."""
        call = self._calls[iid]
        if device.user in call.heard_by:
            return
        if device.user == call.inviter:
            self.tally.ring_ms.append(call.rang_after * 1000)
            self.tally.answer_ms.append((time.perf_counter() - call.accepted_at) * 1000)
        call.heard_by.add(device.user)
        if len(call.heard_by) < self.parties_that_hear:
            return
        del self._calls[iid]
        self.end()
        if not self.order.rate:
            self.begin_next()


class RinglineCalls(Calls):
    """Through the extension: both parties hear both events."""

    topic = req_topic("{sender}")
    parties_that_hear = 2

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._have_blocked = asyncio.Semaphore(0)

    async def connect(self, count: int) -> None:
        await super().connect(count)
        if not self.order.blocked:
            return
        strangers = [f"stranger-{number:03}" for number in range(self.order.blocked)]
        for number in range(count):
            self.send(number, req_topic(self.user(number)), request("block", users=strangers))
        async with asyncio.timeout(BOUND_S):
            for _ in range(count):
                await self._have_blocked.acquire()

    def heard(self, device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        if self._have_blocked.locked() and is_done(topic, payload):
            self._have_blocked.release()
            return
        for event in events(topic, payload):
            if event["iid"] not in self._calls:
                continue  # of an invitation that another load left open
            if event["ev"] == "accepted":
                self.is_accepted(device, event["iid"])
            elif event["ev"] == "invited" and event["by"] != device.user:
                self.rings(device, event["iid"])


class BareCalls(Calls):
    """The same two payloads straight to the other user's topic; who sends the accept hears nothing of it."""

    topic = evt_topic("{receiver}")
    parties_that_hear = 1

    def heard(self, device: LoadDevice, _topic: bytes, payload: bytes, /) -> None:
        message = cast("dict[str, str]", msgpack.unpackb(payload))
        if message["op"] == "invite":
            self.rings(device, message["iid"])
        else:
            self.is_accepted(device, message["iid"])
