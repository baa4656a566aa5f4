"""What an invitation may be, and what of it its parties may see."""

import pytest

from ringline.protocol.answers import State
from ringline.protocol.errors import BAD_PARAMETER, TOO_LARGE, TOO_MANY_REQUESTS
from ringline_broker.engine.step import Done, Limits, Show
from tests.unit.engine.play import NOW, Play, accept, cancel, get, invite, modify, reject, rung


def _shown(play: Play, user: str) -> State:
    reply = play.ask(user, get())
    assert isinstance(reply, Show)
    return reply.state


# Invites that cannot be.


def test_nobody_to_invite() -> None:
    refused = Play().refused("ann", invite())
    assert (refused.code, refused.field) == (BAD_PARAMETER, "to")


def test_oneself() -> None:
    refused = Play().refused("ann", invite("bob", "ann"))
    assert (refused.code, refused.field) == (BAD_PARAMETER, "to")


def test_names_that_repeat_count_once() -> None:
    play = rung("bob", "cid", "bob", limits=Limits(invitees=2))
    assert play.parts() == {"bob": "pending", "cid": "pending"}


def test_too_many_invitees() -> None:
    many = [f"u{i}" for i in range(4)]
    refused = Play(Limits(invitees=3)).refused("ann", invite(*many))
    assert (refused.code, refused.code.code, refused.field) == (TOO_MANY_REQUESTS, 7008, "to")
    assert Play(Limits(invitees=3)).ask("ann", invite(*many[:3])) == Done()


def test_an_audience_that_is_none() -> None:
    refused = Play().refused("ann", invite("bob", audience="everybody"))
    assert (refused.code, refused.field) == (BAD_PARAMETER, "audience")


# A record's size.


def test_data_beyond_the_record_s_limit_is_refused() -> None:
    play = rung("bob", "cid", limits=Limits(record_bytes=2_000))
    refused = play.refused("bob", accept(data=bytes(2_000)))
    assert (refused.code, refused.field) == (TOO_LARGE, "data")
    assert play.ask("bob", accept(data=bytes(100))) == Done()


def test_an_invite_beyond_the_limit_is_refused() -> None:
    refused = Play(Limits(record_bytes=1_000)).refused("ann", invite("bob", data=bytes(1_000)))
    assert refused.code is TOO_LARGE


def test_answers_and_cancels_without_data_always_fit() -> None:
    play = rung("bob", "cid", "dee", limits=Limits(record_bytes=600))
    assert play.it.size < 600
    assert play.ask("bob", accept()) == Done()
    assert play.ask("cid", reject(reason="busy", text="x" * 256)) == Done()
    assert play.ask("ann", cancel()) == Done()
    assert play.it.size > 600
    assert play.it.end == "accepted"


def test_modify_gives_back_what_the_last_one_took() -> None:
    play = rung("bob", limits=Limits(record_bytes=6_000))
    for _ in range(5):
        assert play.ask("ann", modify(bytes(4_000))) == Done()


def test_modify_over_and_over_comes_to_an_end_even_with_no_data() -> None:
    play = rung("bob", limits=Limits(record_bytes=10_000), timeout=0)
    replies = [play.ask("ann", modify(b"")) for _ in range(200)]
    assert getattr(replies[-1], "code", None) is TOO_LARGE
    assert play.it.size <= 10_000
    assert play.ask("ann", cancel()) == Done()


# Who sees what.


def test_the_inviter_sees_everybody_and_an_invitee_themselves() -> None:
    play = rung("bob", "cid", data=b"x", timeout=30)
    play.ask("bob", accept("b1"))
    play.now += 10_000
    assert _shown(play, "ann") == State(
        iid=play.it.iid, n=2, by="ann", to={"bob": "accepted", "cid": "pending"}, ttl=20_000, data=b"x"
    )
    assert _shown(play, "cid").to == {"cid": "pending"}
    bob = _shown(play, "bob")
    assert (bob.to, bob.dev) == ({"bob": "accepted"}, "b1")


def test_with_audience_parties_everybody_sees_everybody() -> None:
    play = rung("bob", "cid", audience="parties")
    play.ask("bob", reject())
    assert _shown(play, "cid").to == {"bob": "rejected", "cid": "pending"}


def test_a_state_without_a_deadline_or_after_the_end_has_no_time_left() -> None:
    assert _shown(rung("bob", timeout=0), "bob").ttl is None
    play = rung("bob")
    play.ask("ann", cancel(dev="a1"))
    state = _shown(play, "ann")
    assert (state.ttl, state.end, state.dev) == (None, "cancelled", "a1")


def test_a_refusal_shows_the_state_without_data() -> None:
    play = rung("bob", data=b"x" * 100)
    play.ask("bob", accept("b1"))
    refused = play.refused("bob", accept("b2"))
    assert refused.state is not None
    assert (refused.state.data, refused.state.end) == (b"", "accepted")


@pytest.mark.parametrize("timeout", [0, 1, 86_400])
def test_the_due_time_is_the_timeout_or_the_quiet_limit(timeout: int) -> None:
    play = rung("bob", timeout=timeout, limits=Limits(quiet_limit_ms=5))
    assert play.it.due == NOW + (timeout * 1_000 or 5)
