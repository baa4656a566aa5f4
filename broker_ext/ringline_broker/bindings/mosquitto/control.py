"""Commands to the dynamic-security plugin, and its answers.

The plugin answers on one topic, at QoS 0, for everybody who may hear it; each answer is known by the `correlationData`
of its command. Commands say what shall be, so one that is sent again after a lost connection does no harm.
"""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

from ringline_broker.bindings.mosquitto.roles import CONTROL_ANSWERS, CONTROL_TOPIC
from ringline_broker.bindings.mqtt5.address import BrokerAddress, LinkBounds
from ringline_broker.bindings.mqtt5.connection import Connection, connect
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.service.ports import BrokerUnavailable, Clock, Reach

log = logging.getLogger(__name__)

ANSWER_S: Final = 5.0
"""Seconds that the plugin has to answer."""
AT_ONCE: Final = 32
"""Commands in one message: the broker does nothing else meanwhile, and writes its file after each."""
MAX_BYTES: Final = 64_000
"""Bytes of commands in one message: the broker takes packets of 64 KiB."""
BOUNDS: Final = LinkBounds(max_packet_bytes=67_108_864, max_messages=1_024, max_bytes=8_388_608)
"""An answer that lists all users is long."""

_NAME_BYTES: Final = 64
"""What `correlationData` and what is around a command take."""
_TAKEN: Final = (Reach.SOMEBODY, Reach.NOBODY)

Command = dict[str, Any]
"""A command as the plugin takes it, without `correlationData`."""


class Answer(NamedTuple):
    """What the plugin said of one command.

    Attributes:
        error: why it was not done; None where it was.
        data: what was asked for.
    """

    error: str | None
    data: dict[str, Any]


class ControlRefused(BrokerUnavailable):
    """The plugin, or the broker, does not do what it is told; the message says why."""


class Control:
    """Commands over some connection: whoever makes one gives it `outbound` and `take`.

    Args:
        clock: for messages that wait too long.
        answer_s: seconds that the plugin has to answer.
    """

    def __init__(self, clock: Clock, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._token = secrets.token_hex(8)
        self._numbers = count()
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self.outbound = Outbound(BOUNDS.max_messages, BOUNDS.max_bytes, clock.monotonic_ms)

    def take(self, topic: str, payload: bytes, settle: Callable[[], None]) -> None:
        """Take a message that came: answers, and not only ours."""
        settle()
        if topic != CONTROL_ANSWERS or self._token.encode() not in payload:
            return
        for told in _responses(payload):
            asked = self._asked.get(str(told.get("correlationData")))
            if asked is not None and not asked.done():
                asked.set_result(Answer(told.get("error"), told.get("data") or {}))

    async def run(self, commands: Iterable[Command]) -> list[Answer]:
        """Have commands done, in order; what each of them came to.

        Raises:
            BrokerUnavailable: no answer in time. What was done of it is not known.
            ControlRefused: the account may not manage permissions.
        """
        answers: list[Answer] = []
        for batch in _batches(commands):
            answers += await self._run(batch)
        return answers

    async def _run(self, commands: Sequence[Command]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        asked: dict[str, asyncio.Future[Answer]] = {
            f"{self._token}.{next(self._numbers)}": loop.create_future() for _ in commands
        }
        self._asked |= asked
        named = [command | {"correlationData": name} for command, name in zip(commands, asked, strict=True)]
        sent = self.outbound.put(CONTROL_TOPIC, _packed({"commands": named}), int(1000 * self._answer_s))
        sent.add_done_callback(lambda said: self._sent(said, asked.values()))
        try:
            async with asyncio.timeout(self._answer_s):
                return list(await asyncio.gather(*asked.values()))
        except TimeoutError:
            text = f"the broker's dynamic security did not answer within {self._answer_s:g} s"
            raise BrokerUnavailable(text) from None
        finally:
            for name in asked:
                del self._asked[name]

    def _sent(self, said: "asyncio.Future[Reach]", asked: Iterable["asyncio.Future[Answer]"]) -> None:
        """Nobody waits for the answer to what the broker did not take."""
        if said.cancelled() or said.result() in _TAKEN or self.outbound.last_refusal is None:
            return
        text = f"the broker does not let this account manage permissions (reason 0x{self.outbound.last_refusal:02x})"
        for one in asked:
            if not one.done():
                one.set_exception(ControlRefused(text))


def size_of(command: Command) -> int:
    """Bytes that a command takes, of the MAX_BYTES that one may."""
    return len(_packed(command)) + _NAME_BYTES


def _packed(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _batches(commands: Iterable[Command]) -> Iterator[list[Command]]:
    """What goes into one message each."""
    batch, size = list[Command](), 0
    for command in commands:
        size += size_of(command)
        if batch and (len(batch) == AT_ONCE or size > MAX_BYTES):
            yield batch
            batch, size = [], size_of(command)
        batch.append(command)
    if batch:
        yield batch


def _responses(payload: bytes) -> list[dict[str, Any]]:
    try:
        told = json.loads(payload)["responses"]
    except (ValueError, KeyError, TypeError):
        log.warning("an answer of dynamic security that makes no sense: %r", payload[:200])
        return []
    return [one for one in told if isinstance(one, dict)]


def check(answers: Iterable[Answer], *passed_over: str) -> None:
    """See that commands were done.

    Args:
        answers: what they came to.
        passed_over: errors that are none: that there is already what was to be made, or no longer what was to go.

    Raises:
        ControlRefused: another error.
    """
    for answer in answers:
        if answer.error is not None and answer.error not in passed_over:
            raise ControlRefused(f"the broker's dynamic security says: {answer.error}")


@contextlib.asynccontextmanager
async def connected(address: BrokerAddress, clock: Clock) -> AsyncGenerator[Control]:
    """Commands over a connection of their own, for as long as it holds.

    Raises:
        BrokerUnreachable, TlsFailed, LoginRefused: no connection.
        SubscribeRefused: the account may not manage permissions.
    """
    control = Control(clock)
    connection = await connect_control(address, control, clock)
    try:
        await connection.subscribe((CONTROL_ANSWERS,))
        yield control
    finally:
        connection.close()
        connection.abort("closed")  # a loop that ends now would not see the end of TLS
        control.outbound.give_up()


async def connect_control(address: BrokerAddress, control: Control, clock: Clock) -> Connection:
    """A connection for commands; CONTROL_ANSWERS is not subscribed yet.

    Raises:
        BrokerUnreachable, TlsFailed, LoginRefused: there is none.
    """
    return await connect(address, BOUNDS, control.outbound, control.take, clock)
