"""What a group and its members show, who leads it, and who is muted."""

from typing import Any

import pytest

from ringline.protocol.errors import (
    BAD_PARAMETER,
    GROUP_NOT_PERMITTED,
    MUTED,
    NOT_MEMBERS,
    TOO_MANY_REQUESTS,
    UNKNOWN_GROUP,
)
from ringline.protocol.group_requests import (
    AddMembers,
    DismissGroup,
    MuteAll,
    MuteMember,
    SetGroupInfo,
    SetMyInfo,
    SetRole,
    TransferGroup,
)
from ringline_broker.engine.groups.draft import GroupLimits
from ringline_broker.engine.groups.model import MAX_ADMINS
from ringline_broker.engine.groups.rights import invite_fault, members_among, role_of
from ringline_broker.engine.step import Done, Refused
from tests.unit.engine.groups.play import Room, asks, room

# Roles.


def test_administrators_come_and_go() -> None:
    made = room("public", "bob", "cid")
    request = asks(SetRole, user="bob", role="admin")
    assert made.send("ann", request) == Done()
    assert made.told() == ["admin_granted *"]
    assert made.last().users == ("bob",)
    assert made.send("ann", request) == Done(repeated=True)
    made.idle("ann", SetRole, user="bob", role="admin")
    made.idle("ann", SetRole, user="cid", role="member")
    assert made.done("ann", SetRole, user="bob", role="member") == ["admin_revoked *"]
    assert made.it.admins == ()
    assert made.send("ann", request) == Done(repeated=True)  # a late copy does not grant it again
    assert made.it.admins == ()


def test_roles_are_words_and_for_other_members() -> None:
    made = room("public", "bob")
    for role in ("owner", "boss", ""):
        assert made.refused("ann", BAD_PARAMETER, SetRole, user="bob", role=role).field == "role"
    assert made.refused("ann", BAD_PARAMETER, SetRole, user="ann", role="member").field == "user"
    refused = made.refused("ann", NOT_MEMBERS, SetRole, user="dee", role="admin")
    assert (refused.field, refused.who) == ("user", ("dee",))


def test_there_are_only_so_many_administrators() -> None:
    users = tuple(f"u{n}" for n in range(MAX_ADMINS + 1))
    made = room("public", *users, admins=users[:-1])
    assert made.refused("ann", TOO_MANY_REQUESTS, SetRole, user=users[-1], role="admin").field == "user"
    made.idle("ann", SetRole, user=users[0], role="admin")


def test_a_new_owner_is_no_administrator_and_the_old_one_a_member() -> None:
    made = room("public", "bob", "cid", admins=("bob", "cid"))
    assert made.done("ann", TransferGroup, user="bob") == ["group_info *"]
    assert made.last().owner == "bob"
    assert [role_of(made.view, user) for user in ("ann", "bob", "cid")] == ["member", "owner", "admin"]
    made.idle("bob", TransferGroup, user="bob")
    assert made.refused("bob", NOT_MEMBERS, TransferGroup, user="dee").who == ("dee",)
    made.refused("ann", GROUP_NOT_PERMITTED, TransferGroup, user="ann")
    assert room("work", "bob").done("ann", TransferGroup, user="bob") == ["group_info *"]


# What it shows.


def test_only_what_differs_is_told() -> None:
    made = room("public", name="Us", custom={"k": b"v"})
    told = made.done("ann", SetGroupInfo, name="Us", introduction="i", notification="n", face="f", custom={}, most=9)
    assert told == ["group_info *"]
    assert made.new()[0].fields == {"introduction": "i", "notification": "n", "face": "f", "custom": {}, "most": 9}
    assert (made.it.introduction, made.it.notification, made.it.face, made.it.most) == ("i", "n", "f", 9)
    assert dict(made.it.custom) == {}
    made.idle("ann", SetGroupInfo, name="Us", custom={}, most=9, join="approval")
    made.idle("ann", SetGroupInfo)
    assert made.done("ann", SetGroupInfo, name="") == ["group_info *"]
    assert made.new()[0].fields == {"name": ""}


def test_a_limit_has_room_for_who_is_there_and_is_no_larger_than_the_presets() -> None:
    made = room("public", "bob", "cid")
    for most in (1, 2, 2001):
        assert made.refused("ann", BAD_PARAMETER, SetGroupInfo, name="x", most=most).field == "max"
    assert made.it.name == ""
    assert made.done("ann", SetGroupInfo, most=3)
    assert made.done("ann", SetGroupInfo, most=0)
    assert (made.it.most, made.last().most) == (2000, 2000)
    free = room("live", "bob", most=5)
    assert free.done("ann", SetGroupInfo, most=0)
    assert free.it.most == 0
    assert free.done("ann", SetGroupInfo, most=2)


def test_a_limit_the_server_lowered_stops_nothing_else() -> None:
    made = room("public", "bob", "cid")
    made._limits = GroupLimits({"public": 2})
    assert made.done("ann", SetGroupInfo, name="x")
    assert made.refused("ann", BAD_PARAMETER, SetGroupInfo, most=0).field == "max"
    assert made.done("ann", AddMembers, to=("dee",))


def test_a_work_groups_join_option_is_fixed() -> None:
    made = room("work", "bob")
    assert made.refused("bob", GROUP_NOT_PERMITTED, SetGroupInfo, join="free").field == "join"
    made.idle("bob", SetGroupInfo, join="invite")
    assert room("meeting").refused("ann", BAD_PARAMETER, SetGroupInfo, join="maybe").field == "join"


def test_a_member_shows_what_they_like() -> None:
    made = room("live", "bob")
    assert made.done("bob", SetMyInfo, card="Bobby", custom={"k": b"v"}) == ["member_info *"]
    assert made.new()[0].fields == {"user": "bob", "card": "Bobby", "custom": {"k": b"v"}}
    assert made.done("bob", SetMyInfo, card="Bob", custom={"k": b"v"}) == ["member_info *"]
    assert made.new()[0].fields == {"user": "bob", "card": "Bob"}
    assert (made.rows["bob"].card, made.rows["bob"].custom) == ("Bob", {"k": b"v"})
    made.idle("bob", SetMyInfo, card="Bob")
    made.idle("bob", SetMyInfo)


# Who is muted.


def test_a_member_is_muted_for_some_time() -> None:
    made = room("public", "bob", "cid", admins=("cid",))
    request = asks(MuteMember, user="bob", seconds=60)
    assert made.send("cid", request) == Done()
    assert made.told() == ["member_info *"]
    assert made.new()[0].fields == {"user": "bob", "muted": 60}
    assert made.rows["bob"].until == made.now + 60_000
    made.idle("ann", MuteMember, user="bob", seconds=60)
    made.now += 10
    assert made.send("cid", request) == Done(repeated=True)
    assert made.done("ann", MuteMember, user="bob", seconds=30) == ["member_info *"]
    assert made.done("ann", MuteMember, user="bob", seconds=0) == ["member_info *"]
    assert (made.rows["bob"].until, made.last().muted) == (0, 0)
    made.idle("ann", MuteMember, user="bob", seconds=0)
    made.ask("ann", MuteMember, user="bob", seconds=1)
    made.now += 1000
    made.idle("ann", MuteMember, user="bob", seconds=0)


def test_nobody_mutes_the_owner_and_no_administrator_another() -> None:
    made = room("public", "bob", "cid", admins=("bob", "cid"))
    for user in ("ann", "cid", "bob"):
        assert made.refused("bob", GROUP_NOT_PERMITTED, MuteMember, user=user, seconds=9).who == (user,)
    made.refused("ann", GROUP_NOT_PERMITTED, MuteMember, user="ann", seconds=9)
    assert made.done("ann", MuteMember, user="bob", seconds=9)
    assert made.refused("ann", NOT_MEMBERS, MuteMember, user="dee", seconds=9).who == ("dee",)


def test_all_are_muted_and_no_longer() -> None:
    made = room("public", "bob")
    made.idle("ann", MuteAll, on=False)
    assert made.done("ann", MuteAll, on=True) == ["all_muted *"]
    assert (made.it.muted, made.last().on) == (True, True)
    made.idle("ann", MuteAll, on=True)
    assert made.done("ann", MuteAll, on=False) == ["all_muted *"]
    assert made.it.muted is False


# Who may invite.


def _fault(made: Room, user: str, *invitees: str) -> Any:
    return invite_fault(made.view, user, invitees, made.now)


def test_members_invite_members() -> None:
    made = room("public", "bob", "cid")
    assert _fault(made, "bob", "ann", "cid") is None
    assert _fault(made, "dee", "ann").code is GROUP_NOT_PERMITTED
    fault = _fault(made, "bob", "dee", "cid", "eve", "dee")
    assert isinstance(fault, Refused)
    assert (fault.code, fault.field, fault.who) == (NOT_MEMBERS, "to", ("dee", "eve"))
    assert "dee, eve" in fault.text
    assert members_among(made.view, ("dee", "cid", "eve", "cid", "ann")) == ("cid", "ann")
    made.ask("ann", DismissGroup)
    assert _fault(made, "bob", "ann").code is UNKNOWN_GROUP
    assert _fault(Room(), "bob", "ann").code is UNKNOWN_GROUP


def test_the_muted_do_not_invite_until_it_is_over() -> None:
    made = room("public", "bob", "cid", admins=("cid",))
    for user in ("bob", "cid"):
        made.ask("ann", MuteMember, user=user, seconds=60)
        assert _fault(made, user, "ann").code is MUTED
    made.now += 59_999
    assert _fault(made, "bob", "ann").code is MUTED
    made.now += 1
    assert _fault(made, "bob", "ann") is None


def test_where_all_are_muted_only_the_owner_and_administrators_invite() -> None:
    made = room("public", "bob", "cid", admins=("cid",))
    made.ask("ann", MuteAll, on=True)
    assert [_fault(made, user, "ann", "bob") is None for user in ("ann", "cid", "bob")] == [True, True, False]
    assert _fault(made, "bob", "ann").code is MUTED


@pytest.mark.parametrize("seconds", [60, 31_536_000])
def test_a_muted_member_who_becomes_the_owner_is_free(seconds: int) -> None:
    made = room("public", "bob")
    made.ask("ann", MuteMember, user="bob", seconds=seconds)
    made.ask("ann", TransferGroup, user="bob")
    assert _fault(made, "bob", "ann") is None
