"""How users become members, and stop being members."""

import pytest

from ringline.protocol.errors import (
    ALREADY_MEMBER,
    BAD_PARAMETER,
    GROUP_FULL,
    GROUP_NOT_PERMITTED,
    NOT_MEMBERS,
    OWNER_CANNOT_QUIT,
)
from ringline.protocol.group_requests import (
    AddMembers,
    AnswerApplication,
    JoinGroup,
    MuteMember,
    QuitGroup,
    RemoveMembers,
    SetGroupInfo,
)
from ringline_broker.engine.groups.draft import Pending
from ringline_broker.engine.groups.model import Standing
from ringline_broker.engine.step import Done
from tests.unit.engine.groups.play import Room, asks, room

# Joining.


def test_who_joins_freely_enters_once() -> None:
    made = room("meeting")
    request = asks(JoinGroup)
    assert made.send("bob", request) == Done()
    assert made.told() == ["member_enter * bob"]
    assert made.last().users == ("bob",)
    assert made.send("bob", request) == Done(repeated=True)
    made.idle("bob", JoinGroup)
    assert made.rows["bob"].since == made.now


@pytest.mark.parametrize("preset", ["public", "meeting", "live"])
def test_the_join_option_decides(preset: str) -> None:
    made = room(preset, join="invite")
    made.refused("bob", GROUP_NOT_PERMITTED, JoinGroup)
    made.ask("ann", SetGroupInfo, join="approval")
    assert made.ask("bob", JoinGroup) == Pending()
    made.ask("ann", SetGroupInfo, join="free")
    assert made.done("bob", JoinGroup) == ["member_enter * bob"]
    assert made.rows["bob"].text == ""
    made.ask("ann", SetGroupInfo, join="invite")
    made.idle("bob", JoinGroup)


def test_a_full_group_takes_nobody() -> None:
    made = room("public", "bob", most=3)
    made.refused("ann", GROUP_FULL, AddMembers, to=("cid", "dee"))
    assert made.members == {"ann", "bob"}
    assert made.done("ann", AddMembers, to=("bob", "cid")) == ["member_invited * cid"]
    made.refused("ann", GROUP_FULL, AddMembers, to=("dee",))
    made.refused("dee", GROUP_FULL, JoinGroup)
    made.idle("ann", AddMembers, to=("bob", "cid"))
    made.ask("bob", QuitGroup)
    assert made.ask("dee", JoinGroup) == Pending()


def test_a_group_without_limit_is_never_full() -> None:
    made = room("live", *(f"u{n}" for n in range(300)))
    assert made.it.members == 301


# Applications.


def test_an_application_is_heard_by_who_decides() -> None:
    made = room("public", "bob", "cid", admins=("bob",))
    request = asks(JoinGroup, text="let me in")
    assert made.send("dee", request) == Pending()
    assert made.told() == ["application ann bob"]
    assert (made.last().user, made.last().text) == ("dee", "let me in")
    assert (made.rows["dee"].standing, made.rows["dee"].text) == (Standing.APPLICANT, "let me in")
    assert made.it.members == 3
    assert made.send("dee", request) == Pending(repeated=True)
    assert made.ask("dee", JoinGroup, text="let me in") == Pending(repeated=True)


def test_another_text_replaces_the_first_and_keeps_the_place() -> None:
    made = room("public")
    made.ask("dee", JoinGroup, text="let me in")
    applied = made.now
    made.now += 1000
    assert made.done("dee", JoinGroup, text="please") == ["application ann"]
    assert (made.rows["dee"].since, made.rows["dee"].text) == (applied, "please")


def test_who_is_accepted_is_a_member() -> None:
    made = room("public", "bob", admins=("bob",))
    apply = asks(JoinGroup, text="hi")
    made.send("dee", apply)
    made.now += 5000
    told = made.done("bob", AnswerApplication, user="dee", ok=True, text="welcome")
    assert told == ["application_done dee ann bob", "member_enter * dee"]
    done, entered = made.new()
    assert done.fields == {"user": "dee", "ok": True, "text": "welcome"}
    assert entered.fields == {"users": ("dee",)}
    assert (made.rows["dee"].since, made.rows["dee"].text) == (made.now, "")
    assert made.send("dee", apply) == Done(repeated=True)
    made.idle("ann", AnswerApplication, user="dee", ok=True)
    assert made.refused("ann", ALREADY_MEMBER, AnswerApplication, user="dee", ok=False).field == "user"


def test_who_is_refused_may_apply_again() -> None:
    made = room("public")
    apply = asks(JoinGroup)
    made.send("dee", apply)
    assert made.done("ann", AnswerApplication, user="dee", ok=False, text="no") == ["application_done dee ann"]
    assert "dee" not in made.rows
    assert made.refused("ann", NOT_MEMBERS, AnswerApplication, user="dee", ok=True).who == ("dee",)
    assert made.send("dee", apply) == Pending(repeated=True)  # a late copy brings no new application
    assert "dee" not in made.rows
    assert made.ask("dee", JoinGroup) == Pending()


def test_an_application_waits_while_the_group_is_full() -> None:
    made = room("public", "bob", most=3)
    made.ask("dee", JoinGroup)
    made.ask("eve", JoinGroup)
    made.ask("ann", AddMembers, to=("cid",))
    made.refused("ann", GROUP_FULL, AnswerApplication, user="dee", ok=True)
    assert made.rows["dee"].standing is Standing.APPLICANT
    assert made.done("ann", AnswerApplication, user="eve", ok=False)
    made.ask("cid", QuitGroup)
    assert made.done("ann", AnswerApplication, user="dee", ok=True)
    assert "dee" in made.members


def test_an_applicant_may_be_added() -> None:
    made = room("public")
    made.ask("dee", JoinGroup, text="hi")
    assert made.done("ann", AddMembers, to=("dee",)) == ["member_invited * dee"]
    assert made.rows["dee"].text == ""


# Adding.


def test_members_are_added_once_each() -> None:
    made = room("work", "bob")
    assert made.done("bob", AddMembers, to=("cid", "ann", "dee", "cid")) == ["member_invited * cid dee"]
    assert made.last().by == "bob"
    made.idle("bob", AddMembers, to=("cid", "bob"))
    assert made.refused("bob", BAD_PARAMETER, AddMembers, to=()).field == "to"


# Quitting.


@pytest.mark.parametrize("preset", ["public", "meeting", "live"])
def test_the_owner_stays(preset: str) -> None:
    room(preset, "bob").refused("ann", OWNER_CANNOT_QUIT, QuitGroup)


def test_an_administrator_who_quits_is_none_any_more() -> None:
    made = room("meeting", "bob", "cid", admins=("bob", "cid"))
    request = asks(QuitGroup)
    assert made.send("bob", request) == Done()
    assert made.told() == ["member_leave * bob"]
    assert (made.it.admins, made.members) == (("cid",), {"ann", "cid"})
    assert made.send("bob", request) == Done(repeated=True)
    made.refused("bob", GROUP_NOT_PERMITTED, QuitGroup)
    made.ask("bob", JoinGroup)
    assert made.it.admins == ("cid",)


# Removing.


def test_who_is_removed_hears_it_and_may_come_back() -> None:
    made = room("meeting", "bob", "cid", "dee", admins=("bob",))
    told = made.done("ann", RemoveMembers, to=("bob", "nobody", "cid", "bob"), reason="spam")
    assert told == ["member_kicked * bob cid"]
    assert (made.last().users, made.last().reason) == (("bob", "cid"), "spam")
    assert (set(made.rows), made.it.admins) == ({"ann", "dee"}, ())
    made.idle("ann", RemoveMembers, to=("bob", "cid"))
    assert made.done("bob", JoinGroup)


def test_nobody_removes_the_owner_or_themselves_and_no_administrator_another() -> None:
    made = room("public", "bob", "cid", "dee", admins=("bob", "cid"))
    assert made.refused("bob", BAD_PARAMETER, RemoveMembers, to=("dee", "bob")).field == "to"
    assert made.refused("ann", BAD_PARAMETER, RemoveMembers, to=("ann",)).field == "to"
    assert made.refused("bob", BAD_PARAMETER, RemoveMembers, to=()).field == "to"
    assert made.refused("bob", GROUP_NOT_PERMITTED, RemoveMembers, to=("ann", "dee")).who == ("ann",)
    assert made.refused("bob", GROUP_NOT_PERMITTED, RemoveMembers, to=("cid", "dee", "ann")).who == ("cid", "ann")
    assert made.done("bob", RemoveMembers, to=("dee",)) == ["member_kicked * dee"]


def _banned() -> Room:
    made = room("meeting", "bob", "cid")
    made.ask("ann", RemoveMembers, to=("bob",), ban=60)
    return made


def test_the_banned_cannot_come_back_until_it_is_over() -> None:
    made = _banned()
    assert made.rows["bob"].standing is Standing.BANNED
    made.now += 59_999
    assert made.refused("bob", NOT_MEMBERS, JoinGroup).who == ("bob",)
    assert made.refused("ann", NOT_MEMBERS, AddMembers, to=("dee", "bob", "cid")).who == ("bob",)
    assert "dee" not in made.rows
    made.now += 1
    assert made.done("bob", JoinGroup) == ["member_enter * bob"]
    assert made.rows["bob"].until == 0


def test_who_was_banned_may_be_added_and_apply_when_it_is_over() -> None:
    made = _banned()
    made.now += 60_000
    assert made.done("ann", AddMembers, to=("bob",)) == ["member_invited * bob"]
    made = _banned()
    made.ask("ann", SetGroupInfo, join="approval")
    made.now += 60_000
    assert made.ask("bob", JoinGroup) == Pending()
    assert made.rows["bob"].until == 0


def test_many_at_fault_are_all_in_the_list_and_some_in_the_text() -> None:
    users = tuple(f"{n}".rjust(64, "u") for n in range(20))
    made = room("meeting", *users)
    made.ask("ann", RemoveMembers, to=users, ban=60)
    refused = made.refused("ann", NOT_MEMBERS, AddMembers, to=users)
    assert refused.who == users
    assert refused.text.endswith(f"{users[4]} and 15 more")


@pytest.mark.parametrize("way", ["quit", "removed", "asked to wait"])
def test_leaving_and_coming_back_lifts_no_mute(way: str) -> None:
    made = room("meeting", "bob")
    made.ask("ann", MuteMember, user="bob", seconds=60)
    until = made.rows["bob"].until
    if way == "removed":
        made.ask("ann", RemoveMembers, to=("bob",))
    else:
        made.ask("bob", QuitGroup)
    assert made.members == {"ann"}
    assert (made.rows["bob"].standing, made.rows["bob"].until) == (Standing.LEFT, until)
    if way == "asked to wait":
        made.ask("ann", SetGroupInfo, join="approval")
        made.ask("bob", JoinGroup)
        made.ask("ann", AnswerApplication, user="bob", ok=False)
        made.ask("bob", JoinGroup)
        made.ask("ann", AnswerApplication, user="bob", ok=True)
    else:
        made.ask("bob", JoinGroup)
    assert (made.rows["bob"].standing, made.rows["bob"].until) == (Standing.MEMBER, until)
    made.now += 60_000
    made.ask("bob", QuitGroup)
    assert "bob" not in made.rows
