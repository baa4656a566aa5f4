"""A device whose wall clock is wrong: python -m tests.faults.wrong_clock_device --url U --user N --device D --off S.

`time.time` and its kin, and `datetime`, are off by that many seconds, or by up to so many either way at every look
(`--jumps`). It prints every callback as a line of JSON, and reads commands: `accept IID`, and `since`, which prints the
cursor. It ends with its standard input.
"""

import argparse
import datetime as dt
import json
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def falsify_clock(off_s: float, *, jumps: bool) -> None:
    """Let every wall clock of this process be wrong; what counts from an arbitrary start goes on."""
    right, right_gm, right_local = time.time, time.gmtime, time.localtime

    def wrong() -> float:
        return right() + (random.uniform(-off_s, off_s) if jumps else off_s)

    class WrongDate(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "WrongDate":
            return cls.fromtimestamp(wrong(), tz)

    time.time = wrong
    time.time_ns = lambda: int(wrong() * 1e9)
    time.gmtime = lambda seconds=None: right_gm(wrong() if seconds is None else seconds)
    time.localtime = lambda seconds=None: right_local(wrong() if seconds is None else seconds)
    dt.datetime = WrongDate  # type: ignore[misc]


class Printer:
    """A listener that prints; it has every callback there is."""

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda event: say(
            name.removeprefix("on_"), getattr(event, "invite_id", None), getattr(event, "time_left", None)
        )


def say(*what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--url", "--user", "--device"):
        parser.add_argument(name, required=True)
    parser.add_argument("--off", type=float, required=True)
    parser.add_argument("--jumps", action="store_true")
    parser.add_argument("--since", type=int)
    given = parser.parse_args()
    import_module("msgpack")  # compiled, it does not take another datetime
    falsify_clock(given.off, jumps=given.jumps)

    from ringline import SignalingClient  # only now: whatever it looks at is wrong

    listener: Any = Printer()
    more: dict[str, Any] = {"user": given.user, "device": given.device, "since": given.since}
    with SignalingClient(given.url, listener=listener, **more) as client:
        for line in sys.stdin:
            command, _, iid = line.strip().partition(" ")
            if command == "since":
                say("since", None, client.since)
            else:
                getattr(client, command)(iid)


if __name__ == "__main__":
    main()
