"""The aMQTT plugin: who may log in, and which topics a user may have. It asks the gate, which the binding is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from ringline_broker.bindings.amqtt.credentials import Identity, Login

IDENTITY: Final = "ringline.identity"
"""The attribute of a session that has its Identity, or None where the login was wrong."""


class Gate(Protocol):
    """What the broker needs to know of Ringline."""

    def knows(self, login: Login) -> bool:
        """Whether it is known at no cost that this login is right, or none is asked for."""
        ...

    async def identify(self, login: Login) -> Identity | None:
        """Who this is; None where the login is wrong."""
        ...

    def look(self) -> None:
        """See whether those who may log in are others by now; called often."""
        ...

    def may_stay(self, identity: Identity) -> bool:
        """Whether who logged in before could do so again."""
        ...

    async def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Whether the user's devices may have this topic filter just now."""
        ...

    def request_topic(self, user: str) -> str:
        """The one topic the user's devices may publish on."""
        ...

    def take(self, user: str, payload: bytes, settle: Callable[[], None]) -> None:
        """Take a request of this user, and settle it when it has been dealt with."""
        ...


def login_of(session: Session) -> Login:
    """What a session says of itself. `ssl` hands over only certificates that it has verified."""
    certificate = None if session.ssl_object is None else session.ssl_object.getpeercert()
    return Login(session.username, (session.password or "").encode("utf-8", "surrogateescape"), certificate or None)


class RinglinePlugin(BaseAuthPlugin, BaseTopicPlugin):
    """Holds every user to their own topics."""

    @dataclass
    class Config:  # pyright: ignore[reportIncompatibleVariableOverride] - how aMQTT wants it
        """`gate`: a Gate, handed over by the binding."""

        gate: Any = None

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._gate: Gate = self.config.gate

    async def authenticate(self, *, session: Session) -> bool | None:
        """Check who somebody is, before anything of the session is known to the broker."""
        session.attributes[IDENTITY] = identity = await self._gate.identify(login_of(session))
        if identity is not None:
            session.username = identity.user  # a certificate may have said it
        return identity is not None

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """Allow requests out, events and answers in, and nothing else."""
        if session is None or session.username is None or topic is None:
            return False
        if action is Action.PUBLISH:
            return topic == self._gate.request_topic(session.username)
        return await self._gate.may_subscribe(session.username, topic)
