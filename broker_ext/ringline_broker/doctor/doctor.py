"""All checks of a deployment, one after another; of those of permissions a few at a time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from ringline_broker.doctor import machine
from ringline_broker.doctor.broker import BrokerChecks
from ringline_broker.doctor.permissions import Permissions
from ringline_broker.doctor.report import Check, Finding, Found, Skipped, run
from ringline_broker.doctor.role_lock import RoleLock
from ringline_broker.doctor.share import Share
from ringline_broker.doctor.stage import Stage
from ringline_broker.doctor.store import StoreChecks
from ringline_broker.doctor.target import Target

_AT_ONCE: Final = 4
"""Each has a connection for each user and version of MQTT."""


async def examine(target: Target, store: StoreChecks) -> AsyncGenerator[Finding]:
    """What is found, as it is found.

    Args:
        target: the broker, and who may log in there.
        store: the checks of the store; closed at the end.
    """
    broker, stage = BrokerChecks(target), Stage(target)
    permissions, share = Permissions(target, stage), Share(target, broker, stage)
    try:
        for check in (*broker.all(), RoleLock(target, broker).check(), share.of_worker()):
            yield await run(check)
        for check in _of_stage(stage, broker):
            yield await run(check)
        if target.users:
            async for finding in _together(permissions.together()):
                yield finding
            for check in (share.of_workers(), share.of_users()):
                yield await run(check)
        for check in (*store.all(), *machine.checks()):
            yield await run(check)
    finally:
        await stage.close()
        await store.close()


def _of_stage(stage: Stage, broker: BrokerChecks) -> Sequence[Check]:
    async def log_in() -> Found:
        if not broker.lets_in:
            raise Skipped("there is no login at the broker")
        return await stage.log_in()

    return Check("permissions", "test users", log_in), Check("workers", "answer", stage.ask_workers)


async def _together(checks: Sequence[Check]) -> AsyncGenerator[Finding]:
    """Run a few at a time; what they find comes in their order."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(check: Check) -> Finding:
        async with turns:
            return await run(check)

    tasks = [asyncio.ensure_future(in_turn(check)) for check in checks]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
