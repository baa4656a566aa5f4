"""Every setting of the extension, with its default. A leaf: it imports nothing of ours.

None may be above a thousand million, or where it is bytes above 2^40; where less is sane, its text says so.
"""

from dataclasses import dataclass
from typing import Final

_MAX_PACKET_ID = 65_535
_MOST: Final = 1_000_000_000
"""Of whatever is counted, seconds too: with that much a time in milliseconds is still one that every store can keep."""
_MOST_BYTES: Final = 2**40
_MOST_OF: Final = {
    "max_invitees": 300,  # what one message of 32 KiB can name
    "max_record_bytes": 2**26,  # stores keep a record in one piece
    "packet_bytes": 268_435_455,  # what MQTT can say
}
_AT_LEAST_ONE = (
    "max_invitees", "max_record_bytes", "max_open", "max_user_bytes", "request_burst", "quiet_limit_s", "retention_s",
    "lease_s",
)  # fmt: skip
_AT_LEAST_NONE = ("request_rate", "max_blocked", "max_groups", "max_work", "max_public", "max_meeting", "max_live")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server allows and how long it keeps things.

    Attributes:
        prefix: what all topics start with.
        max_invitees: invitees an invitation may have, at most 300.
        max_record_bytes: bytes one invitation may take, at most 67,108,864.
        max_open: open invitations one user may be the inviter of.
        max_user_bytes: bytes that all invitations of one inviter may take, those that ended and are remembered too.
        request_rate: requests a second that one user may make for long, where a sync counts as five, and one that names
            users as one more for every five of them; 0 for no limit.
        request_burst: requests that one user may make at once, after a while with fewer.
        max_blocked: users that one user may have on their blocklist.
        quiet_limit_s: seconds after which an invitation without a deadline ends as expired.
        retention_s: seconds for which an ended invitation is remembered.
        lease_s: seconds for which a claimed deadline belongs to whoever claimed it; timers sleep no longer.
        max_groups: groups a user may be in, to make or join another; and may have made, to make another.
        max_work, max_public, max_meeting, max_live: members a group of that preset may have; 0 for no limit.
    """

    prefix: str = "ringline/v1"
    max_invitees: int = 100
    max_record_bytes: int = 262_144
    max_open: int = 32
    max_user_bytes: int = 16_777_216
    request_rate: int = 20
    request_burst: int = 200
    max_blocked: int = 1_000
    quiet_limit_s: int = 86_400
    retention_s: int = 3_600
    lease_s: int = 5
    max_groups: int = 256
    max_work: int = 200
    max_public: int = 2_000
    max_meeting: int = 6_000
    max_live: int = 0

    def __post_init__(self) -> None:
        for name in (*_AT_LEAST_ONE, *_AT_LEAST_NONE):
            least, value = int(name in _AT_LEAST_ONE), getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
            _check_most(name, value)
        if not self.prefix or self.prefix.strip("/") != self.prefix or set(self.prefix) & set("+#$"):
            raise ValueError(f"prefix must be a topic without wildcards, not {self.prefix!r}")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a server that is a broker itself takes, and what it lets them try.

    Attributes:
        max_devices: connections of users who are logged in, in all.
        max_devices_per_user: connections of one user.
        max_devices_per_address: connections from one address that are logged in.
        max_logins: connections that are not logged in yet, in all; beyond it whoever has said nothing the longest goes.
        max_logins_per_address: connections from one address that are not logged in yet.
        connect_rate: connections a second that one address may make for long.
        connect_burst: connections that one address may make at once.
        max_failures: wrong logins at once, from one address and for one user; then they are refused unlooked at.
        failure_s: seconds after which one more wrong login is looked at.
        packet_rate: MQTT packets a second that the devices of one user may send for long; then they are read slowly.
        packet_burst: MQTT packets that the devices of one user may send at once.
        max_waiting_bytes: bytes waiting to be sent, in all; beyond it, whoever takes them the slowest is cut off.
    """

    max_devices: int = 10_000
    max_devices_per_user: int = 32
    max_devices_per_address: int = 2_048
    max_logins: int = 1_024
    max_logins_per_address: int = 128
    connect_rate: int = 50
    connect_burst: int = 2_000
    max_failures: int = 10
    failure_s: int = 60
    packet_rate: int = 50
    packet_burst: int = 500
    max_waiting_bytes: int = 268_435_456

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
            _check_most(name, value)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take of the server.

    Attributes:
        packet_bytes: the largest packet a device may send, at most 268,435,455.
        connect_s: seconds in which it must have sent its CONNECT and been let in.
        packet_s: seconds in which a packet that has begun must be complete.
        close_s: seconds in which it must have taken what was still to be sent when its connection was ended.
        waiting_bytes: bytes waiting to be sent, above which a device that does not read is cut off.
        unacknowledged: messages it has not acknowledged, above which it is cut off; below 65,536.
        unsettled: requests of its that have not been dealt with, above which nothing more is read from it.
        subscriptions: topics it may subscribe to.
    """

    packet_bytes: int = 32_768
    connect_s: float = 10.0
    packet_s: float = 30.0
    close_s: float = 2.0
    waiting_bytes: int = 1_048_576
    unacknowledged: int = 4_096
    unsettled: int = 256
    subscriptions: int = 1_024

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value > 0:  # as nan is not
                raise ValueError(f"{name} must be above 0, not {value}")
            _check_most(name, value)
        if self.unacknowledged >= _MAX_PACKET_ID:
            raise ValueError(f"unacknowledged must be below {_MAX_PACKET_ID}, not {self.unacknowledged}")


def _check_most(name: str, value: float) -> None:
    most = _MOST_OF.get(name, _MOST_BYTES if "bytes" in name else _MOST)
    if value > most:
        raise ValueError(f"{name} must be at most {most}, not {value}")
