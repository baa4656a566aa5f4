"""The turn: all requests that wait are read, folded by invitation, committed together, published, marked, settled."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from ringline.protocol.group_requests import OnGroup, SyncGroup
from ringline.protocol.requests import Cancel, Invite, OnInvitation, RequestRefused, decode_request, header_of
from ringline.protocol.shapes import Request
from ringline.protocol.topics import Topics
from ringline_broker.engine.groups.rights import members_among
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import (
    Ask,
    Deadline,
    Drop,
    Limits,
    NobodyOnline,
    Refused,
    Step,
    step,
)
from ringline_broker.metrics import Metrics
from ringline_broker.service.aside import Aside
from ringline_broker.service.groups import Groups, GroupTask
from ringline_broker.service.marking import Marking
from ringline_broker.service.membership import Audience, is_member, views
from ringline_broker.service.newcomers import NO_RULES, Rules, admit, rules_for
from ringline_broker.service.outbox import News, Outbox
from ringline_broker.service.plan import Plan
from ringline_broker.service.ports import (
    Binding,
    Change,
    Clock,
    Held,
    Incoming,
    Mark,
    Store,
    StoreUnavailable,
)
from ringline_broker.service.queries import Queries, Query
from ringline_broker.service.quotas import UNKNOWN_WAIT, Quotas, Room
from ringline_broker.service.recovery import Recovered, Recovery
from ringline_broker.service.replies import Replies
from ringline_broker.service.sparing import SparingLog
from ringline_broker.service.tasks import Task, makers
from ringline_broker.service.timers import Timers
from ringline_broker.service.waiting import Waiting
from ringline_broker.settings import Settings

log = logging.getLogger(__name__)


class Service:
    """Runs the extension over a store and a binding.

    Args:
        store: where invitations are kept; the service closes it when it stops.
        binding: how messages reach the broker.
        clock: for waiting; times come from the store.
        settings: what is allowed.
        metrics: where what happens is counted; of its own where left out.
    """

    def __init__(
        self, store: Store, binding: Binding, clock: Clock, settings: Settings | None = None,
        metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings or Settings()
        self._store = store
        self._limits = Limits(
            self._settings.max_invitees, self._settings.max_record_bytes, self._settings.quiet_limit_s * 1000
        )
        self.metrics = metrics or Metrics()
        self.counters = self.metrics.counters
        self._outbox = Outbox(binding, Audience(store, binding), Topics(self._settings.prefix), self.counters)
        self._binding = binding
        self._timers = Timers(store, clock, self._settings, self._fire, lambda: binding.is_responsive)
        self._replies = Replies(self._outbox, self.metrics)
        self._quotas = Quotas(store, self._settings)
        self._groups = Groups(
            store, binding, self._outbox, self._settings, self.counters, self._replies, self._quotas, self._settle_drops
        )
        self._queries = Queries(store, binding, self._replies, self.counters, self._settings.max_blocked)
        self._group_work = Aside("ringline-groups", self._groups.decide, self.counters)
        self._group_syncs = Aside("ringline-group-syncs", self._queries.deal_with, self.counters)
        self._incoming = Waiting()
        self._told = SparingLog(log)
        self._commands: list[Deadline | NobodyOnline] = []
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._marking = Marking(store.mark)
        recover = {"invitations": self._recover, "groups": self._groups.recover}
        self._recoveries = [Recovery(clock, kind, one, self._must_wait) for kind, one in recover.items()]
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._incoming)

    def now(self) -> int:
        """Store time, epoch milliseconds, for stamping requests as they are read."""
        return self._store.now()

    async def is_member(self, gid: str, user: str) -> bool:
        """Whether the user may hear the group's topic.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        return await is_member(self._store, gid, user)

    async def members(self, gid: str, users: Collection[str]) -> Collection[str]:
        """Who of these users may hear the group's topic.

        Raises:
            StoreUnavailable: the store cannot tell.
        """
        return members_among((await views(self._store, {gid: users}))[gid], users)

    async def start(self) -> None:
        """Publish what a crash left unpublished, then begin to take requests and to watch deadlines.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        for recovery in self._recoveries:
            await recovery.at_start()
        if self.counters.recovered:
            log.info("published the events of %d invitations or groups again", self.counters.recovered)
        self._tasks = [
            asyncio.create_task(self._run(), name="ringline-turns"),
            asyncio.create_task(self._timers.run(), name="ringline-timers"),
            *(asyncio.create_task(one.run(), name="ringline-recovery") for one in self._recoveries),
        ]

    async def stop(self) -> None:
        """Finish the requests that were taken, then close the store."""
        self._stopping = True
        self._work.set()
        if self._tasks:
            turns, *others = self._tasks
            for other in others:
                other.cancel()
            await asyncio.gather(turns, *others, return_exceptions=True)
        await asyncio.gather(self._group_work.stop(), self._group_syncs.stop())
        await asyncio.gather(self._marking.stop(), self._groups.stop())
        with contextlib.suppress(StoreUnavailable):
            await self._store.close()

    def take(self, incoming: Incoming) -> None:
        """Take a request; it is settled when it has been dealt with. Ignored once the service is stopping: the client
        repeats it.
        """
        if not self._stopping:
            self._incoming.add(incoming)
            self._work.set()

    def _fire(self, command: Deadline | NobodyOnline) -> None:
        self._commands.append(command)
        self._work.set()

    async def _recover(self, limit: int) -> Recovered:
        late = await self._store.claim_unmarked(self._settings.lease_s * 1000, limit)
        news = [News(one.invitation, one.mark) for one in late if not self._marking.version(one.invitation.iid)]
        if not news:
            return Recovered(len(late), ())
        self.counters.recovered += len(news)
        return Recovered(len(late), (self._hand_over(news, await self._members(news)),))

    async def _run(self) -> None:
        while not (self._stopping and not self._incoming):
            await self._work.wait()
            self._work.clear()
            incoming = self._incoming.take()
            if self._incoming:  # more than one turn takes
                self._work.set()
            commands, self._commands = self._commands, []
            if incoming or commands:
                await self._turn_safely(incoming, commands)

    async def _turn_safely(self, incoming: list[Incoming], commands: list[Deadline | NobodyOnline]) -> None:
        try:
            await self._turn(incoming, commands)
        except Exception:
            # one turn must never end the server; its clients repeat, its deadlines are claimed again after the lease
            self.counters.failed_turns += 1
            log.exception("a turn failed; its %d requests will be repeated by their clients", len(incoming))
        finally:
            now, took = self._store.now(), self.metrics.request_seconds
            # failed or not: a binding acknowledges in order, and would wait for this one
            for one in incoming:
                one.settle()
                took.observe((now - one.received_ms) / 1000)

    async def _turn(self, incoming: list[Incoming], commands: list[Deadline | NobodyOnline]) -> None:
        self.counters.turns += 1
        now = self._store.now()
        tasks: dict[str, list[Task]] = defaultdict(list)
        of_groups: dict[str, list[GroupTask]] = defaultdict(list)
        queries: list[tuple[str, Query]] = []
        group_syncs: list[tuple[str, Query]] = []
        for one in incoming:
            request = self._read(one)
            if isinstance(request, SyncGroup):
                group_syncs.append((one.user, request))
            elif isinstance(request, Query):
                queries.append((one.user, request))
            elif isinstance(request, OnInvitation):
                tasks[request.iid].append(Task(Ask(one.user, request), one.received_ms, request))
            elif isinstance(request, OnGroup):
                of_groups[request.gid].append(GroupTask(one.user, request, one.received_ms))
        # after the requests: an answer that was read before the deadline is not late because it waited for its turn
        for command in commands:
            tasks[command.iid].append(Task(command, now))
        if of_groups:
            await self._group_work.have_done(of_groups)
        await self._decide(tasks)
        if group_syncs:
            await self._group_syncs.have_done(group_syncs)
        await self._queries.deal_with(queries)

    def _read(self, incoming: Incoming) -> Request | None:
        self.counters.requests += 1
        if (too_fast := self._quotas.too_fast(incoming.user, incoming.received_ms)) is not None:
            self._turn_away(incoming, too_fast)
            return None
        try:
            request = decode_request(incoming.payload)
        except RequestRefused as refused:
            if refused.reply_to is None:
                self.counters.unreadable += 1
                about = {"user": incoming.user}
                self._told.warning("unreadable request from user %s: %s", incoming.user, refused, extra=about)
            fault = Refused(refused.code, refused.text, refused.field)
            self._replies.refuse_unread(incoming.user, refused.reply_to, fault)
            return None
        self._quotas.count_work(incoming.user, request, incoming.received_ms)
        return request

    def _turn_away(self, incoming: Incoming, too_fast: Refused) -> None:
        """Say that it is too much, as far as can be told to whom."""
        self.counters.too_fast += 1
        self._replies.refuse_unread(incoming.user, header_of(incoming.payload), too_fast)

    async def _decide(self, tasks: dict[str, list[Task]]) -> None:
        """Fold, commit, publish; what another process was faster with is folded again."""
        while tasks:
            try:
                tasks = await self._attempt(tasks)
            except StoreUnavailable as failed:
                self._apologise(tasks, failed)
                return

    async def _settle_drops(self, drops: list[Drop]) -> None:
        """Settle invitations whose parties left the group.

        Raises:
            StoreUnavailable: it is not known to be done.
        """
        now = self._store.now()
        tasks: dict[str, list[Task]] = defaultdict(list)
        for drop in drops:
            tasks[drop.iid].append(Task(drop, now))
        while tasks:
            tasks = await self._attempt(tasks)

    async def _attempt(self, tasks: dict[str, list[Task]]) -> dict[str, list[Task]]:
        mark_of = self._marking.look(tasks)
        held, rules, room = await self._look(tasks)
        marks = {iid: mark_of(iid, one.mark) for iid, one in held.items()}
        tasks = admit(tasks, held, rules)
        plans = {iid: self._fold(held.get(iid), marks.get(iid, 0), todo, room) for iid, todo in tasks.items()}
        changes = [
            Change(plan.invitation, plan.version, plan.size)
            for plan in plans.values()
            if plan.invitation is not None and plan.invitation.n != plan.version
        ]
        lost: set[str] = set()
        if changes:
            written = await self._store.commit(changes)
            lost = {change.invitation.iid for change, done in zip(changes, written, strict=True) if not done}
            self.counters.commits += len(changes) - len(lost)
            self.counters.conflicts += len(lost)
        done = [plan for iid, plan in plans.items() if iid not in lost]
        await self._say_when(done)
        await self._publish(done)
        return {iid: tasks[iid] for iid in lost}

    async def _look(self, tasks: dict[str, list[Task]]) -> tuple[dict[str, Held], Rules, dict[str, Room]]:
        """The invitations, what decides about new ones, and how much more each who makes one may take: asked at once,
        for a store that answers in one go what is.
        """
        users = makers(tasks)
        if not users:
            return await self._store.load(tasks), NO_RULES, {}
        held, rules, room = await asyncio.gather(
            self._store.load(tasks), rules_for(self._store, tasks), self._quotas.rooms(users)
        )
        return held, rules, room

    def _fold(self, held: Held | None, mark: int, todo: list[Task], room: dict[str, Room]) -> Plan:
        plan = Plan(held, mark, None if held is None else held.invitation)
        for task in todo:
            made = self._step(plan.invitation, task, room)
            if made.invitation is not plan.invitation and isinstance(task.command, Deadline):
                self.metrics.deadline_came(plan.invitation and plan.invitation.due, task.received_ms)
            plan.invitation = made.invitation
            plan.replies.append((task, made.reply))
        return plan

    def _step(self, invitation: Invitation | None, task: Task, room: dict[str, Room]) -> Step:
        command, request = task.command, task.request
        if task.fault is not None:
            return Step(invitation, task.fault)
        made = step(invitation, command, task.received_ms, self._limits)
        if made.invitation is None or made.invitation is invitation or not isinstance(command, Ask):
            return made
        if not isinstance(request, Invite | Cancel) or not (invitation is None or invitation.is_tombstone):
            return made
        if (refused := self._quotas.no_room(room[command.user], made.invitation)) is not None:
            return Step(invitation, refused)
        room[command.user] = room[command.user].less(made.invitation)
        return made

    async def _say_when(self, plans: list[Plan]) -> None:
        """Find out when there will be room for what was refused for want of it."""
        for plan in plans:
            for at, (task, reply) in enumerate(plan.replies):
                if isinstance(reply, Refused) and reply.wait_ms == UNKNOWN_WAIT and isinstance(task.command, Ask):
                    wait_ms = await self._quotas.wait_for_room(task.command.user, self._store.now())
                    plan.replies[at] = (task, replace(reply, wait_ms=wait_ms))

    async def _members(self, news: list[News]) -> dict[str, list[str]] | None:
        return await self._outbox.audience.of({one.invitation.gid for one in news if one.invitation.gid})

    async def _publish(self, plans: list[Plan]) -> None:
        before_ms = self._store.now() - self._settings.lease_s * 1000
        news = [
            News(plan.invitation, since)
            for plan in plans
            if plan.invitation is not None and plan.invitation.n > (since := plan.since(before_ms))
        ]
        members = await self._members(news)
        # before the news: a device that rings and answers in one turn is heard to ring first
        for plan in plans:
            for task, reply in plan.replies:
                if task.request is not None and isinstance(task.command, Ask):
                    self._replies.reply(task.command.user, task.request, reply, plan.invitation)
        if news:
            self._hand_over(news, members)
        for one in news:
            self._timers.look_at(one.invitation.due)

    def _hand_over(self, news: list[News], members: dict[str, list[str]] | None) -> asyncio.Future[None]:
        """Publish, and mark once the broker has it."""
        lost = self._outbox.publish(news, self._store.now(), self._was_alone, members)
        return self._marking.expect([Mark(one.invitation.iid, one.since, one.invitation.n) for one in news], lost)

    def _must_wait(self) -> bool:
        return self._incoming.has_backlog or not self._binding.is_responsive

    def _was_alone(self, invitation: Invitation) -> None:
        self._fire(NobodyOnline(invitation.iid))

    def _apologise(self, tasks: dict[str, list[Task]], failed: StoreUnavailable) -> None:
        log.error("%s", failed)
        for todo in tasks.values():
            for task in todo:
                if task.request is not None and isinstance(task.command, Ask):
                    self._replies.unavailable(task.command.user, task.request)
