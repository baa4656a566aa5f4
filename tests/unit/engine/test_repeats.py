"""A request that comes again succeeds again and changes nothing; the same wish from elsewhere is refused by name."""

from typing import Any

import pytest

from ringline.protocol.errors import ALREADY_EXISTS, INVITATION_OVER, NOT_PERMITTED
from ringline.protocol.requests import OnInvitation
from ringline_broker.engine.step import Done
from tests.unit.engine.play import Play, accept, cancel, invite, modify, new_id, reject, rung

REPEATED = Done(repeated=True)


def _again(play: Play, user: str, request: OnInvitation) -> None:
    before = play.invitation
    assert play.ask(user, request) == REPEATED
    assert play.invitation is before


@pytest.mark.parametrize("request_", [accept(), reject(), cancel(), cancel("bob"), modify(b"2")], ids=lambda r: r.op)
def test_the_same_request_again(request_: OnInvitation) -> None:
    play = rung("bob", "cid")
    user = "bob" if request_.op in ("accept", "reject") else "ann"
    assert play.ask(user, request_) == Done()
    _again(play, user, request_)
    play.deadline(at=play.now + 60_000)
    _again(play, user, request_)


def test_the_same_invite_again_even_when_it_is_over() -> None:
    play = Play()
    request = invite("bob")
    play.ask("ann", request)
    _again(play, "ann", request)
    play.ask("ann", cancel())
    _again(play, "ann", request)


def test_a_request_id_is_its_user_s_own() -> None:
    play = rung("bob", "cid")
    request = accept()
    play.ask("bob", request)
    assert play.ask("cid", request) == Done()
    assert play.parts() == {"bob": "accepted", "cid": "accepted"}


# The same device with a new request id: what an application does that was restarted.


def test_the_same_device_accepts_or_rejects_again() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("bob", accept("b1"))
    play.ask("cid", reject("c1"))
    _again(play, "bob", accept("b1"))
    _again(play, "cid", reject("c1"))


def test_the_same_device_changes_its_mind_too_late() -> None:
    play = rung("bob", "cid")
    play.ask("bob", accept("b1"))
    assert play.refused("bob", reject("b1")).code is INVITATION_OVER


def test_the_same_device_cancels_again() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("ann", cancel("bob"))
    _again(play, "ann", cancel("bob"))
    play.ask("ann", cancel())
    _again(play, "ann", cancel())
    _again(play, "ann", cancel("cid", "bob"))


def test_a_cancel_that_others_answers_made_needless_is_no_repeat() -> None:
    """Its device once cancelled a part of it; but that everybody else is settled is not its doing."""
    play = rung("bob", "cid")
    play.ask("ann", cancel("bob"))
    play.ask("cid", accept())
    refused = play.refused("ann", cancel())
    assert refused.code is INVITATION_OVER
    assert refused.state is not None
    assert refused.state.end == "accepted"


def test_the_same_content_under_the_same_id_is_the_same_invitation() -> None:
    content: dict[str, Any] = {"data": b"x", "timeout": 9, "answers": 1, "audience": "parties"}
    play = rung("bob", "cid", **content)
    _again(play, "ann", invite("bob", "cid", **content))
    _again(play, "ann", invite("bob", "bob", "cid", **content))
    play.ask("ann", modify(b"later"))
    _again(play, "ann", invite("bob", "cid", **content))


@pytest.mark.parametrize(
    "other",
    [{"data": b"y"}, {"timeout": 8}, {"answers": 2}, {"audience": ""}, {"online_only": True}],
    ids=str,
)
def test_another_content_under_the_same_id_is_refused(other: dict[str, Any]) -> None:
    content: dict[str, Any] = {"data": b"x", "timeout": 9, "answers": 1, "audience": "parties"}
    play = rung("bob", "cid", **content)
    refused = play.refused("ann", invite("bob", "cid", **(content | other)))
    assert (refused.code, refused.code.code) == (ALREADY_EXISTS, 8012)
    assert play.refused("ann", invite("bob", **content)).code is ALREADY_EXISTS


def test_the_same_content_by_somebody_else_is_refused() -> None:
    play = rung("bob")
    assert play.refused("zoe", invite("bob")).code is ALREADY_EXISTS


# Another device, another user.


@pytest.mark.parametrize("first", [accept("b1"), reject("b1")], ids=lambda r: r.op)
@pytest.mark.parametrize("second", [accept("b2"), reject("b2")], ids=lambda r: r.op)
def test_another_device_is_told_which_one_took_it(first: OnInvitation, second: OnInvitation) -> None:
    play = rung("bob", "cid")
    play.ask("bob", first)
    refused = play.refused("bob", second)
    assert refused.code.code == 8010
    assert "b1" in refused.text
    assert refused.state is not None
    assert refused.state.dev == "b1"
    assert refused.state.to == {"bob": f"{first.op}ed"}


def test_another_device_of_the_inviter_is_told_which_one_cancelled() -> None:
    play = rung("bob")
    play.ask("ann", cancel(dev="a1"))
    refused = play.refused("ann", cancel(dev="a2"))
    assert (refused.code.code, refused.state and refused.state.dev) == (8010, "a1")


def test_a_stranger_is_not_permitted_and_learns_nothing() -> None:
    play = rung("bob")
    for request in (accept(), reject(), cancel(), modify(b"")):
        refused = play.refused("zoe", request)
        assert (refused.code, refused.state) == (NOT_PERMITTED, None)


def test_the_inviter_s_answer_is_not_permitted() -> None:
    play = rung("bob")
    assert play.refused("ann", accept()).code is NOT_PERMITTED


def test_a_request_id_used_again_for_something_else_is_taken_for_a_repeat() -> None:
    """Ids are random; whoever uses one twice hears that the first was done, and nothing else happens."""
    play = rung("bob", "cid")
    used = new_id()
    play.ask("ann", modify(b"1", id=used))
    _again(play, "ann", modify(b"2", id=used))
    assert play.it.data == b"1"
