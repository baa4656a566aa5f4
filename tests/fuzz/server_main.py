"""The server that is fuzzed: python -m tests.fuzz.server_main --data FILE [--defaults] [--fault NAME]

It says its ports once it listens, as JSON, and after that what is in it, for each line `census` that it reads; it stops
at the end of its input. What is written to standard error is a fault: exceptions, errors, warnings of Python. Warnings
in the log are counted instead.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import json
import logging
import os
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.device import Device
from ringline_broker.server import Server, ServerConfig, calm_collector
from ringline_broker.settings import ConnectionLimits, Settings

_PLENTY = 1_000_000_000
_FAULTS = ("crash", "leak", "hoard")


class Findings(logging.Handler):
    """Writes what is a fault to standard error, and counts the rest by what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            sys.stderr.write(f"{record.levelname} {record.name}: {self.format(record)}\n")
            sys.stderr.flush()
        else:
            self.counts[str(record.msg)] += 1


def config_of(data: Path, *, defaults: bool) -> ServerConfig:
    """The configuration: the server's own, or one without the limits that would only keep the fuzzer waiting. What has
    ended is forgotten soon in both, so that the store does not grow.
    """
    limits: dict[str, Any] = {"retention_s": 2, "quiet_limit_s": 10}
    connections = ConnectionLimits(packet_rate=500, packet_burst=5_000)  # else it would wait most of the time
    if not defaults:
        limits |= {"request_rate": 0, "max_open": 1_000}
        connections = ConnectionLimits(**{field.name: _PLENTY for field in dataclasses.fields(ConnectionLimits)})
    more: dict[str, Any] = {"connections": connections}
    known = {field.name for field in dataclasses.fields(ServerConfig)}
    return ServerConfig(
        listeners={"default": Listener(port=0), "ws": Listener(port=0, websocket=True)},
        store=f"sqlite:{data}",
        settings=Settings(**limits),
        **{name: value for name, value in more.items() if name in known},
    )


def census(server: Server, findings: Findings) -> dict[str, Any]:
    """What is in the process, garbage apart."""
    gc.collect()
    objects = gc.get_objects()
    ours = Counter(type(one).__name__ for one in objects if str(type(one).__module__).startswith("ringline_broker."))
    return {
        "rss_kib": _memory_kib(),
        "cpu_s": time.process_time(),
        "sockets": _sockets(),
        "tasks": len(asyncio.all_tasks()),
        "devices": ours["Device"],
        "objects": len(objects),
        "ours": dict(ours.most_common(12)),
        "log": dict(findings.counts.most_common()),
        "counts": server.counts(),
    }


def _memory_kib() -> int:
    status = Path("/proc/self/status")
    if not status.exists():  # no Linux: what it takes is not looked at
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def _sockets() -> int:
    """Sockets that are open; 0 where the system does not tell."""
    count = 0
    for one in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the one that lists them is gone by now
            count += str(one.readlink()).startswith("socket:")
    return count


def make_faulty(fault: str) -> None:
    """Break the server on purpose, to see that the fuzzer finds it."""
    if fault == "crash":
        read = mqtt311.read_puback

        def broken(packet: mqtt311.Packet) -> int:
            number = read(packet)
            if number > 60_000:  # no honest client comes that far
                raise RuntimeError("broken on purpose")
            return number

        mqtt311.read_puback = broken
    else:
        kept: list[object] = []
        ended = Device.ended

        def leaking(device: Device) -> None:
            kept.append(device if fault == "leak" else os.urandom(100_000))
            ended(device)

        setattr(Device, "ended", leaking)  # noqa: B010 - type checkers forbid it the other way


async def serve(config: ServerConfig, findings: Findings) -> None:
    """Serve, and answer, until the input ends."""
    server = Server(config)
    await server.start()
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: lines.put_nowait(os.read(0, 1_000)))
    _say({"ports": server.ports()})
    while await lines.get():
        _say(census(server, findings))
    await server.stop()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--fault", choices=_FAULTS)
    options = parser.parse_args()
    findings = Findings()
    logging.basicConfig(level=logging.WARNING, handlers=[findings])
    if options.fault:
        make_faulty(options.fault)
    calm_collector()
    with asyncio.Runner(loop_factory=import_module("uvloop").Loop) as runner:
        runner.run(serve(config_of(options.data, defaults=options.defaults), findings))


if __name__ == "__main__":
    main()
