"""The page's table of callbacks: event, callback, devices. test_callbacks.py plays every row."""

from typing import Final, NamedTuple

from tests.docs.tables import table

INVITER: Final = "inviter"
CONCERNED: Final = "concerned"


class Row(NamedTuple):
    """An event, the callback it becomes, who hears it, and the same in words."""

    event: str
    callback: str
    who: frozenset[str]
    devices: str


_BOTH: Final = frozenset({INVITER, CONCERNED})
_THESE: Final = "of the inviter, of the invitees in `out`"

ROWS: Final = (
    Row("invited", "on_invitation_created", frozenset({INVITER}), "of the inviter"),
    Row("invited", "on_receive_new_invitation", frozenset({CONCERNED}), "of every invitee"),
    Row("ringing", "on_invitee_ringing", frozenset({INVITER}), "of the inviter, while the invitation is open"),
    Row("accepted", "on_invitee_accepted", _BOTH, "of the inviter, of that invitee"),
    Row("rejected", "on_invitee_rejected", _BOTH, "of the inviter, of that invitee"),
    Row("taken", "on_invitation_taken", _BOTH, _THESE),
    Row("cancelled", "on_invitation_cancelled", _BOTH, _THESE),
    Row("modified", "on_invitation_modified", _BOTH, "of the inviter, of the invitees who are pending or accepted"),
    Row("timed_out", "on_invitation_timeout", _BOTH, _THESE),
    Row("dropped", "on_invitation_dropped", _BOTH, _THESE),
)
ONLY_THE_END: Final = ("expired", "offline", "ended")
"""Events that have no callback but on_invitation_ended."""

_MORE: Final = (
    ("any of these with `end`", "`on_invitation_ended`, after the event's own", "of whoever hears the event"),
    ("`expired` `offline` `ended`", "`on_invitation_ended` alone", "of whoever hears the event"),
    (
        "`invited` of a notice, as it happens",
        "`on_receive_new_invitation` with `notice`, then `on_invitation_ended`",
        "of every invitee (of the inviter: `on_invitation_created`, then `on_invitation_ended`)",
    ),
    (
        "`invited` of one that is over for this user by the end of the same message or answer",
        "`on_invitation_missed`, and nothing else of that message",
        "of every invitee who did not hear of it before",
    ),
    (
        "`invited` with `ttl` 0 of one that is still pending, or of one that gives way to a crossing one",
        "none; `on_invitation_missed` once it is over, and none where it is cancelled as `crossing`",
        "of the invitee",
    ),
    (
        "`gone` in the answer to a sync",
        "`on_invitation_ended` with `gone`",
        "that one, if it was told of the invitation",
    ),
    (
        "in a group: `invited` that does not name this user, while it is open or a notice as it happens",
        "`on_receive_new_invitation` with `to_me` False",
        "of every other member",
    ),
    (
        "in a group: any other event of one that was told of, `ringing` apart",
        "as above",
        "of every member; `dropped` also of whoever left",
    ),
    (
        "`invited` that names somebody who has the inviter on their blocklist, with the `rejected` that comes with it",
        "`on_invitation_created`, `on_invitee_rejected` with reason `busy`",
        "of the inviter; outside groups no device of that invitee ever hears anything of it",
    ),
    (
        "in a group: the same",
        "`on_receive_new_invitation`, then `on_invitee_rejected`; `on_invitation_missed` instead",
        "of every other member; of who has the inviter on their blocklist",
    ),
    ("an event that was seen before; an unknown kind of event without `end`", "none", ""),
    ("the last page of the sync after SUBACK, and of those of all groups", "`on_connected`", "that one"),
    ("the connection ends, or cannot be made", "`on_disconnected`", "that one"),
)


def callbacks() -> str:
    """The page's section."""
    rows = [(f"`{row.event}`", f"`{row.callback}`", row.devices) for row in ROWS]
    return table(("event", "callback", "on which devices: every one …"), [*rows, *_MORE])
