"""Two test users at home, the worker's account, and what they can see of one another: requests are seen where a worker
answers them, or where the worker's account hears them.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import permutations
from typing import Final, NamedTuple

from paho.mqtt.enums import MQTTProtocolVersion

from ringline.protocol.codec import pack
from ringline.protocol.limits import REQUEST_ID_BYTES
from ringline.protocol.requests import Get, encode_request
from ringline_broker.bindings.mqtt5.failures import BrokerFailure, LoginRefused, name_of
from ringline_broker.doctor.device import ANSWER_S, V5, VERSIONS, Device, Will, is_refusal, said
from ringline_broker.doctor.report import Found, Skipped, fail, ok, warn
from ringline_broker.doctor.target import Account, Target

HINT: Final = (
    "give two test users, --user NAME --user NAME, and their passwords in RINGLINE_PASSWORD_1 and RINGLINE_PASSWORD_2"
)
SEEN_S: Final = 1.0
"""Seconds in which a request is seen that somebody is there to see."""
_NOBODY: Final = 0x10
_AGAIN: Final = 4
_SLOW_MS: Final = 30
_SLOW_REMEDY: Final = (
    "see how far broker, store and worker are from each other, and how busy; about 40 ms are a broker that gathers "
    "small packets (Mosquitto: set_tcp_nodelay true)"
)


class Home(NamedTuple):
    """A test user, connected, who hears what is their own.

    Attributes:
        account: who.
        id: the device's.
        device: the connection.
    """

    account: Account
    id: str
    device: Device

    @property
    def name(self) -> str:
        """The user's."""
        return self.account.name or ""


class Try(NamedTuple):
    """Who tries something on whom."""

    who: Home
    other: Home
    version: MQTTProtocolVersion

    def __str__(self) -> str:
        return f"{self.who.name!r} over {VERSIONS[self.version]}"


class Stage:
    """Connected by `log_in`; closed by `close`.

    Args:
        target: where.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._open = AsyncExitStack()
        self._homes: list[Home] = []
        self._watcher: Device | None = None
        self._worker: Device | None = None
        self.has_workers = False
        """Whether a worker answers."""
        self.sees_requests = False
        """Whether a request that the broker takes is seen, by a worker or in its place."""

    async def log_in(self) -> Found:
        """Connect both users, each with its own topics, and the worker's account."""
        if not self._target.users:
            raise Skipped(HINT)
        worker = await self._open.enter_async_context(self.device(self._target.worker, is_worker=True))
        homes = [await self._at_home(account) for account in self._target.users]
        self._worker, self._homes = worker, homes
        return ok(" and ".join(repr(home.name) for home in homes))

    async def ask_workers(self) -> Found:
        """Whether a worker answers; where none does, the worker's account listens in its place."""
        home = self.homes[0]
        code, took_ms = await self._timed(home)
        if took_ms is not None:
            self.has_workers = self.sees_requests = True
            took_ms = min([took_ms, *[took or took_ms for _, took in [await self._timed(home) for _ in range(_AGAIN)]]])
            text = f"one answered a request in {took_ms:.1f} ms"
            return ok(text) if took_ms < _SLOW_MS else warn(text, _SLOW_REMEDY)
        await self._watch()
        if is_refusal(code):
            return fail(f"the broker refuses a request of {home.name!r}, {said(code)}", _USER_RIGHTS)
        if code == _NOBODY:
            return fail("nobody is there to hear a request (PUBACK 0x10)", _START)
        return fail(f"no answer to a request within {ANSWER_S:g} s", f"{_START}; else see its log, and its store")

    async def close(self) -> None:
        """Disconnect all."""
        await self._open.aclose()

    @property
    def homes(self) -> list[Home]:
        """Both users."""
        if not self._homes:
            raise Skipped(HINT if not self._target.users else "the test users are not logged in")
        return self._homes

    @property
    def worker(self) -> Device:
        """The worker's account."""
        if self._worker is None:
            raise Skipped("the worker's account is not logged in")
        return self._worker

    def device(
        self, account: Account, version: MQTTProtocolVersion = V5, will: Will | None = None, *, is_worker: bool = False
    ) -> Device:
        """A connection, not yet made."""
        target = self._target
        return Device(target.host, target.port, account, target.tls if is_worker else target.user_tls, version, will)

    async def is_seen(self, asked: bytes, bound_s: float) -> bool:
        """Whether a request reaches a worker, whose answer comes home, or the worker's account."""
        ears = [home.device for home in self.homes] + ([] if self._watcher is None else [self._watcher])
        return await any_hears(ears, asked, bound_s)

    def tries(self) -> list[Try]:
        """Each user on the other, over each version."""
        return [Try(who, other, version) for who, other in permutations(self.homes) for version in VERSIONS]

    async def show(self, home: Home) -> None:
        """Have everything published that is for this user alone: an event, an answer, and a request of theirs.

        Raises:
            Skipped: it does not arrive, so nothing can be concluded from its not being heard elsewhere.
        """
        event = new_event()
        topics = self._target.topics
        await home.device.publish(topics.requests(home.name), request_of(home)[1])
        await self.worker.publish(topics.answers(home.name, home.id), event)
        await self.worker.publish(topics.events(home.name), event)
        if not await home.device.hears(event):
            raise Skipped(f"what the worker publishes does not reach {home.name!r}, so there is nothing to overhear")

    async def _timed(self, home: Home) -> tuple[int, float | None]:
        """Ask; what the broker says, and the milliseconds until the answer, None for none."""
        asked, request = request_of(home)
        began = time.perf_counter()
        code = await home.device.publish(self._target.topics.requests(home.name), request)
        is_seen = await self.is_seen(asked, ANSWER_S if code == 0 else 0.0)
        return code, 1_000 * (time.perf_counter() - began) if is_seen else None

    async def _at_home(self, account: Account) -> Home:
        topics, device_id = self._target.topics, f"doctor-{secrets.token_hex(6)}"
        name = account.name or ""
        try:
            device = await self._open.enter_async_context(self.device(account))
        except LoginRefused as refused:
            what = f"the broker refuses {name!r}, {name_of(refused.code)}"
            raise LoginRefused(refused.code, what, _LOGIN_REMEDY) from refused
        for topic in (topics.events(name), topics.answers(name, device_id)):
            code = await device.subscribe(topic)
            if is_refusal(code):
                raise BrokerFailure(f"the broker refuses {name!r} their own {topic}, {said(code)}", _USER_RIGHTS)
        return Home(account, device_id, device)

    async def _watch(self) -> None:
        """Hear requests in the workers' place: in their share where its name is known, else beside it."""
        topics, share = self._target.topics, self._target.share
        watcher = await self._open.enter_async_context(self.device(self._target.worker, is_worker=True))
        filters = [f"$share/{share}/{topics.requests('+')}"] if share else [topics.requests(h.name) for h in self.homes]
        for one in filters:
            await watcher.subscribe(one)
        self._watcher = watcher
        home = self.homes[0]
        asked, request = request_of(home)
        await home.device.publish(topics.requests(home.name), request)
        self.sees_requests = await self.is_seen(asked, 1.0)


def request_of(home: Home) -> tuple[bytes, bytes]:
    """A request that changes nothing, for an invitation there is not: its id, and itself."""
    asked = secrets.token_bytes(REQUEST_ID_BYTES)
    return asked, encode_request(Get(id=asked, dev=home.id, iid=secrets.token_hex(12)))


def new_event() -> bytes:
    """A message of events that no client makes anything of."""
    return pack([f"ringline doctor {secrets.token_hex(12)}"])


async def any_hears(ears: Iterable[Device], asked: bytes, bound_s: float) -> bool:
    """Whether a request, or its answer, comes to one of these; the others are not waited for."""
    tasks = [asyncio.ensure_future(_hears_of(ear, asked, bound_s)) for ear in ears]
    try:
        for done in asyncio.as_completed(tasks):
            if await done:
                return True
        return False
    finally:
        for task in tasks:
            task.cancel()


async def _hears_of(ear: Device, asked: bytes, bound_s: float) -> bool:
    return await ear.until(lambda: ear.has(asked), bound_s)


_LOGIN_REMEDY: Final = (
    "correct --user, RINGLINE_PASSWORD_1 and RINGLINE_PASSWORD_2, or add the user (`ringline user add NAME --mosquitto "
    "DIR`)"
)
_START: Final = "start `ringline worker` with this broker, prefix and share"
_USER_RIGHTS: Final = (
    "give --prefix as the workers have it, and let each user publish {prefix}/u/NAME/req, and subscribe "
    "{prefix}/u/NAME/evt and {prefix}/u/NAME/d/+ (Mosquitto: `ringline deploy mosquitto` sets it up; EMQX: deploy/emqx)"
)
