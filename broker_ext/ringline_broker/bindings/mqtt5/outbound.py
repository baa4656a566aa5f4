"""Messages on their way to the broker, without I/O: those waiting, and those sent and not acknowledged.

They outlive a connection: what it did not acknowledge is sent again on the next one, before everything that came
later. So a worker cut off for a while loses no event; who hears one twice drops it by its version.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import cycle
from typing import Final

from ringline_broker.bindings.mqtt5.counters import LinkCounters
from ringline_broker.bindings.mqtt5.failures import describe
from ringline_broker.bindings.mqtt5.packets import PubAck
from ringline_broker.metrics import Histogram
from ringline_broker.service.ports import Reach

log = logging.getLogger(__name__)

LAST_PACKET_ID: Final = 0xFF00
"""The packet ids above it are for SUBSCRIBE and UNSUBSCRIBE."""
_REACHED: Final = {0x00: Reach.SOMEBODY, 0x10: Reach.NOBODY}
_TOO_LARGE: Final = 0x95
_QUOTA: Final = 0x97
_TIMED_OF: Final = 8


class Message:
    """One message, and what its publisher is waiting for.

    Attributes:
        topic: where to.
        payload: what.
        until_ms: the clock's time when it stops to be of use, or None.
        since_ms: the clock's time when it was put, or None where it is not timed.
        told: resolved once it is known whom it reached.
    """

    __slots__ = ("payload", "since_ms", "told", "topic", "until_ms")

    def __init__(
        self, topic: str, payload: bytes, until_ms: int | None, told: asyncio.Future[Reach], since_ms: int | None
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.until_ms = until_ms
        self.told = told
        self.since_ms = since_ms

    def tell(self, reach: Reach) -> None:
        """Tell the publisher, if that still waits."""
        if not self.told.done():
            self.told.set_result(reach)


class Outbound:
    """A queue with a bound and a window. Used on one event loop.

    Args:
        max_messages: messages it may hold, those sent and not acknowledged among them.
        max_bytes: what their payloads may have together.
        now_ms: the time.
        counters: where to count.
        is_quiet: whether refusals are nothing to warn of.
    """

    def __init__(
        self, max_messages: int, max_bytes: int, now_ms: Callable[[], int], counters: LinkCounters | None = None,
        *, is_quiet: bool = False,
    ) -> None:  # fmt: skip
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.now_ms = now_ms
        self.counters = counters or LinkCounters()
        self._is_quiet = is_quiet
        self.seconds = Histogram()
        """From when a message was put to when the broker had it, of every eighth: all of them would cost too much."""
        self._is_timed = cycle((True, *(False,) * (_TIMED_OF - 1)))
        self._waiting: deque[Message] = deque()
        self._sent: dict[int, Message] = {}
        self._bytes = 0
        self._window = 0
        self._moved_ms = 0
        self._last_id = 0
        self._is_over = False
        self._pump: Callable[[int], None] = _nothing
        self._refusals: dict[int, int] = {}
        self.empty = asyncio.Event()
        """Set while there is nothing on its way."""
        self.empty.set()
        self.last_refusal: int | None = None
        """The reason code of the last PUBACK that was a refusal."""

    @property
    def waiting(self) -> int:
        """Messages not sent yet."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Messages sent and not acknowledged."""
        return len(self._sent)

    @property
    def oldest(self) -> Message | None:
        """Of what was sent and not acknowledged, what was sent first."""
        return next(iter(self._sent.values()), None)

    @property
    def silent_ms(self) -> int:
        """How long nothing of what was sent has been acknowledged, milliseconds; 0 while nothing is to be."""
        return self.now_ms() - self._moved_ms if self._sent else 0

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that whoever makes messages should make fewer."""
        return 4 * len(self._waiting) > self._max_messages or 4 * self._bytes > self._max_bytes

    def put(self, topic: str, payload: bytes, expiry_ms: int | None) -> asyncio.Future[Reach]:
        """Send, now or when its turn comes; never waits.

        Returns:
            Resolved with SOMEBODY or NOBODY once the broker has said which; with UNKNOWN where it refused the message,
            or its time was over; with LOST where it was given up and may be tried again later: too many were waiting,
            the worker stopped, the broker has no room.
        """
        told: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
        if self._is_over:
            self.counters.abandoned += 1
            told.set_result(Reach.LOST)
            return told
        if len(self._waiting) + len(self._sent) >= self._max_messages or self._bytes + len(payload) > self._max_bytes:
            self.counters.overflowed += 1
            warn_seldom(self.counters.overflowed, "given up: the broker takes them too slowly")
            told.set_result(Reach.LOST)
            return told
        is_timed = next(self._is_timed)
        now_ms = self.now_ms() if is_timed or expiry_ms is not None else 0
        until_ms = None if expiry_ms is None else now_ms + expiry_ms
        self._bytes += len(payload)
        self._waiting.append(Message(topic, payload, until_ms, told, now_ms if is_timed else None))
        self.empty.clear()
        self._pump(now_ms)
        return told

    def attach(self, pump: Callable[[int], None], window: int) -> None:
        """There is a connection.

        Args:
            pump: called when there may be something to send, with what `next` takes.
            window: messages that may be unacknowledged at once.
        """
        self._pump, self._window = pump, min(window, LAST_PACKET_ID)
        pump(0)

    def detach(self) -> None:
        """The connection is gone: what it did not acknowledge goes first on the next one, in the order it was put."""
        self._pump, self._window = _nothing, 0
        self.counters.repeated += len(self._sent)
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent.clear()

    def next(self, now_ms: int) -> tuple[int, Message, int | None] | None:
        """The next message to send, if any may be: its packet id, itself, and its seconds left, rounded up.

        Args:
            now_ms: the time; 0 where it is not known, and is read if it is needed.
        """
        while self._waiting and len(self._sent) < self._window:
            message = self._waiting.popleft()
            left_ms = None if message.until_ms is None else message.until_ms - (now_ms or self.now_ms())
            if left_ms is not None and left_ms <= 0:
                self.counters.expired += 1
                self._let_go(message, Reach.UNKNOWN)
                continue
            if not self._sent:
                self._moved_ms = now_ms or self.now_ms()
            packet_id = self._free_id()
            self._sent[packet_id] = message
            return packet_id, message, None if left_ms is None else -(-left_ms // 1000)
        return None

    def acknowledged(self, ack: PubAck, now_ms: int) -> None:
        """The broker has answered a message. An id it made up is passed over."""
        message = self._sent.pop(ack.packet_id, None)
        if message is None:
            return
        self._moved_ms = now_ms
        if (reach := _REACHED.get(ack.code)) is not None:
            self.counters.published += 1
            if message.since_ms is not None:
                self.seconds.observe((now_ms - message.since_ms) / 1000)
            self._let_go(message, reach)
        else:
            self._refused(message, ack.code, ack.reason)
        if self._waiting:
            self._pump(now_ms)

    def too_large(self, packet_id: int) -> None:
        """What `next` gave last is more than the broker takes, and was not sent."""
        self._refused(self._sent.pop(packet_id), _TOO_LARGE, None)

    def give_up(self) -> None:
        """Nothing more will be sent, of what is put later either."""
        self._is_over = True
        self.counters.abandoned += len(self._sent) + len(self._waiting)
        for message in (*self._sent.values(), *self._waiting):
            message.tell(Reach.LOST)
        self._sent.clear()
        self._waiting.clear()
        self._bytes = 0
        self.empty.set()

    def _refused(self, message: Message, code: int, reason: str | None) -> None:
        self.last_refusal = code
        self.counters.refused += 1
        count = self._refusals[code] = self._refusals.get(code, 0) + 1
        if not self._is_quiet:
            warn_seldom(count, f"refused, the last on {message.topic!r}; {describe(code, reason)}")
        self._let_go(message, Reach.LOST if code == _QUOTA else Reach.UNKNOWN)

    def _let_go(self, message: Message, reach: Reach) -> None:
        self._bytes -= len(message.payload)
        if not self._waiting and not self._sent:
            self.empty.set()
        message.tell(reach)

    def _free_id(self) -> int:
        packet_id = self._last_id
        while True:
            packet_id = packet_id % LAST_PACKET_ID + 1
            if packet_id not in self._sent:
                self._last_id = packet_id
                return packet_id


def warn_seldom(count: int, text: str) -> None:
    """Log what befell messages: the first time, and at every doubling."""
    if not count & (count - 1):
        log.warning("messages %s (%d so far)", text, count)


def _nothing(_now_ms: int) -> None:
    pass
