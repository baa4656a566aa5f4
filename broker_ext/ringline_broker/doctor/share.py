"""The workers' share: whether the name given is theirs, whether they are in it, and whether users are kept out.

Whoever is in the share is given requests, and takes them from the workers. To ask whether somebody may join it there is
no way but to join: rules may grant this one filter and no narrower one (`ringline deploy mosquitto`, EMQX's `eq`). So
the worker's account leaves with the packet after; what comes between is lost, and its client repeats it after a second.
"""

import asyncio
from typing import Final

from ringline_broker.doctor.broker import AREA as BROKER
from ringline_broker.doctor.broker import BrokerChecks
from ringline_broker.doctor.device import Device, is_refusal, said
from ringline_broker.doctor.permissions import AREA as PERMISSIONS
from ringline_broker.doctor.report import Check, Found, Skipped, fail, ok, warn
from ringline_broker.doctor.stage import SEEN_S, Stage, Try, any_hears, request_of
from ringline_broker.doctor.target import Target

_FEW: Final = 4
_MANY: Final = 16
_NAME: Final = "give its name, --share NAME or RINGLINE_SHARE"
_NAME_REMEDY: Final = "correct --share and RINGLINE_SHARE: it is RINGLINE_SHARE of worker.env"
_JOIN_REMEDY: Final = f"{_NAME_REMEDY}; or let the worker's user subscribe $share/NAME/{{prefix}}/u/+/req"
_KEEP_OUT_REMEDY: Final = (
    "have the broker refuse users the subscription (Mosquitto: dynamic security, as by `ringline deploy mosquitto`; "
    "an acl_file never refuses one; EMQX: authorization.no_match = deny), and keep the share's name secret"
)


class Share:
    """The checks of the share.

    Args:
        target: the broker, its users and the share's name.
        broker: whether the worker may log in.
        stage: where the users are.
    """

    def __init__(self, target: Target, broker: BrokerChecks, stage: Stage) -> None:
        self._target = target
        self._broker = broker
        self._stage = stage
        self._filter = f"$share/{target.share}/{target.topics.requests('+')}"
        self._why_not = "the worker's account did not join it"
        """Why the share is not taken for the workers'; empty where it is."""

    def of_worker(self) -> Check:
        """Whether the worker may join; needs no users."""
        return Check(BROKER, "workers' share", self._join)

    def of_workers(self) -> Check:
        """Whether the workers that answer are in it; for moments it takes requests away."""
        return Check("workers", "share", self._find_workers)

    def of_users(self) -> Check:
        """Whether users are kept out; for moments it takes requests away."""
        return Check(PERMISSIONS, "subscribe the workers' share", self._keeps_users_out, 60.0)

    async def _join(self) -> Found:
        if not self._target.share:
            raise Skipped(_NAME)
        if not self._broker.lets_in:
            raise Skipped("there is no login")
        target = self._target
        async with Device(target.host, target.port, target.worker, target.tls) as worker:
            code = await worker.visit(self._filter)
        if is_refusal(code):
            self._why_not = "the worker's account may not join it"
            return fail(f"the broker refuses the worker's account the share of this name, {said(code)}", _JOIN_REMEDY)
        self._why_not = ""
        return ok("the worker's account may join the share of this name")

    async def _find_workers(self) -> Found:
        """Requests are given to one member of each share: what comes to us and is answered too went to two shares."""
        home, topics = self._stage.homes[0], self._target.topics
        self._must_be_the_workers()
        if not self._stage.has_workers:
            raise Skipped("no worker answers")
        asked = [request_of(home) for _ in range(_FEW)]
        async with self._stage.device(self._target.worker, is_worker=True) as member:
            await member.subscribe(self._filter)
            await asyncio.gather(*(home.device.publish(topics.requests(home.name), one) for _, one in asked))
            await asyncio.gather(*(any_hears((member, home.device), number, SEEN_S) for number, _ in asked))
            await member.unsubscribe(self._filter)
            is_all_ours = all(member.has(number) for number, _ in asked)
        if is_all_ours and all(await asyncio.gather(*(self._stage.is_seen(number, SEEN_S) for number, _ in asked))):
            self._why_not = "no worker is in it"
            return fail("the workers that answer are in another share than the one of this name", _NAME_REMEDY)
        return ok("the workers that answer are in the share of this name")

    async def _keeps_users_out(self) -> Found:
        """Join it for a moment: does that take requests away? The first who does ends it."""
        tries = self._stage.tries()
        self._must_be_the_workers()
        is_granted = False
        for one in tries:
            lost = await self._take_away(one)
            is_granted |= lost is not None
            if lost and self._stage.sees_requests:
                return fail(f"{one} takes away {lost} of {_MANY} requests", _KEEP_OUT_REMEDY)
            if lost is not None and not self._stage.sees_requests:
                return warn(f"granted to {one}; no worker is there to see what it takes away", _KEEP_OUT_REMEDY)
        return ok("granted, and nothing is taken away" if is_granted else "refused")

    async def _take_away(self, one: Try) -> int | None:
        """How many requests are not seen while somebody is in the share; None where they are kept out."""
        topic, asked = self._target.topics.requests(one.other.name), list[bytes]()
        async with self._stage.device(one.who.account, one.version) as spy:
            if is_refusal(await spy.subscribe(self._filter)):
                return None
            for number, request in (request_of(one.other) for _ in range(_MANY)):
                asked.append(number)
                await one.other.device.publish(topic, request)
        seen = await asyncio.gather(*(self._stage.is_seen(number, SEEN_S) for number in asked))
        return seen.count(False)

    def _must_be_the_workers(self) -> None:
        if not self._target.share:
            raise Skipped(_NAME)
        if self._why_not:
            raise Skipped(f"the share of this name is not known to be the workers': {self._why_not}")
