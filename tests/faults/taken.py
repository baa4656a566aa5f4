"""What Mosquitto says in its log of who took which requests and acknowledged them."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

_SENT: Final = re.compile(r"Sending PUBLISH to (\S+) \(d\d, q1, r0, m(\d+), '[^']*/req'")
_SETTLED: Final = re.compile(r"Received PUBACK from (\S+) \(Mid: (\d+)")


def logging_to(file: Path) -> str:
    """Lines of mosquitto.conf that have it write down every packet."""
    return f"log_type debug\nlog_dest file {file}"


def unsettled(file: Path) -> list[int]:
    """How many requests each worker had that was sent some and did not acknowledge all of them, once all is quiet: it
    died with them.
    """
    had: defaultdict[str, set[str]] = defaultdict(set)
    with file.open(errors="replace") as lines:
        for line in lines:
            if sent := _SENT.search(line):
                had[sent[1]].add(sent[2])
            elif settled := _SETTLED.search(line):
                had[settled[1]].discard(settled[2])
    return [len(requests) for requests in had.values() if requests]
