"""The worker's binding: requests in through a shared subscription, events out, over one connection kept up."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from ringline.protocol.topics import Topics, id_fault
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.counters import LinkCounters
from ringline_broker.bindings.mqtt5.failures import BrokerFailure, BrokerUnfit
from ringline_broker.bindings.mqtt5.keeper import Backoff, Keeper
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.bindings.mqtt5.selftest import SelfTest, explain, self_test
from ringline_broker.service.ports import Clock, Incoming, Reach

log = logging.getLogger(__name__)

START_S: Final = 10.0
"""Seconds that a broker has to come up while the worker starts."""
DRAIN_MS: Final = 2_000
"""How long a stopping worker waits for the broker to acknowledge what it published, milliseconds."""


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

    Raises:
        ValueError: the share's name is none a broker takes.
    """

    has_group_topics = False
    """Whether a group's topic can be taken away from a member: here not, so group events go to users' topics."""

    def __init__(
        self, address: BrokerAddress, topics: Topics, share: str, clock: Clock, bounds: LinkBounds | None = None
    ) -> None:
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
        """
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

    def publish(self, topic: str, payload: bytes, expiry_ms: int | None) -> asyncio.Future[Reach]:
        """Hand a message to the broker, or have it wait for a connection."""
        return self._outbound.put(topic, payload, expiry_ms)

    def close_group(self, gid: str, users: Collection[str] | None) -> None:
        """Nothing: nobody was given a group's topic."""

    @property
    def is_sharing(self) -> bool:
        """Whether requests come to this worker now."""
        return self._keeper is not None and self._share in self._keeper.has

    def counts(self) -> dict[str, int]:
        """What happened since the start, see LinkCounters, and how things stand.

        - waiting: messages not sent yet
        - in_flight: messages sent and not acknowledged
        - unsettled: requests taken and not settled
        - connected, sharing: 1 or 0
        """
        connection = self._connection
        return self._counters.as_dict() | {
            "waiting": self._outbound.waiting,
            "in_flight": self._outbound.in_flight,
            "unsettled": 0 if connection is None else connection.unsettled,
            "connected": int(connection is not None),
            "sharing": int(self.is_sharing),
        }

    async def _test(self, within_s: float) -> SelfTest:
        """The self-test, of a broker that may still be starting."""
        backoff, never = Backoff(), asyncio.Event()
        until_ms = self._clock.monotonic_ms() + int(1000 * within_s)
        while True:
            try:
                return await self_test(self._address, self._topics, self._clock)
            except BrokerFailure as failed:
                left_ms = until_ms - self._clock.monotonic_ms()
                if failed.lasts or left_ms <= 0:
                    raise
                log.warning("%s; trying again for %d s", failed, left_ms // 1000)
            await self._clock.wait(never, min(left_ms, backoff.next_ms()))

    def _new_keeper(self) -> Keeper:
        self._keeper = Keeper(self._connect, self._clock, self._came_up, self._went_down)
        self._want()
        return self._keeper

    async def _connect(self) -> Connection:
        return await connect(self._address, self._bounds, self._outbound, self._take, self._clock)

    def _want(self) -> None:
        if self._keeper is not None:
            self._keeper.want(() if self._is_paused else (self._share,))

    def _came_up(self, connection: Connection) -> None:
        self._connection = connection
        self._counters.connects += 1
        log.info("connected to the broker at %s", self._address)

    def _went_down(self, reason: str) -> None:
        self._connection = None
        if self._keeper is not None:
            log.warning("connection to the broker at %s lost: %s", self._address, reason)

    def _take(self, topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        user = self._topics.requester(topic)
        if user is None:
            self._counters.strays += 1
            settle()
            return
        self._counters.requests += 1
        self.on_request(Incoming(user, payload, self.now(), settle))


def _drop(incoming: Incoming) -> None:
    log.warning("request of user %s dropped: nobody takes requests", incoming.user)
    incoming.settle()
