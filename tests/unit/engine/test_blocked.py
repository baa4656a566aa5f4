"""An invitee who has the inviter on their blocklist: a busy line to the inviter, and nothing at all to themselves."""

from typing import Any

from ringline.protocol.events import Rejected
from ringline_broker.engine.log import ttl_for
from ringline_broker.engine.step import Ask, Busy, Done, Show
from tests.unit.engine.play import NOW, Play, accept, cancel, get, invite, modify, reject, ringing

BOB = Busy("bob", "a1b2c3d4", b"12345678")


def rung_busy(*to: str, busy: tuple[Busy, ...] = (BOB,), **fields: Any) -> Play:
    """Ann has invited these, and some of them do not let her ring."""
    play = Play()
    play.do(Ask("ann", invite(*to, **fields), busy))
    return play


def test_the_inviter_hears_a_busy_line_and_the_invitee_nothing() -> None:
    play = rung_busy("bob")
    assert play.names("ann") == ["invited", "rejected:rejected"]
    rejected = play.heard("ann")[1]
    assert isinstance(rejected, Rejected)
    assert (rejected.by, rejected.dev, rejected.re, rejected.reason) == ("bob", "a1b2c3d4", b"12345678", "busy")
    assert play.heard("bob") == []
    assert play.outcome() == "rejected"


def test_it_is_the_same_as_what_a_busy_device_makes_but_for_names_made_up() -> None:
    real = Play()
    real.ask("ann", invite("bob", id=b"invites1"))
    real.ask("bob", reject(dev="a1b2c3d4", id=b"12345678", reason="busy"))
    made_up = Play()
    made_up.do(Ask("ann", invite("bob", id=b"invites1"), (BOB,)))
    said, would_be = made_up.heard("ann"), real.heard("ann")
    assert said[1] == would_be[1]
    state, real_state = made_up.ask("ann", get()), real.ask("ann", get())
    assert isinstance(state, Show)
    assert isinstance(real_state, Show)
    assert state.state == real_state.state


def test_others_ring_all_the_same() -> None:
    play = rung_busy("bob", "cid")
    assert play.names("cid") == ["invited"]
    assert play.names("ann") == ["invited", "rejected"]
    assert ttl_for(play.it, "cid", NOW) == 30_000
    assert play.ask("cid", accept()) == Done()
    assert play.outcome() == "accepted"
    assert play.names("bob") == []


def test_all_parties_are_told_the_same_but_who_blocks_is_none_of_them() -> None:
    play = rung_busy("bob", "cid", audience="parties")
    assert play.names("cid") == ["invited", "rejected"]
    play.ask("cid", reject())
    assert play.heard("bob") == []
    assert play.it.parties == ("ann", "cid")
    assert not play.it.is_party("bob")


def test_who_blocks_can_do_nothing_with_what_they_never_heard_of() -> None:
    play = rung_busy("bob", "cid")
    for request in (accept(), reject(), cancel(), modify(b""), get(), ringing()):
        before = play.invitation
        play.ask("bob", request)
        assert play.invitation is before
        assert getattr(play.reply, "state", None) is None
    assert play.refused("bob", accept()).code.name == "not_permitted"


def test_the_inviter_cannot_tell_by_cancelling_or_modifying() -> None:
    play, real = rung_busy("bob", "cid"), Play()
    real.ask("ann", invite("bob", "cid"))
    real.ask("bob", reject(dev="a1b2c3d4", reason="busy"))
    for one in (play, real):
        one.ask("ann", modify(b"new"))
        assert one.heard("bob") == [] or one is real
    assert play.refused("ann", cancel("bob")).text == real.refused("ann", cancel("bob")).text
    play.ask("ann", cancel())
    assert play.heard("bob") == []
    assert play.names("ann")[-1] == "cancelled:cancelled"


def test_a_notice_reaches_nobody_who_blocks_and_says_nothing_of_it() -> None:
    play = rung_busy("bob", answers=0)
    assert play.names("ann") == ["invited:notice"]
    assert play.heard("bob") == []
    state = play.ask("ann", get())
    assert isinstance(state, Show)
    assert state.state.to == {"bob": "notified"}


def test_a_repeat_of_the_invite_is_one() -> None:
    request = invite("bob")
    play = Play()
    play.do(Ask("ann", request, (BOB,)))
    before = play.invitation
    assert play.ask("ann", request) == Done(repeated=True)
    assert play.ask("ann", invite("bob", dev="d2")) == Done(repeated=True), "the same again, with another id"
    assert play.invitation is before
