"""Users with two devices each, whose cores are real, around a real extension. What each event makes is written down."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from ringline.core.core import Core
from ringline.protocol.codec import pack
from ringline.protocol.events import Event, decode_event, decode_events, join_events
from ringline.protocol.shapes import GroupEvent, Request
from ringline.protocol.topics import Topics
from ringline_broker.engine.step import Deadline, NobodyOnline
from tests.docs.play import Extension, Message

DEVICES = ("one", "two")


class Heard(NamedTuple):
    """A callback on a device, the event that made it (None: an answer), and what it was called with."""

    event: Event | None
    callback: str
    user: str
    device: str
    given: Any


class GroupHeard(NamedTuple):
    """A callback on a device that an event of a group made."""

    event: GroupEvent
    callback: str
    user: str
    device: str


class Stage:
    """Everybody is online from the start, unless said otherwise.

    Args:
        users: who there is.
        away: who of them is not online.
        is_whole: the events of a message are dealt with together, as devices do; nothing is put down to one of them.
    """

    def __init__(self, *users: str, away: tuple[str, ...] = (), is_whole: bool = False) -> None:
        self.extension = Extension()
        self.heard: list[Heard] = []
        self.heard_of_groups: list[GroupHeard] = []
        self._subscribed: set[tuple[str, str, str]] = set()
        self._cores = {(user, device): Core(user, device, since=0) for user in users for device in DEVICES}
        self._away = set(away)
        self._is_whole = is_whole
        for user in users:
            if user not in away:
                self.come(user)
        self.heard.clear()

    def come(self, user: str) -> None:
        """The devices of a user connect, and sync."""
        self._away.discard(user)
        for device in DEVICES:
            self._cores[user, device].subscribed(0.0)
            self._settle(user, device, None)

    def go(self, user: str) -> None:
        """The devices of a user lose their connection."""
        self._away.add(user)
        self._subscribed = {one for one in self._subscribed if one[0] != user}
        for device in DEVICES:
            self._cores[user, device].disconnected(0.0)

    def ask(self, user: str, request: Request) -> None:
        """A request is made on the user's device that it names."""
        self._cores[user, request.dev].request(request, 0.0)
        self._settle(user, request.dev, None)

    def act(self, command: Deadline | NobodyOnline) -> None:
        """The extension acts by itself."""
        self._deliver(self.extension.command(command))

    def pass_time(self, ms: int) -> None:
        """Time passes, and nobody looks."""
        self.extension.clock.advance(ms)

    def forget(self) -> None:
        """The server loses everything it has."""
        self.extension = Extension()

    def callbacks(self, event: str | None, user: str) -> list[str]:
        """What a user's first device heard of a kind of event, or of answers."""
        return [
            heard.callback
            for heard in self.heard
            if (heard.user, heard.device) == (user, "one") and (heard.event.ev if heard.event else None) == event
        ]

    def told(self, event: str | None, user: str) -> Any:
        """What the user's first device was given with the first callback of a kind of event."""
        [first, *_] = [
            heard.given
            for heard in self.heard
            if (heard.user, heard.device) == (user, "one") and (heard.event.ev if heard.event else None) == event
        ]
        return first

    def _settle(self, user: str, device: str, event: Event | GroupEvent | None) -> None:
        """Write down what a core called back, subscribe as it says, and bring its requests to the extension."""
        core = self._cores[user, device]
        out = core.drain()
        if isinstance(event, GroupEvent):
            self.heard_of_groups += [GroupHeard(event, callback.method, user, device) for callback in out.callbacks]
        else:
            self.heard += [Heard(event, one.method, user, device, one.event) for one in out.callbacks]
        self._subscribed -= {(user, device, topic) for topic in out.unsubscribe}
        for topic in out.subscribe:
            self._subscribed.add((user, device, topic))
            core.group_subscribed(topic, True, 0.0)
            self._settle(user, device, None)
        for _, payload in out.messages:
            self._deliver(self.extension.ask(user, payload))

    def _deliver(self, messages: list[Message]) -> None:
        """Hand messages to the devices, whole or each event of them by itself."""
        waiting = deque(messages)
        while waiting:
            topic, payload = waiting.popleft()
            for (user, device), core in self._cores.items():
                if user in self._away:
                    continue
                if topic == Topics().answers(user, device):
                    core.received(topic, payload, 0.0)
                    self._settle(user, device, None)
                elif topic == Topics().events(user) or (user, device, topic) in self._subscribed:
                    for part, event in _parts(payload, is_whole=self._is_whole):
                        core.received(topic, part, 0.0)
                        self._settle(user, device, event)


def _parts(payload: bytes, *, is_whole: bool) -> Iterator[tuple[bytes, Event | GroupEvent | None]]:
    if is_whole:
        yield payload, None
        return
    for raw in decode_events(payload):
        yield join_events([pack(raw)]), decode_event(raw)
