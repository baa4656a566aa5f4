"""Every user against every user's and group's every topic, in every shape: to subscribe, to publish, as a will.

Through the whole server, with real groups. That the matrix sees a leak is shown by making the permissions lenient.
"""

import random
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest

from ringline.protocol.topics import Topics
from ringline_broker.bindings.amqtt.broker import HardenedBroker
from ringline_broker.bindings.amqtt.device import Device
from ringline_broker.bindings.amqtt.mqtt311 import Publish
from ringline_broker.server import ServerConfig
from tests.attacks.matrix import (
    DEVICE,
    GROUPS,
    USERS,
    breaks_as_filter,
    breaks_as_name,
    may_publish,
    may_subscribe,
    nearby,
    shapes,
    topics,
)
from tests.attacks.raw_mqtt import (
    PUBACK,
    SUBACK,
    Attacker,
    connect_packet,
    device,
    publish_packet,
    subscribe_packet,
)
from tests.attacks.targets import FREE
from tests.support.bound import BOUND_S
from tests.support.running import Ring

FAILED = 0x80
FILTERS_A_PACKET = 40
TOPICS = topics()
SHAPES = shapes((*TOPICS, *nearby()))
MOST_BYTES = 20_000
"""Of the filters in one packet."""


@dataclass
class Tally:
    """How many attempts there were, and which went wrong."""

    tried: int = 0
    allowed: int = 0
    leaks: list[str] = field(default_factory=list)

    def attempt(self, what: str, *, allowed: bool, is_as_it_should_be: bool) -> None:
        self.tried += 1
        self.allowed += allowed
        if not is_as_it_should_be:
            self.leaks.append(what[:200])

    def report(self, what: str) -> None:
        print(f"{what}: {self.tried} tried, {self.allowed} of them allowed, {len(self.leaks)} leaked")  # noqa: T201 - the proof is a count
        assert not self.leaks, self.leaks[:10]


@contextmanager
def _server() -> Generator[Ring]:
    """A server with the groups, and nobody connected."""
    with Ring(config=ServerConfig(connections=FREE)) as ring:
        for gid, members in GROUPS.items():
            owner, *others = sorted(members)
            maker = ring.device(owner)
            maker.client.groups.create(gid, members=others).result(BOUND_S)
            maker.close()
        yield ring


@pytest.fixture(scope="module")
def ring() -> Iterator[Ring]:
    with _server() as ring:
        yield ring


def _event(ring: Ring, topic: str) -> None:
    """Let the extension send an event, whose payload says where."""
    binding = ring.server._binding
    assert binding is not None
    ring.on_loop(lambda: binding.publish(topic, topic.encode(), None))


def _own(user: str) -> list[str]:
    return [topic for topic in TOPICS if may_subscribe(user, topic)]


def _heard(attacker: Attacker) -> list[str]:
    return [f"{message.topic} {message.payload.decode()}" for message in attacker.messages()]


# To subscribe.


def _packets_of(filters: list[str], user: str) -> Iterator[list[str]]:
    """Filters in packets, with one that the user may have somewhere in each."""
    rest = list(filters)
    chance = random.Random(user)
    chance.shuffle(rest)
    while rest:
        one = [rest.pop()]
        while rest and len(one) < FILTERS_A_PACKET and sum(map(len, (*one, rest[-1]))) < MOST_BYTES:
            one.append(rest.pop())
        one.insert(chance.randrange(len(one) + 1), chance.choice(_own(user)))
        yield one


def _subscribe_to_all(attacker: Attacker, user: str, filters: list[str], tally: Tally) -> None:
    """In packets of many, all sent before the first is answered; each code must stand in its place."""
    packets = list(_packets_of([one for one in filters if not breaks_as_filter(one)], user))
    for number, asked in enumerate(packets, 1):
        attacker.send(subscribe_packet(number, *((one, number % 3) for one in asked)))
    for number, asked in enumerate(packets, 1):
        answer = attacker.expect(SUBACK).body
        assert int.from_bytes(answer[:2], "big") == number
        assert len(answer) == len(asked) + 2
        for one, code in zip(asked, answer[2:], strict=True):
            may = may_subscribe(user, one)
            is_right = code == (min(number % 3, 1) if may else FAILED)
            tally.attempt(f"{user} subscribed to {one!r}: {code:#x}", allowed=may, is_as_it_should_be=is_right)


def _hear_everything(ring: Ring, attackers: dict[str, Attacker], tally: Tally) -> None:
    """After an event on every topic, everybody heard their own, each once."""
    for topic in TOPICS:
        _event(ring, topic)
    for user, attacker in attackers.items():
        heard = _heard(attacker)
        wanted = [f"{topic} {topic}" for topic in _own(user)]
        is_right = sorted(heard) == sorted(wanted)
        more, less = sorted({*heard} - {*wanted}), sorted({*wanted} - {*heard})
        tally.attempt(f"{user} heard {more}, not {less}", allowed=True, is_as_it_should_be=is_right)


def _try_to_subscribe(ring: Ring, filters: list[str]) -> Tally:
    tally = Tally()
    with ExitStack() as stack:
        attackers = {user: stack.enter_context(device(ring.port, user)) for user in USERS}
        for user, attacker in attackers.items():
            _subscribe_to_all(attacker, user, filters, tally)
        _hear_everything(ring, attackers, tally)
    return tally


def test_nobody_subscribes_to_what_is_not_theirs(ring: Ring) -> None:
    tally = _try_to_subscribe(ring, SHAPES)
    tally.report("subscriptions")
    assert tally.tried > 10_000
    assert tally.allowed > len(SHAPES) / FILTERS_A_PACKET


def test_asking_for_what_no_filter_can_be_ends_the_connection(ring: Ring) -> None:
    tally = Tally()
    bad = [one for one in SHAPES if breaks_as_filter(one)]
    for user in USERS:
        for one in bad:
            with device(ring.port, user) as attacker:
                attacker.send(subscribe_packet(1, (_own(user)[0], 1), (one, 1)))
                ended = attacker.is_ended()
            tally.attempt(f"{user} asked for {one!r}", allowed=False, is_as_it_should_be=ended)
            if not ended:  # each takes as long as one waits
                tally.report("filters that end the connection")
    tally.report("filters that end the connection")
    assert tally.tried > 100


# To publish.


@contextmanager
def _everybody_listens(ring: Ring) -> Generator[dict[str, Attacker]]:
    with ExitStack() as stack:
        yield {user: stack.enter_context(device(ring.port, user, *_own(user))) for user in USERS}


def _check_that_nothing_was_heard(listeners: dict[str, Attacker], tally: Tally) -> None:
    for user, listener in listeners.items():
        heard = _heard(listener)
        tally.attempt(f"{user} heard {heard[:3]}", allowed=False, is_as_it_should_be=not heard)


def _try_to_publish(ring: Ring, names: list[str]) -> Tally:
    """At QoS 0 and 1, the latter retained; those at QoS 1 are acknowledged in turn, taken or not."""
    tally = Tally()
    names = [one for one in names if not breaks_as_name(one)]
    before, expected = ring.server.counts()["requests"], 0
    with _everybody_listens(ring) as listeners:
        for user in USERS:
            with device(ring.port, user) as attacker:
                numbers = count(1)
                for one in names:
                    attacker.send(publish_packet(one, b"forged"))
                    attacker.send(publish_packet(one, b"forged", 1, next(numbers), retain=True))
                    expected += 2 * may_publish(user, one)
                for number, one in enumerate(names, 1):
                    acknowledged = int.from_bytes(attacker.expect(PUBACK).body, "big")
                    is_right = acknowledged == number
                    tally.attempt(f"{user} on {one!r}", allowed=may_publish(user, one), is_as_it_should_be=is_right)
        _check_that_nothing_was_heard(listeners, tally)
    with _everybody_listens(ring) as listeners:  # nothing was kept for whoever comes later
        _check_that_nothing_was_heard(listeners, tally)
    taken = ring.server.counts()["requests"] - before
    tally.attempt(f"{taken} taken, not {expected}", allowed=False, is_as_it_should_be=taken == expected)
    return tally


def test_nobody_publishes_where_they_may_not(ring: Ring) -> None:
    tally = _try_to_publish(ring, SHAPES)
    tally.report("names published on, twice each")
    assert tally.allowed == len(USERS)
    assert tally.tried > 1_000


def test_publishing_where_no_message_can_be_ends_the_connection(ring: Ring) -> None:
    tally = Tally()
    bad = [one for one in SHAPES if breaks_as_name(one)]
    before = ring.server.counts()["requests"]
    with _everybody_listens(ring) as listeners:
        for number, one in enumerate(bad):
            user = USERS[number % len(USERS)]
            with device(ring.port, user) as attacker:
                attacker.send(publish_packet(one, b"forged", number % 2))
                ended = attacker.is_ended()
            tally.attempt(f"{user} published on {one!r}", allowed=False, is_as_it_should_be=ended)
            if not ended:
                tally.report("names that end the connection")
        _check_that_nothing_was_heard(listeners, tally)
    assert ring.server.counts()["requests"] == before
    tally.report("names that end the connection")
    assert tally.tried > 1_000


# As a will.


def test_nobody_leaves_a_will(ring: Ring) -> None:
    tally = Tally()
    before = ring.server.counts()["requests"]
    names = [one for one in SHAPES if not breaks_as_name(one) and len(one) < 200]
    with _everybody_listens(ring) as listeners:
        for number, one in enumerate(names):
            for user in USERS if one in TOPICS else USERS[number % len(USERS) :][:1]:
                with Attacker.tcp(ring.port) as attacker:
                    flags = (0x04, 0x0C, 0x2C, 0x24)[number % 4]  # QoS 0 and 1, retained or not
                    attacker.send(connect_packet(user, "", will=(one, b"forged"), will_flags=flags))
                    code = attacker.receive().body[1]
                tally.attempt(f"{user}'s will for {one!r}: {code}", allowed=False, is_as_it_should_be=code == 5)
        _check_that_nothing_was_heard(listeners, tally)
    assert ring.server.counts()["requests"] == before
    tally.report("wills")
    assert tally.tried > 1_000


# That it would be seen: these are of bob's topics alone, to save time.

BOBS = shapes(topic for topic in TOPICS if "/bob/" in topic)


def _begins(self: Topics, user: str, topic_filter: str) -> bool:
    return topic_filter.startswith(f"{self.prefix}/u/{user}")


def _in_any_case(self: Topics, user: str, topic_filter: str) -> bool:
    return topic_filter.lower() == self.events(user)


def _wildcards(self: Topics, user: str, topic_filter: str) -> bool:
    return topic_filter == self.events(user) or topic_filter.rsplit("/", maxsplit=1)[-1] == "#"


def _shared(self: Topics, user: str, topic_filter: str) -> bool:
    return topic_filter.removeprefix("$share/g/") == self.events(user)


def _all_users(self: Topics, user: str, topic_filter: str) -> bool:  # noqa: ARG001 - as the one it stands for
    return topic_filter.endswith("/evt")


@pytest.mark.parametrize("lenient", [_begins, _in_any_case, _wildcards, _shared, _all_users])
def test_a_lenient_permission_to_subscribe_would_be_seen(
    lenient: Callable[[Topics, str, str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Topics.may_subscribe

    def either(self: Topics, user: str, topic_filter: str) -> bool:
        return strict(self, user, topic_filter) or lenient(self, user, topic_filter)

    with _server() as ring:
        monkeypatch.setattr(Topics, "may_subscribe", either)
        tally = _try_to_subscribe(ring, BOBS)
    print(f"{lenient.__name__}: {len(tally.leaks)} of {tally.tried} leaked, {tally.leaks[0]}")  # noqa: T201 - a count
    assert tally.leaks


def test_a_lenient_permission_to_publish_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = HardenedBroker.published

    def lenient(self: HardenedBroker, device: Device, message: Publish, settle: Callable[[], None]) -> None:
        is_request = message.topic.lower().startswith(device.request_topic)
        strict(self, device, message._replace(topic=device.request_topic) if is_request else message, settle)

    with _server() as ring:
        monkeypatch.setattr(HardenedBroker, "published", lenient)
        tally = _try_to_publish(ring, BOBS)
    assert tally.leaks


def test_a_leak_between_devices_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = HardenedBroker.published

    def relays(self: HardenedBroker, device: Device, message: Publish, settle: Callable[[], None]) -> None:
        self.deliver(message.topic, message.payload)
        strict(self, device, message, settle)

    with _server() as ring:
        monkeypatch.setattr(HardenedBroker, "published", relays)
        tally = _try_to_publish(ring, TOPICS)
    assert [leak.split()[0] for leak in tally.leaks] == list(USERS)


def test_the_matrix_has_every_kind_of_shape() -> None:
    have = {*SHAPES}
    topic = f"ringline/v1/u/bob/d/{DEVICE}"
    for one in (
        topic, "#", "$SYS/#", "", "ringline/#", "ringline/v1/u/+/evt", "+/v1/+/bob/+", "ringline/+/u/+/#",
        f"$share/g/{topic}", f"/{topic}", f"{topic}/", "ringline/v1/u//bob/evt", "ringline/v1/u/BOB/evt",
        "ringline/v1/u/bob\0/evt", "ringline/v1/g/family/evt", "ringline/v1/g/+/evt", "ringline/v1/g/crew/#",
    ):  # fmt: skip
        assert one in have, one
    assert {max(map(len, have)) > 65_000, any(29_000 < len(one) < 31_000 for one in have)} == {True}
