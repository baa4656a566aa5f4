"""Whether a worker that does not manage permissions is beside others that do.

Who leaves a group has its topic taken away by the worker that decides it. One that knows nothing of topics would leave
it to them, and what the others publish there would go on reaching those who left.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Final

from ringline_broker.bindings.mosquitto.control import BOUNDS
from ringline_broker.bindings.mosquitto.roles import CONTROL_ANSWERS, CONTROL_TOPIC
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.bindings.mqtt5.connection import connect
from ringline_broker.bindings.mqtt5.failures import BrokerFailure
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.service.ports import Clock

WITHIN_S: Final = 5.0
"""Seconds for the look. Only a broker that answers nothing at all, in the middle of a start, takes as long."""
ALL_ALIKE: Final = "groups have topics here: start every worker of this site with --permissions dynsec --group-topics"


class OthersManage(BrokerFailure):
    """The account of this worker may manage the broker's permissions, and the worker is not told to."""

    lasts = True


async def check_unmanaged(address: BrokerAddress, clock: Clock) -> None:
    """See that this worker's account may not command dynamic security: it may where groups have topics.

    Raises:
        OthersManage: it may.
    """
    if await _may_command(address, clock):
        raise OthersManage(f"the worker's account may manage the permissions of the broker at {address}; {ALL_ALIKE}")


async def _may_command(address: BrokerAddress, clock: Clock) -> bool:
    """Brokers say no in many ways: by a refusal, by hanging up, by saying nothing. All of them are no."""
    name, answers = secrets.token_hex(16), list[bytes]()

    def take(_topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        settle()
        if name.encode() in payload:  # else it is what another was answered
            answers.append(payload)

    outbound = Outbound(BOUNDS.max_messages, BOUNDS.max_bytes, clock.monotonic_ms, is_quiet=True)
    try:
        async with asyncio.timeout(WITHIN_S):
            connection = await connect(address, BOUNDS, outbound, take, clock)
            try:
                await connection.subscribe((CONTROL_ANSWERS,))
                ask = {"command": "getDefaultACLAccess", "correlationData": name}
                outbound.put(CONTROL_TOPIC, json.dumps({"commands": [ask]}).encode(), None)
                # Mosquitto answers behind the PUBACK, and before it has read two more packets
                for _ in range(2):
                    await connection.subscribe((CONTROL_ANSWERS,))
            finally:
                connection.close()
                connection.abort("closed")
                outbound.give_up()
    except (BrokerFailure, TimeoutError):
        return False
    return bool(answers)
