"""Answers a sync: what a device has not heard, page by page."""

from collections.abc import AsyncIterator, Iterator
from typing import Final, cast

from ringline.protocol.answers import Answer
from ringline.protocol.codec import pack, unpack
from ringline.protocol.errors import BAD_PARAMETER, ProtocolError
from ringline.protocol.events import event_map
from ringline.protocol.group_states import GROUP, GroupState
from ringline.protocol.limits import LOOK_BACK_MS, MAX_CURSOR_BYTES, MAX_KNOWN, MAX_MESSAGE_BYTES
from ringline.protocol.requests import Sync
from ringline_broker.engine.log import events_since, message_for
from ringline_broker.engine.model import Invitation
from ringline_broker.service.membership import is_member
from ringline_broker.service.ports import Store

PAGE_BYTES: Final = MAX_MESSAGE_BYTES - 512
_BATCH: Final = 64
_GROUPS_AT_ONCE: Final = 256
_KNOWN, _OTHERS, _GROUPS = 0, 1, 2

Place = tuple[int, str, int]
"""Where a page starts: part, invitation, version."""


async def answer_sync(store: Store, user: str, request: Sync) -> Answer:
    """One page.

    Raises:
        ProtocolError: `next` is none of ours.
        StoreUnavailable: the store does not answer.
    """
    page = Page(request.id, store.now())
    start = read_place(request.next)
    if start[0] == _KNOWN:
        async for invitation, iid, n in known_ones(store, request.known or {}, start):
            if invitation is None or not await _is_for(store, invitation, user, n):
                fits = page.add_gone(iid, (_KNOWN, iid, n))
            else:
                fits = page.add(invitation, n, user, _KNOWN)
            if not fits:
                return page.sealed()
    if not request.only:
        if start[0] <= _OTHERS:
            async for invitation, n in _others(store, user, request, start):
                if not page.add(invitation, n, user, _OTHERS):
                    return page.sealed()
        await _add_groups(page, store, user, start[1] if start[0] == _GROUPS else "")
    return page.sealed()


async def _add_groups(page: "Page", store: Store, user: str, after: str) -> None:
    """Add the user's groups, as many as fit."""
    while found := await store.groups_of(user, after, _GROUPS_AT_ONCE):
        for gid, n in found:
            if not page.add_group(gid, n, (_GROUPS, after, 0)):
                return
            after = gid


async def known_ones(
    store: Store, known: dict[str, int], start: Place
) -> AsyncIterator[tuple[Invitation | None, str, int]]:
    """The known ones from the starting place on, each with the version its holder has seen."""
    iids = sorted(iid for iid in known if iid >= start[1])
    for at in range(0, len(iids), _BATCH):
        some = iids[at : at + _BATCH]
        held = await store.load(some)
        for iid in some:
            n = max(known[iid], start[2]) if iid == start[1] else known[iid]
            yield (held[iid].invitation if iid in held else None), iid, n


async def _others(store: Store, user: str, request: Sync, start: Place) -> AsyncIterator[tuple[Invitation, int]]:
    """The ones the device does not hold; an online_only one it does not hold was not meant for it."""
    known = request.known or {}
    since = None if request.since is None else max(0, request.since - LOOK_BACK_MS)
    after = ""
    if start[0] == _OTHERS:  # the page before ended at this one, or inside it
        _, after, n = start
        for held in (await store.load([after])).values():
            if held.invitation.is_party(user) and not held.invitation.online_only:
                yield held.invitation, n
    while found := await store.of_user(user, since, after, _BATCH):
        for invitation in found:
            if invitation.iid not in known and not invitation.online_only:
                yield invitation, 0
        after = found[-1].iid


async def _is_for(store: Store, invitation: Invitation, user: str, n: int) -> bool:
    """Whether a device of this user may hear what came after version n.

    One that has not heard of an online_only invitation, and asks because a later event reached it, was not online.
    """
    if invitation.online_only and n == 0 and user != invitation.inviter:
        return False
    if invitation.is_party(user) or not invitation.gid:
        return invitation.is_party(user)
    return await is_member(store, invitation.gid, user)


class Page:
    """Collects events until the page is full; then it knows where the next one starts."""

    def __init__(self, re: bytes, now_ms: int) -> None:
        self._re = re
        self.now = now_ms
        self._events: list[object] = []
        self._gone: list[str] = []
        self._groups: dict[str, int] = {}
        self._state: GroupState | None = None
        self._size = 0
        self._next: Place | None = None

    def add(self, invitation: Invitation, n: int, user: str, part: int) -> bool:
        """Add what the user has not heard after version n; False where the page is full."""
        for message, size in self._messages(invitation, n, user):
            if not self._fits(size):
                self._next = (part, invitation.iid, n)
                return False
            self._events.append(message)
            n = cast("int", message["n"])
        return True

    def _messages(self, invitation: Invitation, n: int, user: str) -> Iterator[tuple[dict[str, object], int]]:
        for event, p in events_since(invitation, n, user):
            message = event_map(message_for(invitation, event, p, user, self.now))
            yield message, len(pack(message))

    def add_raw(self, message: dict[str, object], place: Place) -> bool:
        """Add one event; False where the page is full."""
        if not self._fits(len(pack(message))):
            self._next = place
            return False
        self._events.append(message)
        return True

    def add_group(self, gid: str, n: int, place: Place) -> bool:
        """Add a group and its version; False where the page is full."""
        if len(self._groups) == MAX_KNOWN or not self._fits(len(gid.encode()) + 11):
            self._next = place
            return False
        self._groups[gid] = n
        return True

    def add_state(self, state: GroupState) -> bool:
        """Add a group's state, which begins a page."""
        self._state = state
        return self._fits(len(pack(GROUP.to_map(state))))

    def add_gone(self, iid: str, place: Place) -> bool:
        """Add one that exists no more; False where the page is full."""
        if not self._fits(len(iid.encode()) + 2):
            self._next = place
            return False
        self._gone.append(iid)
        return True

    def _fits(self, size: int) -> bool:
        if self._size + size > PAGE_BYTES and self._size:
            return False
        self._size += size
        return True

    def sealed(self) -> Answer:
        """The page as an answer."""
        return Answer(
            re=self._re,
            events=tuple(self._events),
            gone=tuple(self._gone),
            groups=self._groups or None,
            group=self._state,
            ts=self.now,
            more=self._next is not None,
            next=b"" if self._next is None else pack(self._next),
        )


def read_name(cursor: bytes) -> str:
    """Where a page of names starts, likewise.

    Raises:
        ProtocolError: it is none of ours.
    """
    if not cursor:
        return ""
    name = unpack(cursor, MAX_CURSOR_BYTES)
    if not isinstance(name, str):
        raise ProtocolError(BAD_PARAMETER, "is not a place this server gave out", "next")
    return name


def read_place(cursor: bytes) -> Place:
    """Where a page starts, from the `next` of the one before.

    Raises:
        ProtocolError: it is none of ours.
    """
    if not cursor:
        return (_KNOWN, "", 0)
    match unpack(cursor, MAX_CURSOR_BYTES):
        case [0 | 1 | 2 as part, str() as iid, int() as n] if n >= 0:
            return (part, iid, n)
        case _:
            raise ProtocolError(BAD_PARAMETER, "is not a place this server gave out", "next")
