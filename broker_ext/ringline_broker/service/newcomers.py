"""New invitations: whether a group allows them, and which invitees do not let this inviter ring."""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ringline.protocol.limits import REQUEST_ID_BYTES
from ringline.protocol.messages import Invite
from ringline_broker.engine.groups.model import GroupView
from ringline_broker.engine.groups.rights import invite_fault, members_among
from ringline_broker.engine.step import Ask, Busy
from ringline_broker.service.membership import views
from ringline_broker.service.ports import Held, Store
from ringline_broker.service.tasks import Task, is_free, new_ones


async def admit(store: Store, tasks: dict[str, list[Task]], held: dict[str, Held]) -> dict[str, list[Task]]:
    """The tasks, with all that decides about new invitations in them.

    A group's members ring members only: others are refused, or left out where `partial` says so. Who has the inviter on
    their blocklist is busy.

    Raises:
        StoreUnavailable: the store cannot tell.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    pairs: set[tuple[str, str]] = set()
    for user, invite in new_ones(tasks, held):
        pairs.update((invitee, user) for invitee in invite.to)
        if invite.gid:
            wanted[invite.gid].update((user, *invite.to))
    if not pairs:
        return tasks
    masks = await store.blocking(pairs)
    if not wanted and not masks:
        return tasks
    seen = await views(store, wanted) if wanted else {}
    return {
        iid: [_admitted(task, seen, masks) for task in todo] if is_free(held.get(iid)) else todo
        for iid, todo in tasks.items()
    }


def _admitted(task: Task, seen: dict[str, GroupView], masks: Mapping[tuple[str, str], str]) -> Task:
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
