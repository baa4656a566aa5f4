"""What the load generator is told to do, and what it tells in the end: one line of JSON each."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, kw_only=True)
class Order:
    """A load on a server.

    Attributes:
        kind: `ringline` and `bare` make calls; `open` opens invitations that stay open; `deadlines` opens some whose
            deadlines spread at random over `spread_s`, `burst` some that are all due within one second, and both hear
            them time out; `connect` connects more devices; `login` logs in and goes, again and again, `handshake` goes
            after the handshake of TLS; `ask` asks questions, `subscribe` subscribes to the same topic again.
        count: calls, invitations or devices that are measured.
        warm_up: how many come before them and are not measured.
        users: how many are connected, one device each.
        outstanding: how many calls are under way at once, where there is no rate.
        rate: calls a second; 0: as many as can be.
        seed: who calls whom, and when a deadline falls.
        timeout_s: of the invitations; with `deadlines` and `burst`, when the first is due.
        spread_s: whole seconds over which deadlines spread.
        blocked: how many others every user has blocked, none of whom calls.
        names: how many users log in in turn with `login`.
        authority: over TLS, the file of who vouches for the server.
        certificate: the file of the certificate to log in with.
    """

    kind: str
    count: int
    warm_up: int = 0
    users: int = 200
    outstanding: int = 64
    rate: float = 0.0
    seed: int = 1
    timeout_s: int = 86_400
    spread_s: int = 1
    blocked: int = 0
    names: int = 1
    authority: str = ""
    certificate: str = ""

    def to_json(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Order":
        """Read the line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured.

    Attributes:
        count: how many came to their end.
        seconds: how long it took.
        process_cpu_s: what each of the server's processes used meanwhile, user and system, in the order of its parts.
        server_growth: bytes of memory that they hold more than before.
        generator_share: the generator's own share of its core.
        payload_bytes: of all messages, to the server and from it.
        ring_ms: from each invite to the invitee's hearing it.
        answer_ms: from each accept to the inviter's hearing it.
        lag_ms: from each deadline to each party's hearing `timed_out`.
    """

    count: int
    seconds: float
    process_cpu_s: list[float]
    server_growth: int
    generator_share: float
    payload_bytes: int
    ring_ms: list[float] = field(default_factory=list[float])
    answer_ms: list[float] = field(default_factory=list[float])
    lag_ms: list[float] = field(default_factory=list[float])

    @property
    def cpu_us(self) -> float:
        """What all of them used for each that came to its end, µs."""
        return sum(self.process_cpu_s) / self.count * 1e6

    def to_json(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Report":
        """Read the line."""
        return cls(**json.loads(line))
