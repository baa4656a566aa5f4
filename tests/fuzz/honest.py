"""Two users who only want to talk: over and over, while the server is attacked."""

import queue
import threading
import time
from typing import Final, Self

from ringline import SignalingClient, SignalingListener
from ringline.errors import SignalingError
from ringline.events import Disconnected, InvitationEnded, NewInvitation
from tests.fuzz.server import Found, FuzzedServer
from tests.support.bound import BOUND_S

_PAUSE_S: Final = 0.1
"""Between calls: below the rate that a server allows a user by default."""


class _Ear(SignalingListener):
    """Hears of calls of these two; whatever others send, such as rings from attackers, is nothing to it."""

    def __init__(self) -> None:
        self.rung: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.over: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.own: set[str] = set()
        self.drops: list[str] = []

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        if event.inviter == "alice":
            self.own.add(event.invite_id)
            self.rung.put(event.invite_id)

    def on_disconnected(self, event: Disconnected) -> None:
        self.drops.append(event.reason)

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        if event.invite_id in self.own:
            self.own.discard(event.invite_id)
            self.over.put((event.invite_id, event.outcome))


class HonestPair:
    """Alice, over TCP, calls Bob, who is there over WebSocket.

    Args:
        server: who carries it.

    Attributes:
        calls: how many were heard to be accepted on both sides.
        longest_ms: the time that the slowest took from the first request to the last callback.
    """

    def __init__(self, server: FuzzedServer) -> None:
        self.calls = 0
        self.longest_ms = 0.0
        self._failed = ""
        self._over = threading.Event()
        self._ears = {user: _Ear() for user in ("alice", "bob")}
        urls = {"alice": f"mqtt://127.0.0.1:{server.ports['default']}", "bob": f"ws://127.0.0.1:{server.ports['ws']}"}
        self._clients = {
            user: SignalingClient(url, user=user, listener=self._ears[user]) for user, url in urls.items()
        }
        self._thread = threading.Thread(target=self._go_on, name="honest-calls")

    def __enter__(self) -> Self:
        for user, client in self._clients.items():
            client.connect()
            if not client.wait_connected(BOUND_S):
                self._close()
                raise Found(f"{user} cannot connect")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._close()

    def check(self) -> None:
        """See that all calls went well, on connections that stayed.

        Raises:
            Found: one did not.
        """
        if self._failed:
            raise Found(f"after {self.calls} honest calls: {self._failed}")
        if drops := {user: ear.drops for user, ear in self._ears.items() if ear.drops}:
            raise Found(f"honest devices were cut off: {drops}")

    def _close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _go_on(self) -> None:
        while not self._failed and not self._over.wait(_PAUSE_S):
            began = time.monotonic()
            try:
                self._call()
            except (SignalingError, TimeoutError, queue.Empty, AssertionError) as failed:
                self._failed = f"{type(failed).__name__} {failed}"
            else:
                self.calls += 1
                self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)

    def _call(self) -> None:
        alice, bob = self._ears["alice"], self._ears["bob"]
        call = self._clients["alice"].invite(["bob"], "hello")
        alice.own.add(call.invite_id)
        assert bob.rung.get(timeout=BOUND_S) == call.invite_id
        self._clients["bob"].accept(call.invite_id).result(BOUND_S)
        for ear in (alice, bob):
            assert ear.over.get(timeout=BOUND_S) == (call.invite_id, "accepted")
