"""The permission matrix: for every operation and preset, the roles that may. Data only.

docs/protocol.md prints it from here, and a test compares it with one written by hand.
"""

from typing import Final

from ringline.protocol.group_shapes import PRESETS

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
STRANGER: Final = ""
"""Who is no member: the same word as in GroupState.role."""

Roles = tuple[str, ...]

NOBODY: Final[Roles] = ()
THE_OWNER: Final[Roles] = (OWNER,)
LEADERS: Final[Roles] = (OWNER, ADMIN)
PLAIN: Final[Roles] = (ADMIN, MEMBER)
MEMBERS: Final[Roles] = (OWNER, ADMIN, MEMBER)
ANYBODY: Final[Roles] = (OWNER, ADMIN, MEMBER, STRANGER)

DEFAULT_JOIN: Final = {"work": "invite", "public": "approval", "meeting": "free", "live": "free"}
"""The join option of a group that was made without one."""
FIXED_JOIN: Final = ("work",)
"""Presets whose join option is always the default."""

_COLUMNS: Final[dict[str, tuple[Roles, Roles, Roles, Roles]]] = {
    # op: work, public, meeting, live
    "group_create": (ANYBODY, ANYBODY, ANYBODY, ANYBODY),
    # a work group ends when its last member quits
    "group_dismiss": (NOBODY, THE_OWNER, THE_OWNER, THE_OWNER),
    # where anybody may, the group's own join option decides; who is a member already stays one
    "group_join": (NOBODY, ANYBODY, ANYBODY, ANYBODY),
    "group_quit": (MEMBERS, PLAIN, PLAIN, PLAIN),
    "group_add": (MEMBERS, LEADERS, MEMBERS, NOBODY),
    "group_remove": (THE_OWNER, LEADERS, LEADERS, LEADERS),
    "group_role": (NOBODY, THE_OWNER, THE_OWNER, THE_OWNER),
    "group_transfer": (THE_OWNER, THE_OWNER, THE_OWNER, NOBODY),
    "group_set": (MEMBERS, LEADERS, LEADERS, LEADERS),
    "group_me": (MEMBERS, MEMBERS, MEMBERS, MEMBERS),
    "group_mute": (NOBODY, LEADERS, LEADERS, LEADERS),
    "group_mute_all": (NOBODY, LEADERS, LEADERS, LEADERS),
    "group_attrs": (MEMBERS, MEMBERS, MEMBERS, MEMBERS),
    "group_count": (MEMBERS, MEMBERS, MEMBERS, MEMBERS),
    "group_get": (MEMBERS, ANYBODY, ANYBODY, ANYBODY),
    "group_members": (MEMBERS, MEMBERS, MEMBERS, MEMBERS),
    "group_apps": (LEADERS, LEADERS, LEADERS, LEADERS),
    "group_answer": (LEADERS, LEADERS, LEADERS, LEADERS),
    "group_sync": (MEMBERS, MEMBERS, MEMBERS, MEMBERS),
}

MAY: Final[dict[tuple[str, str], Roles]] = {
    (op, preset): roles for op, columns in _COLUMNS.items() for preset, roles in zip(PRESETS, columns, strict=True)
}
"""By operation and preset, the roles that may. Whom an operation may be turned against is its own rule:
nobody removes, mutes or demotes the owner, and an administrator no other administrator.
"""
