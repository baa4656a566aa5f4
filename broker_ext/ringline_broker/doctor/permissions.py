"""Whether users are held to their own topics. Judged by what is really delivered, since a broker may grant a
subscription and filter what comes, or acknowledge a message and drop it.

Everything is tried by both users, each against the other, over MQTT 5 and over MQTT 3.1.1.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Final, NamedTuple, TypeVar

from ringline_broker.bindings.mqtt5.failures import LoginRefused
from ringline_broker.doctor.device import V5, Device, Will, is_refusal
from ringline_broker.doctor.report import Check, Found, Skipped, fail, ok, warn
from ringline_broker.doctor.stage import SEEN_S, Stage, Try, new_event, request_of
from ringline_broker.doctor.target import Target

AREA: Final = "permissions"
_SETTLE_S: Final = 0.3
"""How much longer than who should hear a message is waited for who should not."""


class _Result(NamedTuple):
    """What became of it.

    Attributes:
        one: who tried.
        is_refused: whether the broker said no.
        fault: what went through that should not, in words; empty for nothing.
    """

    one: Try
    is_refused: bool
    fault: str = ""


T = TypeVar("T")
_Attempt = Callable[[Try], Awaitable[_Result]]
_Filter = Callable[[Try], str]

_HEAR_REMEDY: Final = (
    "let a user subscribe and receive {prefix}/u/NAME/evt and {prefix}/u/NAME/d/+ alone (Mosquitto: `ringline deploy "
    "mosquitto` sets it up; by hand `pattern read` lines in acl_file; EMQX: authorization.no_match = deny)"
)
_SAY_REMEDY: Final = (
    "let a user publish {prefix}/u/NAME/req alone (Mosquitto: `ringline deploy mosquitto` sets it up; by hand "
    "`pattern write {prefix}/u/%u/req` in acl_file; EMQX: authorization.no_match = deny)"
)
_GROUP_REMEDY: Final = (
    "let no user publish {prefix}/g/+/evt, and the worker alone with --group-topics (Mosquitto: `ringline deploy "
    "mosquitto` sets it up; by hand no `write` line for it in acl_file; EMQX: authorization.no_match = deny)"
)
_MEMBERS_REMEDY: Final = (
    "let members alone receive {prefix}/g/GID/evt (Mosquitto with `ringline deploy mosquitto --group-topics`, workers "
    "with --permissions dynsec --group-topics), or let the worker's user not publish there"
)
_PROBE_REMEDY: Final = (
    "let the worker's user alone publish and hear {prefix}/probe/+: whoever else does may keep workers from starting"
)


class Permissions:
    """The checks of permissions.

    Args:
        target: the broker and its users.
        stage: where the users are.
    """

    def __init__(self, target: Target, stage: Stage) -> None:
        self._target = target
        self._topics = target.topics
        self._stage = stage

    def together(self) -> tuple[Check, ...]:
        """Checks that do not disturb each other."""
        return (
            Check(AREA, "own events", self._own_events),
            Check(AREA, "own requests", self._own_requests),
            *(Check(AREA, f"subscribe {name}", partial(self._tried, partial(self._spy, made), _HEAR_REMEDY))
              for name, made in self._filters().items()),
            Check(AREA, "publish another's request", partial(self._tried, self._ask_as_another, _SAY_REMEDY)),
            Check(AREA, "publish another's event", partial(self._tried, self._make_event, _SAY_REMEDY)),
            Check(AREA, "publish another's answer", partial(self._tried, self._make_answer, _SAY_REMEDY)),
            Check(AREA, "hear a group's event", partial(self._tried, self._spy_on_group, _MEMBERS_REMEDY)),
            Check(AREA, "publish a group's event", self._group_events),
            Check(AREA, "publish in the self-test", partial(self._tried, self._make_probe, _PROBE_REMEDY)),
            Check(AREA, "leave a will to another", partial(self._tried, self._leave_will, _SAY_REMEDY)),
            Check(AREA, "leave a retained message", self._retain),
        )  # fmt: skip

    def _filters(self) -> dict[str, _Filter]:
        topics = self._topics
        return {
            "another's events": lambda one: topics.events(one.other.name),
            "another's answers": lambda one: topics.answers(one.other.name, "+"),
            "everybody's events": lambda _: topics.events("+"),
            "everybody's requests": lambda _: topics.requests("+"),
            "#": lambda _: "#",
            "+/#": lambda _: "+/#",
            "a share of everything": lambda _: f"$share/{secrets.token_hex(8)}/#",
            "a share of the requests": lambda _: f"$share/{secrets.token_hex(8)}/{topics.requests('+')}",
            "$SYS/#": lambda _: "$SYS/#",
        }

    # What each user must be able to do.

    async def _own_events(self) -> Found:
        faults = [fault for fault in await self._each(self._hears_own) if fault]
        if faults:
            return fail("; ".join(faults), _HEAR_REMEDY)
        return ok("heard, and answers too")

    async def _hears_own(self, one: Try) -> str:
        home, topics, event = one.who, self._topics, new_event()
        own = (topics.events(home.name), topics.answers(home.name, home.id))
        async with self._device(one) as device:
            for topic in own:
                if is_refusal(await device.subscribe(topic)):
                    return f"{one} may not subscribe {topic}"
            for topic in own:
                if is_refusal(await self._stage.worker.publish(topic, event)):
                    return f"the worker may not publish on {topic}"
            if not await device.until(lambda: {h.topic for h in device.heard if h.payload == event} == set(own)):
                return f"{one} does not hear what the worker publishes on {own[0]} and {own[1]}"
        return ""

    async def _own_requests(self) -> Found:
        faults = [fault for fault in await self._each(self._asks) if fault]
        if faults:
            return fail("; ".join(faults), _SAY_REMEDY)
        return ok("taken, and seen" if self._stage.sees_requests else "taken; nobody is there to see them")

    async def _asks(self, one: Try) -> str:
        topic = self._topics.requests(one.who.name)
        asked, request = request_of(one.who)
        async with self._device(one) as device:
            if is_refusal(await device.publish(topic, request)):
                return f"{one} may not publish on {topic}"
        if self._stage.sees_requests and not await self._stage.is_seen(asked, SEEN_S):
            return f"what {one} publishes on {topic} does not arrive"
        return ""

    # What nobody may be able to do.

    async def _tried(self, attempt: _Attempt, remedy: str) -> Found:
        return _judged(await self._results(attempt), remedy)

    async def _results(self, attempt: _Attempt) -> list[_Result]:
        async def tried(one: Try) -> _Result:
            try:
                return await attempt(one)
            except LoginRefused:
                return _Result(one, is_refused=True)

        return await self._each(tried)

    async def _spy(self, made: _Filter, one: Try) -> _Result:
        """Subscribe to what is another's, and have something published there."""
        async with self._device(one) as spy:
            if is_refusal(await spy.subscribe(made(one))):
                return _Result(one, is_refused=True)
            await self._stage.show(one.other)
            await spy.until(lambda: bool(self._foreign(one, spy)), _SETTLE_S)
            heard = self._foreign(one, spy)
        return _Result(one, is_refused=False, fault=f"hears {heard}" if heard else "")

    def _foreign(self, one: Try, spy: Device) -> str:
        """A topic of somebody else, or of the broker's own, of which something came."""
        users, own = f"{self._topics.prefix}/u/", f"{self._topics.prefix}/u/{one.who.name}/"
        strange = (h.topic for h in spy.heard if h.topic.startswith((users, "$SYS")) and not h.topic.startswith(own))
        return next(strange, "")

    async def _make_event(self, one: Try) -> _Result:
        """As an event, and as one that the broker is to keep."""
        topic = self._topics.events(one.other.name)
        results = [await self._forge(one, topic, retain=retain) for retain in (False, True)]
        return next((result for result in results if result.fault), results[0])

    async def _make_answer(self, one: Try) -> _Result:
        return await self._forge(one, self._topics.answers(one.other.name, one.other.id), retain=False)

    async def _forge(self, one: Try, topic: str, *, retain: bool) -> _Result:
        event = new_event()
        async with self._device(one) as device:
            code = await device.publish(topic, event, retain=retain)
            if retain and not is_refusal(code):
                await device.publish(topic, b"", retain=True)
        await self._stage.show(one.other)
        is_heard = await one.other.device.hears(event, _SETTLE_S)
        return _Result(one, is_refusal(code), f"is heard on {topic}" if is_heard else "")

    async def _spy_on_group(self, one: Try) -> _Result:
        """Where groups have topics, and so the worker publishes there. Of this group nobody is a member."""
        topic, event = self._topics.group_events(f"doctor-{secrets.token_hex(12)}"), new_event()
        async with self._device(one) as spy:
            codes = [await spy.subscribe(wanted) for wanted in (topic, self._topics.group_events("+"))]
            if is_refusal(await self._stage.worker.publish(topic, event)):
                raise Skipped("groups have no topics here: the worker's account may not publish there")
            await self._stage.show(one.who)
            is_heard = await spy.hears(event, _SETTLE_S)
        return _Result(one, all(map(is_refusal, codes)), f"is no member, and hears {topic}" if is_heard else "")

    async def _group_events(self) -> Found:
        """Members hear what comes there; on a broker that knows who is one, no test user is."""
        results = await self._results(self._make_group_event)
        taken = [one for one in results if not one.is_refused and one.one.version == V5]
        if taken and not any(one.fault for one in results):
            text = f"taken from {taken[0].one}; no test user is a member, so who hears it is not known"
            return warn(text, _GROUP_REMEDY)
        return _judged(results, _GROUP_REMEDY)

    async def _make_group_event(self, one: Try) -> _Result:
        """To a group that there is not, which the other listens to as its members would."""
        topic, event = self._topics.group_events(f"doctor-{secrets.token_hex(12)}"), new_event()
        async with self._device(one) as device, self._stage.device(one.other.account) as member:
            await member.subscribe(topic)
            code = await device.publish(topic, event)
            await self._stage.show(one.other)
            is_heard = await member.hears(event, _SETTLE_S)
        return _Result(one, is_refusal(code), f"is heard on {topic}" if is_heard else "")

    async def _make_probe(self, one: Try) -> _Result:
        """Where the worker hears its own probes; whoever sees one, and sends it once more, has the self-test fail."""
        topic, event, control = f"{self._topics.prefix}/probe/{secrets.token_hex(12)}", new_event(), new_event()
        worker = self._stage.device(self._target.worker, is_worker=True)
        async with self._device(one) as device, worker:
            await worker.subscribe(topic)
            code = await device.publish(topic, event)
            await worker.publish(topic, control)
            if not await worker.hears(control):
                raise Skipped("the worker does not hear its own probes, so there is nothing to disturb")
            is_heard = await worker.hears(event, _SETTLE_S)
        return _Result(one, is_refusal(code), f"is heard on {topic}" if is_heard else "")

    async def _ask_as_another(self, one: Try) -> _Result:
        asked, request = request_of(one.other)
        topic = self._topics.requests(one.other.name)
        async with self._device(one) as device:
            code = await device.publish(topic, request)
        if not self._stage.sees_requests and not is_refusal(code):
            raise Skipped("nobody is there to see requests: start a worker, or give --share NAME")
        if not self._stage.sees_requests:
            return _Result(one, is_refused=True)
        control, own = request_of(one.other)
        await one.other.device.publish(topic, own)
        await self._stage.is_seen(control, SEEN_S)
        is_taken = await self._stage.is_seen(asked, _SETTLE_S)
        return _Result(one, is_refusal(code), f"can ask in the name of {one.other.name!r}" if is_taken else "")

    async def _leave_will(self, one: Try) -> _Result:
        """Two wills: the one that must not come, and then the worker's own, after which it would have."""
        topic, event, control = self._topics.events(one.other.name), new_event(), new_event()
        async with self._device(one, Will(topic, event)) as device:
            device.vanish()
        worker = self._stage.device(self._target.worker, will=Will(topic, control), is_worker=True)
        async with worker:
            worker.vanish()
        await one.other.device.hears(control)
        is_heard = await one.other.device.hears(event, _SETTLE_S)
        return _Result(one, is_refused=False, fault=f"is heard on {topic} after its end" if is_heard else "")

    async def _retain(self) -> Found:
        """Only over MQTT 5, where the broker says whether it takes one."""
        takes = False
        for home in self._stage.homes:
            topic = self._topics.requests(home.name)
            async with self._stage.device(home.account) as device:
                if not is_refusal(await device.publish(topic, request_of(home)[1], retain=True)):
                    takes = True
                    await device.publish(topic, b"", retain=True)
        if not takes:
            return ok("refused")
        text = "turn them off (Mosquitto: retain_available false; EMQX: mqtt.retain_available = false)"
        return warn("the broker takes retained messages, which nothing of Ringline needs", text)

    # How things are tried.

    async def _each(self, work: Callable[[Try], Awaitable[T]]) -> list[T]:
        """By each user, over each version."""
        return await asyncio.gather(*(work(one) for one in self._stage.tries()))

    def _device(self, one: Try, will: Will | None = None) -> Device:
        return self._stage.device(one.who.account, one.version, will)


def _judged(results: Collection[_Result], remedy: str) -> Found:
    faults = [result for result in results if result.fault]
    if faults:
        first, *others = faults
        also = "everybody over either version" if len(faults) == len(results) else ", ".join(str(r.one) for r in others)
        return fail(f"{first.one} {first.fault}" + (f"; so does {also}" if also else ""), remedy)
    said, tried = sum(result.is_refused for result in results), len(results)
    return ok("refused" if said == tried else f"nothing comes of it; the broker says so {said} of {tried} times")
