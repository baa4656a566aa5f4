"""What the devices that asked are told: results, refusals, and that the store is out of reach."""

import logging

from ringline.protocol.codec import pack
from ringline.protocol.errors import SERVER_UNAVAILABLE
from ringline.protocol.messages import Answer, NowRinging, OnInvitation, Refusal, encode_answer, event_map
from ringline.protocol.shapes import Request
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Done, Forward, Refused, Reply, Show
from ringline_broker.metrics import Counters
from ringline_broker.service.outbox import Outbox

log = logging.getLogger(__name__)


class Replies:
    """Answers devices.

    Args:
        outbox: for the answers.
        counters: what is counted.
    """

    def __init__(self, outbox: Outbox, counters: Counters) -> None:
        self._outbox = outbox
        self._counters = counters

    def reply(self, user: str, request: OnInvitation, reply: Reply, invitation: Invitation | None) -> None:
        """Say what became of a request about an invitation, which stands so now. Where an event says it, nothing."""
        match reply:
            case Refused():
                self.refuse(user, request.dev, request.id, reply)
            case Show():
                self.answer(user, request.dev, Answer(re=request.id, state=reply.state))
            case Done() if invitation is not None and (reply.repeated or not _is_heard(invitation, request)):
                self._counters.repeats += reply.repeated
                self.answer(user, request.dev, Answer(re=request.id, n=invitation.n))
            case Forward() if invitation is not None:
                event = NowRinging(iid=request.iid, by=user, dev=request.dev)
                self._outbox.event(invitation.inviter, pack(event_map(event)))
            case _:
                pass

    def answer(self, user: str, device: str, answer: Answer) -> None:
        """Answer a device."""
        self._outbox.answer(user, device, encode_answer(answer))

    def refuse(self, user: str, device: str, re: bytes, refused: Refused) -> None:
        """Refuse a device its request."""
        self._counters.refused += 1
        code = refused.code
        log.debug("refused user %s: %s: %s", user, code.name, refused.text)
        refusal = Refusal(
            code=code.code, name=code.name, text=refused.text, field=refused.field, state=refused.state,
            who=refused.who, wait=refused.wait_ms,
        )  # fmt: skip
        self.answer(user, device, Answer(re=re, err=refusal))

    def unavailable(self, user: str, request: Request) -> None:
        """Have a device repeat its request later. Why is the log's business, not the user's."""
        self._counters.unavailable += 1
        self.refuse(user, request.dev, request.id, Refused(SERVER_UNAVAILABLE, SERVER_UNAVAILABLE.meaning))


def _is_heard(invitation: Invitation, request: OnInvitation) -> bool:
    """Whether an event answers this request. None does for a tombstone, nor for a modification that a later one of the
    same turn superseded.
    """
    return any(event.re == request.id and event.to for event in reversed(invitation.events))
