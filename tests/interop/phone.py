"""paho-mqtt as a client that knows nothing of Ringline: connects, subscribes, publishes, and says what it was told."""

import queue
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tests.attacks.raw_mqtt import password_of
from tests.support.bound import BOUND_S


class Phone:
    """One client of MQTT 3.1.1, with paho's own network thread.

    Args:
        port: on this machine.
        user: who logs in.
        client_id: empty to leave it to the server.
        clean: whether it asks for a clean session.
        keepalive: seconds.
        returns: whether it connects anew by itself where its connection ends.
    """

    def __init__(
        self,
        port: int,
        user: str,
        client_id: str = "",
        *,
        clean: bool = True,
        keepalive: int = 60,
        returns: bool = False,
    ) -> None:
        self._port = port
        self._keepalive = keepalive
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=paho.MQTTv311,
            reconnect_on_failure=returns,
        )
        self.client.username_pw_set(user, password_of(user))
        self.messages: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self.connacks: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._subacks: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        self._unsubacks: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.pubacks: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda _c, _d, _f, reason, _p: self._ends.put(str(reason))
        self.client.on_message = lambda _c, _d, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self._subacks.put([code.value for code in codes])
        self.client.on_unsubscribe = lambda _c, _d, mid, _r, _p: self._unsubacks.put(mid)
        self.client.on_publish = lambda _c, _d, mid, _r, _p: self.pubacks.put(mid)

    def _on_connect(self, _client: Any, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, _props: Any) -> None:
        self.connacks.put((reason.value, flags.session_present))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def connect(self) -> tuple[int, bool]:
        """Connect; what the CONNACK says, in the reason codes that paho makes of it, and whether a session was kept."""
        self.client.connect("127.0.0.1", self._port, self._keepalive)
        self.client.loop_start()
        return self.connacks.get(timeout=BOUND_S)

    def connected(self) -> Self:
        """Connect, and be let in."""
        assert self.connect() == (0, False)
        return self

    def subscribe(self, *filters: tuple[str, int]) -> list[int]:
        """Subscribe; the SUBACK's codes."""
        self.client.subscribe(list(filters))
        return self._subacks.get(timeout=BOUND_S)

    def unsubscribe(self, *filters: str) -> None:
        """Unsubscribe, and wait for the UNSUBACK."""
        _, mid = self.client.unsubscribe(list(filters))
        assert self._unsubacks.get(timeout=BOUND_S) == mid

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        """Publish; at QoS 1 wait for the PUBACK."""
        mid = self.client.publish(topic, payload, qos, retain).mid
        assert self.pubacks.get(timeout=BOUND_S) == mid

    def heard(self) -> tuple[bytes, int]:
        """The next message: what it says, and its QoS."""
        message = self.messages.get(timeout=BOUND_S)
        assert not message.retain
        return bytes(message.payload), message.qos

    def end(self, bound_s: float = BOUND_S) -> str | None:
        """Why the connection ended; None where it does not in this time."""
        try:
            return self._ends.get(timeout=bound_s)
        except queue.Empty:
            return None
