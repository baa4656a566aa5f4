"""Taking an invitation back, in whole or in part, before or after it came; and replacing its data."""

import pytest

from ringline.protocol.errors import ALREADY_EXISTS, BAD_PARAMETER, INVITATION_OVER, NOT_PERMITTED
from ringline.protocol.events import Modified
from ringline_broker.engine.log import events_since
from ringline_broker.engine.step import Done
from tests.unit.engine.play import Play, accept, cancel, ends, invite, modify, reject, rung

# Cancel.


def test_cancel_all() -> None:
    play = rung("bob", "cid")
    play.ask("ann", cancel(reason="changed_mind", data=b"x"))
    assert play.parts() == {"bob": "cancelled", "cid": "cancelled"}
    assert play.names("ann") == play.names("bob") == play.names("cid") == ["invited", "cancelled:cancelled"]


def test_cancel_some() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("ann", cancel("cid"))
    assert play.parts() == {"bob": "pending", "cid": "cancelled", "dee": "pending"}
    assert play.names("cid") == ["invited", "cancelled"]
    assert play.names("bob") == ["invited"]
    assert play.outcome() is None
    play.ask("bob", reject())
    play.ask("dee", reject())
    assert play.names("cid") == ["invited", "cancelled", "ended:rejected"]


def test_cancel_names_twice_what_it_settles_once() -> None:
    play = rung("bob", "cid")
    play.ask("ann", cancel("bob", "bob"))
    assert getattr(play.heard("ann")[-1], "out", None) == ("bob",)


def test_cancel_of_the_last_pending_ends_it() -> None:
    play = rung("bob", "cid")
    play.ask("bob", reject())
    play.ask("ann", cancel("cid"))
    assert play.outcome() == "cancelled"


def test_cancel_of_a_stranger_is_refused_by_name() -> None:
    play = rung("bob")
    refused = play.refused("ann", cancel("bob", "zoe"))
    assert (refused.code, refused.field) == (BAD_PARAMETER, "to")
    assert "zoe" in refused.text


def test_cancel_of_some_who_are_settled_settles_the_others() -> None:
    play = rung("bob", "cid", "dee")
    play.ask("bob", accept())
    assert play.ask("ann", cancel("bob", "cid")) == Done()
    assert play.parts() == {"bob": "accepted", "cid": "cancelled", "dee": "pending"}


def test_cancel_of_those_who_are_settled_is_late() -> None:
    play = rung("bob", "cid")
    play.ask("bob", accept())
    assert play.refused("ann", cancel("bob")).code is INVITATION_OVER


# A cancel that overtakes its invite.


def test_an_invite_after_its_cancel_never_rings() -> None:
    play = Play()
    assert play.ask("ann", cancel()) == Done()
    refused = play.refused("ann", invite("bob"))
    assert refused.code is INVITATION_OVER
    assert refused.state is not None
    assert refused.state.end == "cancelled"
    assert play.it.seats == {}


def test_a_tombstone_is_heard_by_nobody() -> None:
    play = Play()
    play.ask("ann", cancel())
    assert play.names("ann") == []


def test_the_same_cancel_again_succeeds_on_a_tombstone() -> None:
    play = Play()
    first = cancel()
    play.ask("ann", first)
    for again in (first, cancel(), cancel("bob"), cancel(dev="d2")):
        assert play.ask("ann", again) == Done(repeated=True)
    assert play.it.n == 1


def test_somebody_else_s_tombstone_stops_nobody() -> None:
    play = Play()
    play.ask("mallory", cancel())
    assert play.ask("ann", invite("bob")) == Done()
    assert play.names("bob") == ["invited"]
    [(event, p)] = events_since(play.it, 0, "bob")
    assert (event.n, p) == (2, 0)
    assert play.refused("mallory", invite("bob")).code is ALREADY_EXISTS


# Modify.


def test_modify_replaces_the_data_for_those_who_are_still_in() -> None:
    play = rung("bob", "cid", "dee", data=b"1")
    play.ask("bob", accept())
    play.ask("cid", reject())
    play.ask("ann", modify(b"2"))
    assert play.it.data == b"2"
    assert [user for user in ("ann", "bob", "cid", "dee") if "modified" in play.names(user)] == ["ann", "bob", "dee"]


def test_a_newer_modification_drops_the_older_one_and_its_data() -> None:
    play = rung("bob", data=b"1")
    for data in (b"22", b"333", b"4444"):
        play.ask("ann", modify(data))
    assert [(event.n, event.to, event.data) for event in play.it.events] == [
        (1, ("ann", "bob"), b"1"),
        (2, (), b""),
        (3, (), b""),
        (4, ("ann", "bob"), b"4444"),
    ]
    heard = play.heard("bob")
    assert [(event.n, event.p) for event in heard] == [(1, 0), (4, 1)]
    assert isinstance(heard[-1], Modified)
    assert heard[-1].data == b"4444"


def test_a_superseded_modification_is_still_known_by_its_request() -> None:
    play = rung("bob")
    first = modify(b"1")
    play.ask("ann", first)
    play.ask("ann", modify(b"2"))
    assert play.ask("ann", first) == Done(repeated=True)
    assert (play.it.data, play.it.n) == (b"2", 3)


def test_the_chain_skips_what_was_superseded() -> None:
    play = rung("bob", "cid")
    play.ask("ann", modify(b"1"))
    play.ask("bob", accept())
    play.ask("ann", modify(b"2"))
    assert [(e.ev, e.n, e.p) for e in play.heard("ann")] == [("invited", 1, 0), ("accepted", 3, 1), ("modified", 4, 3)]
    assert [(e.ev, e.n, e.p) for e in play.heard("cid")] == [("invited", 1, 0), ("modified", 4, 1)]
    # whoever heard the superseded one has a version in between, and misses nothing
    assert [(e.ev, e.n, e.p) for e in play.heard("cid", since=2)] == [("modified", 4, 1)]


def test_online_only_cannot_be_modified() -> None:
    play = rung("bob", online_only=True)
    assert play.refused("ann", modify(b"2")).code is NOT_PERMITTED


@pytest.mark.parametrize("settle", ["accept", "cancel"])
def test_modify_is_for_while_somebody_is_pending(settle: str) -> None:
    play = rung("bob")
    play.ask(*(("bob", accept()) if settle == "accept" else ("ann", cancel())))
    assert play.refused("ann", modify(b"2", dev="d2")).code is INVITATION_OVER
    assert ends(play, ("ann", "bob")) == {"ann": 1, "bob": 1}
