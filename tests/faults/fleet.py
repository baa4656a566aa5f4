"""Devices that are watched from inside: what each sent, what a loss of its connection cut, what it recognised."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from ringline.client import SignalingClient
from ringline.core.core import Counts
from ringline.protocol.answers import decode_answer
from ringline.protocol.errors import ProtocolError
from ringline.protocol.requests import Sync
from tests.support.bound import BOUND_S
from tests.support.recorder import Heard, Recorder


class Watch:
    """What all watched clients did together, and a trap that may be set for the next message of theirs."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.sent = 0
        self.heard = 0
        self.cut = 0
        self.repeats_answered = 0
        self._trap: tuple[str, int, Callable[[], object]] | None = None

    def set_trap(self, what: str, after: int, spring: Callable[[], object]) -> None:
        """Spring at the next message but `after` that is `sent` or `heard`, on the thread that sends or hears it."""
        with self.changed:
            self._trap = (what, after, spring)

    def disarm(self) -> bool:
        """Take an unsprung trap away; True where there was one."""
        with self.changed:
            trap, self._trap = self._trap, None
            return trap is not None

    def await_trap(self, bound_s: float) -> bool:
        """Wait until the trap springs; False where it did not."""
        with self.changed:
            return self.changed.wait_for(lambda: self._trap is None, bound_s)

    def await_moment(self, at: float) -> None:
        """Wait until the monotonic clock is there, while devices go on."""
        with self.changed:
            self.changed.wait_for(lambda: time.monotonic() >= at, max(0.0, at - time.monotonic()))

    def await_heard(self, count: int) -> None:
        """Wait until so many messages were heard."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.heard >= count, BOUND_S), f"{self.heard} of {count} were heard"

    def note(self, what: str) -> None:
        """A message was sent or heard."""
        with self.changed:
            if what == "sent":
                self.sent += 1
            else:
                self.heard += 1
            self.changed.notify_all()
            if self._trap is None or self._trap[0] != what:
                return
            _, after, spring = self._trap
            self._trap = (what, after - 1, spring) if after else None
            if after == 0:
                spring()

    def add_cut(self, count: int) -> None:
        """A connection was lost with so many requests unanswered."""
        with self.changed:
            self.cut += count
            self.changed.notify_all()


class WatchedClient(SignalingClient):
    """A client that tells a watch."""

    def __init__(self, url: str, watch: Watch, **more: Any) -> None:
        super().__init__(url, **more)
        self._watch = watch
        self.losses = 0
        hand_over = self._network.publish

        def publish(topic: str, payload: bytes) -> None:
            hand_over(topic, payload)
            watch.note("sent")

        self._network.publish = publish  # type: ignore[method-assign]

    def on_message(self, topic: str, payload: bytes) -> None:
        super().on_message(topic, payload)
        if topic != self.subscriptions[0]:
            with suppress(ProtocolError):
                answer = decode_answer(payload)
                self._watch.repeats_answered += answer.n > 0 and answer.err is None
        self._watch.note("heard")

    def on_lost(self, reason: str, retry_in: float | None) -> None:
        with self._lock:
            was_online, cut = self._core._online, self.unanswered
            super().on_lost(reason, retry_in)
        if was_online and retry_in is not None:
            self.losses += 1
            self._watch.add_cut(cut)

    @property
    def is_online(self) -> bool:
        return self._core._online

    @property
    def unanswered(self) -> int:
        """How many of its requests are under way."""
        with self._lock:
            return sum(
                waiting.sends > 0 and not isinstance(waiting.request, Sync)
                for lane in self._core._lanes._lanes.values()
                for waiting in lane
            )


class FaultRecorder(Recorder):
    """A recorder that can be waited on for anything, and finds what is about one invitation at once."""

    def __init__(self) -> None:
        super().__init__()
        self._of: defaultdict[str | None, list[Heard]] = defaultdict(list)

    def _note(self, name: str, event: Any) -> None:
        with self._changed:
            self._of[getattr(event, "invite_id", None) or getattr(event, "group_id", None)].append((name, event))
        super()._note(name, event)

    def of(self, about: str) -> list[Heard]:
        """The callbacks of one invitation so far, in order; or those of a group, without its invitations."""
        with self._changed:
            return list(self._of.get(about, ()))

    def wait_for(
        self, is_so: Callable[[], object], what: str, bound_s: float = BOUND_S, invite_id: str | None = None
    ) -> None:
        """Wait until something is so that callbacks bring about. Fails with all that came instead, of one invitation
        or of all.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(is_so()), bound_s):
                heard = self._heard if invite_id is None else self.of(invite_id)
                raise AssertionError(f"not {what} in {bound_s} s: {heard}")

    def is_over(self, invite_id: str) -> bool:
        """Whether it was heard how this ended: ended, or missed with an outcome."""
        return any(
            name == "invitation_ended" or (name == "invitation_missed" and event.outcome is not None)
            for name, event in self.of(invite_id)
        )


@dataclass(frozen=True, slots=True, eq=False)
class WatchedDevice:
    """A watched client with a recorder on it."""

    client: WatchedClient
    heard: FaultRecorder

    @property
    def user(self) -> str:
        return self.client.user

    @property
    def name(self) -> str:
        return self.client.device

    @property
    def connects(self) -> int:
        """How often it heard that it is connected."""
        return len(self.heard.events("connected"))


class Fleet:
    """The devices of a test."""

    def __init__(self, url: str, client: type[WatchedClient] = WatchedClient) -> None:
        self.url = url
        self.watch = Watch()
        self._new_client = client
        self.devices: list[WatchedDevice] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        closing = [threading.Thread(target=device.client.close) for device in self.devices]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()

    def add(self, user: str, name: str, url: str | None = None, **more: Any) -> WatchedDevice:
        """A device, not connected."""
        heard = FaultRecorder()
        client = self._new_client(url or self.url, self.watch, user=user, device=name, listener=heard, **more)
        device = WatchedDevice(client, heard)
        self.devices.append(device)
        return device

    def connect(self) -> None:
        """Connect all."""
        for device in self.devices:
            device.client.connect()
        self.await_all()

    def of(self, *users: str) -> list[WatchedDevice]:
        """The devices of these users."""
        return [device for device in self.devices if device.user in users]

    def await_all(self, bound_s: float = BOUND_S) -> None:
        """Wait until all are connected and up to date."""
        end = time.monotonic() + bound_s
        for device in self.devices:
            assert device.client.wait_connected(max(0.0, end - time.monotonic())), f"{device.name} is not connected"

    @contextmanager
    def all_lose_connection(self) -> Generator[None]:
        """Around a kill: waits until whoever was connected has noticed."""
        before = {device: device.client.losses for device in self.devices if device.client.is_online}
        yield

        def noticed() -> bool:
            return all(one.client.losses > losses or not one.client.is_online for one, losses in before.items())

        with self.watch.changed:
            assert self.watch.changed.wait_for(noticed, BOUND_S), "a device does not notice that its connection is gone"

    def connects(self) -> int:
        """How often devices connected."""
        return sum(device.connects for device in self.devices)

    def assert_all_synced(self) -> None:
        """Every device asked what it had missed whenever it connected."""
        for device in self.devices:
            connects, asked = device.connects, device.client.counts.syncs
            assert asked >= connects, f"{device.name} connected {connects} times, and asked {asked}"

    def counts(self) -> Counts:
        """All devices' counts together."""
        all_counts = [device.client.counts for device in self.devices]
        return Counts(
            retries=sum(c.retries for c in all_counts),
            repeats_dropped=sum(c.repeats_dropped for c in all_counts),
            syncs=sum(c.syncs for c in all_counts),
            gaps=sum(c.gaps for c in all_counts),
        )
