"""The requests about a user's blocklist: who may not ring them."""

from typing import Final

from ringline.protocol.codec import message, wire
from ringline.protocol.limits import MAX_CURSOR_BYTES, Bin
from ringline.protocol.shapes import USERS, Request


@message
class OnBlocklist(Request):
    """What every request about the user's own blocklist carries."""


@message
class Block(OnBlocklist):
    """Let these users ring this one no more: to them the line is busy, and nothing of their calls arrives."""

    op = "block"

    users: tuple[str, ...] = wire("users", USERS, "At least one, not oneself; who is on the list already stays.")


@message
class Unblock(OnBlocklist):
    """Let these users ring this one again."""

    op = "unblock"

    users: tuple[str, ...] = wire("users", USERS, "At least one; who is not on the list is no error.")


@message
class ListBlocked(OnBlocklist):
    """Ask who is on the list."""

    op = "blocked"

    next: bytes = wire("next", Bin(MAX_CURSOR_BYTES), "The `next` of the page before, unchanged.", default=b"")


BLOCKLIST_REQUESTS: Final[tuple[type[OnBlocklist], ...]] = (Block, Unblock, ListBlocked)
