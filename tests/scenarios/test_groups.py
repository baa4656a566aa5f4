"""Groups over real clients and a real broker: who hears what, once each, and invitations inside a group."""

from collections import Counter
from typing import Any

import pytest

from ringline.errors import SignalingError
from ringline.group_listener import GroupListener
from ringline.invitations import NONE
from tests.support.bound import BOUND_S
from tests.support.proxy import Proxy
from tests.support.running import Device, Ring


def two_each(ring: Ring, *users: str) -> dict[str, list[Device]]:
    """Two devices of each."""
    return {user: [ring.device(user, f"{user}-{which}") for which in ("phone", "tablet")] for user in users}


def group_callbacks(device: Device) -> Counter[str]:
    """What a device heard of groups, by callback."""
    return Counter(name for name, _ in device.heard.all if f"on_{name}" in vars(GroupListener))


def let_all_hear(devices: dict[str, list[Device]]) -> None:
    """A notice to everybody: what was published before it was heard before it."""
    first, *others = devices
    notice = devices[first][0].client.invite(others, answers=NONE, timeout=1)
    for user, some in devices.items():
        for device in some:
            name = "invitation_created" if user == first else "receive_new_invitation"
            device.heard.wait(name, invite_id=notice.invite_id)


def test_every_callback_fires_for_exactly_those_it_should_once(ring: Ring) -> None:
    devices = two_each(ring, "olga", "adam", "mia", "sam")
    olga, adam, mia, sam = (devices[user][0].client.groups for user in ("olga", "adam", "mia", "sam"))
    expected: dict[str, Counter[str]] = {user: Counter() for user in devices}

    def hear(callback: str, *users: str) -> None:
        for user in users:
            expected[user][callback] += 1
            for device in devices[user]:
                device.heard.wait(callback, count=expected[user][callback])

    olga.create("g", preset="public", name="The group").result(BOUND_S)
    hear("group_created", "olga")
    olga.add("g", ["adam"]).result(BOUND_S)
    hear("member_invited", "olga", "adam")
    olga.set_role("g", "adam", "admin").result(BOUND_S)
    hear("grant_administrator", "olga", "adam")
    assert mia.join("g", "let me in").result(BOUND_S) is False
    hear("receive_join_application", "olga", "adam")
    adam.accept_application("g", "mia", "welcome").result(BOUND_S)
    hear("application_processed", "olga", "adam", "mia")
    hear("member_enter", "olga", "adam", "mia")
    assert sam.join("g").result(BOUND_S) is False
    hear("receive_join_application", "olga", "adam")
    olga.refuse_application("g", "sam", "sorry").result(BOUND_S)
    hear("application_processed", "olga", "adam", "sam")
    inside = ("olga", "adam", "mia")
    olga.set_info("g", name="Another name").result(BOUND_S)
    hear("group_info_changed", *inside)
    mia.set_my_info("g", card="Mia M.").result(BOUND_S)
    hear("member_info_changed", *inside)
    adam.mute("g", "mia", 60).result(BOUND_S)
    hear("member_info_changed", *inside)
    olga.mute_all("g", on=True).result(BOUND_S)
    hear("all_group_members_muted", *inside)
    mia.set_attributes("g", {"seat": "mia"}).result(BOUND_S)
    hear("group_attribute_changed", *inside)
    mia.add_to_counter("g", "hands", 2).result(BOUND_S)
    hear("group_counter_changed", *inside)
    olga.set_role("g", "adam", "member").result(BOUND_S)
    hear("revoke_administrator", *inside)
    olga.remove("g", ["adam"], reason="noise").result(BOUND_S)
    hear("member_kicked", *inside)
    mia.quit("g").result(BOUND_S)
    hear("member_leave", "olga")
    hear("quit_from_group", "mia")
    olga.dismiss("g").result(BOUND_S)
    hear("group_dismissed", "olga")
    let_all_hear(devices)
    for user, some in devices.items():
        for device in some:
            assert group_callbacks(device) == expected[user], device.name


def test_what_the_callbacks_say(ring: Ring) -> None:
    olga, mia = ring.device("olga"), ring.device("mia")
    gid = olga.client.groups.create(preset="meeting", name="N", custom={"k": [1]}).result(BOUND_S).group_id
    mia.client.groups.join(gid).result(BOUND_S)
    entered = olga.heard.wait("member_enter")
    assert (entered.group_id, entered.users, entered.by) == (gid, ("mia",), "mia")
    mia.client.groups.set_attributes(gid, {"seat-1": "mia", "x": 1}).result(BOUND_S)
    changed = olga.heard.wait("group_attribute_changed")
    assert changed.changed == {"seat-1": "mia", "x": 1}
    olga.client.groups.set_attributes(gid, delete=["x"], expected=changed.version).result(BOUND_S)
    assert mia.heard.wait("group_attribute_changed", count=2).deleted == ("x",)
    with pytest.raises(SignalingError) as late:
        mia.client.groups.set_attributes(gid, {"seat-1": "olga"}, expected=changed.version).result(BOUND_S)
    assert (late.value.code, late.value.name) == (10056, "attributes_changed")
    mia.client.groups.add_to_counter(gid, "c", 5).result(BOUND_S)
    olga.client.groups.add_to_counter(gid, "c", -2).result(BOUND_S)
    counted = mia.heard.wait("group_counter_changed", count=2)
    assert (counted.key, counted.value) == ("c", 3)
    info = mia.client.groups.info(gid).result(BOUND_S)
    assert (info.name, info.owner, info.attributes, info.counters) == ("N", "olga", {"seat-1": "mia"}, {"c": 3})
    olga.client.groups.remove(gid, ["mia"], reason="late", ban=60).result(BOUND_S)
    kicked = mia.heard.wait("member_kicked")
    assert (kicked.users, kicked.by, kicked.reason) == (("mia",), "olga", "late")
    with pytest.raises(SignalingError) as banned:
        mia.client.groups.join(gid).result(BOUND_S)
    assert banned.value.who == ("mia",)
    ring.advance(60_000)
    assert mia.client.groups.join(gid).result(BOUND_S) is True


def made(ring: Ring, *users: str, gid: str = "g") -> dict[str, Device]:
    """A meeting of these, the first its owner."""
    devices = {user: ring.device(user) for user in users}
    owner, *others = devices.values()
    owner.client.groups.create(gid, preset="meeting", members=[one.user for one in others]).result(BOUND_S)
    for one in others:
        one.heard.wait("member_invited")
    for one in devices.values():
        one.client.groups.add_to_counter(gid, "there", 1).result(BOUND_S)
    for one in devices.values():  # each has its topic: it hears of all
        one.heard.wait("group_counter_changed", value=len(devices))
    return devices


def test_all_members_hear_an_invitation_and_are_told_whether_it_is_theirs(ring: Ring) -> None:
    devices = made(ring, "alice", "bob", "carol", "dave")
    call = devices["alice"].client.invite_in_group("g", ["bob", "carol"], "hello")
    for user, device in devices.items():
        if user == "alice":
            assert device.heard.wait("invitation_created").invite_id == call.invite_id
            continue
        new = device.heard.wait("receive_new_invitation", invite_id=call.invite_id)
        assert (new.group_id, new.to_me, new.data) == ("g", user != "dave", "hello")
    devices["bob"].client.accept(call.invite_id).result(BOUND_S)
    devices["carol"].client.reject(call.invite_id, reason="busy").result(BOUND_S)
    for device in devices.values():
        device.heard.wait("invitee_accepted", invitee="bob")
        device.heard.wait("invitee_rejected", invitee="carol", reason="busy")
        assert device.heard.wait("invitation_ended").outcome == "accepted"
        device.heard.assert_nothing_twice()


def test_the_deadline_of_a_group_invitation_is_heard_once_by_all(ring: Ring) -> None:
    devices = made(ring, "alice", "bob", "carol", "dave")
    call = devices["alice"].client.invite_in_group("g", ["bob", "carol"], timeout=30)
    devices["bob"].heard.wait("receive_new_invitation")
    devices["bob"].client.accept(call.invite_id).result(BOUND_S)
    ring.advance(30_000)
    for device in devices.values():
        assert device.heard.wait("invitation_timeout").invitees == ("carol",)
        device.heard.wait("invitation_ended")
        device.heard.assert_nothing_twice()


def test_invitees_must_be_members_or_are_left_out_where_asked(ring: Ring) -> None:
    devices = made(ring, "alice", "bob")
    stranger = ring.device("sam")
    alice = devices["alice"].client
    with pytest.raises(SignalingError) as refused:
        alice.invite_in_group("g", ["bob", "sam", "tim"]).result(BOUND_S)
    assert (refused.value.code, set(refused.value.who)) == (10004, {"sam", "tim"})
    call = alice.invite_in_group("g", ["bob", "sam"], partial=True)
    call.result(BOUND_S)
    assert devices["alice"].heard.wait("invitation_created").invitees == ("bob",)
    with pytest.raises(SignalingError) as nobody:
        alice.invite_in_group("g", ["sam"], partial=True).result(BOUND_S)
    assert nobody.value.name == "bad_parameter"
    with pytest.raises(SignalingError) as outside:
        stranger.client.invite_in_group("g", ["bob"]).result(BOUND_S)
    assert outside.value.code == 10007
    with pytest.raises(SignalingError) as unknown:
        alice.invite_in_group("nowhere", ["bob"]).result(BOUND_S)
    assert unknown.value.code == 10010
    assert stranger.heard.names() == []


def test_the_muted_may_not_invite(ring: Ring) -> None:
    devices = made(ring, "alice", "bob", "carol")
    alice, bob = devices["alice"].client, devices["bob"].client
    alice.groups.mute("g", "bob", 30).result(BOUND_S)
    with pytest.raises(SignalingError) as muted:
        bob.invite_in_group("g", ["carol"]).result(BOUND_S)
    assert muted.value.code == 10017
    ring.advance(30_000)
    bob.invite_in_group("g", ["carol"]).result(BOUND_S)
    alice.groups.mute_all("g", on=True).result(BOUND_S)
    with pytest.raises(SignalingError, match="muted"):
        bob.invite_in_group("g", ["carol"]).result(BOUND_S)
    alice.invite_in_group("g", ["carol"]).result(BOUND_S)


@pytest.mark.parametrize(("how", "reason"), [("quit", "left"), ("remove", "removed"), ("dismiss", "dismissed")])
def test_leaving_settles_what_is_pending_with_its_reason(ring: Ring, how: str, reason: str) -> None:
    devices = made(ring, "alice", "bob", "carol", "dave")
    alice, bob = devices["alice"].client, devices["bob"].client
    call = devices["carol"].client.invite_in_group("g", ["bob", "dave"])
    devices["bob"].heard.wait("receive_new_invitation")
    ways: dict[str, Any] = {
        "quit": lambda: bob.groups.quit("g"),
        "remove": lambda: alice.groups.remove("g", ["bob"]),
        "dismiss": lambda: alice.groups.dismiss("g"),
    }
    ways[how]().result(BOUND_S)
    out = ("bob", "dave") if how == "dismiss" else ("bob",)
    for device in devices.values():
        dropped = device.heard.wait("invitation_dropped", invite_id=call.invite_id)
        assert (dropped.invitees, dropped.reason) == (out, reason)
    with pytest.raises(SignalingError, match="dropped"):
        bob.accept(call.invite_id).result(BOUND_S)
    if how == "dismiss":
        assert devices["dave"].heard.wait("invitation_ended").outcome == "dropped"
        return
    devices["dave"].client.accept(call.invite_id).result(BOUND_S)
    assert devices["alice"].heard.wait("invitation_ended").outcome == "accepted"
    for device in devices.values():
        device.heard.assert_nothing_twice()


def test_an_inviter_who_leaves_takes_the_invitation_along(ring: Ring) -> None:
    devices = made(ring, "alice", "bob", "carol", "dave")
    call = devices["bob"].client.invite_in_group("g", ["carol", "dave"])
    devices["carol"].heard.wait("receive_new_invitation")
    devices["alice"].client.groups.remove("g", ["bob"]).result(BOUND_S)
    for device in devices.values():
        assert device.heard.wait("invitation_ended", invite_id=call.invite_id).outcome == "dropped"


def test_a_member_who_joins_in_mid_invitation_never_rings(ring: Ring) -> None:
    devices = made(ring, "alice", "bob")
    call = devices["alice"].client.invite_in_group("g", ["bob"])
    devices["bob"].heard.wait("receive_new_invitation")
    late = ring.device("late")
    late.client.groups.join("g").result(BOUND_S)
    devices["bob"].client.accept(call.invite_id).result(BOUND_S)
    devices["alice"].heard.wait("invitation_ended")
    second = devices["alice"].client.invite_in_group("g", ["late"])
    assert late.heard.wait("receive_new_invitation", to_me=True).invite_id == second.invite_id
    assert late.heard.events("receive_new_invitation", invite_id=call.invite_id, to_me=True) == []


def test_only_members_have_the_topic_and_no_longer_than_they_are(ring: Ring) -> None:
    devices = made(ring, "alice", "bob")
    stranger = ring.device("sam")
    alice = devices["alice"].client
    alice.groups.remove("g", ["bob"]).result(BOUND_S)
    kicked = devices["bob"].heard.wait("member_kicked")
    for n in range(20):
        alice.groups.set_counter("g", "seq", n).result(BOUND_S)
    alice.invite(["bob", "sam"], answers=NONE).result(BOUND_S)
    for device in (devices["bob"], stranger):
        device.heard.wait("receive_new_invitation")
    assert kicked is devices["bob"].heard.events("member_kicked")[-1]
    assert devices["bob"].heard.events("group_counter_changed", key="seq") == []
    assert set(stranger.heard.names()) <= {"receive_new_invitation", "invitation_ended"}


def test_a_device_that_was_away_hears_what_changed(ring: Ring) -> None:
    devices = made(ring, "alice", "bob")
    alice = devices["alice"].client
    devices["bob"].close()
    alice.groups.set_info("g", name="while away").result(BOUND_S)
    call = alice.invite_in_group("g", ["bob"])
    call.result(BOUND_S)
    back = ring.device("bob", "other")
    assert back.heard.wait("receive_new_invitation", invite_id=call.invite_id).to_me
    assert back.client.groups.info("g").result(BOUND_S).name == "while away"
    alice.groups.add_to_counter("g", "c", 1).result(BOUND_S)
    back.heard.wait("group_counter_changed", key="c")


def test_a_device_reconnecting_catches_up_in_order(ring: Ring) -> None:
    devices = made(ring, "alice")
    alice = devices["alice"].client
    with Proxy(ring.port) as proxy:
        bob = ring.device("bob", url=proxy.url)
        alice.groups.add("g", ["bob"]).result(BOUND_S)
        for at in range(3):
            bob.heard.wait("member_invited")
            proxy.cut()
            for n in range(10):
                alice.groups.set_counter("g", "seq", at * 10 + n + 1).result(BOUND_S)
            bob.heard.wait("group_counter_changed", key="seq", value=at * 10 + 10)
        values = [event.value for event in bob.heard.events("group_counter_changed", key="seq")]
        assert values == list(range(1, 31))
        bob.close()


def test_a_device_too_far_behind_gets_the_state(ring: Ring) -> None:
    devices = made(ring, "alice")
    alice = devices["alice"].client
    with Proxy(ring.port) as proxy:
        bob = ring.device("bob", url=proxy.url)
        alice.groups.add("g", ["bob"]).result(BOUND_S)
        bob.heard.wait("member_invited")
        alice.groups.set_counter("g", "seq", 1).result(BOUND_S)
        bob.heard.wait("group_counter_changed", key="seq", value=1)
        proxy.close_door()
        proxy.cut()
        bob.heard.wait("disconnected")
        for n in range(2, 300):
            alice.groups.set_counter("g", "seq", n)
        alice.groups.set_counter("g", "seq", 300).result(BOUND_S)
        proxy.open_door()
        assert bob.heard.wait("group_state").info.counters["seq"] == 300
        alice.groups.set_counter("g", "seq", 301).result(BOUND_S)
        bob.heard.wait("group_counter_changed", key="seq", value=301)
        assert [event.value for event in bob.heard.events("group_counter_changed", key="seq")] == [1, 301]
        bob.close()


def test_mine_and_members_are_paged(ring: Ring) -> None:
    alice = ring.device("alice")
    for n in range(30):
        alice.client.groups.create(f"g{n:02}", preset="meeting", members=[f"u{m:03}" for m in range(n)]).result(BOUND_S)
    mine = alice.client.groups.mine().result(BOUND_S)
    assert list(mine.groups) == [f"g{n:02}" for n in range(30)]
    listed = alice.client.groups.members("g29").result(BOUND_S)
    assert [one.user for one in listed.members] == ["alice", *(f"u{m:03}" for m in range(29))]
    owners = alice.client.groups.members("g29", "owner").result(BOUND_S)
    assert [one.user for one in owners.members] == ["alice"]
