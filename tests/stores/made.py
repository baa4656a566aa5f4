"""Invitations for a store to keep, made by the engine itself."""

from typing import Any

from ringline.protocol.requests import OnInvitation
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, Deadline, Done, Limits, step
from ringline_broker.service.ports import Change
from tests.unit.engine.play import NOW, accept, cancel, invite, reject

__all__ = ["NOW", "accepted", "buried", "first", "made", "rejected", "rung", "then", "timed_out"]
_LIMITS = Limits(invitees=300)


def made(base: Invitation | None, user: str, request: OnInvitation, now: int = NOW) -> Invitation:
    """What this request makes of an invitation; it has to make something."""
    done = step(base, Ask(user, request), now, _LIMITS)
    assert isinstance(done.reply, Done), done.reply
    assert done.invitation is not None
    assert done.invitation is not base
    return done.invitation


def rung(iid: str, by: str = "ann", to: tuple[str, ...] = ("ben",), now: int = NOW, **fields: Any) -> Invitation:
    """A new invitation."""
    return made(None, by, invite(*to, iid=iid, **fields), now)


def accepted(base: Invitation, user: str = "ben", now: int = NOW + 1, **fields: Any) -> Invitation:
    """The next version: accepted by this invitee."""
    return made(base, user, accept(iid=base.iid, **fields), now)


def rejected(base: Invitation, user: str = "ben", now: int = NOW + 1, **fields: Any) -> Invitation:
    """The next version: rejected by this invitee."""
    return made(base, user, reject(iid=base.iid, **fields), now)


def timed_out(base: Invitation) -> Invitation:
    """The next version: its deadline passed."""
    assert base.due is not None
    over = step(base, Deadline(base.iid), base.due).invitation
    assert over is not None
    return over


def buried(iid: str, by: str = "ann", now: int = NOW) -> Invitation:
    """A tombstone."""
    return made(None, by, cancel(iid=iid), now)


def first(invitation: Invitation) -> Change:
    """To be committed as the first of its id."""
    return Change(invitation, 0)


def then(base: Invitation, invitation: Invitation) -> Change:
    """To be committed where this version stands."""
    return Change(invitation, base.n, base.size)
