"""What answers, deadlines and the extension's own commands make of an invitation."""

import pytest

from ringline.protocol.events import Invited
from ringline_broker.engine.log import recipients_since, ttl_for
from ringline_broker.engine.model import Part
from ringline_broker.engine.step import Deadline, Done, Forward, Limits, NobodyOnline, Silence, step
from tests.unit.engine.play import IID, NOW, Play, accept, cancel, ends, invite, modify, reject, ringing, rung

# Answers.


def test_all_may_answer_and_the_last_answer_ends_it() -> None:
    play = rung("bob", "cid", "dee", data=b"hi")
    play.ask("bob", accept(data=b"yes"))
    play.ask("cid", reject(reason="busy", text="later"))
    assert play.outcome() is None
    play.ask("dee", accept())
    assert play.outcome() == "accepted"
    assert play.names("ann") == ["invited", "accepted", "rejected", "accepted:accepted"]
    assert play.names("bob") == ["invited", "accepted", "ended:accepted"]
    assert play.names("cid") == ["invited", "rejected", "ended:accepted"]
    assert play.names("dee") == ["invited", "accepted:accepted"]
    assert play.it.due is None


def test_first_to_accept_takes_it() -> None:
    play = rung("bob", "cid", "dee", answers=1)
    play.ask("cid", accept())
    assert play.parts() == {"bob": "taken", "cid": "accepted", "dee": "taken"}
    assert play.names("ann") == ["invited", "accepted", "taken:accepted"]
    assert play.names("bob") == play.names("dee") == ["invited", "taken:accepted"]
    assert play.names("cid") == ["invited", "accepted", "ended:accepted"]
    taken = play.heard("bob")[-1]
    assert (taken.by, getattr(taken, "out", None)) == ("cid", ("bob", "dee"))


def test_first_of_one_needs_no_taken() -> None:
    play = rung("bob", answers=1)
    play.ask("bob", accept())
    assert play.names("ann") == ["invited", "accepted:accepted"]


def test_first_rejects_count_for_nothing() -> None:
    play = rung("bob", "cid", answers=1)
    play.ask("bob", reject())
    assert play.outcome() is None
    play.ask("cid", accept())
    assert play.names("bob") == ["invited", "rejected", "ended:accepted"]


def test_n_may_accept() -> None:
    play = rung("bob", "cid", "dee", "eve", answers=2)
    play.ask("bob", accept())
    play.ask("cid", reject())
    assert play.outcome() is None
    play.ask("eve", accept())
    assert play.parts() == {"bob": "accepted", "cid": "rejected", "dee": "taken", "eve": "accepted"}
    assert play.names("dee") == ["invited", "taken:accepted"]
    assert play.names("bob") == ["invited", "accepted", "ended:accepted"]
    assert play.names("cid") == ["invited", "rejected", "ended:accepted"]


def test_more_answers_wanted_than_invitees_is_as_all() -> None:
    play = rung("bob", "cid", answers=5)
    play.ask("bob", accept())
    play.ask("cid", accept())
    assert play.names("ann") == ["invited", "accepted", "accepted:accepted"]


def test_a_notice_is_over_when_made_and_heard_once() -> None:
    play = rung("bob", "cid", answers=0, data=b"hung up")
    assert play.outcome() == "notice"
    assert play.it.due is None
    assert play.names("ann") == play.names("bob") == play.names("cid") == ["invited:notice"]
    [invited] = play.heard("bob")
    assert isinstance(invited, Invited)
    assert (invited.ttl, invited.data) == (0, b"hung up")


def test_an_answer_names_user_device_and_request() -> None:
    play = rung("bob", "cid")
    request = accept("b7", data=b"yes")
    play.ask("bob", request)
    event = play.heard("ann")[-1]
    assert (event.by, event.dev, event.re, event.n, event.p) == ("bob", "b7", request.id, 2, 1)


# How it ends.


@pytest.mark.parametrize(
    ("last", "outcome"), [("reject", "rejected"), ("cancel", "cancelled"), ("deadline", "timed_out")]
)
def test_without_an_accept_the_last_to_settle_somebody_is_the_outcome(last: str, outcome: str) -> None:
    play = rung("bob", "cid")
    play.ask("bob", reject())
    match last:
        case "reject":
            play.ask("cid", reject())
        case "cancel":
            play.ask("ann", cancel())
        case _:
            play.deadline()
    assert play.outcome() == outcome


@pytest.mark.parametrize("last", ["reject", "cancel", "deadline", "offline"])
def test_with_an_accept_the_outcome_is_accepted_however_it_ends(last: str) -> None:
    play = rung("bob", "cid")
    play.ask("bob", accept())
    match last:
        case "reject":
            play.ask("cid", reject())
        case "cancel":
            play.ask("ann", cancel())
        case "deadline":
            play.deadline()
        case _:
            play.nobody_online()
    assert play.outcome() == "accepted"
    assert ends(play, ("ann", "bob", "cid")) == {"ann": 1, "bob": 1, "cid": 1}


def test_partial_accept_then_cancel() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("bob", accept())
    play.ask("ann", cancel(reason="changed_mind", text="sorry", data=b"x"))
    assert play.parts() == {"bob": "accepted", "cid": "cancelled", "dee": "cancelled"}
    assert play.names("ann") == ["invited", "accepted", "cancelled:accepted"]
    assert play.names("cid") == ["invited", "cancelled:accepted"]
    assert play.names("bob") == ["invited", "accepted", "ended:accepted"]


def test_a_bare_end_tells_nothing_of_others() -> None:
    play = rung("bob", "cid")
    play.ask("bob", reject())
    play.ask("cid", accept(data=b"secret"))
    bare = play.heard("bob")[-1]
    assert (bare.ev, bare.by, bare.dev, bare.re) == ("ended", None, None, None)


# Deadlines.


def test_the_moment_of_the_deadline_is_late() -> None:
    play = rung("bob", timeout=30)
    play.now = NOW + 30_000
    reply = play.ask("bob", accept())
    assert getattr(reply, "code", None) is not None
    assert play.outcome() == "timed_out"
    assert play.names("bob") == ["invited", "timed_out:timed_out"]


def test_a_moment_before_the_deadline_is_in_time() -> None:
    play = rung("bob", timeout=30)
    play.now = NOW + 29_999
    assert play.ask("bob", accept()) == Done()
    assert play.outcome() == "accepted"


def test_the_deadline_s_command_a_moment_early_changes_nothing() -> None:
    play = rung("bob", timeout=30)
    before = play.invitation
    play.deadline(at=NOW + 29_999)
    assert play.invitation is before
    assert play.reply == Silence()


def test_a_second_deadline_changes_nothing() -> None:
    play = rung("bob", timeout=30)
    play.deadline()
    before = play.invitation
    play.deadline(at=NOW + 60_000)
    assert play.invitation is before


def test_the_deadline_settles_those_who_are_pending_in_one_event() -> None:
    play = rung("bob", "cid", "dee", "eve")
    play.ask("bob", accept())
    play.ask("cid", reject())
    play.deadline()
    assert play.parts() == {"bob": "accepted", "cid": "rejected", "dee": "timed_out", "eve": "timed_out"}
    assert play.names("ann")[-1] == "timed_out:accepted"
    assert getattr(play.heard("ann")[-1], "out", None) == ("dee", "eve")
    assert play.names("dee") == ["invited", "timed_out:accepted"]
    assert play.names("bob")[-1] == play.names("cid")[-1] == "ended:accepted"


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_whoever_asks_after_the_deadline_meets_it_first(who: str) -> None:
    play = rung("bob", timeout=1)
    play.now += 5_000
    refused = play.ask(who, cancel() if who == "ann" else reject())
    assert getattr(refused, "text", "").endswith("timed_out")
    assert [event.ev for event in play.it.events] == ["invited", "timed_out"]


def test_without_a_deadline_it_expires_at_the_quiet_limit() -> None:
    play = rung("bob", timeout=0, limits=Limits(quiet_limit_ms=1_000))
    assert ttl_for(play.it, "bob", NOW) is None
    play.deadline(at=NOW + 999)
    assert play.outcome() is None
    play.deadline(at=NOW + 1_000)
    assert play.names("bob") == play.names("ann") == ["invited", "expired:expired"]
    assert play.parts() == {"bob": "expired"}


def test_time_left_is_what_the_deadline_leaves_and_nothing_for_whom_it_is_over() -> None:
    play = rung("bob", "cid", timeout=30)
    assert ttl_for(play.it, "bob", NOW + 10_000) == 20_000
    assert ttl_for(play.it, "bob", NOW + 31_000) == 0
    play.ask("bob", reject())
    assert ttl_for(play.it, "bob", NOW) == 0
    assert ttl_for(play.it, "cid", NOW) == ttl_for(play.it, "ann", NOW) == 30_000


# Online only, ringing, audience.


def test_nobody_online_ends_it() -> None:
    play = rung("bob", "cid", online_only=True)
    play.nobody_online()
    assert play.parts() == {"bob": "offline", "cid": "offline"}
    assert play.names("ann") == ["invited", "offline:offline"]


def test_nobody_online_comes_too_late_for_what_is_over_or_unknown() -> None:
    play = rung("bob", online_only=True)
    play.ask("bob", accept())
    before = play.invitation
    play.nobody_online()
    assert play.invitation is before
    assert step(None, NobodyOnline(IID), NOW).invitation is None
    assert step(None, Deadline(IID), NOW).invitation is None


def test_ringing_is_forwarded_while_pending_and_keeps_nothing() -> None:
    play = rung("bob", "cid")
    before = play.invitation
    assert play.ask("bob", ringing()) == Forward()
    assert play.invitation is before


def test_ringing_at_the_deadline_is_not_forwarded() -> None:
    play = rung("bob", timeout=1)
    play.now += 1_000
    assert play.ask("bob", ringing()) == Silence()


def test_audience_parties_addresses_everything_to_everybody() -> None:
    play = rung("bob", "cid", "dee", audience="parties", answers=2)
    play.ask("bob", reject())
    play.ask("ann", modify(b"x"))
    play.ask("cid", accept())
    play.ask("ann", cancel())
    same = ["invited", "rejected", "modified", "accepted", "cancelled:accepted"]
    assert [play.names(user) for user in ("ann", "bob", "cid", "dee")] == [same] * 4
    assert recipients_since(play.it, 4) == ("ann", "bob", "cid", "dee")


def test_without_it_an_invitee_hears_nothing_of_the_others() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("bob", reject())
    play.ask("cid", accept())
    assert play.names("dee") == ["invited"]
    assert recipients_since(play.it, 1) == ("ann", "bob", "cid")


def test_a_new_invitation_has_a_deadline_from_when_its_request_was_read() -> None:
    play = Play()
    play.now = NOW + 123
    play.ask("ann", invite("bob", timeout=7))
    assert (play.it.created, play.it.due, play.it.ended) == (NOW + 123, NOW + 7_123, None)
    assert play.it.seats["bob"].part is Part.PENDING
