"""Every operation by every role in every preset, against the permission matrix written out by hand."""

import pytest

from ringline.protocol import group_requests as asked
from ringline.protocol.errors import GROUP_NOT_PERMITTED, OWNER_CANNOT_QUIT, UNKNOWN_GROUP
from ringline.protocol.shapes import Request
from ringline_broker.engine.groups.model import GroupView
from ringline_broker.engine.groups.rights import role_of, view_fault
from ringline_broker.engine.groups.table import MAY
from ringline_broker.engine.step import Refused
from tests.unit.engine.groups.play import PRESETS, Room, asks, room

# o owner, a administrator, m member, s stranger, - nobody. A work group has no administrators.
BY_HAND = """
                work  public  meeting  live
group_create    oms   oams    oams     oams
group_dismiss   -     o       o        o
group_join      -     oams    oams     oams
group_quit      om    am      am       am
group_add       om    oa      oam      -
group_remove    o     oa      oa       oa
group_role      -     o       o        o
group_transfer  o     o       o        -
group_set       om    oa      oa       oa
group_me        om    oam     oam      oam
group_mute      -     oa      oa       oa
group_mute_all  -     oa      oa       oa
group_attrs     om    oam     oam      oam
group_count     om    oam     oam      oam
group_get       om    oams    oams     oams
group_members   om    oam     oam      oam
group_apps      o     oa      oa       oa
group_answer    o     oa      oa       oa
group_sync      om    oam     oam      oam
"""
ROLES = {"o": "owner", "a": "admin", "m": "member", "s": ""}
USERS = {"owner": "ann", "admin": "adm", "member": "mem", "": "sam"}
FIELDS: dict[str, dict[str, object]] = {
    "group_create": {"preset": "live"},
    "group_add": {"to": ("new",)},
    "group_remove": {"to": ("bob",)},
    "group_role": {"user": "bob", "role": "admin"},
    "group_transfer": {"user": "bob"},
    "group_set": {"name": "other"},
    "group_me": {"card": "me"},
    "group_mute": {"user": "bob", "seconds": 60},
    "group_mute_all": {"on": True},
    "group_attrs": {"put": {"key": b"value"}},
    "group_count": {"key": "likes", "add": 1},
    "group_answer": {"user": "app", "ok": True},
}
ASKING = (asked.GetGroup, asked.ListMembers, asked.ListApplications, asked.SyncGroup)
REQUESTS: tuple[type[Request], ...] = asked.GROUP_REQUESTS
KINDS = {kind.op: kind for kind in REQUESTS if issubclass(kind, asked.OnGroup)}


def _by_hand() -> dict[tuple[str, str], set[str]]:
    first, *rows = BY_HAND.strip().splitlines()
    assert tuple(first.split()) == PRESETS
    return {
        (op, preset): {ROLES[letter] for letter in letters.replace("-", "")}
        for op, *columns in map(str.split, rows)
        for preset, letters in zip(PRESETS, columns, strict=True)
    }


CASES = [
    (op, preset, role) for op, preset in _by_hand() for role in ROLES.values() if (preset, role) != ("work", "admin")
]


def _filled(preset: str) -> Room:
    full = room(preset, "adm", "mem", "bob", admins=() if preset == "work" else ("adm",))
    if preset != "work":
        full.ask("ann", asked.SetGroupInfo, join="approval")
        full.ask("app", asked.JoinGroup)
    return full


def test_the_table_says_what_the_one_by_hand_says() -> None:
    table = {key: set(roles) - ({"admin"} if key[1] == "work" else set()) for key, roles in MAY.items()}
    assert table == _by_hand()
    assert {op for op, _ in table} == set(KINDS)


@pytest.mark.parametrize(("op", "preset", "role"), CASES)
def test_a_group_does_what_the_matrix_says(op: str, preset: str, role: str) -> None:
    full = Room() if op == "group_create" else _filled(preset)
    user, kind, fields = USERS[role], KINDS[op], FIELDS.get(op, {})
    if op == "group_create":
        fields = {"preset": preset}
    else:
        assert role_of(full.view, user) == role
    if issubclass(kind, ASKING):
        refused = view_fault(full.view, user, asks(kind))
    else:
        reply = full.ask(user, kind, **fields)
        refused = reply if isinstance(reply, Refused) else None
    may = role in _by_hand()[op, preset]
    if may and op == "group_answer" and preset == "work":
        assert refused is not None  # nobody can have applied
        assert refused.code.name == "not_members"
    elif may:
        assert refused is None
    else:
        assert refused is not None
        assert refused.code is _code(op, role)
        assert refused.code is UNKNOWN_GROUP or {"owner", preset} & set(refused.text.split())


def _code(op: str, role: str) -> object:
    if op == "group_sync":
        return UNKNOWN_GROUP
    return OWNER_CANNOT_QUIT if (op, role) == ("group_quit", "owner") else GROUP_NOT_PERMITTED


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind is not asked.CreateGroup])
def test_a_group_that_is_not_or_no_more_is_unknown(kind: type[asked.OnGroup]) -> None:
    nothing, gone = Room(), _filled("public")
    gone.ask("ann", asked.DismissGroup)
    fields = FIELDS.get(kind.op, {})
    for one in (nothing, gone):
        for user in ("ann", "mem", "sam"):
            if issubclass(kind, ASKING):
                fault = view_fault(one.view, user, asks(kind))
                assert fault is not None
                assert fault.code is UNKNOWN_GROUP
            else:
                one.refused(user, UNKNOWN_GROUP, kind, **fields)


def test_the_refusal_says_who_may_and_what_one_is() -> None:
    full = _filled("public")
    assert full.refused("mem", GROUP_NOT_PERMITTED, asked.MuteAll, on=True).text == (
        "group_mute_all in a public group: only the owner and administrators may, and you are a member"
    )
    assert full.refused("sam", GROUP_NOT_PERMITTED, asked.QuitGroup).text == (
        "group_quit in a public group: only members may, and you are no member"
    )
    assert "nobody may" in room("work").refused("ann", GROUP_NOT_PERMITTED, asked.DismissGroup).text
    assert "only the owner may" in full.refused("adm", GROUP_NOT_PERMITTED, asked.DismissGroup).text


def test_only_known_roles_are_listed() -> None:
    full = _filled("public")
    assert view_fault(full.view, "mem", asks(asked.ListMembers, role="admin")) is None
    fault = view_fault(full.view, "mem", asks(asked.ListMembers, role="boss"))
    assert fault is not None
    assert (fault.code.name, fault.field) == ("bad_parameter", "role")


def test_applicants_and_the_banned_are_strangers() -> None:
    full = _filled("public")
    full.ask("ann", asked.RemoveMembers, to=("bob",), ban=60)
    assert {role_of(full.view, user) for user in ("app", "bob", "sam")} == {""}
    assert role_of(GroupView(None), "ann") == ""
