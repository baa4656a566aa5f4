"""The page's tables of groups: messages, permissions, presets and limits, from the code that keeps them."""

from typing import Any, Final

from ringline.core import groups
from ringline.protocol import group_shapes
from ringline.protocol.codec import Codec
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_requests import GROUP_REQUESTS, OnGroup
from ringline.protocol.group_shapes import PRESETS
from ringline.protocol.group_states import GROUP, MEMBER
from ringline.protocol.requests import REQUESTS
from ringline.protocol.shapes import GroupEvent, Request
from ringline_broker.engine.groups import model
from ringline_broker.engine.groups.table import (
    ANYBODY,
    DEFAULT_JOIN,
    FIXED_JOIN,
    LEADERS,
    MAY,
    MEMBERS,
    NOBODY,
    PLAIN,
    THE_OWNER,
    Roles,
)
from ringline_broker.settings import Settings
from tests.docs.tables import doc_of, keys_of, message_table, rows_of, table

_WHO: Final[dict[Roles, str]] = {
    ANYBODY: "anybody",
    MEMBERS: "members",
    PLAIN: "members but the owner",
    LEADERS: "owner, administrators",
    THE_OWNER: "the owner",
    NOBODY: "nobody",
}


def requests() -> str:
    """Every request about groups, and every field of it."""
    common = keys_of(Request)
    about_one = keys_of(OnGroup)
    parts = [
        message_table("Every request about one group", "", rows_of(Codec(OnGroup), without=common)),
        *(
            message_table(f"`{kind.op}`", doc_of(codec), rows_of(codec, without=common | about_one))
            for kind in GROUP_REQUESTS
            for codec in (REQUESTS[kind.op],)
        ),
    ]
    return "\n\n".join(parts)


def events() -> str:
    """Every event of groups, and every field of it."""
    common = keys_of(GroupEvent)
    parts = [
        message_table("Every event of a group", "", rows_of(Codec(GroupEvent))),
        *(
            message_table(f"`{ev}`", doc_of(codec), rows_of(codec, without=common))
            for ev, codec in GROUP_EVENTS.items()
        ),
    ]
    return "\n\n".join(parts)


def answers() -> str:
    """What stands in answers about groups."""
    codecs: tuple[Codec[Any], ...] = (GROUP, MEMBER)
    return "\n\n".join(message_table(codec.message.__name__, doc_of(codec), rows_of(codec)) for codec in codecs)


def permissions() -> str:
    """Operation and preset, and who may; then what else a preset says."""
    operations = dict.fromkeys(op for op, _ in MAY)
    rows = [(f"`{op}`", *(_WHO[MAY[op, preset]] for preset in PRESETS)) for op in operations]
    who = table(("operation", *(f"`{preset}`" for preset in PRESETS)), rows)
    most = _most()
    presets = [
        (
            f"`{preset}`",
            f"`{DEFAULT_JOIN[preset]}`{', always' if preset in FIXED_JOIN else ''}",
            f"{most[preset]:,}" if most[preset] else "no limit",
        )
        for preset in PRESETS
    ]
    return f"{who}\n\n{table(('preset', 'join option, if absent', 'members at most, a setting'), presets)}"


def _most() -> dict[str, int]:
    server = Settings()
    return {preset: getattr(server, f"max_{preset}") for preset in PRESETS}


def sizes() -> str:
    """The limits of groups, those of the protocol and a server's own."""
    server = Settings()
    rows = [
        ("`name` of a group", group_shapes.MAX_NAME_BYTES, "bytes of UTF-8"),
        ("`intro`, and `notice`, of a group", group_shapes.MAX_INTRODUCTION_BYTES, "bytes of UTF-8"),
        ("`face` of a group", group_shapes.MAX_FACE_BYTES, "bytes of UTF-8"),
        ("`card` of a member", group_shapes.MAX_CARD_BYTES, "bytes of UTF-8"),
        ("`custom` of a group, and of a member", group_shapes.MAX_CUSTOM_KEYS, "fields"),
        ("… one of them", group_shapes.MAX_CUSTOM_BYTES, "bytes"),
        ("attributes of a group", group_shapes.MAX_ATTRIBUTES, "attributes; above it 8001"),
        ("… one of them", group_shapes.MAX_ATTRIBUTE_BYTES, "bytes"),
        ("… keys and values of all of them", group_shapes.MAX_ATTRIBUTES_BYTES, "bytes; above it 8001"),
        ("counters of a group that are not 0", group_shapes.MAX_COUNTERS, "counters; above it 8001"),
        ("`ban`, and the time to be muted", group_shapes.MAX_BAN_S, "seconds"),
        ("`max` of a group", group_shapes.MAX_GROUP_MEMBERS, "members"),
        ("administrators of a group, beside the owner", model.MAX_ADMINS, "users; above it 7008"),
        ("events that a group remembers", model.MAX_EVENTS, "events"),
        ("… all of them", model.MAX_EVENTS_BYTES, "bytes, roughly"),
        ("groups of a user who makes or joins one more", server.max_groups, "groups, a setting; above it 7008"),
        ("groups about which our client asks at a time", groups.SYNCS_AT_ONCE, "groups"),
    ]
    return table(("at most", "", "unit"), ((what, f"{number:,}", unit) for what, number, unit in rows))
