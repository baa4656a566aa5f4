"""Every figure: its name, its unit and what it means; and the book in which a run writes them down."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        key: in the JSON.
        title: in tables.
        unit: behind the number.
        digits: behind the point.
        meaning: for a reader of the tables.
    """

    key: str
    title: str
    unit: str
    digits: int
    meaning: str

    def text(self, value: float) -> str:
        """The value with its unit, to be read."""
        return f"{value:,.{self.digits}f} {self.unit}".rstrip()


Samples = dict[str, dict[str, list[float]]]
"""Of what, which figure, and a value a round."""

_RING: Final = "from the caller's sending `invite` to the callee's hearing of it, at a steady rate of calls."
_ANSWER: Final = "from the callee's sending `accept` to the caller's hearing of it, in the same runs."
_LAG: Final = "from a deadline to a party's hearing `timed_out`, with so many others open that are not due."
_BURST: Final = "the same where all are due within one second: how long the server needs for so many."

CPU_US: Final = Figure(
    "cpu_us", "CPU a call", "µs", 0, "user and system time of all the server's processes, over the calls: what counts."
)
CALLS_PER_S: Final = Figure("calls_per_s", "calls a second", "", 0, "as many as the server does on its one core.")
GENERATOR: Final = Figure(
    "generator_percent",
    "load generator's share of its core",
    "%",
    0,
    "near 100 the load generator was the limit, and calls a second tell of it and not of the server; CPU a call still "
    "tells of the server.",
)
PAYLOAD: Final = Figure("payload_bytes", "payload a call", "bytes", 0, "all MQTT payloads of a call, in and out.")
RING_P50: Final = Figure("ring_p50_ms", "invite to invited, p50", "ms", 2, _RING)
RING_P99: Final = Figure("ring_p99_ms", "invite to invited, p99", "ms", 2, _RING)
ANSWER_P50: Final = Figure("answer_p50_ms", "accept to accepted, p50", "ms", 2, _ANSWER)
ANSWER_P99: Final = Figure("answer_p99_ms", "accept to accepted, p99", "ms", 2, _ANSWER)
DEVICE_KIB: Final = Figure(
    "device_kib",
    "memory a connected device",
    "KiB",
    1,
    "growth of the server's memory (RSS) while devices connect; a worker knows nothing of them.",
)
OPEN_CPU_US: Final = Figure(
    "open_cpu_us", "CPU a call", "µs", 0, "as above, in a server that holds so many open invitations: must not grow."
)
LAG_P50: Final = Figure("lag_p50_ms", "timer lag, p50", "ms", 1, _LAG)
LAG_P99: Final = Figure("lag_p99_ms", "timer lag, p99", "ms", 1, _LAG)
START_S: Final = Figure(
    "start_s",
    "start after kill -9",
    "s",
    2,
    "from the start of the process, the interpreter's included, until it listens, on what a killed server left.",
)
INVITATION_KIB: Final = Figure(
    "invitation_kib", "memory an open invitation", "KiB", 2, "growth of the server's memory (RSS) while they open."
)
BURST_P50: Final = Figure("burst_p50_ms", "timer lag, p50", "ms", 0, _BURST)
BURST_P99: Final = Figure("burst_p99_ms", "timer lag, p99", "ms", 0, _BURST)
BARE_MIB: Final = Figure("bare_mib", "a bare Python process", "MiB", 1, "memory (RSS) of the interpreter alone.")
CLIENT_MIB: Final = Figure("client_mib", "with a connected client", "MiB", 1, "memory (RSS) with a listener on it.")
EXTRA_MIB: Final = Figure("extra_mib", "what the client adds", "MiB", 1, "the difference of the two.")
IMPORT_MS: Final = Figure("import_ms", "import time", "ms", 0, "of the client, and of all that it imports.")

SAFE_CPU_US: Final = Figure(
    "safe_cpu_us", "CPU a call", "µs", 0, "as above; with TLS, the handshakes were before and do not count."
)
LOGIN_US: Final = Figure(
    "login_us",
    "CPU each",
    "µs",
    0,
    "of all the server's processes, from the connection to its end; nothing else is connected.",
)
QUESTION_US: Final = Figure(
    "question_us",
    "a question and its answer",
    "µs",
    0,
    "CPU for one request of one device, read, looked up and refused, and for the delivery of one message to it.",
)
SUBSCRIBE_US: Final = Figure("subscribe_us", "a SUBSCRIBE of two topics", "µs", 0, "CPU for its check and its SUBACK.")
CONNECT_US: Final = Figure(
    "connect_us", "a connection", "µs", 0, "CPU for a login under any name, without TLS, and for its end."
)

BROKER_US: Final = Figure("broker_us", "the broker", "µs", 0, "what Mosquitto took of the CPU of a call.")
WORKER_US: Final = Figure("worker_us", "the workers", "µs", 0, "what all processes of `ringline worker` took of it.")
STORE_US: Final = Figure("store_us", "redis", "µs", 0, "what it took of it.")

CALLS: Final = (
    CPU_US, CALLS_PER_S, GENERATOR, PAYLOAD, RING_P50, RING_P99, ANSWER_P50, ANSWER_P99, DEVICE_KIB
)  # fmt: skip
BESIDE: Final = (BROKER_US, WORKER_US, STORE_US)
OPEN: Final = (OPEN_CPU_US, LAG_P50, LAG_P99, START_S, INVITATION_KIB)
BURST: Final = (BURST_P50, BURST_P99)
CLIENT: Final = (BARE_MIB, CLIENT_MIB, EXTRA_MIB, IMPORT_MS)
CLIENT_SUBJECT: Final = "client"
SAFE: Final = (SAFE_CPU_US,)
LOGIN: Final = (LOGIN_US,)
AMONG: Final = (QUESTION_US, SUBSCRIBE_US, CONNECT_US)


def open_subject(count: int) -> str:
    """The name of a server with so many open invitations."""
    return f"{count:,} open"


def others_subject(count: int) -> str:
    """The name of a server with so many others connected."""
    return f"{count:,} others"


def burst_subject(count: int) -> str:
    """The name of so many that are due at once."""
    return f"{count:,} due"


class Book:
    """What was measured so far."""

    def __init__(self) -> None:
        self.samples: Samples = {}
        self._unread: list[str] = []

    def add(self, subject: str, figure: Figure, value: float) -> None:
        """Write down a value."""
        self.samples.setdefault(subject, {}).setdefault(figure.key, []).append(value)
        self._unread.append(f"{figure.title} {figure.text(value)}")

    def read_new(self) -> str:
        """What was written since the last call, for a person."""
        new, self._unread = self._unread, []
        return ", ".join(new)
