"""An invitation played step by step: who asks what, at which moment, and what becomes of it."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from ringline.protocol.events import Event
from ringline.protocol.requests import Accept, Cancel, Get, Invite, Modify, Reject, Ringing
from ringline_broker.engine.log import events_since, message_for
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, Command, Deadline, Limits, NobodyOnline, Refused, Reply, Step, step

NOW = 1_750_000_000_000
IID = "call-1"
_ids = count(1)


def new_id() -> bytes:
    """A request id that no other request has."""
    return next(_ids).to_bytes(8, "big")


def invite(*to: str, dev: str = "d1", iid: str = IID, **fields: Any) -> Invite:
    """A request to invite; 30 seconds where the test does not say."""
    return Invite(id=fields.pop("id", new_id()), dev=dev, iid=iid, to=to, **fields)


def accept(dev: str = "d1", iid: str = IID, **fields: Any) -> Accept:
    """A request to accept."""
    return Accept(id=fields.pop("id", new_id()), dev=dev, iid=iid, **fields)


def reject(dev: str = "d1", iid: str = IID, **fields: Any) -> Reject:
    """A request to reject."""
    return Reject(id=fields.pop("id", new_id()), dev=dev, iid=iid, **fields)


def cancel(*to: str, dev: str = "d1", iid: str = IID, **fields: Any) -> Cancel:
    """A request to cancel, for all or for those named."""
    return Cancel(id=fields.pop("id", new_id()), dev=dev, iid=iid, to=to, **fields)


def modify(data: bytes, dev: str = "d1", iid: str = IID, **fields: Any) -> Modify:
    """A request to replace the data."""
    return Modify(id=fields.pop("id", new_id()), dev=dev, iid=iid, data=data, **fields)


def ringing(dev: str = "d1", iid: str = IID) -> Ringing:
    """A request to tell that it rings."""
    return Ringing(id=new_id(), dev=dev, iid=iid)


def get(dev: str = "d1", iid: str = IID) -> Get:
    """A request for the state."""
    return Get(id=new_id(), dev=dev, iid=iid)


class Play:
    """One invitation id, and what happens to it.

    Attributes:
        invitation: as it stands, None while nobody used the id.
        now: when the next command comes.
        reply: what the last command was answered.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.invitation: Invitation | None = None
        self.now = NOW
        self.reply: Reply | None = None
        self._limits = limits

    @property
    def it(self) -> Invitation:
        """The invitation, which must exist."""
        assert self.invitation is not None
        return self.invitation

    def outcome(self) -> str | None:
        """How it ended, None while it is open."""
        return self.it.end

    def do(self, command: Command) -> Step:
        """Apply a command now."""
        made = step(self.invitation, command, self.now, self._limits)
        self.invitation, self.reply = made.invitation, made.reply
        return made

    def ask(self, user: str, request: Any) -> Reply:
        """A user asks; the answer."""
        return self.do(Ask(user, request)).reply

    def refused(self, user: str, request: Any) -> Refused:
        """A user asks, and must be refused without any change."""
        before = self.invitation
        reply = self.ask(user, request)
        assert isinstance(reply, Refused), reply
        assert self.invitation is before
        return reply

    def deadline(self, at: int | None = None) -> None:
        """The extension looks at the deadline, at this time or when it is due."""
        self.now = at if at is not None else (self.it.due or self.now)
        self.do(Deadline(IID))

    def nobody_online(self) -> None:
        """The extension found nobody online."""
        self.do(NobodyOnline(IID))

    def heard(self, user: str, since: int = 0) -> list[Event]:
        """What a user hears after a version, as messages."""
        it = self.it
        return [message_for(it, event, p, user, self.now) for event, p in events_since(it, since, user)]

    def names(self, user: str) -> list[str]:
        """The names of what a user hears; the one that ends it carries the outcome."""
        return [event.ev if event.end is None else f"{event.ev}:{event.end}" for event in self.heard(user)]

    def parts(self) -> dict[str, str]:
        """Where every invitee stands."""
        return {user: seat.part.value for user, seat in self.it.seats.items()}


def rung(*to: str, limits: Limits | None = None, **fields: Any) -> Play:
    """Ann has invited these, from device d1."""
    play = Play(limits)
    play.ask("ann", invite(*to, **fields))
    return play


def ends(play: Play, users: Sequence[str]) -> dict[str, int]:
    """How often each user hears the end."""
    return {user: sum(event.end is not None for event in play.heard(user)) for user in users}
