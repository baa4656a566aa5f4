"""Every setting of the extension, with its default. A leaf: it imports nothing of ours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server allows and how long it keeps things.

    Attributes:
        prefix: what all topics start with.
        max_invitees: invitees an invitation may have, at most 300.
        max_record_bytes: bytes one invitation may take.
        max_open: open invitations one user may be the inviter of.
        quiet_limit_s: seconds after which an invitation without a deadline ends as expired.
        retention_s: seconds for which an ended invitation is remembered.
        lease_s: seconds for which a claimed deadline belongs to whoever claimed it; timers sleep no longer.
        max_groups: groups a user may be in, to make or join another.
        max_work, max_public, max_meeting, max_live: members a group of that preset may have; 0 for no limit.
    """

    prefix: str = "ringline/v1"
    max_invitees: int = 100
    max_record_bytes: int = 262_144
    max_open: int = 32
    quiet_limit_s: int = 86_400
    retention_s: int = 3_600
    lease_s: int = 5
    max_groups: int = 256
    max_work: int = 200
    max_public: int = 2_000
    max_meeting: int = 6_000
    max_live: int = 0

    def __post_init__(self) -> None:
        for name in ("max_invitees", "max_record_bytes", "max_open", "quiet_limit_s", "retention_s", "lease_s"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("max_groups", "max_work", "max_public", "max_meeting", "max_live"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, not {value!r}")
        if self.max_invitees > 300:  # noqa: PLR2004 - what one message of 32 KiB can name
            raise ValueError(f"max_invitees must be at most 300, not {self.max_invitees}")
        if not self.prefix or self.prefix.strip("/") != self.prefix or set(self.prefix) & set("+#$"):
            raise ValueError(f"prefix must be a topic without wildcards, not {self.prefix!r}")
