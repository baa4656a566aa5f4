"""What one turn publishes: per topic one message with all its events, cut where it would grow too large."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ringline.protocol.codec import pack
from ringline.protocol.events import Invited, event_map, join_events
from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline.protocol.topics import Topics
from ringline_broker.engine.groups.log import message_for as group_message
from ringline_broker.engine.groups.log import news as group_events
from ringline_broker.engine.groups.model import Group
from ringline_broker.engine.log import events_since, message_for, recipients_since, ttl_for
from ringline_broker.engine.model import MEMBERS, Invitation, LogEvent
from ringline_broker.metrics import Counters
from ringline_broker.service.handover import Lost, Said, Sent, lost_of, when_said
from ringline_broker.service.membership import Audience
from ringline_broker.service.ports import Binding, Reach

log = logging.getLogger(__name__)

REACH_WAIT_S = 1.0
"""How long the inviter's copy waits for the broker to say who is offline, seconds."""
_MAX_PER_MESSAGE = 65_535
_HEAD_BYTES = 3


class News(NamedTuple):
    """An invitation, and the version after which its events are to be published."""

    invitation: Invitation
    since: int

    @property
    def is_new(self) -> bool:
        """Whether its `invited` is among them."""
        events = self.invitation.events
        return bool(events) and events[0].ev == "invited" and events[0].n > self.since


class Outbox:
    """Publishes news.

    Args:
        binding: where to.
        audience: who hears what all members of a group hear.
        topics: the prefix.
        counters: what is counted.
    """

    def __init__(self, binding: Binding, audience: Audience, topics: Topics, counters: Counters) -> None:
        self._binding = binding
        self.audience = audience
        self._topics = topics
        self._counters = counters

    def publish(
        self, news: list[News], now_ms: int, alone: Callable[[Invitation], None],
        members: Mapping[str, Sequence[str]] | None = None,
    ) -> Lost:  # fmt: skip
        """Hand the events of these invitations to the broker; what can be handed over is, before this returns.

        An inviter's copies of a new invitation come last, since they say who is offline.

        Args:
            news: the events.
            now_ms: store time.
            alone: called, then or later, with each new online_only invitation that found nobody online.
            members: those of each group of these, where the broker has no topics for groups.

        Returns:
            The ids of which something was given up; a future of them where the broker takes time to tell.
        """
        letters = _Letters()
        fresh: list[_Fresh] = []
        for one in news:
            copies = _Copies(one, now_ms)
            expiry_ms = _expiry(one.invitation, now_ms)
            for user in recipients_since(one.invitation, one.since):
                if one.is_new and user == one.invitation.inviter:
                    fresh.append(_Fresh(one.invitation, copies, expiry_ms))
                else:
                    packed = copies.for_user(user)
                    for topic in self._topics_of(one.invitation, user, members or {}):
                        letters.add(topic, packed, expiry_ms, one.invitation.iid)
        sent = self._send_all(letters)
        if not fresh:
            return _when_lost(sent)
        if all(isinstance(one.said, Reach) for one in sent):
            return _when_lost(sent + self._tell_inviters(fresh, sent, alone))
        return self._tell_later(fresh, sent, alone)

    def _topics_of(self, invitation: Invitation, user: str, members: Mapping[str, Sequence[str]]) -> list[str]:
        return self._group_topics(invitation.gid, members) if user == MEMBERS else [self._topics.events(user)]

    def _group_topics(self, gid: str, members: Mapping[str, Sequence[str]]) -> list[str]:
        if self._binding.has_group_topics:
            return [self._topics.group_events(gid)]
        return [self._topics.events(user) for user in members.get(gid, ())]

    def group_news(
        self, group: Group, since: int, members: Mapping[str, Sequence[str]] | None = None
    ) -> Lost:
        """Publish a group's events after version `since`: on its topic, or to its members where there is none; and to
        the users that they name. Returns as `publish`.
        """
        letters = _Letters()
        for_all = self._group_topics(group.gid, members or {})
        for event, p in group_events(group, since):
            packed = [pack(event_map(group_message(event, p, group.gid)))]
            named = [self._topics.events(user) for user in event.to]
            for topic in dict.fromkeys((*for_all, *named) if event.for_all else named):
                letters.add(topic, packed, None, group.gid)
        return _when_lost(self._send_all(letters))

    def answer(self, user: str, device: str, payload: bytes) -> None:
        """Answer one device."""
        self._send(self._topics.answers(user, device), payload, None)

    def event(self, user: str, packed: bytes) -> None:
        """Publish one event that is not part of a log."""
        self._send(self._topics.events(user), join_events([packed]), None)

    def _send(self, topic: str, payload: bytes, expiry_ms: int | None) -> Said:
        self._counters.messages += 1
        return self._binding.publish(topic, payload, expiry_ms)

    def _send_all(self, letters: "_Letters") -> list[Sent]:
        return [
            Sent(topic, self._send(topic, payload, expiry_ms), names)
            for topic, payload, expiry_ms, names in letters.sealed()
        ]

    def _tell_later(
        self, fresh: "list[_Fresh]", sent: list[Sent], alone: Callable[[Invitation], None]
    ) -> asyncio.Future[frozenset[str]]:
        """Tell inviters when the broker has said whom the others' copies reached, or after a second."""
        lost: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()

        def tell() -> None:
            try:
                both = sent + self._tell_inviters(fresh, sent, alone)
            except Exception:
                log.exception("inviters were not told; recovery tells them after the lease")
                lost.set_result(frozenset(one.invitation.iid for one in fresh) | lost_of(sent))
                return
            when_said(both, lambda: lost.set_result(lost_of(both)))

        when_said(sent, tell, REACH_WAIT_S)
        return lost

    def _tell_inviters(
        self, fresh: "list[_Fresh]", sent: list[Sent], alone: Callable[[Invitation], None]
    ) -> list[Sent]:
        if not fresh:
            return []
        letters, told = _Letters(), {one.topic: one.reach for one in sent}
        for invitation, copies, expiry_ms in fresh:
            offline = tuple([u for u in invitation.seats if invitation.is_invitee(u)
                             and told.get(self._topics.events(u)) is Reach.NOBODY])  # fmt: skip
            copy = copies.for_user(invitation.inviter, offline)
            letters.add(self._topics.events(invitation.inviter), copy, expiry_ms, invitation.iid)
            if invitation.online_only and set(invitation.pending) <= set(offline):
                alone(invitation)
        return self._send_all(letters)


def _when_lost(sent: list[Sent]) -> Lost:
    """Whose events were given up, as soon as it is known of all."""
    if all(isinstance(one.said, Reach) for one in sent):
        return lost_of(sent)
    lost: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
    when_said(sent, lambda: lost.set_result(lost_of(sent)))
    return lost


class _Copies:
    """The events of one piece of news, packed. Most users' copies are the same, and are packed once."""

    def __init__(self, news: News, now_ms: int) -> None:
        self._news = news
        self._now = now_ms
        self._packed: dict[tuple[int, int, int | None], bytes] = {}

    def for_user(self, user: str, offline: tuple[str, ...] = ()) -> list[bytes]:
        """A user's events; an `invited` says who is offline, where that does not make it too large."""
        invitation, since = self._news
        return [self._pack(event, p, user, offline) for event, p in events_since(invitation, since, user)]

    def _pack(self, event: LogEvent, p: int, user: str, offline: tuple[str, ...]) -> bytes:
        invitation, is_invited = self._news.invitation, event.ev == "invited"
        key = (event.n, p, ttl_for(invitation, user, self._now) if is_invited else None)
        packed = self._packed.get(key)
        if packed is None:
            message = message_for(invitation, event, p, user, self._now)
            packed = self._packed[key] = pack(event_map(message))
        if not (is_invited and offline):
            return packed
        message = message_for(invitation, event, p, user, self._now)
        longer = pack(event_map(replace(message, offline=offline))) if isinstance(message, Invited) else packed
        return longer if len(longer) + _HEAD_BYTES <= MAX_MESSAGE_BYTES else packed


class _Fresh(NamedTuple):
    """A new invitation, whose inviter is told last."""

    invitation: Invitation
    copies: _Copies
    expiry_ms: int | None


def _expiry(invitation: Invitation, now_ms: int) -> int | None:
    return max(1, invitation.due - now_ms) if invitation.end is None and invitation.due is not None else None


class _Letters:
    """Events by topic, in order, and the longest time that any of a topic's is of use."""

    def __init__(self) -> None:
        self._news: dict[str, list[list[bytes]]] = {}
        self._expiry: dict[str, int | None] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, topic: str, packed: list[bytes], expiry_ms: int | None, name: str) -> None:
        self._news.setdefault(topic, []).append(packed)
        self._names.setdefault(topic, []).append(name)
        standing = self._expiry.setdefault(topic, expiry_ms)
        self._expiry[topic] = None if expiry_ms is None or standing is None else max(expiry_ms, standing)

    def sealed(self) -> Iterable[tuple[str, bytes, int | None, list[str]]]:
        """Topic, payload, expiry, and whose events a topic's messages have between them."""
        for topic, news in self._news.items():
            for payload in _cut(news):
                yield topic, payload, self._expiry[topic], self._names[topic]


def _cut(news: list[list[bytes]]) -> Iterable[bytes]:
    """Messages of these events. What is new of one invitation stays together, as far as one message holds it: who is
    settled by the end of it never rings.
    """
    some: list[bytes] = []
    size = _HEAD_BYTES
    for events in news:
        whole = sum(map(len, events))
        for at, event in enumerate(events):
            needed = len(event) if at or whole + _HEAD_BYTES > MAX_MESSAGE_BYTES else whole
            if some and (size + needed > MAX_MESSAGE_BYTES or len(some) == _MAX_PER_MESSAGE):
                yield join_events(some)
                some, size = [], _HEAD_BYTES
            some.append(event)
            size += len(event)
    if some:
        yield join_events(some)
