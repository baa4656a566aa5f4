"""Answers what devices ask of groups, and their syncs; nothing here changes anything."""

from collections.abc import AsyncIterator
from typing import Final

from ringline.protocol.answers import Answer
from ringline.protocol.codec import pack
from ringline.protocol.errors import BAD_PARAMETER, ProtocolError
from ringline.protocol.events import event_map
from ringline.protocol.group_requests import GetGroup, ListApplications, ListGroups, ListMembers, OnGroup, SyncGroup
from ringline.protocol.group_shapes import ROLES
from ringline.protocol.group_states import MEMBER
from ringline.protocol.requests import Sync
from ringline_broker.engine.groups.log import events_since, member_for, message_for, state_for
from ringline_broker.engine.groups.model import Group, GroupView, Person, Standing
from ringline_broker.engine.groups.rights import role_of, view_fault
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Refused
from ringline_broker.service.membership import views
from ringline_broker.service.ports import Binding, Store
from ringline_broker.service.sync import PAGE_BYTES, Page, known_ones, read_name, read_place

Query = Sync | GetGroup | ListMembers | ListApplications | SyncGroup | ListGroups
_BATCH: Final = 128
_GROUPS_AT_ONCE: Final = 256
_EVENTS, _KNOWN, _OTHERS = 0, 1, 2


class GroupQueries:
    """Reads groups for the members that ask.

    Args:
        store: where groups are kept.
        binding: who lets members hear a group's topic.
    """

    def __init__(self, store: Store, binding: Binding) -> None:
        self._store = store
        self._binding = binding

    async def answer(self, user: str, request: OnGroup | ListGroups) -> Answer | Refused:
        """The answer.

        Raises:
            ProtocolError: `next` is none of ours, or a role there is not.
            StoreUnavailable: the store does not answer.
            BrokerUnavailable: the broker does not let them hear the topic.
        """
        if isinstance(request, ListGroups):
            return await self._mine(user, request)
        view, fault = await self._look(user, request)
        if fault is None and isinstance(request, SyncGroup) and not request.next:
            # whom the broker did not know when they became a member; what happened meanwhile is looked at after it
            opening = self._binding.open_group(request.gid, (user,))
            if opening is not None:
                await opening
                view, fault = await self._look(user, request)
        if fault is not None or view.group is None:
            return fault or Refused(BAD_PARAMETER, "is not an operation", "op")
        match request:
            case ListMembers():
                return await self._members(view.group, request)
            case ListApplications():
                return await self._people(view.group, request, Standing.APPLICANT, "")
            case SyncGroup():
                return await self._sync(view, view.group, user, request)
            case _:
                return Answer(re=request.id, n=view.group.n, group=state_for(view, user))

    async def _look(self, user: str, request: OnGroup) -> tuple[GroupView, Refused | None]:
        """The group as the user sees it, and why they may not ask that."""
        view = (await views(self._store, {request.gid: (user,)}))[request.gid]
        return view, view_fault(view, user, request)

    async def _mine(self, user: str, request: ListGroups) -> Answer:
        after = read_name(request.next)
        found = await self._store.groups_of(user, after, _GROUPS_AT_ONCE)
        more = len(found) == _GROUPS_AT_ONCE
        return Answer(
            re=request.id, groups=dict(found), ts=self._store.now(), more=more,
            next=pack(found[-1][0]) if more else b"",
        )  # fmt: skip

    async def _members(self, group: Group, request: ListMembers) -> Answer:
        if request.role not in ("", *ROLES):
            raise ProtocolError(BAD_PARAMETER, f"must be one of {', '.join(ROLES)}", "role")
        return await self._people(group, request, Standing.MEMBER, request.role)

    async def _people(
        self, group: Group, request: ListMembers | ListApplications, standing: Standing, role: str
    ) -> Answer:
        now, after, size = self._store.now(), read_name(request.next), 0
        listed: list[object] = []
        while found := await self._store.people(group.gid, standing, after, _BATCH):
            for person in found:
                if not _has_role(group, person, role):
                    continue
                one = MEMBER.to_map(member_for(group, person, now))
                size += len(pack(one))
                if size > PAGE_BYTES:
                    return Answer(re=request.id, members=tuple(listed), ts=now, more=True, next=pack(after))
                listed.append(one)
                after = person.user
            after = found[-1].user
        return Answer(re=request.id, members=tuple(listed), ts=now)

    async def _sync(self, view: GroupView, group: Group, user: str, request: SyncGroup) -> Answer:
        page = Page(request.id, self._store.now())
        start = part, name, n = read_place(request.next)
        if part == _EVENTS and not self._add_events(page, view, group, user, max(n, request.n or 0), request.n is None):
            return page.sealed()
        if part <= _KNOWN:
            begin = start if part == _KNOWN else (_KNOWN, "", 0)
            async for invitation, iid, seen in known_ones(self._store, request.known or {}, begin):
                is_here = invitation is not None and invitation.gid == group.gid
                fits = (
                    page.add(invitation, seen, user, _KNOWN)
                    if is_here and invitation is not None
                    else page.add_gone(iid, (_KNOWN, iid, seen))
                )
                if not fits:
                    return page.sealed()
        place = (name, n) if part == _OTHERS else ("", 0)
        async for invitation, seen in self._others(group.gid, request.known or {}, *place):
            if not page.add(invitation, seen, user, _OTHERS):
                break
        return page.sealed()

    @staticmethod
    def _add_events(page: Page, view: GroupView, group: Group, user: str, n: int, is_new: bool) -> bool:  # noqa: FBT001
        """Add what happened after version n; the state instead where that is not known any more. False: it is full."""
        missed = None if is_new else events_since(group, n, user, is_member=True)
        if missed is None:
            return page.add_state(state_for(view, user))
        for event, p in missed:
            raw = event_map(message_for(event, p, group.gid, page.now))
            if not page.add_raw(raw, (_EVENTS, group.gid, n)):
                return False
            n = event.n
        return True

    async def _others(
        self, gid: str, known: dict[str, int], after: str, n: int
    ) -> AsyncIterator[tuple[Invitation, int]]:
        for held in (await self._store.load([after])).values() if after else ():
            if held.invitation.gid == gid and not held.invitation.online_only:
                yield held.invitation, n
        while found := await self._store.of_group(gid, after, _BATCH):
            for invitation in found:
                if invitation.iid not in known and not invitation.online_only:
                    yield invitation, 0
            after = found[-1].iid


def _has_role(group: Group, person: Person, role: str) -> bool:
    return not role or role_of(GroupView(group, {person.user: person}), person.user) == role
