"""Workers that look after no permissions, or not after groups' topics, beside Mosquittos where others do, or nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import mqtt5
import pytest

from ringline_broker.bindings.mosquitto import unmanaged
from ringline_broker.bindings.mosquitto.control import ControlRefused, connected
from ringline_broker.bindings.mosquitto.permissions import Permissions
from ringline_broker.bindings.mosquitto.roles import Roles
from ringline_broker.bindings.mosquitto.unmanaged import OthersManage, check_unmanaged
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.deployment.mosquitto import ADMIN, WORKER, read_admin
from ringline_broker.service.clock import SystemClock
from ringline_broker.worker import Worker, WorkerConfig
from tests.support.deployed import Deployed
from tests.support.mosquitto import Mosquitto
from tests.support.running import free_port
from tests.unit.mqtt5.peers import TOPICS, FakeBroker, Visit, here, run

CLOCK = SystemClock()
ROLES = Roles(TOPICS)
ALL_ALIKE = "start every worker of this site with --permissions dynsec --group-topics"


async def starts(config: WorkerConfig) -> None:
    worker = Worker(config)
    await worker.start()
    await worker.stop()


def test_beside_workers_that_manage_permissions_one_that_does_not_is_refused(tmp_path: Path) -> None:
    with Deployed(tmp_path, group_topics=True) as broker:
        with pytest.raises(OthersManage, match=ALL_ALIKE):
            run(starts(WorkerConfig(broker.worker, broker.share)))
        run(starts(WorkerConfig(broker.worker, broker.share, manages_permissions=True, has_group_topics=True)))


def test_one_that_keeps_no_topics_for_groups_leaves_them_to_the_others(tmp_path: Path) -> None:
    async def scenario(broker: Deployed) -> None:
        permissions = Permissions(broker.worker, TOPICS, broker.share, CLOCK, has_group_topics=False)
        with pytest.raises(ControlRefused, match=ALL_ALIKE):
            await permissions.start(5)
        await permissions.stop()
        async with connected(admin_of(broker), CLOCK) as control:
            (role,) = await control.run([{"command": "getRole", "rolename": f"{TOPICS.prefix}/worker"}])
        assert ROLES.worker(broker.share, has_group_topics=True).is_like(role.data["role"])

    with Deployed(tmp_path, group_topics=True) as broker:
        run(scenario(broker))


def test_a_site_is_switched_by_giving_the_worker_the_right_to_manage(tmp_path: Path) -> None:
    """As deploy/mosquitto/README.md has it."""

    async def scenario(broker: Deployed) -> None:
        plain = WorkerConfig(broker.worker, broker.share)
        await starts(plain)
        async with connected(admin_of(broker), CLOCK) as control:
            right = {"username": WORKER, "rolename": f"{TOPICS.prefix}/control"}
            (given,) = await control.run([{"command": "addClientRole", **right}])
            assert given.error is None
            with pytest.raises(OthersManage):
                await starts(plain)
            await starts(WorkerConfig(broker.worker, broker.share, manages_permissions=True, has_group_topics=True))
            (taken,) = await control.run([{"command": "removeClientRole", **right}])
            assert taken.error is None
        await starts(plain)

    with Deployed(tmp_path) as broker:
        run(scenario(broker))


def admin_of(broker: Deployed) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, ADMIN, read_admin(broker.folder).password.encode())


@pytest.mark.parametrize("access", ["", "acl_file {folder}/acl"], ids=["anything goes", "an access file"])
def test_a_mosquitto_without_dynamic_security_is_taken_as_it_is(
    tmp_path: Path, access: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic readwrite ringline/#\n")
    with Mosquitto(tmp_path, access.format(folder=tmp_path)) as broker:
        run(check_unmanaged(here(broker.port), CLOCK))
    assert caplog.messages == []


def test_no_broker_at_all_is_no_reason_to_refuse() -> None:
    run(check_unmanaged(here(free_port()), CLOCK))


async def _refuses(visit: Visit) -> None:
    await visit.accept()
    asked = await visit.read()
    assert isinstance(asked, mqtt5.SubscribePacket)
    visit.send(mqtt5.SubAckPacket(asked.packet_id, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]))
    await visit.at_end()


async def _hangs_up(visit: Visit) -> None:
    await visit.accept()
    await visit.read()


async def _is_silent(visit: Visit) -> None:
    await visit.accept()
    await visit.at_end()


@pytest.mark.parametrize("part", [_refuses, _hangs_up, _is_silent])
def test_whatever_a_broker_says_to_what_it_does_not_know_it_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, part: Callable[[Visit], Awaitable[None]]
) -> None:
    monkeypatch.setattr(unmanaged, "WITHIN_S", 0.5 if part is _is_silent else unmanaged.WITHIN_S)

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            await check_unmanaged(here(broker.port), CLOCK)

    run(scenario())


def test_who_is_told_to_end_meanwhile_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = asyncio.Event()

    async def part(visit: Visit) -> None:
        await visit.accept()
        arrived.set()
        await visit.at_end()

    async def scenario() -> None:
        async with FakeBroker(part) as broker:
            looking = asyncio.ensure_future(check_unmanaged(here(broker.port), CLOCK))
            await arrived.wait()
            looking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await looking

    monkeypatch.setattr(unmanaged, "WITHIN_S", 60.0)
    run(scenario())
