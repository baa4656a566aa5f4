"""A group played step by step, each request with no more rows than it asks for, as the service does it."""

from typing import Any

from ringline.protocol.errors import ErrorCode
from ringline.protocol.group_requests import AddMembers, CreateGroup, JoinGroup, OnGroup, SetRole
from ringline_broker.engine.groups.draft import GroupLimits, GroupReply, Pending
from ringline_broker.engine.groups.log import message_for, news
from ringline_broker.engine.groups.model import (
    MAX_EVENTS,
    MAX_EVENTS_BYTES,
    Group,
    GroupLogEvent,
    GroupView,
    Person,
    Standing,
)
from ringline_broker.engine.groups.step import group_step, users_of
from ringline_broker.engine.step import Done, Refused
from tests.unit.engine.play import NOW, new_id

GID = "room-1"
PRESETS = ("work", "public", "meeting", "live")


def asks(kind: type[OnGroup], **fields: Any) -> OnGroup:
    """A request, with an id of its own where the test does not say."""
    return kind(id=fields.pop("id", None) or new_id(), dev=fields.pop("dev", "d1"), gid=GID, **fields)


class Room:
    """One group id, and what happens to it.

    Attributes:
        group: as it stands, None while nobody used the id.
        rows: all people's rows, as a store has them.
        now: when the next request comes.
        heard_from: the version after which `news` tells.
    """

    def __init__(self, limits: GroupLimits | None = None) -> None:
        self.group: Group | None = None
        self.rows: dict[str, Person] = {}
        self.now = NOW
        self.heard_from = 0
        self._limits = limits

    @property
    def it(self) -> Group:
        """The group, which must exist."""
        assert self.group is not None
        return self.group

    @property
    def view(self) -> GroupView:
        """The group with everybody's row."""
        return GroupView(self.group, self.rows)

    @property
    def members(self) -> set[str]:
        """Who is a member."""
        return {user for user, person in self.rows.items() if person.standing is Standing.MEMBER}

    def ask(self, user: str, kind: type[OnGroup], /, **fields: Any) -> GroupReply:
        """A user asks; the answer."""
        return self.send(user, asks(kind, **fields))

    def send(self, user: str, request: OnGroup) -> GroupReply:
        """A user asks; the answer. Nothing but a change changes anything."""
        rows = {one: self.rows[one] for one in users_of(user, request) if one in self.rows}
        view = GroupView(self.group, rows)
        made = group_step(view, user, request, self.now, self._limits)
        is_change = not isinstance(made.reply, Refused) and not made.reply.repeated
        self.heard_from = 0 if self.group is None else self.group.n
        if not is_change:
            assert made.view is view
            assert not made.changed
            return made.reply
        self._take(made.view, made.changed)
        self._check()
        return made.reply

    def _take(self, view: GroupView, changed: Any) -> None:
        assert view.group is not None
        assert self.group is None or view.group.n > self.group.n
        self.group = view.group
        for user, person in changed.items():
            self.rows.pop(user, None)
            if person is not None:
                self.rows[user] = person
        if self.group.dismissed is not None:
            self.rows.clear()
        assert all(self.rows[user] == person for user, person in view.people.items())

    def _check(self) -> None:
        """What always holds."""
        it = self.it
        assert it.members == len(self.members)
        assert it.dismissed is not None or it.owner in (self.members | {""})
        assert set(it.admins) <= self.members - {it.owner}
        assert it.most == 0 or it.members <= it.most
        assert it.dismissed is None or not it.admins
        assert [event.n for event in it.events] == list(range(it.n - len(it.events) + 1, it.n + 1))
        assert len(it.events) <= MAX_EVENTS
        assert it.size <= MAX_EVENTS_BYTES
        assert all(it.counters.values())

    def done(self, user: str, kind: type[OnGroup], /, **fields: Any) -> list[str]:
        """A user asks, and it must change something; the events it makes, see `told`."""
        assert self.ask(user, kind, **fields) in (Done(), Pending())
        return self.told()

    def idle(self, user: str, kind: type[OnGroup], /, **fields: Any) -> None:
        """A user asks for what is so already."""
        assert self.ask(user, kind, **fields) == Done(repeated=True)

    def refused(self, user: str, code: ErrorCode, kind: type[OnGroup], /, **fields: Any) -> Refused:
        """A user asks, and must be refused with this code."""
        reply = self.ask(user, kind, **fields)
        assert isinstance(reply, Refused), reply
        assert reply.code is code, reply
        assert len(reply.text.encode()) <= 512
        return reply

    def new(self) -> list[GroupLogEvent]:
        """The events the last request made."""
        return [event for event, _ in news(self.it, self.heard_from)]

    def told(self) -> list[str]:
        """Those events, each as its name and who hears it: `*` for all, and users on their own topics."""
        return [" ".join([event.ev, *(["*"] if event.for_all else []), *event.to]) for event in self.new()]

    def last(self) -> Any:
        """The newest event as a message."""
        *_, (event, p) = news(self.it, 0)
        return message_for(event, p, GID)


def room(preset: str = "meeting", *members: str, admins: tuple[str, ...] = (), **fields: Any) -> Room:
    """Ann's group with these members; administrators are members too."""
    made = Room(fields.pop("limits", None))
    made.ask("ann", CreateGroup, preset=preset, **fields)
    for user in members:
        if preset == "live":
            made.ask(user, JoinGroup)
        else:
            made.ask("ann", AddMembers, to=(user,))
    for user in admins:
        made.ask("ann", SetRole, user=user, role="admin")
    assert made.members == {"ann", *members}
    assert made.it.admins == admins
    return made
