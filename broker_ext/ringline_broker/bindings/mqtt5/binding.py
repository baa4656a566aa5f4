"""The worker's binding: requests in through a shared subscription, events out, over one connection kept up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

from ringline.protocol.topics import Topics, id_fault
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.counters import LinkCounters
from ringline_broker.bindings.mqtt5.failures import BrokerFailure, BrokerUnfit
from ringline_broker.bindings.mqtt5.keeper import Backoff, Keeper
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.bindings.mqtt5.selftest import SelfTest, explain, self_test
from ringline_broker.metrics import Histogram
from ringline_broker.service.ports import BrokerUnavailable, Clock, Incoming, Reach

log = logging.getLogger(__name__)

START_S: Final = 10.0
"""Seconds that a broker has to come up while the worker starts."""
DRAIN_MS: Final = 2_000
"""How long a stopping worker waits for the broker to let it out of the share, and then to acknowledge what it
published, milliseconds.
"""
SILENT_MS: Final = 1_000
"""How long a broker may take to acknowledge a message before it is one that does not answer, milliseconds."""
USERS_KNOWN: Final = 4_096
"""Request topics whose user is remembered; the next one, and all are forgotten: anybody may have any number of them."""
HANDED_OVER_S: Final = 5.0
"""Seconds that the broker has to take what was published before a group's topic is taken away from all."""


class Permissions(Protocol):
    """How a broker is told, at run time, who may hear what.

    Attributes:
        has_group_topics: whether it is told who may hear a group's topic.
    """

    has_group_topics: bool

    async def start(self, within_s: float) -> None:
        """Connect, and see that the broker permits nothing else than it should.

        Raises:
            BrokerFailure, BrokerUnavailable: it cannot be told.
        """
        ...

    async def stop(self) -> None:
        """Disconnect. A second call does nothing."""
        ...

    async def agree(self, gid: str, users: Collection[str] | None) -> None:
        """Have a group's topic heard by those of these users, or of all, who are members of it now.

        Raises:
            BrokerUnavailable, StoreUnavailable: it is not known to be done.
        """
        ...


class WorkerBinding:
    """One worker's side of a broker. Connect `on_request` and `now` before starting it.

    What is published before that, or while the connection is down, goes out once it is up.

    Args:
        address: the broker.
        topics: the prefix.
        share: the share's name, the same for all workers of a deployment and a secret: whoever knows it and may
            subscribe to it takes requests away from the workers.
        clock: where time comes from.
        bounds: what the connection takes and gives.
        permissions: how the broker is told who may hear what, where that is the workers' business.

    Attributes:
        has_group_topics: whether a group's topic can be taken away from a member. Where not, group events go to users'
            topics.

    Raises:
        ValueError: the share's name is none a broker takes.
    """

    def __init__(
        self, address: BrokerAddress, topics: Topics, share: str, clock: Clock, bounds: LinkBounds | None = None,
        permissions: Permissions | None = None,
    ) -> None:  # fmt: skip
        if (fault := id_fault(share)) is not None:
            raise ValueError(f"the share's name {fault}")
        self._address = address
        self._topics = topics
        self._clock = clock
        self._bounds = bounds or LinkBounds()
        self._share = f"$share/{share}/{topics.requests('+')}"
        self._counters = LinkCounters()
        self._outbound = Outbound(self._bounds.max_messages, self._bounds.max_bytes, clock.monotonic_ms, self._counters)
        self._keeper: Keeper | None = None
        self._connection: Connection | None = None
        self._is_paused = False
        self._is_leaving = False
        self._permissions = permissions
        self._handed_over: asyncio.Future[Reach] | None = None
        self._users: dict[str, str] = {}
        self.has_group_topics = permissions is not None and permissions.has_group_topics
        self.report: SelfTest | None = None
        """What the self-test at the start found."""
        self.on_request: Callable[[Incoming], None] = _drop
        self.now: Callable[[], int] = int

    async def start(self, within_s: float = START_S) -> None:
        """Test the broker, connect and join the share.

        Args:
            within_s: seconds that a broker which is not there yet has to come up.

        Raises:
            BrokerUnreachable, TlsFailed, LoginRefused, SubscribeRefused: there is no connection.
            BrokerUnfit: the broker does not do what a worker needs; the message lists what.
            BrokerUnavailable: the broker does not do what it is told of permissions.
        """
        if self._permissions is not None:
            await self._permissions.start(within_s)
        self.report = await self._test(within_s)
        if not self.report.is_fit:
            raise BrokerUnfit(explain(self.report, self._address))
        for remark in self.report.remarks:
            log.warning("%s", remark)
        keeper = self._new_keeper()
        try:
            await keeper.start(within_s)
        except BaseException:
            self._keeper = None
            raise

    async def stop(self) -> None:
        """Leave the share, wait at most 2 s for the broker to take what was published, disconnect. A second call does
        nothing.
        """
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.want(())
            if self._connection is not None:
                await self._clock.wait(self._outbound.empty, DRAIN_MS)
            await keeper.stop()
        if self._permissions is not None:
            await self._permissions.stop()
        self._outbound.give_up()

    def pause(self) -> None:
        """Leave the share: other workers get the requests. Those that came already are still this worker's. A second
        call does nothing.
        """
        if not self._is_paused:
            self._is_paused = True
            self._counters.pauses += 1
            log.warning("leaving the share until the store answers")
            self._want()

    def resume(self) -> None:
        """Join the share again, after `pause`."""
        if self._is_paused:
            self._is_paused = False
            log.warning("joining the share again")
            self._want()

    async def leave(self) -> None:
        """Leave the share for good, and wait, at most 2 s, until the broker sends nothing more from it: what it sent
        until then is still this worker's to answer.
        """
        self._is_leaving = True
        if self._keeper is not None:
            self._want()
            await self._clock.wait(self._keeper.steady, DRAIN_MS)

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> asyncio.Future[Reach]:
        """Hand a message to the broker, or have it wait for a connection."""
        told = self._handed_over = self._outbound.put(topic, payload, expiry_ms)
        return told

    def open_group(self, gid: str, users: Collection[str]) -> Awaitable[None] | None:
        """Let those of these users who are members hear the group's topic, where it has one."""
        if self._permissions is None or not self.has_group_topics:
            return None
        return self._permissions.agree(gid, users)

    def close_group(self, gid: str, users: Collection[str] | None) -> Awaitable[None] | None:
        """Take the group's topic, where it has one, from those who are no members; from all, once the broker has what
        was published before.
        """
        if self._permissions is None or not self.has_group_topics:
            return None
        if users is None:
            return self._close_to_all(gid, self._permissions, self._handed_over)
        return self._permissions.agree(gid, users)

    @property
    def is_sharing(self) -> bool:
        """Whether requests come to this worker now."""
        return self._keeper is not None and self._share in self._keeper.has

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the broker."""
        return self._connection is not None

    @property
    def is_responsive(self) -> bool:
        """Whether there is a connection, and the broker acknowledged within a second what it was sent."""
        return self.is_connected and self._outbound.silent_ms < SILENT_MS

    @property
    def counters(self) -> LinkCounters:
        """What happened since the start."""
        return self._counters

    @property
    def publish_seconds(self) -> Histogram:
        """From when a message was published to when the broker had it, of every eighth."""
        return self._outbound.seconds

    def counts(self) -> dict[str, int]:
        """What happened since the start, see LinkCounters, and how things stand, see `standing`."""
        return self._counters.as_dict() | self.standing()

    def standing(self) -> dict[str, int]:
        """How things stand.

        - waiting: messages not sent yet
        - in_flight: messages sent and not acknowledged
        - unsettled: requests taken and not settled
        - connected, sharing, paused: 1 or 0
        """
        connection = self._connection
        return {
            "waiting": self._outbound.waiting,
            "in_flight": self._outbound.in_flight,
            "unsettled": 0 if connection is None else connection.unsettled,
            "connected": int(connection is not None),
            "sharing": int(self.is_sharing),
            "paused": int(self._is_paused),
        }

    async def _close_to_all(self, gid: str, permissions: Permissions, last: asyncio.Future[Reach] | None) -> None:
        """A broker that has taken the last message has taken those before it."""
        if last is not None and not last.done():
            await asyncio.wait((last,), timeout=HANDED_OVER_S)
            if not last.done():
                raise BrokerUnavailable(f"the broker did not take what was published within {HANDED_OVER_S:g} s")
        await permissions.agree(gid, None)

    async def _test(self, within_s: float) -> SelfTest:
        """The self-test, of a broker that may still be starting. What is in the way is said once."""
        backoff, never, told = Backoff(), asyncio.Event(), ""
        until_ms = self._clock.monotonic_ms() + int(1000 * within_s)
        while True:
            try:
                return await self_test(self._address, self._topics, self._clock)
            except BrokerFailure as failed:
                left_ms = until_ms - self._clock.monotonic_ms()
                if failed.lasts or left_ms <= 0:
                    raise
                if str(failed) != told:
                    told = str(failed)
                    log.warning("%s; trying again for %d s", told, left_ms // 1000)
            await self._clock.wait(never, min(left_ms, backoff.next_ms()))

    def _new_keeper(self) -> Keeper:
        self._keeper = Keeper(self._connect, self._clock, self._came_up, self._went_down)
        self._want()
        return self._keeper

    async def _connect(self) -> Connection:
        return await connect(self._address, self._bounds, self._outbound, self._take, self._clock)

    def _want(self) -> None:
        if self._keeper is not None:
            self._keeper.want(() if self._is_paused or self._is_leaving else (self._share,))

    def _came_up(self, connection: Connection) -> None:
        self._connection = connection
        self._counters.connects += 1
        log.info("connected to the broker at %s", self._address)

    def _went_down(self, reason: str) -> None:
        self._connection = None
        if self._keeper is not None:
            log.warning("connection to the broker at %s lost: %s", self._address, reason)

    def _take(self, topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        user = self._users.get(topic)
        if user is None:
            user = self._topics.requester(topic)
            if user is None:
                self._counters.strays += 1
                settle()
                return
            if len(self._users) >= USERS_KNOWN:
                self._users.clear()
            self._users[topic] = user
        self._counters.requests += 1
        self.on_request(Incoming(user, payload, self.now(), settle))


def _drop(incoming: Incoming) -> None:
    log.warning("request of user %s dropped: nobody takes requests", incoming.user, extra={"user": incoming.user})
    incoming.settle()
