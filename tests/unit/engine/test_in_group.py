"""Invitations made in a group: all members hear all, and who leaves is settled."""

import pytest

from ringline.protocol.events import Dropped, Invited
from ringline_broker.engine.log import events_since, recipients_since
from ringline_broker.engine.model import MEMBERS
from ringline_broker.engine.step import Drop, Refused
from tests.unit.engine.play import IID, accept, cancel, get, invite, modify, reject, rung


def test_every_event_is_for_all_members_and_each_follows_the_one_before() -> None:
    play = rung("bob", "cid", "dan", gid="g")
    play.ask("ann", modify(b"new"))
    play.ask("bob", accept())
    play.ask("cid", reject())
    play.ask("ann", cancel())
    assert recipients_since(play.it, 0) == (MEMBERS,)
    assert [(event.n, p) for event, p in events_since(play.it, 0, MEMBERS)] == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    for user in ("ann", "bob", "zoe"):
        assert play.names(user) == ["invited", "modified", "accepted", "rejected", "cancelled:accepted"]
    invited = play.heard(MEMBERS)[0]
    assert isinstance(invited, Invited)
    assert (invited.gid, invited.to) == ("g", ("bob", "cid", "dan"))


def test_who_leaves_is_dropped_and_hears_it_on_their_own_topic() -> None:
    play = rung("bob", "cid", gid="g")
    play.do(Drop(IID, ("bob", "zoe"), "removed"))
    assert play.parts() == {"bob": "dropped", "cid": "pending"}
    assert recipients_since(play.it, 1) == (MEMBERS, "bob")
    dropped = play.heard("bob")[-1]
    assert isinstance(dropped, Dropped)
    assert (dropped.out, dropped.reason, dropped.by, dropped.end, dropped.p) == (("bob",), "removed", None, None, 1)
    play.ask("cid", accept())
    assert play.outcome() == "accepted"


def test_the_last_pending_who_leaves_ends_it() -> None:
    play = rung("bob", gid="g")
    play.do(Drop(IID, ("bob",), "left"))
    assert play.names(MEMBERS) == ["invited", "dropped:dropped"]
    assert play.it.due is None
    refused = play.refused("bob", accept("d2"))
    assert refused.text == "already settled: dropped"


def test_the_inviters_leaving_settles_everybody_pending() -> None:
    play = rung("bob", "cid", "dan", gid="g")
    play.ask("bob", accept())
    play.do(Drop(IID, ("ann",), "left"))
    assert play.parts() == {"bob": "accepted", "cid": "dropped", "dan": "dropped"}
    assert play.outcome() == "accepted"
    assert recipients_since(play.it, 2) == (MEMBERS, "ann")


@pytest.mark.parametrize("users", [None, ("ann",), ("bob",)])
def test_dropping_again_or_what_is_over_changes_nothing(users: tuple[str, ...] | None) -> None:
    play = rung("bob", gid="g")
    play.do(Drop(IID, users, "dismissed"))
    before = play.it
    play.do(Drop(IID, users, "dismissed"))
    assert play.it is before
    play = rung("bob", gid="g")
    play.ask("bob", reject())
    before = play.it
    play.do(Drop(IID, users, "dismissed"))
    assert play.it is before


def test_who_accepted_and_leaves_stays_accepted() -> None:
    play = rung("bob", "cid", gid="g")
    play.ask("bob", accept())
    before = play.it
    play.do(Drop(IID, ("bob",), "left"))
    assert play.it is before


def test_a_party_sees_everybody_in_a_group_and_a_stranger_nothing() -> None:
    play = rung("bob", "cid", gid="g")
    refused = play.refused("bob", invite("zoe"))
    assert refused.state is not None
    assert refused.state.to == {"bob": "pending", "cid": "pending"}
    assert isinstance(play.ask("zoe", get()), Refused)


def test_the_same_id_in_another_group_is_another_invitation() -> None:
    play = rung("bob", gid="g")
    assert play.refused("ann", invite("bob", gid="h")).code.name == "already_exists"
    assert play.refused("ann", invite("bob")).code.name == "already_exists"
