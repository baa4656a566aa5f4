"""Blocklists and limits as real clients meet them, over every store."""

import pytest

from ringline.errors import SignalingError
from ringline_broker.server import ServerConfig
from ringline_broker.settings import Settings
from ringline_broker.testing import ManualClock
from tests.support.bound import BOUND_S
from tests.support.running import Ring, settings


def test_a_blocked_caller_hears_what_a_busy_line_says(ring: Ring) -> None:
    alice, bob, tablet = ring.device("alice"), ring.device("bob"), ring.device("bob")
    busy = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation")
    bob.client.reject(busy.invite_id, reason="busy").result(BOUND_S)
    alice.heard.wait("invitation_ended", invite_id=busy.invite_id)
    for device in (bob, tablet):
        device.heard.wait("invitation_ended", invite_id=busy.invite_id)
    bob.client.blocklist.add(["alice"]).result(BOUND_S)
    before = [len(device.heard.names()) for device in (bob, tablet)]

    blocked = alice.client.invite(["bob"])
    alice.heard.wait("invitation_ended", invite_id=blocked.invite_id)
    assert alice.heard.names(blocked.invite_id) == alice.heard.names(busy.invite_id)
    said, really = (
        alice.heard.wait("invitee_rejected", invite_id=call.invite_id) for call in (blocked, busy)
    )
    assert (said.invitee, said.reason, said.text, said.data) == (really.invitee, really.reason, "", None)
    assert len(said.device) == len(really.device)
    assert alice.client.state(blocked.invite_id).invitees == alice.client.state(busy.invite_id).invitees

    late = ring.device("bob", since=1)  # syncs all there was
    assert late.heard.events("invitation_missed", invite_id=blocked.invite_id) == []
    with pytest.raises(SignalingError) as refused:
        bob.client.accept(blocked.invite_id).result(BOUND_S)
    assert refused.value.state is None

    bob.client.blocklist.remove(["alice"]).result(BOUND_S)
    again = alice.client.invite(["bob"])
    bob.heard.wait("receive_new_invitation", invite_id=again.invite_id)
    for device, heard in zip((bob, tablet), before, strict=True):
        device.heard.wait("receive_new_invitation", invite_id=again.invite_id)
        assert device.heard.names()[heard] == "receive_new_invitation", "nothing before it"


def test_a_blocklist_outlives_the_server(ring: Ring) -> None:
    bob = ring.device("bob")
    bob.client.blocklist.add(["alice", "carol"]).result(BOUND_S)
    assert bob.client.blocklist.list().result(BOUND_S).users == ("alice", "carol")
    alice = ring.device("alice")
    call = alice.client.invite(["bob", "dave"])
    assert alice.heard.wait("invitee_rejected", invite_id=call.invite_id).invitee == "bob"
    assert bob.heard.names() == []


def test_who_blocks_does_not_ring_in_a_group_either(ring: Ring) -> None:
    alice, bob, carol = (ring.device(name) for name in ("alice", "bob", "carol"))
    alice.client.groups.create("team", preset="meeting").result(BOUND_S)
    for device in (bob, carol):
        device.client.groups.join("team").result(BOUND_S)
        device.heard.wait("member_enter", group_id="team")
    bob.client.blocklist.add(["alice"]).result(BOUND_S)
    call = alice.client.invite_in_group("team", ["bob", "carol"])
    carol.heard.wait("receive_new_invitation", invite_id=call.invite_id)
    carol.client.accept(call.invite_id).result(BOUND_S)
    carol.heard.wait("invitation_ended", invite_id=call.invite_id)
    bob.heard.wait("invitation_ended", invite_id=call.invite_id)
    assert [event for event in bob.heard.events("receive_new_invitation") if event.to_me] == []


def test_a_hurried_program_is_slowed_down_and_loses_nothing(store_url: str) -> None:
    """More at once than one may: the client waits as it is told, and every call rings, once."""
    config = settings(request_burst=10, request_rate=25, max_open=100)
    with Ring(store_url, None, config) as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        calls = [alice.client.invite(["bob"], number) for number in range(60)]
        for call in calls:
            call.result(BOUND_S)
        for call in calls:
            bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
        bob.heard.assert_nothing_twice()
        too_fast = ring.on_loop(ring.server.counts)["too_fast"]
        print(f"{len(calls)} calls at once; {too_fast} requests refused and repeated")  # noqa: T201 - the proof is a count
        assert too_fast > 0


def test_too_many_open_calls_are_told_when_to_try_again(store_url: str) -> None:
    with Ring(store_url, ManualClock(), settings(max_open=2, request_rate=0)) as ring:
        alice = ring.device("alice")
        for _ in range(2):
            alice.client.invite(["bob"], timeout=60).result(BOUND_S)
        with pytest.raises(SignalingError) as refused:
            alice.client.invite(["bob"]).result(BOUND_S)
        assert (refused.value.code, refused.value.name) == (7008, "too_many_requests")
        assert refused.value.retry_after == 60


def test_a_device_out_of_requests_still_syncs_when_it_is_back() -> None:
    config = ServerConfig(settings=Settings(request_burst=5, request_rate=10))
    with Ring("memory:", None, config) as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        call = alice.client.invite(["bob"])
        call.result(BOUND_S)
        bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
        more = [ring.device("bob", f"phone{number}", connect=False) for number in range(6)]
        for device in more:
            device.client.connect()
        for device in more:
            assert device.client.wait_connected(BOUND_S)
            device.heard.wait("receive_new_invitation", invite_id=call.invite_id)
