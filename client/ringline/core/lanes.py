"""Requests that wait for their answer: one unanswered a lane, repeated until it comes."""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final

from ringline.protocol.answers import Refusal
from ringline.protocol.blocklist_requests import OnBlocklist
from ringline.protocol.errors import BY_NAME, TOO_MANY_REQUESTS, Fault
from ringline.protocol.group_requests import OnGroup, SyncGroup
from ringline.protocol.requests import Invite, OnInvitation, Sync
from ringline.protocol.shapes import Request

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 8.0
SHORTEST_WAIT_S: Final = FIRST_RETRY_S / 4
"""Between a refusal that says how long to wait and the next try, whatever it says."""
GIVE_UP_S: Final = 600.0


def lane_of(request: Request) -> Hashable:
    """The lane of what an application asks for."""
    match request:
        case OnInvitation():
            return request.iid
        case OnGroup():
            return ("group", request.gid)
        case OnBlocklist():
            return ("blocklist",)
        case _:
            return (request.op,)


@dataclass(slots=True)
class Waiting:
    """A request that has no answer yet.

    Attributes:
        request: the request; every repeat of it is the same bytes.
        give_up_at: when to stop repeating it; None for never.
        next_at: when to send it next; None until its turn comes.
        sends: how often it was handed to a connection.
        refusals: how many of these were too much at once, so that nothing came of them.
        refused: the last refusal, until it is sent again.
        not_before: the server said not to send it again before.
    """

    request: Request
    give_up_at: float | None
    next_at: float | None = None
    delay: float = FIRST_RETRY_S
    sends: int = 0
    refusals: int = 0
    refused: Refusal | None = None
    not_before: float = 0.0

    @property
    def is_made(self) -> bool:
        """Whether something may have come of it."""
        return self.sends > self.refusals

    def wait_out(self, refusal: Refusal, pause: float, now: float) -> None:
        """Send it again so many seconds after this refusal, and then at the usual pace."""
        self.refused = refusal
        self.refusals = min(self.refusals + 1, self.sends)
        self.not_before = self.next_at = now + pause
        self.delay = FIRST_RETRY_S

    def is_over(self, now: float) -> bool:
        """Whether it was tried for long enough."""
        return self.give_up_at is not None and self.give_up_at <= now


class Lanes:
    """Requests by lane; a lane is an invitation, a group, or what else must not overtake itself."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, deque[Waiting]] = {}
        self._by_id: dict[bytes, Hashable] = {}

    def add(self, lane: Hashable, request: Request, now: float) -> None:
        """Put a request at the end of its lane; it is due at once where nothing is before it.

        A sync is never given up: without its answer this device does not know what it has missed.
        """
        lasts = GIVE_UP_S
        if isinstance(request, Invite) and request.timeout:
            lasts = min(lasts, float(request.timeout))
        queue = self._lanes.setdefault(lane, deque())
        give_up_at = None if isinstance(request, Sync | SyncGroup) else now + lasts
        queue.append(Waiting(request, give_up_at, None if queue else now))
        self._by_id[request.id] = lane

    def find(self, request_id: bytes) -> Waiting | None:
        """The waiting request of this id."""
        lane = self._by_id.get(request_id)
        return None if lane is None else next((w for w in self._lanes[lane] if w.request.id == request_id), None)

    def is_repeated(self, waiting: Waiting, refusal: Refusal, now: float) -> bool:
        """A request was refused; say whether it is sent again all the same, and see to it.

        Where the server just cannot, it is at the usual pace. Where the server says how long to wait, it is then, if
        that is no longer than the longest pause between repeats, and before its time is over. A sync is in any case.
        """
        row = BY_NAME.get(refusal.name)
        is_sync = isinstance(waiting.request, Sync | SyncGroup)
        if row is not None and row.fault is Fault.SERVER:
            return True
        if refusal.wait is None:
            return is_sync and row is TOO_MANY_REQUESTS
        pause = max(refusal.wait / 1000, SHORTEST_WAIT_S)
        if not is_sync and (pause > LONGEST_RETRY_S or waiting.is_over(now + pause)):
            return False
        waiting.wait_out(refusal, pause, now)
        return True

    def unmade_invite(self, lane: Hashable) -> Waiting | None:
        """The invite at the head of a lane, where it was never handed to a connection, or in vain."""
        queue = self._lanes.get(lane)
        if not queue or queue[0].is_made:
            return None
        return queue[0] if isinstance(queue[0].request, Invite) else None

    def invites(self) -> Iterator[Invite]:
        """The invites that wait for their answer."""
        for queue in self._lanes.values():
            for waiting in queue:
                if isinstance(waiting.request, Invite):
                    yield waiting.request

    def invite(self, iid: str) -> Invite | None:
        """The invite of this invitation, where it waits for its answer."""
        return next((invite for invite in self.invites() if invite.iid == iid), None)

    def take_out(self, request_id: bytes | None, now: float) -> Request | None:
        """Remove a request, answered or given up; the next of its lane is due."""
        if request_id is None or (lane := self._by_id.pop(request_id, None)) is None:
            return None
        queue = self._lanes[lane]
        found = next(w for w in queue if w.request.id == request_id)
        queue.remove(found)
        if not queue:
            del self._lanes[lane]
        elif queue[0].next_at is None:
            queue[0].next_at = now
        return found.request

    def take_all(self) -> list[Request]:
        """Remove everything."""
        requests = [waiting.request for queue in self._lanes.values() for waiting in queue]
        self._lanes.clear()
        self._by_id.clear()
        return requests

    def due(self, now: float) -> list[Request]:
        """What is to be sent now; each is due again after twice the time."""
        requests = []
        for queue in self._lanes.values():
            head = queue[0]
            if head.next_at is not None and head.next_at <= now and not head.is_over(now):
                requests.append(head.request)
                head.sends += 1
                head.refused = None
                head.next_at = now + head.delay
                head.delay = min(2 * head.delay, LONGEST_RETRY_S)
        return requests

    def hurry(self, now: float) -> None:
        """A new connection: every head is due at once, and starts again with short waits. What the server said to wait
        with waits on: the limit is the user's, not the connection's.
        """
        for queue in self._lanes.values():
            queue[0].next_at = max(now, queue[0].not_before)
            queue[0].delay = FIRST_RETRY_S

    def expired(self, now: float) -> list[Waiting]:
        """What has been tried for long enough."""
        return [w for queue in self._lanes.values() for w in queue if w.is_over(now)]

    def next_at(self, *, connected: bool) -> float | None:
        """When something is due or expires."""
        times = [w.give_up_at for queue in self._lanes.values() for w in queue if w.give_up_at is not None]
        if connected:
            times += [queue[0].next_at for queue in self._lanes.values() if queue[0].next_at is not None]
        return min(times, default=None)
