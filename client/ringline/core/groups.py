"""The groups of this device's user: which there are, their topics, and what of them was missed.

On each connection a group goes from OFF through SUBSCRIBING and SYNCING to CURRENT: what was missed is asked for after
the SUBACK, so that nothing falls between.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Final

from ringline.core.group_callbacks import gone, group_state, of_group_event
from ringline.core.held import GAP_WAIT_S, REMEMBER_S
from ringline.core.held_group import HeldGroup, Phase, brings_in, takes_out
from ringline.core.holding import Holding
from ringline.core.lanes import Lanes
from ringline.core.outputs import Counts, Outputs
from ringline.core.syncing import some_of
from ringline.ids import new_request_id
from ringline.protocol.group_requests import CreateGroup, GetGroup, JoinGroup, OnGroup, SyncGroup
from ringline.protocol.group_states import GroupState
from ringline.protocol.shapes import GroupEvent
from ringline.protocol.topics import Topics

log = logging.getLogger(__name__)

SYNCS_AT_ONCE: Final = 8
"""Groups about which a device asks at the same time."""


class Groups:
    """Holds them.

    Args:
        user, device: whose.
        topics: the prefix.
        lanes: where requests go.
        out: what the shell has to do.
        counts: what is counted.
        invitations: those held.
    """

    def __init__(
        self, user: str, device: str, topics: Topics, lanes: Lanes, out: Outputs, counts: Counts,
        invitations: Holding,
    ) -> None:  # fmt: skip
        self._user = user
        self._device = device
        self._topics = topics
        self._lanes = lanes
        self._out = out
        self._counts = counts
        self._invitations = invitations
        self._held: dict[str, HeldGroup] = {}
        self._online = False
        self._named: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._left: set[str] = set()
        self._turns = count()

    # What there is.

    @property
    def is_up_to_date(self) -> bool:
        """Whether all groups there are were subscribed to and synced, on this connection."""
        return all(held.phase is Phase.CURRENT for held in self._members())

    def is_syncing(self, gid: str) -> bool:
        """Whether an answer is awaited that tells of all that is open in a group."""
        held = self._held.get(gid)
        return held is not None and held.phase in (Phase.SUBSCRIBING, Phase.SYNCING)

    def of_topic(self, topic: str) -> str | None:
        """The group of this user whose topic it is."""
        gid = self._topics.group_of(topic)
        return gid if gid is not None and gid in self._held and self._held[gid].is_member else None

    def _members(self) -> Iterator[HeldGroup]:
        return (held for held in self._held.values() if held.is_member)

    def begin(self) -> None:
        """A sync begins, which tells of all groups there are."""
        self._online = True
        self._named, self._left = set(), set()
        self._unconfirmed = {held.gid for held in self._members()}

    def name(self, groups: Iterable[str]) -> None:
        """The sync told of these."""
        self._named.update(groups)

    def settle(self, now: float, *, told_all: bool) -> None:
        """The sync is over. What it told may be older than what was heard meanwhile.

        Args:
            now: the time.
            told_all: whether its last page came.
        """
        if told_all:
            for gid in sorted(self._unconfirmed - self._named):
                self._lose(self._held[gid], now)
                self._tell_gone(self._held[gid])
        for gid in sorted(self._named - self._left):
            self._get(gid).enter()
        for held in list(self._members()):
            if held.phase is Phase.OFF:
                self._subscribe(held)

    def stop(self, now: float) -> None:
        """The connection is gone."""
        self._online = False
        for held in self._held.values():
            self._stop_asking(held, now)
            held.disconnect()

    # Subscriptions and syncs.

    def subscribed(self, topic: str, ok: bool, now: float) -> None:  # noqa: FBT001 - as the broker says it
        """The broker granted a group's topic, or did not; the last of several SUBACKs counts."""
        held = self._held.get(self._topics.group_of(topic) or "")
        if held is None:
            return
        held.subacks = max(0, held.subacks - 1)
        if held.subacks or held.phase is not Phase.SUBSCRIBING:
            return
        if ok:
            self._ask(held, now)
        else:
            log.info("the broker does not grant the topic of group %s", held.gid)
            self._refuse(held, now)

    def take_page(
        self, request: SyncGroup, state: GroupState | None, events: Iterable[GroupEvent], now: float
    ) -> None:
        """A page of the answer about a group came."""
        held = self._held.get(request.gid)
        if held is None:
            return
        if state is not None:
            self._start_at(held, request, state, now)
        for event in events:
            held.synced_to = max(held.synced_to, event.n)
            self.hear([event], now)

    def next_page(self, request: SyncGroup, place: bytes, now: float) -> None:
        """Ask for the page after."""
        held = self._held.get(request.gid)
        if held is not None and held.sync == request.id:
            following = replace(request, id=new_request_id(), next=place)
            held.sync = following.id
            self._lanes.add(self._next_lane(), following, now)

    def finish(self, request: SyncGroup, now: float) -> None:
        """The last page was dealt with: what it did not tell there is not."""
        held = self._held.get(request.gid)
        if held is None or held.sync != request.id:
            return
        held.sync = None
        if held.is_outrun:
            self._ask(held, now)
            return
        held.phase = Phase.CURRENT
        held.seen = max(held.seen or 0, held.synced_to, held.asked_for)
        self._tell(held, held.catch_up(now), now)
        if held.is_member:
            held.gap_since = now if held.early or held.is_behind else None

    def refused(self, request: SyncGroup, now: float) -> None:
        """The server does not tell of a group, so this user is no member."""
        held = self._held.get(request.gid)
        if held is not None and held.sync == request.id:
            self._refuse(held, now)

    def _subscribe(self, held: HeldGroup) -> None:
        if self._online:
            held.phase = Phase.SUBSCRIBING
            held.subacks += 1
            self._out.subscribe.append(self._topics.group_events(held.gid))

    def _unsubscribe(self, held: HeldGroup) -> None:
        topic = self._topics.group_events(held.gid)
        if topic in self._out.subscribe:
            self._out.subscribe.remove(topic)
            held.subacks -= 1
        elif held.phase is not Phase.OFF and self._online:
            self._out.unsubscribe.append(topic)

    def _ask(self, held: HeldGroup, now: float) -> None:
        known = some_of(self._invitations.known_in(held.gid))
        request = SyncGroup(
            id=new_request_id(), dev=self._device, gid=held.gid, n=held.seen, known=known
        )
        held.phase, held.sync, held.gap_since = Phase.SYNCING, request.id, None
        held.synced_to, held.asked_for, held.is_outrun = 0, held.expected, False
        self._lanes.add(self._next_lane(), request, now)

    def _next_lane(self) -> tuple[str, int]:
        return "group sync", next(self._turns) % SYNCS_AT_ONCE

    def _stop_asking(self, held: HeldGroup, now: float) -> None:
        self._lanes.take_out(held.sync, now)

    def _start_at(self, held: HeldGroup, request: SyncGroup, state: GroupState, now: float) -> None:
        if request.n is None and held.seen is not None:
            held.is_outrun = True
            return
        held.start_at(state.n)
        held.early = {n: event for n, event in held.early.items() if n > state.n}
        if request.n is not None:
            self._out.callbacks.append(group_state(state))
        self._tell(held, held.catch_up(now), now)

    # Events.

    def hear(self, events: Iterable[GroupEvent], now: float) -> None:
        """Events came, live or by a sync."""
        for event in events:
            held = self._get(event.gid)
            held.forget_at = now + REMEMBER_S
            if held.is_repeat(event):
                self._counts.repeats_dropped += 1
            elif held.is_member and (held.seen is not None or not brings_in(event, self._user)):
                had_gap = held.gap_since is not None
                self._tell(held, held.take(event, now), now)
                self._counts.gaps += held.gap_since is not None and not had_gap
            else:
                self._hear_from_outside(held, event, now)

    def _hear_from_outside(self, held: HeldGroup, event: GroupEvent, now: float) -> None:
        """No member, or so it was until now: what is for all waits, should this user turn out to be one."""
        if brings_in(event, self._user):
            self._call_back(event)
            held.note_alone(event.n)
            self._enter(held, event.n, now)
        elif takes_out(event, self._user):
            if not held.is_gone:
                self._call_back(event)
            held.lost_at, held.enters_at, held.floor = None, None, max(held.floor, event.n)
        elif event.p == 0:
            self._call_back(event)
            held.note_alone(event.n)
        else:
            held.keep(event)

    def _tell(self, held: HeldGroup, taken: list[GroupEvent], now: float) -> None:
        for at, event in enumerate(taken):
            self._call_back(event)
            if brings_in(event, self._user):
                self._unconfirmed.discard(held.gid)
            if takes_out(event, self._user):
                rest = [*taken[at + 1 :], *held.waiting()]
                self._leave(held, event.n, now)
                self.hear(rest, now)
                return

    def _call_back(self, event: GroupEvent) -> None:
        callback = of_group_event(event, self._user, self._device)
        if callback is not None:
            self._out.callbacks.append(callback)

    def _enter(self, held: HeldGroup, n: int, now: float) -> None:
        held.enter(n)
        self._unconfirmed.discard(held.gid)
        self._left.discard(held.gid)
        if held.phase is Phase.OFF:
            self._subscribe(held)
        self._tell(held, held.catch_up(now), now)

    def _leave(self, held: HeldGroup, n: int, now: float) -> None:
        self._stop_asking(held, now)
        self._unsubscribe(held)
        held.let_go(n, now + REMEMBER_S)
        self._left.add(held.gid)
        self._unconfirmed.discard(held.gid)
        self._invitations.forget_in(held.gid)

    def _lose(self, held: HeldGroup, now: float) -> None:
        """The server says so, no event. One that tells why may wait for another, which will not come any more."""
        waiting = held.waiting() if any(takes_out(event, self._user) for event in held.early.values()) else []
        self._leave(held, held.seen or 0, now)
        for event in waiting:
            self._call_back(event)
            held.floor = max(held.floor, event.n)
        held.is_gone = bool(waiting)

    def _tell_gone(self, held: HeldGroup) -> None:
        held.lost_at = None
        if not held.is_gone:
            held.is_gone = True
            self._out.callbacks.append(gone(held.gid))

    def _refuse(self, held: HeldGroup, now: float) -> None:
        """Quietly: the event that says why is on its way. If none comes, the application hears that it is gone."""
        was_known = held.seen is not None
        self._lose(held, now)
        held.lost_at = now if was_known and not held.is_gone else None

    def _get(self, gid: str) -> HeldGroup:
        return self._held.setdefault(gid, HeldGroup(gid))

    # Time.

    def expect(self, request: OnGroup, n: int, now: float) -> None:
        """The server says that a change of this device's stands at version n; its event was lost if it does not come
        soon.
        """
        if isinstance(request, GetGroup) or not n:
            return
        held = self._get(request.gid)
        held.forget_at = now + REMEMBER_S
        if held.is_member:
            held.expected = max(held.expected, n)
        elif isinstance(request, CreateGroup | JoinGroup) and n > held.floor:
            held.enters_at = 0 if isinstance(request, CreateGroup) else n - 1
        if held.gap_since is None and (held.is_behind or held.enters_at is not None):
            held.gap_since = now

    def tick(self, now: float) -> None:
        """Time passed: ask about gaps, and forget."""
        for held in list(self._held.values()):
            if held.lost_at is not None and held.lost_at + GAP_WAIT_S <= now:
                self._tell_gone(held)
            if (gap_at := self._gap_at(held)) is not None and gap_at <= now:
                self._mend(held, now)
            if not held.is_member and held.forget_at <= now:
                del self._held[held.gid]

    def _mend(self, held: HeldGroup, now: float) -> None:
        if held.enters_at is not None:
            self._enter(held, held.enters_at, now)  # the event that says so was lost: the sync tells of it
        elif any(takes_out(event, self._user) for event in held.early.values()):
            self._tell(held, held.waiting(), now)  # nobody answers a sync any more
        else:
            self._ask(held, now)

    def next_at(self) -> float | None:
        """When there is something to do."""
        times = [held.forget_at for held in self._held.values() if not held.is_member]
        times += [held.lost_at + GAP_WAIT_S for held in self._held.values() if held.lost_at is not None]
        gaps = (self._gap_at(held) for held in self._held.values())
        return min((*times, *(gap for gap in gaps if gap is not None)), default=None)

    def _gap_at(self, held: HeldGroup) -> float | None:
        waits = held.phase is Phase.CURRENT or held.enters_at is not None
        return held.gap_since + GAP_WAIT_S if self._online and waits and held.gap_since is not None else None
