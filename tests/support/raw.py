"""A device without our client: plain paho and plain bytes, for what our client would never send."""

import queue
import secrets
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ringline.protocol.answers import Answer, decode_answer
from ringline.protocol.events import Event, decode_event, decode_events
from ringline.protocol.topics import Topics
from tests.support.bound import BOUND_S
from tests.support.deployed import PASSWORD


class RawDevice:
    """Publishes any bytes as a user, and hears events and answers."""

    def __init__(self, port: int, user: str, device: str = "raw", password: str = PASSWORD) -> None:
        self.user = user
        self.device = device
        self._topics = Topics()
        self.events: queue.Queue[Event] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self._ready: queue.Queue[Any] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "")
        self.client.username_pw_set(user, password)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self._ready.put(codes)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.subscribe(self._topics.events(user), self._topics.answers(user, device))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *filters: str) -> list[bool]:
        """Subscribe; for each filter whether it was granted."""
        self.client.subscribe([(one, 1) for one in filters])
        return [not code.is_failure for code in self._ready.get(timeout=BOUND_S)]

    def send(self, payload: bytes, topic: str | None = None) -> mqtt.MQTTMessageInfo:
        """Publish any bytes, QoS 1."""
        return self.client.publish(topic or self._topics.requests(self.user), payload, qos=1)

    def ask(self, payload: bytes) -> Answer:
        """Publish any bytes, and wait for an answer."""
        self.send(payload)
        return self.answers.get(timeout=BOUND_S)

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == self._topics.events(self.user):
            for raw in decode_events(bytes(message.payload)):
                event = decode_event(raw)
                assert isinstance(event, Event)
                self.events.put(event)
        else:
            self.answers.put(decode_answer(bytes(message.payload)))


def request_id() -> bytes:
    """A random request id."""
    return secrets.token_bytes(8)
