"""One plain MQTT connection, of either version, that tells what the broker answers and what comes: over paho, as
devices do it, since a broker may treat MQTT 3.1.1 otherwise than MQTT 5.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, advice, name_of
from ringline_broker.doctor.target import Account

V5: Final = MQTTProtocolVersion.MQTTv5
V311: Final = MQTTProtocolVersion.MQTTv311
VERSIONS: Final = {V5: "MQTT 5", V311: "MQTT 3.1.1"}
ANSWER_S: Final = 5.0
"""Seconds that a broker has for an answer."""
ENDED: Final = 0x100
"""In place of a reason code: the broker ended the connection instead, which is a refusal too."""
_REFUSALS: Final = 0x80
T = TypeVar("T")


class Heard(NamedTuple):
    """A message that came."""

    topic: str
    payload: bytes
    is_retained: bool


class Will(NamedTuple):
    """What the broker is to publish once the connection is lost."""

    topic: str
    payload: bytes


def is_refusal(code: int) -> bool:
    """Whether a reason code says no."""
    return code >= _REFUSALS


def said(code: int) -> str:
    """How the broker said no."""
    return "by ending the connection" if code == ENDED else name_of(code)


class Device:
    """A connection with a clean session; a context manager that connects and disconnects.

    Args:
        host, port: where the broker is.
        account: who logs in.
        tls: how to trust the broker; None for no TLS.
        version: of MQTT.
        will: what it leaves behind.

    Raises:
        LoginRefused: (when entered) the broker refuses the login.
        BrokerUnreachable: (when entered) there is no answer.

    Attributes:
        heard: what came, in order.
    """

    def __init__(
        self, host: str, port: int, account: Account, tls: ssl.SSLContext | None, version: MQTTProtocolVersion = V5,
        will: Will | None = None,
    ) -> None:  # fmt: skip
        self.heard: list[Heard] = []
        self.version = version
        self._where = (host, port)
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._has_ended = False
        self._login: asyncio.Future[int] = self._loop.create_future()
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._client = self._new_client(account, tls, will)

    async def __aenter__(self) -> Self:
        self._client.connect_async(*self._where)
        self._client.loop_start()
        try:
            code = await self._answer(self._login)
            if code:
                raise _refused(code)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect; a second call does nothing."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def vanish(self) -> None:
        """End the connection without a word, so that the broker publishes the will."""
        raw = self._client.socket()
        if isinstance(raw, socket.socket):
            raw.shutdown(socket.SHUT_RDWR)

    async def subscribe(self, topic_filter: str) -> int:
        """Subscribe; the reason code of the SUBACK."""
        return await self._ask(self._client.subscribe(topic_filter, qos=1)[1])

    async def unsubscribe(self, topic_filter: str) -> int:
        """Unsubscribe; the reason code of the UNSUBACK, which in MQTT 3.1.1 always is 0. All has come by then."""
        return await self._ask(self._client.unsubscribe(topic_filter)[1])

    async def visit(self, topic_filter: str) -> int:
        """Subscribe, and unsubscribe with the next packet; the reason code of the SUBACK."""
        subscribed = self._expect(self._client.subscribe(topic_filter, qos=1)[1])
        await self.unsubscribe(topic_filter)
        return await self._answer(subscribed)

    def has(self, part: bytes) -> bool:
        """Whether a message came that has this in it."""
        return any(part in one.payload for one in self.heard)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish; the reason code of the PUBACK, which in MQTT 3.1.1 always is 0."""
        return await self._ask(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    async def hears(self, payload: bytes, bound_s: float = ANSWER_S) -> bool:
        """Wait for a message with this payload."""
        return await self.until(lambda: any(one.payload == payload for one in self.heard), bound_s)

    async def until(self, so: Callable[[], bool], bound_s: float = ANSWER_S) -> bool:
        """Wait until it is so; looks again at each message. False where it is not so within the bound."""
        try:
            async with asyncio.timeout(bound_s):
                while not so():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, mid: int | None) -> int:
        return await self._answer(self._expect(mid))

    def _expect(self, mid: int | None) -> asyncio.Future[int]:
        """The answer to what was just sent: asked for before the loop has had a turn, so that none is missed."""
        asked: asyncio.Future[int] = self._loop.create_future()
        if mid is None or self._has_ended:
            asked.set_result(ENDED)
        else:
            self._asked[mid] = asked
        return asked

    async def _answer(self, asked: "asyncio.Future[T]") -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asked
        except TimeoutError:
            raise BrokerUnreachable(f"no answer from the broker within {ANSWER_S:g} s", "look in its log") from None

    # Everything from here on is called on paho's thread, but for what `_tell` hands over.

    def _new_client(self, account: Account, tls: ssl.SSLContext | None, will: Will | None) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "", clean_session=True if self.version == V311 else None,
            protocol=self.version, reconnect_on_failure=False,
        )  # fmt: skip
        if account.name is not None:
            client.username_pw_set(account.name, account.password)
        if tls is not None:
            client.tls_set_context(tls)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1)
        client.connect_timeout = ANSWER_S
        client.on_socket_open = _no_delay
        client.on_connect = lambda _client, _data, _flags, code, _more: self._tell(self._logged_in, code)
        client.on_connect_fail = lambda _client, _data: self._tell(self._ended)
        client.on_disconnect = lambda *_: self._tell(self._ended)
        client.on_subscribe = lambda _client, _data, mid, codes, _more: self._tell(self._answered, mid, codes[0])
        client.on_unsubscribe = lambda _client, _data, mid, codes, _more: self._tell(self._left, mid, codes)
        client.on_publish = lambda _client, _data, mid, code, _more: self._tell(self._answered, mid, code)
        client.on_message = lambda _client, _data, one: self._tell(
            self._came, Heard(one.topic, bytes(one.payload), one.retain)
        )
        return client

    def _tell(self, what: Callable[..., None], *told: object) -> None:
        with suppress(RuntimeError):  # Ctrl-C may end the loop before paho's thread
            self._loop.call_soon_threadsafe(what, *told)

    def _logged_in(self, code: ReasonCode) -> None:
        if not self._login.done():
            self._login.set_result(code.value if code.is_failure else 0)

    def _answered(self, mid: int, code: ReasonCode) -> None:
        asked = self._asked.pop(mid, None)
        if asked is not None and not asked.done():
            asked.set_result(code.value)

    def _left(self, mid: int, codes: list[ReasonCode]) -> None:
        asked = self._asked.pop(mid, None)
        if asked is not None and not asked.done():
            asked.set_result(codes[0].value if codes else 0)

    def _came(self, message: Heard) -> None:
        self.heard.append(message)
        self._moved.set()

    def _ended(self) -> None:
        self._has_ended = True
        self._moved.set()
        for asked in (self._login, *self._asked.values()):
            if not asked.done():
                asked.set_result(ENDED)
        self._asked.clear()


def _refused(code: int) -> LoginRefused | BrokerUnreachable:
    if code == ENDED:
        return BrokerUnreachable("the broker ended the connection instead of answering", "look in its log")
    return LoginRefused(code, f"the broker refuses the login, {name_of(code)}", advice(code))


def _no_delay(_client: object, _data: object, raw: Any) -> None:  # noqa: ANN401 - a socket, plain or of TLS
    """Without this a message can wait 44 ms for the other end's acknowledgement."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
