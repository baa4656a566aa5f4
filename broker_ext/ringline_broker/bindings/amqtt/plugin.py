"""The aMQTT plugin: who may log in, and which topics a user may have. It asks the gate, which the binding is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session


class Gate(Protocol):
    """What the broker needs to know of Ringline."""

    async def may_enter(self, user: str, password: bytes) -> bool:
        """Whether this user may log in with this password."""
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
        """Check a user's password, before anything of the session is known to the broker."""
        if session.username is None:
            return False
        return await self._gate.may_enter(session.username, (session.password or "").encode("utf-8", "surrogateescape"))

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """Allow requests out, events and answers in, and nothing else."""
        if session is None or session.username is None or topic is None:
            return False
        if action is Action.PUBLISH:
            return topic == self._gate.request_topic(session.username)
        return await self._gate.may_subscribe(session.username, topic)
