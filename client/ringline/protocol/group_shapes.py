"""What the messages of groups are made of, and the limits of a group."""

from typing import Final

from ringline.protocol.limits import MAX_CURSOR_BYTES, MAX_INT, Bin, Int, MapOf, Text

PRESETS: Final = ("work", "public", "meeting", "live")
JOIN_OPTIONS: Final = ("free", "approval", "invite")
ROLES: Final = ("owner", "admin", "member")

MAX_NAME_BYTES: Final = 100
MAX_INTRODUCTION_BYTES: Final = 400
MAX_FACE_BYTES: Final = 500
MAX_CARD_BYTES: Final = 50
MAX_CUSTOM_KEYS: Final = 16
MAX_CUSTOM_BYTES: Final = 512
"""One custom field's value, bytes."""
MAX_ATTRIBUTES: Final = 16
MAX_ATTRIBUTE_BYTES: Final = 4_096
MAX_ATTRIBUTES_BYTES: Final = 16_384
"""All keys and values together, bytes."""
MAX_COUNTERS: Final = 16
MAX_BAN_S: Final = 31_536_000
MAX_GROUP_MEMBERS: Final = 1_000_000

NAME: Final = Text(MAX_NAME_BYTES)
INTRODUCTION: Final = Text(MAX_INTRODUCTION_BYTES)
FACE: Final = Text(MAX_FACE_BYTES)
CARD: Final = Text(MAX_CARD_BYTES)
WORD: Final = Text(16)
CUSTOM: Final = MapOf(Bin(MAX_CUSTOM_BYTES), MAX_CUSTOM_KEYS)
ATTRIBUTES: Final = MapOf(Bin(MAX_ATTRIBUTE_BYTES), MAX_ATTRIBUTES)
COUNT: Final = Int(-MAX_INT, MAX_INT)
CURSOR: Final = Bin(MAX_CURSOR_BYTES)
