"""The load generator, a process of its own: carries out an order on a server, and prints its report.

Its arguments: the server's port, the order, and the ids of the server's processes.
"""

import sys
import time
from typing import Final

import uvloop

from benchmarks.calls import BareCalls, RinglineCalls
from benchmarks.load import Connecting, Load
from benchmarks.logins import Handshakes, Logins, Questions, Subscriptions
from benchmarks.measure import cpu_seconds, resident_bytes
from benchmarks.openings import Burst, Deadlines, Openings
from benchmarks.orders import Order, Report

LOADS: Final[dict[str, type[Load]]] = {
    "ringline": RinglineCalls,
    "bare": BareCalls,
    "open": Openings,
    "deadlines": Deadlines,
    "burst": Burst,
    "connect": Connecting,
    "login": Logins,
    "handshake": Handshakes,
    "ask": Questions,
    "subscribe": Subscriptions,
}


async def carry_out(port: int, order: Order, pids: list[int]) -> Report:
    """Connect, warm up, measure."""
    load = LOADS[order.kind](order, port)
    await load.connect(order.users)
    await load.run(order.warm_up)
    cpu, memory = [cpu_seconds(pid) for pid in pids], _memory(pids)
    own, began = time.process_time(), time.perf_counter()
    tally = await load.run(order.count)
    seconds = time.perf_counter() - began
    return Report(
        count=tally.ended,
        seconds=seconds,
        process_cpu_s=[cpu_seconds(pid) - before for pid, before in zip(pids, cpu, strict=True)],
        server_growth=_memory(pids) - memory,
        generator_share=(time.process_time() - own) / seconds,
        payload_bytes=tally.payload_bytes,
        ring_ms=tally.ring_ms,
        answer_ms=tally.answer_ms,
        lag_ms=tally.lag_ms,
    )


def _memory(pids: list[int]) -> int:
    return sum(resident_bytes(pid) for pid in pids)


def main() -> int:
    """Carry out the order; a failure is one line."""
    port, order, *pids = sys.argv[1:]
    try:
        report = uvloop.run(carry_out(int(port), Order.from_json(order), [int(pid) for pid in pids]))
    except (OSError, RuntimeError, TimeoutError) as failed:
        print(f"load generator: {failed!r}", file=sys.stderr)
        return 1
    print(report.to_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
