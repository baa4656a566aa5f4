"""Whether a broker does what a worker needs. Looked at live, since brokers say less than they do, and do less than they
say: several take a shared subscription for one to a topic called `$share/…`, and never deliver.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import mqtt5

from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline.protocol.topics import Topics
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, SubscribeRefused, describe
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.service.ports import Clock, Reach

PROBES: Final = 20
_LAST: Final = b"last"
LEAST_PACKET_BYTES: Final = MAX_MESSAGE_BYTES + 1_024
"""The largest message, with its topic and what the packet has around it."""
MOST_PACKET_BYTES: Final = 2_000_000
"""What a broker may take from users: a worker has to read past whatever it takes, before it reads the next request. It
is what Mosquitto 2.1 takes where it is not told; 2.0 takes anything.
"""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was found.

    Attributes:
        faults: what is missing that a worker needs, in words that say what to do; none, and the broker will do.
        remarks: what is missing that a worker can do without.
        shares: whether each probe came exactly once through a shared subscription that two connections had.
        tells_nobody: whether the broker says that nobody was there to hear a message (PUBACK 0x10).
        receive_max: messages the broker takes from one client without acknowledging them.
        max_packet_bytes: bytes a packet may have; None for no limit but MQTT's.
        announces_shared, announces_wildcards, announces_retained: whether the broker says that it has these.
    """

    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    shares: bool
    tells_nobody: bool
    receive_max: int
    max_packet_bytes: int | None
    announces_shared: bool
    announces_wildcards: bool
    announces_retained: bool

    @property
    def is_fit(self) -> bool:
        """Whether a worker can work beside this broker."""
        return not self.faults


async def self_test(address: BrokerAddress, topics: Topics, clock: Clock, bound_s: float = 5.0) -> SelfTest:
    """Try the broker, over two connections. The worker's user needs `{prefix}/probe/+` for it, read and write.

    Args:
        address: the broker.
        topics: the prefix.
        clock: for keep alive.
        bound_s: seconds that the probes have to come back.

    Raises:
        BrokerUnreachable, TlsFailed, LoginRefused: no connection, or one that does not hold.
    """
    ends = [_End(clock), _End(clock)]
    try:
        for end in ends:
            await end.connect(address)
        return await _Trial(ends[0], ends[1], topics, bound_s).run()
    finally:
        for end in ends:
            end.close()


class _End:
    """One connection, and what came on it."""

    def __init__(self, clock: Clock) -> None:
        bounds = LinkBounds()
        self._clock = clock
        self.outbound = Outbound(bounds.max_messages, bounds.max_bytes, clock.monotonic_ms)
        self.came: Counter[bytes] = Counter()
        self.on_message: Callable[[], object] = int
        self._connection: Connection | None = None

    async def connect(self, address: BrokerAddress) -> None:
        self._connection = await connect(address, LinkBounds(), self.outbound, self._take, self._clock)

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise BrokerUnreachable("not connected")
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.outbound.give_up()

    def _take(self, _topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        settle()
        self.came[payload] += 1
        self.on_message()


class _Trial:
    """One run over two connections."""

    def __init__(self, first: _End, second: _End, topics: Topics, bound_s: float) -> None:
        self._first = first
        self._ends = (first, second)
        self._topics = topics
        self._bound_s = bound_s
        self._faults: list[str] = []
        self._remarks: list[str] = []
        self._moved = asyncio.Event()
        first.on_message = second.on_message = self._moved.set

    async def run(self) -> SelfTest:
        offer = self._first.connection.offer
        for end in self._ends:
            end.connection.on_end = self._moved.set
        self._look_at(offer)
        tells_nobody = await self._tells_nobody()
        shares = not self._faults and await self._shares()
        return SelfTest(
            tuple(self._faults), tuple(self._remarks), shares, tells_nobody, offer.receive_max, offer.max_packet_size,
            offer.shared_subscription_available, offer.wildcard_subscription_available, offer.retain_available,
        )  # fmt: skip

    def _look_at(self, offer: mqtt5.ConnAckPacket) -> None:
        if not offer.shared_subscription_available:
            self._faults.append("the broker says that it has no shared subscriptions; allow them, or use another")
        if not offer.wildcard_subscription_available:
            self._faults.append("the broker says that it has no wildcard subscriptions; allow them")
        if not int(offer.max_qos):
            self._faults.append("the broker takes QoS 0 only; a worker needs QoS 1")
        if offer.max_packet_size is not None and offer.max_packet_size < LEAST_PACKET_BYTES:
            self._faults.append(
                f"the broker takes packets of {offer.max_packet_size} bytes; a worker needs {LEAST_PACKET_BYTES}"
            )
        if (remark := size_remark(offer.max_packet_size)) is not None:
            self._remarks.append(remark)
        if offer.receive_max < PROBES:
            self._remarks.append(
                f"the broker takes {offer.receive_max} unacknowledged messages from one client; raise that to 1000"
            )

    async def _tells_nobody(self) -> bool:
        """Publish where nobody subscribes, on a topic like those of the events."""
        topic = self._topics.events(f"selftest-{secrets.token_hex(12)}")
        reach = await self._said(self._first.outbound.put(topic, b"", None))
        self._must_hold()
        refusal = self._first.outbound.last_refusal
        if refusal is not None:
            self._faults.append(f"the worker may not publish on {self._topics.events('+')}; {describe(refusal)}")
        elif reach is Reach.UNKNOWN:
            self._faults.append(f"the broker did not acknowledge a message within {self._bound_s:g} s")
        elif reach is Reach.SOMEBODY:
            self._remarks.append(
                "the broker does not say that nobody heard a message, so nobody is told who is offline"
            )
        return reach is Reach.NOBODY

    async def _shares(self) -> bool:
        """Send probes through a share that both ends have, and after them one message that both ends hear plainly."""
        probe, plain = (f"{self._topics.prefix}/probe/{secrets.token_hex(12)}" for _ in range(2))
        filters = (f"$share/{secrets.token_hex(12)}/{probe}", plain)
        try:
            for end in self._ends:
                await end.connection.subscribe(filters)
        except SubscribeRefused as refused:
            self._faults.append(str(refused))
            return False
        out = self._first.outbound
        said = [out.put(probe, bytes((n,)), None) for n in range(PROBES)] + [out.put(plain, _LAST, None)]
        await self._all_came()
        if out.last_refusal is not None:
            self._faults.append(f"the worker may not publish on {probe}; {describe(out.last_refusal)}")
            return False
        for one in said:
            one.cancel()
        return self._judge()

    async def _all_came(self) -> None:
        """Until both ends have heard the last message and all probes came; or the bound, or the connection, is over."""
        try:
            async with asyncio.timeout(self._bound_s):
                while not self._is_over():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            pass

    def _is_over(self) -> bool:
        if self._first.outbound.last_refusal is not None or self._has_ended():
            return True
        is_last = all(end.came[_LAST] for end in self._ends)
        return is_last and len(self._counts()) == PROBES

    def _counts(self) -> Counter[bytes]:
        counts = self._ends[0].came + self._ends[1].came
        del counts[_LAST]
        return counts

    def _judge(self) -> bool:
        self._must_hold()
        counts = self._counts()
        missing, twice = PROBES - len(counts), sum(count > 1 for count in counts.values())
        where = f"{self._topics.prefix}/probe/+"
        if missing == PROBES and not self._first.came[_LAST]:
            self._faults.append(f"nothing published came back on {where}: the worker's user may not read it")
        elif missing == PROBES:
            self._faults.append(
                "the broker takes shared subscriptions and delivers nothing through them; use one that has them"
            )
        elif missing:
            self._faults.append(f"{missing} of {PROBES} messages were lost in a shared subscription")
        if twice:
            self._faults.append(f"{twice} of {PROBES} messages came more than once through a shared subscription")
        return not missing and not twice

    def _has_ended(self) -> str:
        """Why one of the connections has, if one has."""
        return next((end.connection.reason for end in self._ends if end.connection.ended.is_set()), "")

    def _must_hold(self) -> None:
        if reason := self._has_ended():
            raise BrokerUnreachable(f"during the self-test: {reason}")

    async def _said(self, told: asyncio.Future[Reach]) -> Reach:
        try:
            async with asyncio.timeout(self._bound_s):
                return await told
        except TimeoutError:
            return Reach.UNKNOWN


def size_remark(most: int | None) -> str | None:
    """What to say of the largest packet that a broker takes, in bytes or None for no limit; None where it is well."""
    if most is not None and most <= MOST_PACKET_BYTES:
        return None
    said = "does not say that it limits packets" if most is None else f"takes packets of {most} bytes"
    harm = "" if most is not None else ", and beside Mosquitto silence them for good with 512 of 256 MiB"
    return f"the broker {said}; let it take 64 KiB, or users can keep workers busy with larger ones{harm}"


def explain(found: SelfTest, address: BrokerAddress) -> str:
    """Why a broker will not do."""
    return f"the broker at {address} cannot serve workers: " + "; ".join(found.faults)
