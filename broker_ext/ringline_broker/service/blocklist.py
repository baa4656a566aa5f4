"""Blocklists: each user's own list of who may not ring them."""

import secrets
from typing import Final

from ringline.protocol.answers import Answer
from ringline.protocol.blocklist_requests import Block, ListBlocked, OnBlocklist, Unblock
from ringline.protocol.codec import pack
from ringline.protocol.errors import BAD_PARAMETER, TOO_MANY_REQUESTS
from ringline_broker.engine.step import Refused
from ringline_broker.service.ports import Store
from ringline_broker.service.sync import read_name

_AT_ONCE: Final = 256
_MASK_BYTES: Final = 4


async def answer_blocklist(store: Store, user: str, request: OnBlocklist, limit: int) -> Answer | Refused:
    """Do what a user asks of their list, of at most `limit` users.

    Raises:
        ProtocolError: `next` is none of ours.
        StoreUnavailable: it is not known to be done.
    """
    match request:
        case Block():
            return await _block(store, user, request, limit)
        case Unblock() if request.users:
            await store.unblock(user, request.users)
            return Answer(re=request.id)
        case ListBlocked():
            found = await store.blocked(user, read_name(request.next), _AT_ONCE)
            more = len(found) == _AT_ONCE
            place = pack(found[-1]) if more else b""
            return Answer(re=request.id, users=tuple(found), more=more, next=place)
        case _:
            return Refused(BAD_PARAMETER, "names nobody", "users")


async def _block(store: Store, user: str, request: Block, limit: int) -> Answer | Refused:
    if not request.users:
        return Refused(BAD_PARAMETER, "names nobody", "users")
    if user in request.users:
        return Refused(BAD_PARAMETER, "one cannot block oneself", "users")
    # what rejects their calls looks like a device of the user's, and always like the same
    masks = {other: secrets.token_hex(_MASK_BYTES) for other in request.users}
    if not await store.block(user, masks, limit):
        return Refused(TOO_MANY_REQUESTS, f"at most {limit} users on a blocklist; take others off it first", "users")
    return Answer(re=request.id)
