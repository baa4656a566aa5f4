"""Prints what every device of the demo shows, as it shows it, and compares it with the script."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 10.0


class OffScript(Exception):
    """A device did not show what the script says, or showed something else."""


class Stage:
    """Where the scenes are played.

    Args:
        patience: for how many seconds to wait for a line.
    """

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self.seen = 0
        self._patience = patience
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._lines: dict[str, queue.SimpleQueue[str]] = {}

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def scene(self, title: str) -> None:
        """Begin a scene: nobody has shown anything in it."""
        self._lines = {}
        print(f"\n{title}", flush=True)

    def tell(self, what: str) -> None:
        """Say what no device shows."""
        with self._lock:
            print(f"{self.seconds:7.2f} s  ({what})", flush=True)

    def actor(self, name: str) -> Callable[[str], None]:
        """A device's way to show something."""
        lines = self._lines[name] = queue.SimpleQueue()

        def show(text: str) -> None:
            with self._lock:
                print(f"{self.seconds:7.2f} s  {name:<14}{text}", flush=True)
            lines.put(text)

        return show

    def expect(self, name: str, *texts: str) -> None:
        """Wait until a device has shown this next.

        Raises:
            OffScript: it showed something else, or nothing in time.
        """
        for text in texts:
            shown = self.next(name, text)
            if shown != text:
                raise OffScript(f"{name} should have shown: {text}; but showed: {shown}")
            self.seen += 1

    def next(self, name: str, wanted: str = "something") -> str:
        """Wait for what a device shows next.

        Raises:
            OffScript: it shows nothing in time.
        """
        try:
            return self._lines[name].get(timeout=self._patience)
        except queue.Empty:
            raise OffScript(f"{name} should have shown: {wanted}") from None

    def curtain(self) -> None:
        """End a scene.

        Raises:
            OffScript: a device showed more than the script says.
        """
        for name, lines in self._lines.items():
            if not lines.empty():
                raise OffScript(f"{name} should have shown nothing more; but showed: {lines.get()}")
