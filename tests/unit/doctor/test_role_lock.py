"""What the doctor finds of the lock on Mosquitto's roles."""

import asyncio
from pathlib import Path

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.control import check
from ringline_broker.doctor.broker import BrokerChecks
from ringline_broker.doctor.report import Finding
from ringline_broker.doctor.report import run as run_check
from ringline_broker.doctor.role_lock import RoleLock
from ringline_broker.doctor.target import Account, Target
from ringline_broker.service.clock import SystemClock
from tests.support.deployed import Deployed
from tests.support.mosquitto import Mosquitto
from tests.unit.mqtt5.peers import run


class Hasty(SystemClock):
    """Waits for nothing, and then it is so much later."""

    def __init__(self) -> None:
        self._ms = 0

    def monotonic_ms(self) -> int:
        return self._ms

    async def wait(self, event: asyncio.Event, timeout_ms: int) -> bool:
        self._ms += timeout_ms
        return event.is_set()


def found(port: int, worker: Account) -> Finding:
    async def look() -> Finding:
        target = Target("127.0.0.1", port, worker)
        broker = BrokerChecks(target)
        for one in broker.all():
            if one.name in ("reached", "login"):
                await run_check(one)
        return await run_check(RoleLock(target, broker, Hasty()).check())

    return run(look())


def taken(broker: Deployed) -> None:
    """Have the lock be somebody's."""
    take = {"command": "createRole", "rolename": f"{Topics().prefix}/lock", "textname": "somebody", "acls": []}
    check(broker.control(lambda control: control.run([take])))


def worker_of(broker: Deployed) -> Account:
    return Account(broker.worker.username, broker.env["RINGLINE_PASSWORD"])


def test_a_lock_that_a_dead_worker_left(tmp_path: Path) -> None:
    with Deployed(tmp_path, group_topics=True) as broker:
        free = found(broker.port, worker_of(broker))
        assert (free.verdict, free.text) == ("ok", "free")
        taken(broker)
        left = found(broker.port, worker_of(broker))
        assert (left.verdict, left.text.split(" for ")[0]) == ("warn", "ringline/v1/lock was somebody's")
        assert "takes the lock away" in left.remedy


def test_a_worker_that_may_not_look(tmp_path: Path) -> None:
    with Deployed(tmp_path) as broker:
        lock = found(broker.port, worker_of(broker))
    assert (lock.verdict, lock.text.split(",")[0]) == ("skipped", "the worker's account is told of no roles")


def test_a_broker_without_roles(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        lock = found(broker.port, Account())
    assert (lock.verdict, lock.text.split(",")[0]) == ("skipped", "the worker's account is told of no roles")
