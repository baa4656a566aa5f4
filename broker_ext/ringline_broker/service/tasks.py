"""A command of a turn, and which of them would make an invitation."""

from collections.abc import Iterator
from typing import NamedTuple

from ringline.protocol.requests import Cancel, Invite, OnInvitation
from ringline_broker.engine.step import Ask, Command, Refused
from ringline_broker.service.ports import Held


class Task(NamedTuple):
    """A command of this turn, with the request it came from, if one, and why that is refused, where it is."""

    command: Command
    received_ms: int
    request: OnInvitation | None = None
    fault: Refused | None = None


def invites(tasks: dict[str, list[Task]]) -> Iterator[tuple[str, Invite]]:
    """The requests among these that make an invitation, if there is none of that id, each with its user."""
    for todo in tasks.values():
        for task in todo:
            if isinstance(task.command, Ask) and isinstance(task.request, Invite):
                yield task.command.user, task.request


def makers(tasks: dict[str, list[Task]]) -> set[str]:
    """Whose requests make a new record, if there is none of that id: an invitation, or the memory of one that was
    cancelled before it came.
    """
    return {
        task.command.user
        for todo in tasks.values()
        for task in todo
        if isinstance(task.command, Ask) and isinstance(task.request, Invite | Cancel)
    }


def is_free(held: Held | None) -> bool:
    """Whether an id is not that of an invitation."""
    return held is None or held.invitation.is_tombstone
