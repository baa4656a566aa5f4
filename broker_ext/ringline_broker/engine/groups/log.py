"""Reading a group's log: what a user has not heard, and what follows from it."""

from collections.abc import Iterator
from typing import NamedTuple

from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_states import GroupState, MemberState
from ringline.protocol.shapes import GroupEvent
from ringline_broker.engine.groups.model import Group, GroupLogEvent, GroupView, Person, Standing
from ringline_broker.engine.groups.rights import muted_until, rank_of, role_of


def news(group: Group, n: int) -> Iterator[tuple[GroupLogEvent, int]]:
    """The events after version n that the log has: each that is for all with the version of the one for all before
    it, others with 0.
    """
    before = group.forgotten
    for event in group.events:
        if event.n > n:
            yield event, before if event.for_all else 0
        if event.for_all:
            before = event.n


def reaches_back(group: Group, n: int) -> bool:
    """Whether the log has all events after version n. It has none before a version the group never had."""
    oldest = group.events[0].n if group.events else group.n + 1
    return oldest - 1 <= n <= group.n


def events_since(group: Group, n: int, user: str, *, is_member: bool) -> list[tuple[GroupLogEvent, int]] | None:
    """What a user has not heard after version n, as `news`; None where the log does not reach back so far, and only
    the group's state helps.
    """
    if not reaches_back(group, n):
        return None
    return [(event, p) for event, p in news(group, n) if user in event.to or (is_member and event.for_all)]


def message_for(event: GroupLogEvent, p: int, gid: str, now_ms: int | None = None) -> GroupEvent:
    """One event of the log as a message. Told later, at `now_ms`, how long somebody is muted is what is left of it."""
    fields = event.fields
    if now_ms is not None and fields.get("muted"):
        fields = {**fields, "muted": _seconds_left(event.ts + fields["muted"] * 1000, now_ms)}
    kind = GROUP_EVENTS[event.ev].message
    return kind(gid=gid, n=event.n, p=p, ts=event.ts, by=event.by, dev=event.dev, re=event.re, **fields)


def _seconds_left(until: int, now_ms: int) -> int:
    return max(0, -((now_ms - until) // 1000))


def state_for(view: GroupView, user: str) -> GroupState:
    """The group as this user may see it; the view must have a group."""
    group, role = view.group, role_of(view, user)
    assert group is not None  # noqa: S101 - for the type checkers: whoever asks has looked
    return GroupState(
        gid=group.gid,
        n=group.n,
        preset=group.preset,
        owner=group.owner,
        admins=group.admins,
        name=group.name,
        introduction=group.introduction,
        notification=group.notification,
        face=group.face,
        custom=dict(group.custom) or None,
        most=group.most,
        join=group.join,
        count=group.members,
        muted=group.muted,
        created=group.created,
        attributes=dict(group.attributes) or None if role else None,
        attributes_n=group.attributes_n if role else 0,
        counters=dict(group.counters) or None if role else None,
        role=role,
    )


def member_for(group: Group, person: Person, now_ms: int) -> MemberState:
    """A member, or somebody who applies."""
    return MemberState(
        user=person.user,
        role=rank_of(group, person.user) if person.standing is Standing.MEMBER else "",
        card=person.card,
        custom=dict(person.custom) or None,
        joined=person.since,
        muted=_seconds_left(muted_until(group, person), now_ms),
        text=person.text,
    )


class Departure(NamedTuple):
    """Users who stopped being members, None for all of them; why, and when: what they had open since is not meant."""

    users: tuple[str, ...] | None
    reason: str
    ts: int


class Arrival(NamedTuple):
    """Users who became members."""

    users: tuple[str, ...]


def comings_and_goings(group: Group, since_n: int) -> list[Arrival | Departure]:
    """Who became a member and who stopped being one after a version, in order."""
    found: list[Arrival | Departure] = []
    for event in group.events:
        if event.n > since_n:
            match event.ev:
                case "group_created" | "member_enter" | "member_invited":
                    found.append(Arrival(event.to))
                case "member_leave":
                    found.append(Departure(event.to, "left", event.ts))
                case "member_kicked":
                    found.append(Departure(event.to, "removed", event.ts))
                case "group_dismissed":
                    found.append(Departure(None, "dismissed", event.ts))
                case _:
                    pass
    return found
