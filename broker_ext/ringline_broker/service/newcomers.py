"""New invitations: whether a group allows them, and which invitees do not let this inviter ring."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from ringline.protocol.limits import REQUEST_ID_BYTES
from ringline.protocol.requests import Invite
from ringline_broker.engine.groups.model import GroupView
from ringline_broker.engine.groups.rights import invite_fault, members_among
from ringline_broker.engine.step import Ask, Busy
from ringline_broker.service.membership import views
from ringline_broker.service.ports import Held, Store
from ringline_broker.service.tasks import Task, invites, is_free


class Rules(NamedTuple):
    """What decides about new invitations beside themselves.

    Attributes:
        seen: the groups they are made in.
        masks: who has the inviter on their blocklist, with the device that seems to reject.
    """

    seen: Mapping[str, GroupView]
    masks: Mapping[tuple[str, str], str]


NO_RULES: Final = Rules({}, {})


async def rules_for(store: Store, tasks: dict[str, list[Task]]) -> Rules:
    """What decides about those that may turn out to be new: asked before that is known, since nearly all are.

    Raises:
        StoreUnavailable: the store cannot tell.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    pairs: set[tuple[str, str]] = set()
    for user, invite in invites(tasks):
        pairs.update((invitee, user) for invitee in invite.to)
        if invite.gid:
            wanted[invite.gid].update((user, *invite.to))
    if not wanted:
        return Rules({}, await store.blocking(pairs) if pairs else {})
    return Rules(*await asyncio.gather(views(store, wanted), store.blocking(pairs)))


def admit(tasks: dict[str, list[Task]], held: dict[str, Held], rules: Rules) -> dict[str, list[Task]]:
    """The tasks, with all that decides about new invitations in them.

    A group's members ring members only: others are refused, or left out where `partial` says so. Who has the inviter on
    their blocklist is busy.
    """
    if not rules.seen and not rules.masks:
        return tasks
    return {
        iid: [_admitted(task, *rules) for task in todo] if is_free(held.get(iid)) else todo
        for iid, todo in tasks.items()
    }


def _admitted(task: Task, seen: Mapping[str, GroupView], masks: Mapping[tuple[str, str], str]) -> Task:
    if not isinstance(task.command, Ask) or not isinstance(task.request, Invite):
        return task
    user, invite = task.command.user, task.request
    fault = None
    if invite.gid:
        view = seen[invite.gid]
        to = members_among(view, invite.to) if invite.partial else invite.to
        fault = invite_fault(view, user, to, task.received_ms)
        invite = replace(invite, to=to)
    busy = tuple(
        Busy(invitee, masks[invitee, user], secrets.token_bytes(REQUEST_ID_BYTES))
        for invitee in dict.fromkeys(invite.to)
        if (invitee, user) in masks
    )
    return task._replace(command=Ask(user, invite, busy), request=invite, fault=fault)
