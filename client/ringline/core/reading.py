"""Reading events; what cannot be read is logged, and spoils no other."""

import logging
from collections.abc import Iterable

from ringline.protocol.errors import ProtocolError
from ringline.protocol.events import Event, decode_event
from ringline.protocol.shapes import GroupEvent

log = logging.getLogger(__name__)


def read_events(raw: Iterable[object]) -> tuple[list[Event], list[GroupEvent]]:
    """What can be read: of invitations, and of groups."""
    events: list[Event] = []
    news: list[GroupEvent] = []
    for one in raw:
        try:
            event = decode_event(one)
        except ProtocolError as bad:
            log.warning("unreadable event: %s", bad)
            continue
        if isinstance(event, Event):
            events.append(event)
        else:
            news.append(event)
    return events, news
