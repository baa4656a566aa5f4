"""What a turn makes of one invitation, and how much of it is this process's to publish."""

from dataclasses import dataclass, field

from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Done, Reply
from ringline_broker.service.ports import Held
from ringline_broker.service.tasks import Task


@dataclass(slots=True)
class Plan:
    """What a turn makes of one invitation; up to the version `mark` the broker has its events, or is getting them from
    this process.
    """

    held: Held | None
    mark: int
    invitation: Invitation | None
    replies: list[tuple[Task, Reply]] = field(default_factory=list)

    def since(self, before_ms: int) -> int:
        """After which version this process publishes. What another one committed not before this time is that one's to
        publish: else every answer to an invitation of a hundred would ring them all again. Unless somebody asks again,
        and so may not have heard.
        """
        if self.held is None or self.version <= self.mark or any(_is_repeated(reply) for _, reply in self.replies):
            return self.mark
        oldest = next(event for event in self.held.invitation.events if event.n > self.mark)
        return self.mark if oldest.ts < before_ms else self.version

    @property
    def version(self) -> int:
        return 0 if self.held is None else self.held.invitation.n

    @property
    def size(self) -> int:
        return 0 if self.held is None else self.held.invitation.size


def _is_repeated(reply: Reply) -> bool:
    return isinstance(reply, Done) and reply.repeated
