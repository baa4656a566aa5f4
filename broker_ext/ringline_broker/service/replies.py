"""What the devices that asked are told: results, refusals, and that the store is out of reach."""

import logging

from ringline.protocol.answers import Answer, Refusal, encode_answer
from ringline.protocol.codec import pack
from ringline.protocol.errors import SERVER_UNAVAILABLE
from ringline.protocol.events import NowRinging, event_map
from ringline.protocol.requests import OnInvitation
from ringline.protocol.shapes import Request
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Done, Forward, Refused, Reply, Show
from ringline_broker.metrics import UNKNOWN, Metrics
from ringline_broker.service.outbox import Outbox

log = logging.getLogger(__name__)


class Replies:
    """Answers devices, and counts what became of their requests.

    Args:
        outbox: for the answers.
        metrics: where it is counted.
    """

    def __init__(self, outbox: Outbox, metrics: Metrics) -> None:
        self._outbox = outbox
        self._counters = metrics.counters
        self._requests = metrics.requests

    def reply(self, user: str, request: OnInvitation, reply: Reply, invitation: Invitation | None) -> None:
        """Say what became of a request about an invitation, which stands so now. Where an event says it, nothing."""
        if isinstance(reply, Refused):
            self.refuse(user, request, reply)
            return
        match reply:
            case Show():
                self._answer(user, request.dev, Answer(re=request.id, state=reply.state))
            case Done() if invitation is not None and (reply.repeated or not _is_heard(invitation, request)):
                self._answer(user, request.dev, Answer(re=request.id, n=invitation.n))
            case Forward() if invitation is not None:
                event = NowRinging(iid=request.iid, by=user, dev=request.dev)
                self._outbox.event(invitation.inviter, pack(event_map(event)))
            case _:
                pass
        self._count(user, request, "repeated" if isinstance(reply, Done) and reply.repeated else "ok")

    def answer(self, user: str, request: Request, answer: Answer, *, repeated: bool = False) -> None:
        """Answer a request that is no repeat, unless told so."""
        self._answer(user, request.dev, answer)
        self._count(user, request, "repeated" if repeated else "ok")

    def refuse(self, user: str, request: Request, refused: Refused) -> None:
        """Refuse a request."""
        self._refuse(user, request.dev, request.id, refused)
        self._count(user, request, "refused", refused)

    def refuse_unread(self, user: str, reply_to: tuple[str, bytes] | None, refused: Refused) -> None:
        """Refuse a request of which no more is known than its device and its id, or not even those."""
        if reply_to is not None:
            self._refuse(user, *reply_to, refused)
        self._count(user, None, "unreadable" if reply_to is None else "refused", refused)

    def unavailable(self, user: str, request: Request) -> None:
        """Have a device repeat its request later. Why is the log's business, not the user's."""
        self._counters.unavailable += 1
        refused = Refused(SERVER_UNAVAILABLE, SERVER_UNAVAILABLE.meaning)
        self._refuse(user, request.dev, request.id, refused)
        self._count(user, request, "unavailable", refused)

    def _answer(self, user: str, device: str, answer: Answer) -> None:
        self._outbox.answer(user, device, encode_answer(answer))

    def _refuse(self, user: str, device: str, re: bytes, refused: Refused) -> None:
        self._counters.refused += 1
        code = refused.code
        refusal = Refusal(
            code=code.code, name=code.name, text=refused.text, field=refused.field, state=refused.state,
            who=refused.who, wait=refused.wait_ms,
        )  # fmt: skip
        self._answer(user, device, Answer(re=re, err=refusal))

    def _count(self, user: str, request: Request | None, result: str, refused: Refused | None = None) -> None:
        if result == "repeated":
            self._counters.repeats += 1
        operation = UNKNOWN if request is None else request.op
        self._requests[operation, result, "" if refused is None else refused.code.name] += 1
        if log.isEnabledFor(logging.DEBUG):
            _log(user, request, result, refused)


def _log(user: str, request: Request | None, result: str, refused: Refused | None) -> None:
    """A line about one request. What the application put into it is nobody's business here."""
    about: dict[str, object] = {"user": user, "operation": UNKNOWN if request is None else request.op}
    if isinstance(request, OnInvitation):
        about["invite_id"] = request.iid
    if refused is None:
        log.debug("request %s", result, extra=about)
        return
    about["code"] = refused.code.code
    log.debug("request %s: %s: %s", result, refused.code.name, refused.text, extra=about)


def _is_heard(invitation: Invitation, request: OnInvitation) -> bool:
    """Whether an event answers this request. None does for a tombstone, nor for a modification that a later one of the
    same turn superseded.
    """
    return any(event.re == request.id and event.to for event in reversed(invitation.events))
