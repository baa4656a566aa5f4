"""The client's core: requests go in lanes, events in order, callbacks out. No I/O, no threads, no clock."""

import logging
import random
import secrets
from collections.abc import Callable
from typing import Final

from ringline.core.asking import ASK_LANE, Asking
from ringline.core.callbacks import Callback
from ringline.core.crossings import Crossing, Crossings
from ringline.core.early import EarlyRinging
from ringline.core.groups import Groups
from ringline.core.held import REMEMBER_S, HeldInvitation
from ringline.core.holding import Holding
from ringline.core.lanes import Lanes, lane_of
from ringline.core.outputs import Counts, Outputs, Settled
from ringline.core.reading import read_events
from ringline.core.results import error_of, given_up, result_of, unreadable
from ringline.core.story import Story
from ringline.core.syncing import Syncing
from ringline.errors import SignalingError
from ringline.events import Connected, InviteeRinging
from ringline.protocol.answers import Answer, decode_answer
from ringline.protocol.errors import CLOSED, WITHDRAWN, ProtocolError
from ringline.protocol.events import Event, NowRinging, decode_events
from ringline.protocol.group_requests import OnGroup, SyncGroup
from ringline.protocol.limits import REQUEST_ID_BYTES
from ringline.protocol.requests import Cancel, Invite, OnInvitation, Ringing, Sync, encode_request
from ringline.protocol.shapes import Request
from ringline.protocol.topics import Topics

__all__ = ["CHECK_AFTER_S", "Core", "Counts", "Settled"]

log = logging.getLogger(__name__)
_chance = random.SystemRandom()

CHECK_AFTER_S: Final = (2.0, 5.0)
"""How long past its time left an invitation is held before the server is asked; random, so that not all ask at once."""
_SYNC_LANE: Final = ("sync",)


class Core:
    """One device's side of the protocol.

    Args:
        user: who is logged in.
        device: this installation.
        topics: the prefix.
        since: the largest server time seen in an earlier run, so that what ended meanwhile is heard as missed.
        rng: for waiting times.
    """

    def __init__(
        self,
        user: str,
        device: str,
        topics: Topics | None = None,
        since: int | None = None,
        rng: Callable[[float, float], float] = _chance.uniform,
    ) -> None:
        self.user = user
        self.device = device
        self.counts = Counts()
        self._topics = topics or Topics()
        self._rng = rng
        self._lanes = Lanes()
        self._held = Holding(user)
        self._story = Story(user, device)
        self._crossings = Crossings(user, device)
        self._early = EarlyRinging()
        self._syncing = Syncing(device, since)
        self._out = Outputs()
        self._groups = Groups(user, device, self._topics, self._lanes, self._out, self.counts, self._held)
        self._asking = Asking(self._held, self._groups.is_syncing)
        self._online = False
        self._is_synced = False

    # Inputs.

    def drain(self) -> Outputs:
        """What has to be done since the last time."""
        return self._out.take()

    @property
    def since(self) -> int | None:
        """The largest server time seen, to be kept for the next run."""
        return self._syncing.since

    @property
    def subscriptions(self) -> tuple[str, str]:
        """The topics this device must be subscribed to, QoS 1, before `subscribed` is said."""
        return self._topics.events(self.user), self._topics.answers(self.user, self.device)

    def request(self, request: Request, now: float) -> None:
        """Bring a request to the server."""
        if isinstance(request, Ringing):
            if self._online:
                self._send(request)
            self._out.settled.append(Settled(request.id))
            return
        if isinstance(request, Cancel) and not request.to and self._withdraw(request, now):
            return
        self._lanes.add(lane_of(request), request, now)
        self._send_due(now)

    def subscribed(self, now: float) -> None:
        """There is a connection, and its SUBACK came: ask for what was missed, repeat what has no answer."""
        self._online = True
        self._lanes.hurry(now)
        self._ask_sync(now)
        self._send_due(now)

    def group_subscribed(self, topic: str, ok: bool, now: float) -> None:  # noqa: FBT001 - as the broker says it
        """The SUBACK for a group's topic came, which `drain` had said to subscribe to; whether the broker grants it."""
        self._groups.subscribed(topic, ok, now)
        self._tell_connected()
        self._send_due(now)

    def disconnected(self, now: float) -> None:
        """The connection is gone. Requests wait for the next."""
        self._online = self._is_synced = False
        self._groups.stop(now)
        self._lanes.take_out(self._syncing.current, now)
        self._syncing.stop()

    def received(self, topic: str, payload: bytes, now: float) -> None:
        """A message came. What cannot be read is logged and dropped."""
        try:
            if topic == self._topics.events(self.user):
                self._hear_message(payload, now)
            elif topic == self._topics.answers(self.user, self.device):
                self._answered(decode_answer(payload), now)
            elif (gid := self._groups.of_topic(topic)) is not None:
                self._hear_message(payload, now, gid)
        except ProtocolError as bad:
            log.warning("unreadable message on %s: %s", topic, bad)
        self._send_due(now)

    def tick(self, now: float) -> None:
        """Time passed."""
        for waiting in self._lanes.expired(now):
            self._fail(waiting.request, given_up(waiting), now)
        self._held.forget_over(now, self._syncing.tells_again)
        self._groups.tick(now)
        if self._online:
            self._tell_connected()
            self._ask_about_gaps(now)
            self._send_due(now)

    def next_wakeup(self) -> float | None:
        """When `tick` has something to do."""
        times = [self._lanes.next_at(connected=self._online), self._groups.next_at()]
        for held in self._held.values():
            if held.over_at is not None:
                times.append(held.over_at + REMEMBER_S)
            elif self._online:
                times.append(self._asking.next_at(held))
        return min((time for time in times if time is not None), default=None)

    def close(self) -> None:
        """Nothing will be answered any more."""
        for request in self._lanes.take_all():
            self._out.settled.append(Settled(request.id, error=SignalingError.local(CLOSED)))

    # Requests and answers.

    def _withdraw(self, cancel: Cancel, now: float) -> bool:
        """Cancel an invite that the server does not have: here, and at once. One that was refused more than once is
        cancelled there too: two of its refusals may have been one that came twice.
        """
        waiting = self._lanes.unmade_invite(cancel.iid)
        if waiting is None:
            return False
        self._fail(waiting.request, SignalingError.local(WITHDRAWN), now)
        if waiting.sends > 1:
            return False
        self._out.settled.append(Settled(cancel.id))
        return True

    def _fail(self, request: Request, error: SignalingError, now: float) -> None:
        self._lanes.take_out(request.id, now)
        if isinstance(request, Sync):
            log.error("sync failed: %s", error)
            self._sync_over(request, now, told_all=False)
            return
        if isinstance(request, SyncGroup):
            log.info("sync of group %s failed: %s", request.gid, error)
            self._groups.refused(request, now)
            self._tell_connected()
            return
        self._out.settled.append(Settled(request.id, error=error))
        if isinstance(request, Invite):
            freed = self._crossings.release(request.iid, self._held.values())
            self._out.callbacks += self._story.ring_after_all(freed, now)

    def _done(self, request_id: bytes, now: float, result: object = None) -> None:
        if self._lanes.take_out(request_id, now) is not None:
            self._out.settled.append(Settled(request_id, result))

    def _answered(self, answer: Answer, now: float) -> None:
        waiting = self._lanes.find(answer.re)
        if waiting is None:
            return
        request = waiting.request
        if answer.err is not None:
            if not self._lanes.is_repeated(waiting, answer.err, now):
                self._fail(request, error_of(answer.err), now)
        elif isinstance(request, Sync):
            self._lanes.take_out(request.id, now)
            self._synced(request, answer, now)
        elif isinstance(request, SyncGroup):
            self._lanes.take_out(request.id, now)
            self._group_synced(request, answer, now)
        else:
            try:
                self._done(request.id, now, result_of(request, answer))
            except ProtocolError as bad:
                self._fail(request, unreadable(bad), now)
            self._expect(request, answer, now)

    def _expect(self, request: Request, answer: Answer, now: float) -> None:
        """The server says that a change of ours stands at version n; its event was lost if it does not come soon."""
        n = answer.n
        if isinstance(request, OnGroup) and not answer.pending:
            self._groups.expect(request, n, now)
        elif isinstance(request, OnInvitation) and n:
            held = self._held.of(request.iid)
            if held.seen < n and held.over_at is None and held.gap_since is None:
                held.gap_since = now

    def _send_due(self, now: float) -> None:
        if not self._online:
            return
        for request in self._lanes.due(now):
            waiting = self._lanes.find(request.id)
            self.counts.retries += waiting is not None and waiting.sends > 1
            self._send(request)

    def _send(self, request: Request) -> None:
        self._out.messages.append((self._topics.requests(self.user), encode_request(request)))

    # Events.

    def _hear_message(self, payload: bytes, now: float, gid: str = "") -> None:
        events, news = read_events(decode_events(payload))
        self._hear(events, now, live=True, gid=gid)
        if news:
            self._groups.hear(news, now)
            self._tell_connected()

    def _hear(self, events: list[Event], now: float, *, live: bool, gid: str = "") -> None:
        """Take events, all of one invitation together, so that one that is over at the end of them never rings.

        Args:
            events: the events.
            now: the time.
            live: whether they came as they happened, and not by a sync.
            gid: the group on whose topic they came.
        """
        by_invitation: dict[str, list[Event]] = {}
        for event in events:
            self._syncing.saw(event.ts if live else 0)
            by_invitation.setdefault(event.iid, []).append(event)
        for iid, some in by_invitation.items():
            self._hear_one(self._held.of(iid, gid), some, now, live=live)

    def _hear_one(self, held: HeldInvitation, events: list[Event], now: float, *, live: bool) -> None:
        taken: list[Event] = []
        for event in events:
            if event.n == 0:
                self._hear_unordered(held, event)
            elif held.over_at is not None or event.n <= held.seen:
                self.counts.repeats_dropped += 1
            else:
                had_gap = held.gap_since is not None
                taken += held.take(event, now)
                self.counts.gaps += held.gap_since is not None and not had_gap
        if taken:
            self._heard(held, taken, now, live=live)
        if held.is_empty:
            del self._held[held.iid]

    def _hear_unordered(self, held: HeldInvitation, event: Event) -> None:
        if not isinstance(event, NowRinging):
            return
        if held.invited is None and held.over_at is None:
            self._early.keep(event)
        elif held.inviter == self.user and held.is_pending_for(event.by or ""):
            ringing = InviteeRinging(invite_id=held.iid, invitee=event.by or "", device=event.dev)
            self._out.callbacks.append(Callback("on_invitee_ringing", ringing))

    def _heard(self, held: HeldInvitation, taken: list[Event], now: float, *, live: bool) -> None:
        for event in taken:
            if event.re is not None and event.by == self.user and event.dev == self.device:
                self._done(event.re, now)
        for crossing in self._crossings.look(held, self._held.values(), self._lanes.invites(), live=live):
            self._give_way(crossing, now)
        self._out.callbacks += self._story.tell(held, taken, live=live)
        for ringing in self._early.take(held.iid) if held.invited in taken else ():
            self._hear_unordered(held, ringing)
        freed = self._crossings.free(held, taken, self._held.values())
        self._out.callbacks += self._story.ring_after_all(freed, now)
        held.stop_for_dropped(self.user)
        if held.outcome is not None:
            held.over_at = now
            held.check_at = None
        elif held.invited is not None and held.invited.ttl is not None and held.check_at is None:
            held.rings_until = now + held.invited.ttl / 1000
            held.check_at = held.rings_until + self._rng(*CHECK_AFTER_S)

    def _give_way(self, crossing: Crossing, now: float) -> None:
        """Cancel an invitation of this device that crossed another; only for whom it crossed."""
        held = self._held.get(crossing.iid)
        invited = self._lanes.invite(crossing.iid) if held is None else held.invited
        to = (crossing.invitee,) if invited is not None and len(set(invited.to)) > 1 else ()
        request_id = secrets.token_bytes(REQUEST_ID_BYTES)
        self.request(Cancel(id=request_id, dev=self.device, iid=crossing.iid, to=to, reason="crossing"), now)

    # Sync.

    def _ask_sync(self, now: float) -> None:
        known = self._held.known()
        self._groups.begin()
        self._crossings.doubt(known)
        self._lanes.take_out(self._syncing.current, now)
        self._lanes.add(_SYNC_LANE, self._syncing.begin(known), now)

    def _ask_about_gaps(self, now: float) -> None:
        """Sync just those with an event missing, or past their time."""
        late = self._asking.late(now)
        if late:
            self._asking.is_under_way = True
            self._lanes.add(ASK_LANE, self._syncing.ask(late), now)

    def _synced(self, request: Sync, answer: Answer, now: float) -> None:
        self._hear_answer(answer, now)
        if not request.only:
            self._groups.name(answer.groups or ())
        if answer.more:
            following = self._syncing.next_page(request, answer.next)
            self._lanes.add(ASK_LANE if request.only else _SYNC_LANE, following, now)
            return
        if not request.only:
            self._syncing.saw(answer.ts)
            crossings, freed = self._crossings.settle(self._held, tuple(self._lanes.invites()))
            for crossing in crossings:
                self._give_way(crossing, now)
            self._out.callbacks += self._story.ring_after_all(freed, now)
        self._asking.asked(request.known, now, now + CHECK_AFTER_S[1])
        self._sync_over(request, now, told_all=True)

    def _group_synced(self, request: SyncGroup, answer: Answer, now: float) -> None:
        self._hear_answer(answer, now, request)
        if answer.more:
            self._groups.next_page(request, answer.next, now)
        else:
            self._groups.finish(request, now)
        self._tell_connected()

    def _hear_answer(self, answer: Answer, now: float, of_group: SyncGroup | None = None) -> None:
        self.counts.syncs += 1
        events, news = read_events(answer.events)
        if of_group is not None:
            self._groups.take_page(of_group, answer.group, news, now)
        self._hear(events, now, live=False)
        for iid in answer.gone:
            self._gone(iid, now)

    def _sync_over(self, request: Sync, now: float, *, told_all: bool) -> None:
        if request.only:
            self._asking.is_under_way = False
        elif self._online and self._syncing.finish(told_all=told_all):
            self._is_synced = True
            self._groups.settle(now, told_all=told_all)
            self._tell_connected()

    def _tell_connected(self) -> None:
        """Once a connection: when the sync and those of all groups are done."""
        if self._is_synced and self._groups.is_up_to_date:
            self._is_synced = False
            self._out.callbacks.append(Callback("on_connected", Connected(user=self.user, device=self.device)))

    def _gone(self, iid: str, now: float) -> None:
        held = self._held.get(iid)
        if held is None or held.over_at is not None:
            return
        if held.invited is None:
            del self._held[iid]
            return
        held.outcome, held.over_at, held.check_at = "gone", now, None
        self._out.callbacks += self._story.tell_gone(held)
