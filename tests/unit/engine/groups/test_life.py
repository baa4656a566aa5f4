"""How groups begin and end."""

import pytest

from ringline.protocol.errors import BAD_PARAMETER, GROUP_EXISTS, GROUP_FULL, GROUP_NOT_PERMITTED
from ringline.protocol.group_requests import AddMembers, CreateGroup, DismissGroup, JoinGroup, QuitGroup, SetGroupInfo
from ringline_broker.engine.groups.draft import GroupLimits
from ringline_broker.engine.step import Done
from tests.unit.engine.groups.play import PRESETS, Room, asks, room


def test_the_owner_hears_that_it_stands_and_all_hear_of_its_first_members() -> None:
    made = Room()
    told = made.done("ann", CreateGroup, preset="public", name="Us", to=("bob", "ann", "cid", "bob"))
    assert told == ["group_created ann", "member_invited * bob cid"]
    assert made.members == {"ann", "bob", "cid"}
    it = made.it
    assert (it.owner, it.members, it.n, it.created, it.name) == ("ann", 3, 2, made.now, "Us")
    created, invited = made.new()
    assert created.fields == {"preset": "public", "name": "Us"}
    assert invited.fields == {"users": ("bob", "cid")}


def test_alone_nobody_is_invited() -> None:
    assert Room().done("ann", CreateGroup, preset="meeting") == ["group_created ann"]


@pytest.mark.parametrize(
    ("preset", "join", "most"),
    [("work", "invite", 200), ("public", "approval", 2000), ("meeting", "free", 6000), ("live", "free", 0)],
)
def test_a_preset_brings_its_join_option_and_limit(preset: str, join: str, most: int) -> None:
    it = room(preset).it
    assert (it.join, it.most) == (join, most)


@pytest.mark.parametrize("preset", PRESETS[1:])
@pytest.mark.parametrize("join", ["free", "approval", "invite"])
def test_a_group_may_be_made_with_another_join_option(preset: str, join: str) -> None:
    assert room(preset, join=join).it.join == join


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"preset": "huge"}, "preset"),
        ({"preset": ""}, "preset"),
        ({"preset": "public", "join": "perhaps"}, "join"),
        ({"preset": "public", "most": 2001}, "max"),
    ],
)
def test_words_and_numbers_nobody_knows_are_refused(fields: dict[str, object], field: str) -> None:
    assert Room().refused("ann", BAD_PARAMETER, CreateGroup, **fields).field == field


def test_a_work_group_is_joined_by_being_added() -> None:
    assert Room().refused("ann", GROUP_NOT_PERMITTED, CreateGroup, preset="work", join="free").field == "join"


def test_nobody_is_put_into_a_live_group() -> None:
    assert Room().refused("ann", GROUP_NOT_PERMITTED, CreateGroup, preset="live", to=("bob",)).field == "to"


def test_its_first_members_must_fit() -> None:
    limits = GroupLimits({"public": 3})
    assert Room(limits).done("ann", CreateGroup, preset="public", to=("bob", "cid"))
    Room(limits).refused("ann", GROUP_FULL, CreateGroup, preset="public", to=("bob", "cid", "dee"))
    Room(limits).refused("ann", GROUP_FULL, CreateGroup, preset="public", most=2, to=("bob", "cid"))
    assert Room(GroupLimits({"public": 0})).done("ann", CreateGroup, preset="public", most=9_000)


def test_to_make_it_again_just_so_is_a_repeat() -> None:
    made = Room()
    request = asks(CreateGroup, preset="public", name="Us", custom={"k": b"v"}, to=("bob",))
    assert made.send("ann", request) == Done()
    assert made.send("ann", request) == Done(repeated=True)
    made.idle("ann", CreateGroup, preset="public", name="Us", custom={"k": b"v"}, to=("bob", "ann"))
    made.idle("ann", CreateGroup, preset="public", name="Us", custom={"k": b"v"}, join="approval", most=2000)
    for fields in ({"name": "Them"}, {"custom": None}, {"to": ("cid",)}, {"preset": "meeting"}, {"most": 5}):
        same = {"preset": "public", "name": "Us", "custom": {"k": b"v"}, "to": ("bob",)}
        made.refused("ann", GROUP_EXISTS, CreateGroup, **(same | fields))
    made.refused("bob", GROUP_EXISTS, CreateGroup, preset="public", name="Us", custom={"k": b"v"})
    made.ask("ann", AddMembers, to=("cid",))
    made.ask("ann", SetGroupInfo, name="New")
    assert made.send("ann", request) == Done(repeated=True)
    made.refused("ann", GROUP_EXISTS, CreateGroup, preset="public", name="Us", custom={"k": b"v"}, to=("bob",))


def test_the_same_request_id_of_another_user_is_another_request() -> None:
    made = Room()
    request = asks(CreateGroup, preset="public")
    made.send("ann", request)
    made.refused("bob", GROUP_EXISTS, CreateGroup, preset="public", id=request.id)


def test_a_dismissed_group_is_empty_and_its_id_stays_taken() -> None:
    made = room("public", "bob", "cid", admins=("bob",))
    request = asks(DismissGroup)
    assert made.send("ann", request) == Done()
    assert made.told() == ["group_dismissed *"]
    it = made.it
    assert (it.dismissed, it.members, it.admins, made.rows) == (made.now, 0, (), {})
    assert made.send("ann", request) == Done(repeated=True)
    made.refused("ann", GROUP_EXISTS, CreateGroup, preset="public")


def test_the_last_to_quit_a_work_group_ends_it() -> None:
    made = room("work", "bob")
    assert made.done("bob", QuitGroup) == ["member_leave * bob"]
    request = asks(QuitGroup)
    assert made.send("ann", request) == Done()
    assert made.told() == ["member_leave * ann", "group_dismissed *"]
    assert made.it.dismissed == made.now
    assert made.send("ann", request) == Done(repeated=True)


def test_the_owner_of_a_work_group_leaves_it_without_one() -> None:
    made = room("work", "bob", "cid")
    assert made.done("ann", QuitGroup) == ["member_leave * ann", "group_info *"]
    assert made.last().owner == ""
    assert made.it.owner == ""
    assert made.done("bob", AddMembers, to=("ann",)) == ["member_invited * ann"]
    made.refused("ann", GROUP_NOT_PERMITTED, DismissGroup)
    for user in ("ann", "bob"):
        assert made.done(user, QuitGroup) == [f"member_leave * {user}"]
    assert made.done("cid", QuitGroup) == ["member_leave * cid", "group_dismissed *"]


def test_a_repeated_join_of_a_group_that_ended_is_no_new_one() -> None:
    made = room("live")
    request = asks(JoinGroup)
    made.send("bob", request)
    made.ask("ann", DismissGroup)
    assert made.send("bob", request).repeated  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue]
