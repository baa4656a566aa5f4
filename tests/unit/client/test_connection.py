"""What a SUBACK means: without one's own topics there is no connection, without a group's there is no group."""

from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from ringline.connection import FILTERS_AT_ONCE, Address, Network

GRANTED = ReasonCode(PacketTypes.SUBACK, identifier=1)
REFUSED = ReasonCode(PacketTypes.SUBACK, identifier=0x80)


class Broker:
    """Stands for paho's client: numbers what it is asked."""

    def __init__(self, *, is_there: bool = True) -> None:
        self.asked: list[list[tuple[str, int]]] = []
        self.unsubscribed: list[list[str]] = []
        self._is_there = is_there

    def subscribe(self, topics: list[tuple[str, int]]) -> tuple[int, int | None]:
        self.asked.append(topics)
        return (0, len(self.asked)) if self._is_there else (mqtt.MQTT_ERR_NO_CONN, None)

    def unsubscribe(self, topics: list[str]) -> None:
        self.unsubscribed.append(topics)


class Shell:
    """Hears what the network tells."""

    subscriptions = ("own/evt", "own/d")

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_subscribed(self) -> None:
        self.told.append("subscribed")

    def on_group_subscribed(self, topic: str, ok: bool) -> None:
        self.told.append((topic, ok))

    def on_message(self, topic: str, payload: bytes) -> None:
        self.told.append((topic, payload))

    def on_lost(self, reason: str, retry_in: float | None) -> None:
        self.told.append((reason, retry_in))

    def on_time(self) -> float | None:
        raise AssertionError


def _connected(broker: Any) -> tuple[Network, Shell]:
    shell = Shell()
    network = Network(Address.parse("mqtt://h"), "ann", None, None, shell)
    network._client = broker
    network._on_connect(broker, None, None, ReasonCode(PacketTypes.CONNACK), None)
    assert broker.asked == [[("own/evt", 1), ("own/d", 1)]]
    return network, shell


def test_one_s_own_topics_make_the_connection() -> None:
    broker: Any = Broker()
    network, shell = _connected(broker)
    network.subscribe(["too early"])
    network.unsubscribe(["too early"])
    network._on_subscribe(broker, None, 1, [GRANTED, GRANTED], None)
    assert (shell.told, network._why, len(broker.asked), broker.unsubscribed) == (["subscribed"], None, 1, [])


@pytest.mark.parametrize("codes", [[GRANTED, REFUSED], [REFUSED, GRANTED]])
def test_one_s_own_topics_must_be_granted(codes: list[ReasonCode]) -> None:
    broker: Any = Broker()
    network, shell = _connected(broker)
    network._on_subscribe(broker, None, 1, codes, None)
    assert (shell.told, network._why) == ([], "the broker refused a subscription of user ann")


def test_a_group_s_topic_need_not_be() -> None:
    broker: Any = Broker()
    network, shell = _connected(broker)
    network._on_subscribe(broker, None, 1, [GRANTED, GRANTED], None)
    network.subscribe(["a", "b", "c"])
    network._on_subscribe(broker, None, 2, [GRANTED, REFUSED], None)
    assert shell.told[1:] == [("a", True), ("b", False), ("c", False)]
    assert network._why is None
    network.unsubscribe(["a"])
    assert broker.unsubscribed == [["a"]]
    assert network._asked == {}


def test_many_are_asked_for_in_several_packets() -> None:
    broker: Any = Broker()
    network, shell = _connected(broker)
    network._on_subscribe(broker, None, 1, [GRANTED, GRANTED], None)
    topics = [f"g{number}" for number in range(2 * FILTERS_AT_ONCE + 1)]
    network.subscribe(topics)
    for mid in (4, 2, 3):
        network._on_subscribe(broker, None, mid, [GRANTED] * len(broker.asked[mid - 1]), None)
    assert sorted(shell.told[1:], key=str) == sorted(((topic, True) for topic in topics), key=str)
    network.unsubscribe(topics)
    assert [len(some) for some in broker.unsubscribed] == [FILTERS_AT_ONCE, FILTERS_AT_ONCE, 1]


def test_a_connection_that_is_gone_is_asked_for_nothing() -> None:
    broker: Any = Broker()
    network, _ = _connected(broker)
    network._on_subscribe(broker, None, 1, [GRANTED, GRANTED], None)
    gone: Any = Broker(is_there=False)
    network._client = gone
    network.subscribe(["a"])
    assert network._asked == {}
    network._client = None
    network.subscribe(["a"])
    network.unsubscribe(["a"])
