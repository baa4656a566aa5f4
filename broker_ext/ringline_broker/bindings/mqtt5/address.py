"""Where a broker is, and what a connection to it takes and gives."""

import ssl
from dataclasses import dataclass, field

from ringline_broker.bindings.framing import MAX_PACKET_ID


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, and as whom to log in.

    Attributes:
        host: name or address.
        port: 1883 without TLS, 8883 with it, as a rule.
        username: the worker's user, if it needs one.
        password: its password.
        tls: how to trust the broker; None for no TLS.
    """

    host: str
    port: int = 1883
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LinkBounds:
    """What a connection takes and gives.

    Attributes:
        receive_max: messages taken from the broker and not acknowledged; beyond it nothing more comes.
        max_packet_bytes: bytes a packet from the broker may have after its fixed header. A message with more is read
            past and acknowledged, and nothing of it is kept; any other packet ends the connection.
        window: messages to the broker not acknowledged, where its own receive maximum is not lower.
        max_messages: messages to the broker, sent or not, that may wait for its acknowledgement.
        max_bytes: what their payloads may have together.
        keep_alive_s: a worker gives up a broker that is silent for so many seconds, though asked; the broker gives up
            a silent worker after half as long again. Until then it goes on giving that one its share of the requests,
            and each is lost and repeated.
        unacknowledged_s: seconds that a broker which answers pings may leave a message unacknowledged. Then the
            connection is given up, and what was not acknowledged goes out again on the next one.
        answer_s: seconds that a login, a SUBSCRIBE or an UNSUBSCRIBE may take.
    """

    receive_max: int = 512
    max_packet_bytes: int = 36_864
    window: int = 1_024
    max_messages: int = 16_384
    max_bytes: int = 33_554_432
    keep_alive_s: int = 5
    unacknowledged_s: float = 10.0
    answer_s: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.receive_max > MAX_PACKET_ID:
            raise ValueError(f"receive_max must be at most {MAX_PACKET_ID}")
