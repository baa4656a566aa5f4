"""The self-test finds out what a broker really does: real ones, real ones set up badly, and fakes for the rest."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mqtt5
import pytest

from ringline_broker.bindings.mqtt5.failures import BrokerUnfit, BrokerUnreachable, LoginRefused
from ringline_broker.bindings.mqtt5.selftest import PROBES, SelfTest, self_test
from ringline_broker.service.clock import SystemClock
from tests.support.mosquitto import Mosquitto
from tests.support.running import Ring
from tests.unit.mqtt5.peers import TOPICS, FakeBroker, Moves, Visit, Worker, here, run


async def found_at(port: int, bound_s: float = 5.0) -> SelfTest:
    return await self_test(here(port), TOPICS, SystemClock(), bound_s)


def test_a_broker_that_will_do(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        found = run(found_at(broker.port))
    assert found.is_fit, found
    assert (found.shares, found.tells_nobody) == (True, True)
    assert (found.announces_shared, found.announces_wildcards, found.announces_retained) == (True, True, True)
    assert found.receive_max >= 20


def with_acl(folder: Path, acl: str) -> Mosquitto:
    (folder / "acl").write_text(acl)
    return Mosquitto(folder, f"acl_file {folder / 'acl'}")


def test_a_broker_that_lets_the_worker_read_no_probes(tmp_path: Path) -> None:
    """Mosquitto grants such a subscription and swallows what should come."""
    acl = "topic read $share/#\ntopic write ringline/v1/u/+/evt\ntopic write ringline/v1/probe/+\n"
    with with_acl(tmp_path, acl) as broker:
        found = run(found_at(broker.port, 0.5))
    assert found.faults == ("nothing published came back on ringline/v1/probe/+: the worker's user may not read it",)
    assert not found.shares


def test_a_broker_that_lets_the_worker_publish_no_events(tmp_path: Path) -> None:
    with with_acl(tmp_path, "topic readwrite ringline/v1/probe/+\ntopic read $share/#\n") as broker:
        found = run(found_at(broker.port))
    assert len(found.faults) == 1
    assert "may not publish on ringline/v1/u/+/evt; reason 0x87" in found.faults[0]


def test_a_broker_that_lets_the_worker_publish_no_probes(tmp_path: Path) -> None:
    with with_acl(tmp_path, "topic write ringline/v1/u/+/evt\ntopic read #\n") as broker:
        found = run(found_at(broker.port))
    assert len(found.faults) == 1
    assert "may not publish on ringline/v1/probe/" in found.faults[0]


def test_a_broker_that_speaks_no_mqtt_5() -> None:
    """The embedded one."""
    with Ring() as ring, pytest.raises(LoginRefused, match="must speak MQTT 5"):
        run(found_at(ring.port))


class Cheat:
    """A broker that has shared subscriptions of its own kind: for each message to a share, who of its members gets it.

    Args:
        choose: the members, and how often each gets the message, of as many as there are.
        nobody: the reason code where nobody subscribes.
        offer: what its CONNACK says.
    """

    def __init__(
        self,
        choose: Callable[[int, int], list[int]],
        nobody: mqtt5.PubAckReasonCode = mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS,
        **offer: Any,
    ) -> None:
        self._choose = choose
        self._nobody = nobody
        self._offer = offer
        self._members: list[tuple[Visit, list[str]]] = []
        self._count = 0

    async def part(self, visit: Visit) -> None:
        await visit.accept(**self._offer)
        while True:
            packet = await visit.read()
            if isinstance(packet, mqtt5.SubscribePacket):
                self._members.append((visit, [one.pattern for one in packet.topic_filters]))
                granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE for _ in packet.topic_filters]
                visit.send(mqtt5.SubAckPacket(packet.packet_id, granted))
            elif isinstance(packet, mqtt5.PublishPacket):
                reason = self._spread(packet)
                visit.send(mqtt5.PubAckPacket(packet.packet_id or 0, reason_code=reason))
            elif isinstance(packet, mqtt5.DisconnectPacket):
                return

    def _spread(self, packet: mqtt5.PublishPacket) -> mqtt5.PubAckReasonCode:
        plain = [visit for visit, filters in self._members if packet.topic in filters]
        shared = [visit for visit, filters in self._members if any(f.endswith("/" + packet.topic) for f in filters)]
        if shared:
            plain += [shared[n] for n in self._choose(self._count, len(shared))]
            self._count += 1
        for visit in plain:
            visit.send(mqtt5.PublishPacket(packet.topic, packet.payload))
        return mqtt5.PubAckReasonCode.SUCCESS if plain else self._nobody


def fair(count: int, members: int) -> list[int]:
    return [count % members]


async def cheated(cheat: Cheat, bound_s: float = 0.5) -> SelfTest:
    async with FakeBroker(cheat.part) as broker:
        return await found_at(broker.port, bound_s)


def test_the_cheat_that_does_not_cheat_will_do() -> None:
    found = run(cheated(Cheat(fair, receive_max=50, max_packet_size=65_536), 5.0))
    assert found.is_fit, found
    assert (found.receive_max, found.max_packet_bytes, found.remarks) == (50, 65_536, ())


@pytest.mark.parametrize(
    ("choose", "fault"),
    [
        (lambda _count, _members: [], "takes shared subscriptions and delivers nothing through them"),
        (lambda _count, members: list(range(members)), f"{PROBES} of {PROBES} messages came more than once"),
        (lambda count, _members: [0] if count else [], f"1 of {PROBES} messages were lost"),
    ],
)
def test_brokers_that_fake_shared_subscriptions(choose: Callable[[int, int], list[int]], fault: str) -> None:
    found = run(cheated(Cheat(choose)))
    assert not found.shares
    assert len(found.faults) == 1
    assert fault in found.faults[0]


def test_a_copy_that_comes_late_is_seen() -> None:
    """Once all probes have come, one of them comes again, and only then what both ends hear plainly."""

    async def scenario() -> SelfTest:
        members: list[Visit] = []
        probes: list[mqtt5.PublishPacket] = []
        acknowledged = Moves()
        count = 0

        async def part(visit: Visit) -> None:
            nonlocal count
            await visit.accept()
            while True:
                packet = await visit.read()
                if isinstance(packet, mqtt5.SubscribePacket):
                    members.append(visit)
                    granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE for _ in packet.topic_filters]
                    visit.send(mqtt5.SubAckPacket(packet.packet_id, granted))
                elif isinstance(packet, mqtt5.PubAckPacket):
                    count += 1
                    acknowledged.move()
                elif isinstance(packet, mqtt5.DisconnectPacket):
                    return
                elif isinstance(packet, mqtt5.PublishPacket):
                    visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
                    if packet.payload == b"last":
                        await finish(packet)
                    elif members:
                        probes.append(packet)
                        members[1].send(as_sent(packet, len(probes)))

        async def finish(last: mqtt5.PublishPacket) -> None:
            await acknowledged.until(lambda: count == PROBES)
            members[1].send(as_sent(probes[0], 100))
            for member in members:
                member.send(as_sent(last, 101))

        async with FakeBroker(part) as broker:
            return await found_at(broker.port)

    found = run(scenario())
    assert found.faults == (f"1 of {PROBES} messages came more than once through a shared subscription",)


def as_sent(packet: mqtt5.PublishPacket, packet_id: int) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(packet.topic, packet.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id)


@pytest.mark.parametrize(
    ("offer", "fault"),
    [
        ({"shared_subscription_available": False}, "no shared subscriptions"),
        ({"wildcard_subscription_available": False}, "no wildcard subscriptions"),
        ({"max_qos": mqtt5.QoS.AT_MOST_ONCE}, "QoS 0 only"),
        ({"max_packet_size": 20_000}, "takes packets of 20000 bytes"),
    ],
)
def test_what_a_broker_says_that_it_lacks_is_a_fault(offer: dict[str, Any], fault: str) -> None:
    found = run(cheated(Cheat(fair, **offer)))
    assert len(found.faults) == 1
    assert fault in found.faults[0]


def test_a_broker_that_does_not_tell_that_nobody_is_there_will_do_and_that_is_said() -> None:
    found = run(cheated(Cheat(fair, mqtt5.PubAckReasonCode.SUCCESS, max_packet_size=65_536), 5.0))
    assert found.is_fit
    assert not found.tells_nobody
    assert "nobody is told who is offline" in found.remarks[0]


def test_a_small_receive_maximum_is_said() -> None:
    found = run(cheated(Cheat(fair, receive_max=3, max_packet_size=65_536), 5.0))
    assert found.is_fit
    assert "takes 3 unacknowledged" in found.remarks[0]


@pytest.mark.parametrize(
    ("offer", "remark"),
    [
        ({}, "does not say that it limits packets"),
        (
            {"max_packet_size": 2_000_001},
            "takes packets of 2000001 bytes; let it take 64 KiB, or users can keep workers busy",
        ),
    ],
)
def test_a_broker_that_takes_packets_of_any_size_will_do_and_that_is_said(offer: dict[str, Any], remark: str) -> None:
    found = run(cheated(Cheat(fair, **offer), 5.0))
    assert found.is_fit
    assert len(found.remarks) == 1
    assert remark in found.remarks[0]


async def hangs_up(visit: Visit) -> None:
    await visit.accept()
    await visit.read()


async def takes_and_hangs_up(visit: Visit) -> None:
    await visit.accept()
    packet = await visit.read()
    if isinstance(packet, mqtt5.PublishPacket):
        visit.send(mqtt5.PubAckPacket(packet.packet_id or 0))
        await visit.read()


@pytest.mark.parametrize("part", [hangs_up, takes_and_hangs_up])
def test_a_connection_that_does_not_hold_is_no_finding(part: Callable[[Visit], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            with pytest.raises(BrokerUnreachable):
                await found_at(broker.port, 0.5)

    run(scenario())


def test_a_worker_does_not_start_beside_a_broker_that_will_not_do() -> None:
    async def scenario() -> None:
        async with FakeBroker(Cheat(lambda _count, members: list(range(members))).part) as broker:
            worker = Worker(here(broker.port))
            with pytest.raises(BrokerUnfit, match=f"127.0.0.1:{broker.port} cannot serve workers: 20 of 20 messages"):
                await worker.binding.start()
            assert worker.binding.report is not None

    run(scenario())
