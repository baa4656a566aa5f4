"""The thread on which listeners are called, and the listeners."""

import logging
import queue
import threading

from ringline.core.callbacks import Callback
from ringline.group_events import GroupNews
from ringline.group_listener import GroupListener
from ringline.listener import SignalingListener

log = logging.getLogger(__name__)


class Caller:
    """Makes callbacks one after the other, in the order they are put; one that raises is logged, and stops nothing.

    Args:
        listener: heard from the start.
        group_listener: likewise, of groups.

    Attributes:
        listeners: replaced, never changed: the thread may be going through them.
        group_listeners: likewise.
    """

    def __init__(self, listener: SignalingListener | None, group_listener: GroupListener | None) -> None:
        self.listeners: tuple[SignalingListener, ...] = () if listener is None else (listener,)
        self.group_listeners: tuple[GroupListener, ...] = () if group_listener is None else (group_listener,)
        self._callbacks: queue.SimpleQueue[Callback | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ringline-callbacks", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def put(self, callback: Callback) -> None:
        """Have a callback made."""
        self._callbacks.put(callback)

    def stop(self, timeout: float) -> None:
        """Make those that wait, then end; waits so many seconds for it, but not on the thread itself."""
        self._callbacks.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            of_groups = isinstance(callback.event, GroupNews)
            for listener in self.group_listeners if of_groups else self.listeners:
                try:
                    getattr(listener, callback.method)(callback.event)
                except Exception:
                    log.exception("%s of %r raised; going on", callback.method, listener)
