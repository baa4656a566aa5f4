"""One MQTT connection over paho, and the thread that keeps one up. What the messages mean is the core's."""

import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

_chance = random.SystemRandom()  # the application's own random numbers stay as it seeded them

KEEP_ALIVE_S: Final = 30
CONNECT_TIMEOUT_S: Final = 10.0
FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 30.0
FILTERS_AT_ONCE: Final = 8
"""Groups' topics that one SUBSCRIBE or UNSUBSCRIBE names: as many as AWS IoT Core takes, the fewest of all brokers."""
_LONGEST_LOOP_S: Final = 5.0
LOST: Final = "the connection was lost"
"""So begins the reason where a connection ended that had been made."""
_NO_WORD: Final = "Unspecified error"
"""Paho's name for the end of a connection on which nobody said anything."""
_SCHEMES: Final = {"mqtt": (1883, False, "tcp"), "mqtts": (8883, True, "tcp"), "ws": (80, False, "websockets"),
                   "wss": (443, True, "websockets")}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, from a URL `mqtt[s]|ws[s]://[user[:password]@]host[:port][/path]`; the path is for ws[s]."""

    host: str
    port: int
    tls: bool
    transport: str
    path: str
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read a URL.

        Raises:
            ValueError: it is none of these.
        """
        parts = urlsplit(url if "//" in url else f"mqtt://{url}")
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError(f"not a broker's URL: {url!r}; use mqtt[s]|ws[s]://user@host:port")
        port, tls, transport = _SCHEMES[parts.scheme]
        if parts.query or parts.fragment or (transport == "tcp" and parts.path.strip("/")):
            raise ValueError(
                "a broker's URL ends with its port, and where it is ws or wss with a path; in a name or a password "
                "write / ? # as %2F %3F %23"
            )
        return cls(
            host=parts.hostname,
            port=parts.port or port,
            tls=tls,
            transport=transport,
            path=parts.path or "/mqtt",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class Handler(Protocol):
    """What a connection tells. All of it is called on the network thread."""

    @property
    def subscriptions(self) -> tuple[str, str]:
        """This user's own topics, to subscribe to at once, QoS 1; without them there is no connection."""
        ...

    def on_subscribed(self) -> None:
        """Connected, and the SUBACK came."""
        ...

    def on_group_subscribed(self, topic: str, ok: bool) -> None:  # noqa: FBT001 - as the broker says it
        """The SUBACK came for a topic given to `subscribe`; whether the broker grants it."""
        ...

    def on_message(self, topic: str, payload: bytes) -> None:
        """A message came."""
        ...

    def on_lost(self, reason: str, retry_in: float | None) -> None:
        """The connection ended, or could not be made."""
        ...

    def on_time(self) -> float | None:
        """Time passed; returns after how many seconds to call again, None where nothing waits."""
        ...


class Network:
    """Keeps one connection up, on a thread of its own (in place of paho's).

    Args:
        address: where the broker is.
        user, password: who logs in.
        tls: the TLS context, where the URL asks for TLS; None for the system's.
        handler: who hears of it.
    """

    def __init__(
        self, address: Address, user: str, password: str | None, tls: ssl.SSLContext | None, handler: Handler
    ) -> None:
        self._address = address
        self._user = user
        self._password = password
        self._tls = tls
        self._handler = handler
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._client: mqtt.Client | None = None
        self._why: str | None = None
        self._subscribed = False
        self._asking = threading.Lock()
        self._asked: dict[tuple[object, int], Sequence[str]] = {}
        self._errors = _LastError()
        self._thread = threading.Thread(target=self._run, name="ringline-network", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message to the connection, where there is one; the core repeats what comes to nothing."""
        client = self._client
        if client is not None and self._subscribed:
            client.publish(topic, payload, qos=1)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for more topics, where there is a connection; `on_group_subscribed` tells of each."""
        client = self._client
        if client is None or not self._subscribed:
            return
        for some in _batches(topics):
            with self._asking:  # the SUBACK may come before this thread has written down what it is for
                _, mid = client.subscribe([(topic, 1) for topic in some])
                if mid is not None:
                    self._asked[client, mid] = some

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Do without these topics from now on."""
        client = self._client
        if client is not None and self._subscribed:
            for some in _batches(topics):
                client.unsubscribe(list(some))

    def nudge(self) -> None:
        """Something changed what there is to wait for."""
        with self._wake:
            self._wake.notify()

    def close(self, timeout: float) -> None:
        """Disconnect and end the thread."""
        self._closing.set()
        self.nudge()
        client = self._client
        if client is not None:
            client.disconnect()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._why, self._subscribed = None, False
            reason = self._one_connection()
            failures = 0 if self._subscribed else failures + 1
            self._subscribed = False
            if self._closing.is_set():
                break
            longest = min(FIRST_BACKOFF_S * 2**failures, LONGEST_BACKOFF_S)
            pause = _chance.uniform(longest / 2, longest)
            self._handler.on_lost(reason, pause)
            self._pause(pause)
        self._handler.on_lost("closed", None)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._closing.is_set() and (left := until - time.monotonic()) > 0:
            wanted = self._handler.on_time()
            with self._wake:
                if not self._closing.is_set():
                    self._wake.wait(left if wanted is None else max(0.0, min(left, wanted)))

    def _one_connection(self) -> str:
        """Connect and serve until it ends; why it did."""
        client = self._new_client()
        try:
            client.connect(self._address.host, self._address.port, KEEP_ALIVE_S)
        except (OSError, ValueError, mqtt.WebsocketConnectionError) as failed:
            return f"cannot reach {self._address.host}:{self._address.port}: {failed}"
        self._client = client
        try:
            return self._serve(client)
        finally:
            self._client = None
            self._drop(client)
            self._asked.clear()

    def _serve(self, client: mqtt.Client) -> str:
        give_up_at = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            wanted = self._handler.on_time()
            rc = client.loop(_LONGEST_LOOP_S if wanted is None else max(0.0, min(wanted, _LONGEST_LOOP_S)))
            if self._why is not None:
                return self._why
            if rc != mqtt.MQTT_ERR_SUCCESS:
                return mqtt.error_string(rc)
            if self._closing.is_set() and not client.want_write():
                return "closed"
            if not self._subscribed and time.monotonic() > give_up_at:
                return "the broker did not answer"

    @staticmethod
    def _drop(client: mqtt.Client) -> None:
        raw = client.socket()
        if raw is not None:
            raw.close()

    def _new_client(self) -> mqtt.Client:
        """A client of its own for each connection, so that nothing of the last one is sent again.

        The broker chooses the client id, since on most brokers whoever knows one can push its owner off.
        """
        transport: Any = self._address.transport
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "", clean_session=True, transport=transport)
        client.username_pw_set(self._user, self._password)
        if self._address.tls:
            client.tls_set_context(self._tls or ssl.create_default_context())
        if transport == "websockets":
            client.ws_set_options(path=self._address.path)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)
        client.on_socket_open = _no_delay
        client.on_socket_register_write = _leave_writing_to_the_loop
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._errors.of(client)
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _props: object) -> None:
        if code.is_failure:
            self._why = f"the broker refused the login: {code}"
            return
        client.subscribe([(topic, 1) for topic in self._handler.subscriptions])

    def _on_subscribe(
        self, client: mqtt.Client, _data: object, mid: int, codes: list[ReasonCode], _props: object
    ) -> None:
        granted = [not code.is_failure for code in codes]
        with self._asking:
            topics = self._asked.pop((client, mid), None)
        if topics is not None:
            for at, topic in enumerate(topics):
                self._handler.on_group_subscribed(topic, granted[at] if at < len(granted) else False)
            return
        if not all(granted):
            self._why = f"the broker refused a subscription of user {self._user}"
            return
        self._subscribed = True
        self._handler.on_subscribed()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self._handler.on_message(message.topic, bytes(message.payload))

    def _on_disconnect(self, _client: object, _data: object, _flags: object, code: ReasonCode, _props: object) -> None:
        if self._why is None:
            nothing = self._errors.text or "the broker closed it, or the network did"
            self._why = f"{LOST}: {nothing if code.getName() == _NO_WORD else code}"


class _LastError(logging.Logger):
    """What a client of paho's saw last of its connection. It says that in its log alone: its callback has one code for
    a network that went away and for a broker that refuses a certificate, which TLS 1.3 does after the handshake.

    Nobody else's logger: an application's logging stays as it is.
    """

    def __init__(self) -> None:
        super().__init__("paho", logging.ERROR)
        self.text = ""

    def of(self, client: mqtt.Client) -> None:
        """From now on listen to this client, which has seen nothing yet."""
        self.text = ""
        client.enable_logger(self)

    def handle(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.text = record.getMessage()


def _batches(topics: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(topics), FILTERS_AT_ONCE):
        yield topics[at : at + FILTERS_AT_ONCE]


def _no_delay(_client: object, _data: object, raw: object) -> None:
    """Without this a message can wait 44 ms for the other end's acknowledgement (Nagle's algorithm)."""
    plain = getattr(raw, "_socket", raw)
    if isinstance(plain, socket.socket):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _leave_writing_to_the_loop(_client: object, _data: object, _socket: object) -> None:
    """Set, so that paho writes on the network thread alone; its own socket pair wakes that."""
