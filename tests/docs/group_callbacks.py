"""The page's table of group callbacks: event, callback, devices. test_group_callbacks.py plays every row."""

from typing import Final, NamedTuple

from tests.docs.tables import table

MEMBERS: Final = "members"
"""All members hear it on the group's topic."""
NAMED: Final = "named"
"""Those whom it is about hear it on their own topic, members or not; as members too, where they are."""
LEADERS: Final = "leaders"
"""The owner and administrators hear it on their own topics."""
MAKER: Final = "maker"
"""Who brought it about hears it on their own topic."""


class GroupRow(NamedTuple):
    """An event, the callback it becomes, whether for those it is about, for others, who hears it; the same in words."""

    event: str
    callback: str
    for_named: bool
    for_others: bool
    heard_by: frozenset[str]
    devices: str


_ALL: Final = frozenset({MEMBERS})
_ALL_AND_THEY: Final = frozenset({MEMBERS, NAMED})

ROWS: Final = (
    GroupRow("group_created", "on_group_created", True, True, frozenset({MAKER}), "of who made it"),
    GroupRow("member_enter", "on_member_enter", True, True, _ALL_AND_THEY, "of every member, who joined among them"),
    GroupRow(
        "member_invited", "on_member_invited", True, True, _ALL_AND_THEY, "of every member, who was added among them"
    ),
    GroupRow("member_leave", "on_member_leave", False, True, _ALL_AND_THEY, "of every other member"),
    GroupRow("member_leave", "on_quit_from_group", True, False, _ALL_AND_THEY, "of who quit"),
    GroupRow("member_kicked", "on_member_kicked", True, True, _ALL_AND_THEY, "of every member, of who was removed"),
    GroupRow("member_info", "on_member_info_changed", True, True, _ALL, "of every member"),
    GroupRow("all_muted", "on_all_group_members_muted", True, True, _ALL, "of every member"),
    GroupRow("admin_granted", "on_grant_administrator", True, True, _ALL, "of every member"),
    GroupRow("admin_revoked", "on_revoke_administrator", True, True, _ALL, "of every member"),
    GroupRow("group_info", "on_group_info_changed", True, True, _ALL, "of every member"),
    GroupRow("attributes", "on_group_attribute_changed", True, True, _ALL, "of every member"),
    GroupRow("counter", "on_group_counter_changed", True, True, _ALL, "of every member"),
    GroupRow(
        "application", "on_receive_join_application", True, True, frozenset({LEADERS}),
        "of the owner, of administrators",
    ),
    GroupRow(
        "application_done", "on_application_processed", True, True, frozenset({NAMED, LEADERS}),
        "of who applied, of the owner, of administrators",
    ),
    GroupRow("group_dismissed", "on_group_dismissed", True, True, _ALL, "of every member"),
)  # fmt: skip

WITHOUT_EVENT: Final = (
    ("`group` in the answer to a `group_sync` that said an `n`", "on_group_state", "that one"),
    (
        "a group that the sync tells of no more; 10010 to a `group_sync`, and no event within 1 s that says why",
        "on_quit_from_group",
        "that one; with `gone`",
    ),
)


def callbacks() -> str:
    """The page's section."""
    rows = [(f"`{row.event}`", f"`{row.callback}`", row.devices) for row in ROWS]
    more = [(what, f"`{callback}`", devices) for what, callback, devices in WITHOUT_EVENT]
    return table(("event", "callback", "on which devices: every one …"), [*rows, *more])
