"""Groups in a turn: requests are folded by group, committed together; then what follows from a change is done.

Order: commit, close the topic to who left, settle their invitations, publish, answer, mark. A crash in between leaves
the group unmarked, and recovery does all of it again, which is harmless.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ringline.protocol.answers import Answer
from ringline.protocol.errors import TOO_MANY_REQUESTS
from ringline.protocol.group_requests import CreateGroup, JoinGroup, OnGroup
from ringline_broker.engine.groups.draft import GroupLimits, Pending
from ringline_broker.engine.groups.log import Arrival, Departure, comings_and_goings, reaches_back, state_for
from ringline_broker.engine.groups.model import Group, GroupView, Person
from ringline_broker.engine.groups.step import group_step, users_of
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Done, Drop, Refused
from ringline_broker.metrics import Counters
from ringline_broker.service.handover import Lost
from ringline_broker.service.marking import Marking
from ringline_broker.service.outbox import Outbox
from ringline_broker.service.ports import (
    Binding,
    BrokerUnavailable,
    GroupChange,
    HeldGroup,
    Mark,
    Store,
    StoreUnavailable,
)
from ringline_broker.service.quotas import Quotas
from ringline_broker.service.recovery import Recovered
from ringline_broker.service.replies import Replies
from ringline_broker.settings import Settings

log = logging.getLogger(__name__)

_BATCH = 256


class GroupTask(NamedTuple):
    """A request about a group."""

    user: str
    request: OnGroup
    received_ms: int


@dataclass(slots=True)
class _Plan:
    """What a turn makes of one group."""

    held: HeldGroup | None
    view: GroupView
    people: dict[str, Person | None] = field(default_factory=dict[str, Person | None])
    later: list[GroupTask] = field(default_factory=list[GroupTask])
    replies: list[tuple[GroupTask, Done | Refused | Pending]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return 0 if self.held is None or self.held.view.group is None else self.held.view.group.n

    @property
    def mark(self) -> int:
        return 0 if self.held is None else self.held.mark


class _Rooms(NamedTuple):
    """How many more groups each user who makes or joins one may be in, and may make."""

    enter: dict[str, int]
    make: dict[str, int]


class Groups:
    """Deals with requests that change groups.

    Args:
        store: where groups are kept.
        binding: who takes topics away.
        outbox: for events.
        settings: what is allowed.
        counters: what is counted.
        replies: for answers.
        quotas: what is too much.
        settle: settles invitations whose parties left; raises StoreUnavailable where it is not known to be done.
    """

    def __init__(
        self, store: Store, binding: Binding, outbox: Outbox, settings: Settings, counters: Counters,
        replies: Replies, quotas: Quotas, settle: Callable[[list[Drop]], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._store = store
        self._binding = binding
        self._outbox = outbox
        self._max_groups = settings.max_groups
        self._limits = GroupLimits(
            {
                "work": settings.max_work,
                "public": settings.max_public,
                "meeting": settings.max_meeting,
                "live": settings.max_live,
            }
        )
        self._counters = counters
        self._replies = replies
        self._quotas = quotas
        self._audience = outbox.audience
        self._settle_drops = settle
        self._lease_ms = settings.lease_s * 1000
        self._marking = Marking(store.mark_groups)

    async def recover(self, limit: int) -> Recovered:
        """Do what a crash, or a store or a broker out of reach, left undone.

        Raises:
            StoreUnavailable: the store cannot be read or written.
            BrokerUnavailable: the broker does not change permissions.
        """
        late = await self._store.claim_unmarked_groups(self._lease_ms, limit)
        handed: list[asyncio.Future[None]] = []
        for view, mark in late:
            if view.group is not None and not self._marking.version(view.group.gid):
                self._counters.recovered += 1
                handed.append(await self._follow_up(view.group, mark))
        return Recovered(len(late), handed)

    async def stop(self) -> None:
        """Wait a little for what is on its way to the broker."""
        await self._marking.stop()

    async def decide(self, tasks: dict[str, list[GroupTask]]) -> None:
        """Fold, commit, and do what follows; what another process was faster with is folded again."""
        while tasks:
            try:
                tasks = await self._attempt(tasks)
            except (StoreUnavailable, BrokerUnavailable) as failed:
                log.error("%s", failed)  # noqa: TRY400 - the store has said what it is
                for task in (task for todo in tasks.values() for task in todo):
                    self._replies.unavailable(task.user, task.request)
                return

    async def _attempt(self, tasks: dict[str, list[GroupTask]]) -> dict[str, list[GroupTask]]:
        wanted = {gid: {user for task in todo for user in users_of(task.user, task.request)}
                  for gid, todo in tasks.items()}  # fmt: skip
        mark_of = self._marking.look(tasks)
        loaded = await self._store.load_groups(wanted)
        held = {gid: one._replace(mark=mark_of(gid, one.mark)) for gid, one in loaded.items()}
        rooms = await self._rooms(tasks)
        plans = {gid: self._fold(held.get(gid), todo, rooms) for gid, todo in tasks.items()}
        changes = [
            GroupChange(plan.view.group, plan.version, plan.people)
            for plan in plans.values()
            if plan.view.group is not None and plan.view.group.n != plan.version
        ]
        lost = await self._commit(changes)
        await self._finish([plan for gid, plan in plans.items() if gid not in lost])
        again = {gid: plan.later for gid, plan in plans.items() if plan.later}
        return again | {gid: tasks[gid] for gid in lost}

    async def _commit(self, changes: list[GroupChange]) -> set[str]:
        """Write new versions; the groups with which another process was faster."""
        if not changes:
            return set()
        written = await self._store.commit_groups(changes)
        lost = {change.group.gid for change, done in zip(changes, written, strict=True) if not done}
        self._counters.commits += len(changes) - len(lost)
        self._counters.conflicts += len(lost)
        return lost

    async def _rooms(self, tasks: dict[str, list[GroupTask]]) -> _Rooms:
        asked = [task for todo in tasks.values() for task in todo]
        users = {task.user for task in asked if isinstance(task.request, CreateGroup | JoinGroup)}
        makers = {task.user for task in asked if isinstance(task.request, CreateGroup)}
        # asked at once, for a store that answers all that waits in one go
        found = await asyncio.gather(*(self._store.groups_of(user, "", self._max_groups) for user in users))
        enter = {user: self._max_groups - len(groups) for user, groups in zip(users, found, strict=True)}
        return _Rooms(enter, await self._quotas.groups_to_make(makers) if makers else {})

    def _fold(self, held: HeldGroup | None, todo: list[GroupTask], rooms: _Rooms) -> _Plan:
        plan = _Plan(held, GroupView(None) if held is None else held.view)
        for at, task in enumerate(todo):
            made = group_step(plan.view, task.user, task.request, task.received_ms, self._limits)
            if at and made.view.group is not None and not reaches_back(made.view.group, plan.mark):
                # else events would be forgotten before they are published, and what follows from them with them
                plan.later = todo[at:]
                break
            if (fault := self._no_room(plan, task, made.view, rooms)) is not None:
                plan.replies.append((task, fault))
                continue
            plan.view = made.view
            plan.people.update(made.changed)
            plan.replies.append((task, made.reply))
        return plan

    def _no_room(self, plan: _Plan, task: GroupTask, after: GroupView, rooms: _Rooms) -> Refused | None:
        """Why a user may not be in one more group, or may not have made one more; else it is counted."""
        user, is_new = task.user, isinstance(task.request, CreateGroup)
        if not isinstance(task.request, CreateGroup | JoinGroup):
            return None
        if not after.is_member(user) or plan.view.is_member(user):
            return None
        if rooms.enter[user] < 1:
            return Refused(TOO_MANY_REQUESTS, f"at most {self._max_groups} groups a user; quit one first")
        if is_new and rooms.make[user] < 1:
            text = f"at most {self._max_groups} groups made by a user, dismissed ones until they are forgotten"
            return Refused(TOO_MANY_REQUESTS, text)
        rooms.enter[user] -= 1
        if is_new:
            rooms.make[user] -= 1
        return None

    async def _finish(self, plans: list[_Plan]) -> None:
        """Do what follows from changes that are committed, then answer."""
        for plan in plans:
            group = plan.view.group
            if group is not None and group.n > plan.mark:
                await self._follow_up(group, plan.mark)
            for task, reply in plan.replies:
                self._reply(plan, task, reply)

    async def _follow_up(self, group: Group, since: int) -> asyncio.Future[None]:
        """Open the topic to who came and close it to who left, settle the invitations of those, publish. The mark
        follows when the broker has it all; what is returned ends then. A dismissed group's topic closes last, and
        nobody waits for that: nothing is published on it any more.
        """
        moved = comings_and_goings(group, since)
        for one in moved:
            await self._let_hear(group.gid, one)
        if gone := [one for one in moved if isinstance(one, Departure)]:
            await self._settle(group.gid, gone)
        lost = self._outbox.group_news(group, since, await self._audience.of((group.gid,)))
        if group.dismissed is not None and (closing := self._binding.close_group(group.gid, None)) is not None:
            lost = asyncio.ensure_future(_closed(group.gid, closing, lost))
        return self._marking.expect([Mark(group.gid, since, group.n)], lost)

    async def _let_hear(self, gid: str, one: Arrival | Departure) -> None:
        if isinstance(one, Arrival):
            done = self._binding.open_group(gid, one.users)
        else:
            done = None if one.users is None else self._binding.close_group(gid, one.users)
        if done is not None:
            await done

    async def _settle(self, gid: str, gone: list[Departure]) -> None:
        """Settle what those who left had open in the group; what was made after they came back is not meant."""
        drops: list[Drop] = []
        after = ""
        while found := await self._store.of_group(gid, after, _BATCH):
            drops += [
                Drop(one.iid, departure.users, departure.reason)
                for one in found
                for departure in gone
                if one.created <= departure.ts and _concerns(departure, one)
            ]
            after = found[-1].iid
        if drops:
            await self._settle_drops(drops)

    def _reply(self, plan: _Plan, task: GroupTask, reply: Done | Refused | Pending) -> None:
        request, group = task.request, plan.view.group
        if isinstance(reply, Refused):
            self._replies.refuse(task.user, request, reply)
            return
        state = state_for(plan.view, task.user) if isinstance(request, CreateGroup) and group is not None else None
        n = 0 if group is None else group.n
        answer = Answer(re=request.id, n=n, group=state, pending=isinstance(reply, Pending))
        self._replies.answer(task.user, request, answer, repeated=isinstance(reply, Done) and reply.repeated)


def _concerns(departure: Departure, invitation: Invitation) -> bool:
    return departure.users is None or any(map(invitation.is_party, departure.users))


async def _closed(gid: str, closing: Awaitable[None], lost: Lost) -> frozenset[str]:
    """What was given up of a dismissed group once its topic is closed: all of it where that failed, so that recovery
    closes it.
    """
    try:
        await closing
    except (StoreUnavailable, BrokerUnavailable) as failed:
        log.error("the topic of group %s is not closed yet: %s", gid, failed)  # noqa: TRY400 - it has said what it is
        return frozenset((gid,))
    except Exception:
        log.exception("the topic of group %s is not closed; recovery closes it after the lease", gid)
        return frozenset((gid,))
    return lost if isinstance(lost, frozenset) else await lost
