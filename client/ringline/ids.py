"""Ids that nobody else has."""

import secrets

from ringline.protocol.limits import REQUEST_ID_BYTES


def new_id() -> str:
    """96 random bits in 16 characters; without a dash in front, which a command line would take for an option."""
    while (made := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return made


def new_request_id() -> bytes:
    """What tells a request, and every repeat of it, from others."""
    return secrets.token_bytes(REQUEST_ID_BYTES)
