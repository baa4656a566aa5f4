"""Cores and a server without a network: the real engine, store and sync, and time that the test moves."""

from collections.abc import Coroutine, Iterable
from itertools import count
from typing import Any, TypeVar

from ringline.core.core import Core, Settled
from ringline.protocol.answers import Answer, Refusal, encode_answer
from ringline.protocol.codec import pack
from ringline.protocol.events import Event, NowRinging, event_map
from ringline.protocol.requests import Invite, OnInvitation, Sync, decode_request
from ringline.protocol.shapes import GroupEvent, Request
from ringline.protocol.topics import Topics
from ringline_broker.engine.log import events_since, message_for
from ringline_broker.engine.model import Invitation
from ringline_broker.engine.step import Ask, Busy, Command, Deadline, Done, Forward, Refused, Reply, Show, step
from ringline_broker.service.ports import Change
from ringline_broker.service.sync import answer_sync
from ringline_broker.stores.memory import MemoryStore
from ringline_broker.testing import ManualClock

T = TypeVar("T")
R = TypeVar("R", bound=Request)
TOPICS = Topics()
START = 1_000.0
_ids = count(1)


def new_id() -> bytes:
    """A request id that no other request has."""
    return next(_ids).to_bytes(8, "big")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing; a store in memory has no others."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


def low(low: float, _high: float) -> float:
    """Chance that always falls on the lower end."""
    return low


class Server:
    """What the extension does, one request at a time.

    Attributes:
        blocked: users, each with one whom they do not let ring.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.blocked: set[tuple[str, str]] = set()

    def restart_empty(self) -> None:
        """A crash, with a store that keeps nothing."""
        self.store = MemoryStore(self.clock)

    def invitation(self, iid: str) -> Invitation:
        """An invitation as it stands."""
        return at_once(self.store.load([iid]))[iid].invitation

    def do(self, iid: str, command: Command) -> tuple[Reply, dict[str, list[Event]]]:
        """Apply a command; the reply, and what each user hears of it."""
        held = at_once(self.store.load([iid])).get(iid)
        before = None if held is None else held.invitation
        now = self.store.now()
        made = step(before, command, now)
        after = made.invitation
        if after is None or after is before:
            return made.reply, {}
        begin = 0 if before is None else before.n
        assert at_once(self.store.commit([Change(after, begin)])) == [True]
        heard = {
            user: [message_for(after, event, p, user, now) for event, p in events_since(after, begin, user)]
            for user in after.parties
        }
        return made.reply, {user: events for user, events in heard.items() if events}

    def ask(self, user: str, request: Request) -> tuple[Answer | None, dict[str, list[Event]]]:
        """Deal with a request: the answer to its device if there is one, and what each user hears."""
        if isinstance(request, Sync):
            return self.sync(user, request), {}
        assert isinstance(request, OnInvitation)
        reply, heard = self.do(request.iid, Ask(user, request, self._busy(user, request)))
        match reply:
            case Refused(code, text, field, state):
                err = Refusal(code=code.code, name=code.name, text=text, field=field, state=state)
                return Answer(re=request.id, err=err), heard
            case Show(state):
                return Answer(re=request.id, state=state), heard
            case Done(repeated) if repeated or self.invitation(request.iid).is_tombstone:
                return Answer(re=request.id, n=self.invitation(request.iid).n), heard
            case Forward():
                ringing = NowRinging(iid=request.iid, by=user, dev=request.dev)
                return None, {self.invitation(request.iid).inviter: [ringing]}
            case _:
                return None, heard

    def _busy(self, user: str, request: OnInvitation) -> tuple[Busy, ...]:
        to = request.to if isinstance(request, Invite) else ()
        return tuple(Busy(name, "a mask", new_id()) for name in to if (name, user) in self.blocked)

    def sync(self, user: str, request: Sync) -> Answer:
        """One page."""
        return at_once(answer_sync(self.store, user, request))


class Device:
    """A core, and all that came out of it.

    Attributes:
        heard: the callbacks, by name without `on_`, each with its event.
        outgoing: requests it sent and nobody dealt with yet.
        sent: every request it ever sent, with the time.
        settled: how its requests ended.
        subscribing: topics of groups that wait for their SUBACK, in order.
        topics: topics of groups it has.
    """

    def __init__(self, user: str, device: str = "d1", since: int | None = None) -> None:
        self.core = Core(user, device, TOPICS, since, low)
        self.user, self.device = user, device
        self.now = START
        self.online = False
        self.heard: list[tuple[str, Any]] = []
        self.outgoing: list[Request] = []
        self.sent: list[tuple[float, Request]] = []
        self.settled: dict[bytes, Settled] = {}
        self.subscribing: list[str] = []
        self.topics: set[str] = set()

    def connect(self) -> None:
        """Connected and subscribed."""
        self.online = True
        self.core.subscribed(self.now)
        self._drain()

    def lose(self) -> None:
        """The connection is gone, with what was under way."""
        self.online = False
        self.core.disconnected(self.now)
        self.outgoing.clear()
        self.subscribing.clear()
        self.topics.clear()
        self._drain()

    def request(self, request: Request) -> bytes:
        """The application asks for something."""
        self.core.request(request, self.now)
        self._drain()
        return request.id

    def hear(self, *events: Event | GroupEvent) -> None:
        """One message of events."""
        self.hear_raw([event_map(event) for event in events])

    def hear_in(self, gid: str, *events: Event | GroupEvent) -> None:
        """One message of events on a group's topic."""
        self.receive(TOPICS.group_events(gid), pack([event_map(event) for event in events]))

    def grant(self, *, ok: bool = True) -> list[str]:
        """The SUBACKs for all topics it waits for; the groups."""
        topics, self.subscribing = self.subscribing, []
        for topic in topics:
            if ok:
                self.topics.add(topic)
            self.core.group_subscribed(topic, ok, self.now)
            self._drain()
        return [TOPICS.group_of(topic) or "" for topic in topics]

    def hear_raw(self, events: object) -> None:
        """One message on the events topic, whatever it is."""
        self.receive(TOPICS.events(self.user), pack(events))

    def answer(self, answer: Answer) -> None:
        """One message on the device's own topic."""
        self.receive(TOPICS.answers(self.user, self.device), encode_answer(answer))

    def receive(self, topic: str, payload: bytes) -> None:
        """A message."""
        self.core.received(topic, payload, self.now)
        self._drain()

    def wait(self, seconds: float) -> None:
        """Let time pass as the shell does: wake when the core wants to be woken, and never for nothing."""
        until = self.now + seconds
        while (wakes := self.core.next_wakeup()) is not None and wakes <= until:
            self.now = max(self.now, wakes)
            self.core.tick(self.now)
            self._drain()
            after = self.core.next_wakeup()
            assert after is None or after > self.now, "the shell would spin"
        self.now = until

    def names(self, iid: str | None = None) -> list[str]:
        """The callbacks, of one invitation or of all; connecting is not among them."""
        return [
            name
            for name, event in self.heard
            if name != "connected" and (iid is None or getattr(event, "invite_id", None) == iid)
        ]

    def error(self, request_id: bytes) -> str | None:
        """The name of the error a request ended with; None where it succeeded."""
        error = self.settled[request_id].error
        return None if error is None else error.name

    def take_sync(self) -> Sync:
        """The one request it has sent, once or several times, which must be a sync."""
        return self.take(Sync)

    def take(self, kind: type[R]) -> R:
        """The one request it has sent, once or several times, which must be of this kind."""
        [request] = {request.id: request for request in self.outgoing}.values()
        self.outgoing.clear()
        assert isinstance(request, kind)
        return request

    def _drain(self) -> None:
        out = self.core.drain()
        for topic in out.unsubscribe:
            self.topics.discard(topic)
        self.subscribing += out.subscribe
        for topic, payload in out.messages:
            assert topic == TOPICS.requests(self.user)
            request = decode_request(payload)
            self.outgoing.append(request)
            self.sent.append((self.now, request))
        for callback in out.callbacks:
            self.heard.append((callback.method.removeprefix("on_"), callback.event))
        for settled in out.settled:
            assert settled.request_id not in self.settled, "settled twice"
            self.settled[settled.request_id] = settled


class World:
    """A server and devices; `run` carries messages until there are no more."""

    def __init__(self) -> None:
        self.server = Server()
        self.devices: list[Device] = []

    def device(self, user: str, device: str = "d1", *, since: int | None = None, connected: bool = True) -> Device:
        """One more device, up to date where it is connected."""
        made = Device(user, device, since)
        made.now = START + (self.server.clock.monotonic_ms() - 1_000_000) / 1_000
        self.devices.append(made)
        if connected:
            made.connect()
            self.run()
        return made

    def run(self) -> None:
        """Every request that was sent is dealt with before any device hears of it, over and over."""
        while asked := [(device, request) for device in self.devices for request in _taken(device)]:
            answers: list[tuple[Device, Answer]] = []
            events: list[tuple[str, list[Event]]] = []
            for device, request in asked:
                answer, heard = self.server.ask(device.user, request)
                answers += [] if answer is None else [(device, answer)]
                events += heard.items()
            self.spread(events)
            for device, answer in answers:
                device.answer(answer)

    def spread(self, events: Iterable[tuple[str, list[Event]]]) -> None:
        """Let every connected device hear."""
        for user, some in events:
            for device in self.devices:
                if device.user == user and device.online:
                    device.hear(*some)

    def wait(self, seconds: float) -> None:
        """Let time pass, for the server too, which looks at its deadlines at the end of it."""
        self.server.clock.advance(int(seconds * 1_000))
        for device in self.devices:
            device.wait(seconds)
        for iid in at_once(self.server.store.claim_due(1, 1_000)):
            self.spread(self.server.do(iid, Deadline(iid))[1].items())
        self.run()


def _taken(device: Device) -> list[Request]:
    requests, device.outgoing = device.outgoing, []
    return requests
