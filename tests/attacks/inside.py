"""Looking into a broker under attack, and meddling with it, alike on both."""

import time
from collections.abc import Callable
from typing import Any

from amqtt.session import Session

from tests.attacks.raw_mqtt import GOODBYE, device
from tests.attacks.targets import TOPICS, Target
from tests.support.bound import BOUND_S


def instead_of_topic_filtering(target: Target, filtering: Any) -> None:
    """Let the plugin of a broker judge topics in another way."""
    (plugin,) = target.broker.plugins_manager.plugins
    setattr(plugin, "topic_filtering", filtering)  # noqa: B010 - type checkers forbid it the other way


def sessions_of(target: Target, user: str) -> list[Session]:
    return [session for session, _ in target.broker.sessions.values() if session.username == user]


def becomes(target: Target, is_so: Callable[[], bool], bound_s: float = BOUND_S) -> bool:
    """Whether in this time something comes to be so in the broker; looked at on its event loop."""
    until = time.monotonic() + bound_s
    while not target.loop.call(is_so):
        if time.monotonic() > until:
            return False
    return True


def has_left(target: Target, user: str, bound_s: float = BOUND_S) -> bool:
    """Whether in this time the broker comes to know that no device of the user is connected."""

    def is_known() -> bool:
        return not any(session.transitions.is_connected() for session in sessions_of(target, user))

    return becomes(target, is_known, bound_s)


def leave(target: Target, user: str, *filters: str, client_id: str) -> None:
    """Subscribe in a session that is to be kept, and disconnect."""
    with device(target.port, user, *filters, client_id=client_id, clean=False) as phone:
        phone.send(GOODBYE)
        assert phone.is_ended()
    assert has_left(target, user)


def handler_of(target: Target, session: Session) -> Any:
    return target.broker._sessions[session.client_id or ""][1]


def event_after_event(target: Target) -> None:
    """Wait until the broker has dealt with the events it was given: it takes them one after the other."""
    with device(target.port, "alice", TOPICS.events("alice")) as alice:
        target.event(TOPICS.events("alice"), b"the last")
        assert alice.hears(b"the last")


def only_session(target: Target) -> Session:
    ((session, _),) = target.broker.sessions.values()
    return session
