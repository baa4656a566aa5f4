"""A device in a terminal: what it shows are lines, its buttons are keys, each followed by Enter; Ctrl-D leaves."""

import argparse
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

from ringline import RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.events import Disconnected

CONNECT_WITHIN_S: Final = 10.0
DONE_WITHIN_S: Final = 5.0

Action = Callable[[], RequestHandle | None]


def new_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that every program here has."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    url = "mqtt://127.0.0.1:1883"
    parser.add_argument("--url", default=url, help=f"mqtt[s]|ws[s]://[:password@]host[:port], or else {url}")
    return parser


class Terminal(SignalingListener):
    """Runs one client until its user leaves.

    Args:
        client: not connected yet.
    """

    def __init__(self, client: SignalingClient) -> None:
        self._client = client
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        client.add_listener(self)

    def show(self, text: str) -> None:
        """Print a line."""
        print(f"{self._client.user} {text}", flush=True)

    def leave(self) -> None:
        """Let `run` return, after the keys that were typed before."""
        self._inbox.put(None)

    def on_disconnected(self, event: Disconnected) -> None:
        if event.retry_in is not None:
            print(f"not connected: {event.reason}", file=sys.stderr, flush=True)

    def run(
        self, keys: Mapping[str, tuple[str, Action]], *, at_start: Action | None = None, at_end: Action | None = None
    ) -> int:
        """Connect, do what keys say, and disconnect.

        Args:
            keys: what each does, in words and in fact.
            at_start: done once connected.
            at_end: done before disconnecting.

        Returns:
            The program's exit code.
        """
        with self._client:
            try:
                if not self._client.wait_connected(CONNECT_WITHIN_S):
                    print("gave up", file=sys.stderr)
                    return 1
                print(", ".join(f"{key} = {what}" for key, (what, _) in keys.items()) + ", q = quit", flush=True)
                threading.Thread(target=self._read_keys, daemon=True).start()
                self._do(at_start)
                while (key := self._inbox.get()) not in (None, "q"):
                    _, action = keys.get(key or "", (None, None))
                    self._do(action)
            except KeyboardInterrupt:
                print(flush=True)
            self._do(at_end)
        return 0

    def _read_keys(self) -> None:
        # Without a buffer: a thread that waits in one keeps the interpreter from closing it at the end.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as keys:
            for line in keys:
                self._inbox.put(line.decode(errors="replace").strip())
        self.leave()

    def _do(self, action: Action | None) -> None:
        """Do it, and see it done: a program that exits takes with it what it has not yet sent."""
        handle = None if action is None else action()
        if handle is not None:
            try:
                handle.result(DONE_WITHIN_S)
            except SignalingError as refused:
                print(f"the server says: {refused.text}", file=sys.stderr, flush=True)
