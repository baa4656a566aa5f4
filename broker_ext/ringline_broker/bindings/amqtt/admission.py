"""Who may come in: limits on connections in all, by address and by user, and on wrong logins."""

import asyncio
import ipaddress
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Protocol
from weakref import WeakValueDictionary

from ringline_broker.bindings.amqtt.turnstile import Turnstile
from ringline_broker.bindings.amqtt.users import AT_ONCE
from ringline_broker.service.buckets import Bucket, Buckets
from ringline_broker.settings import ConnectionLimits

_OF_ONE_ADDRESS: Final = 2
"""Passwords of one address that are checked at the same time; so a guesser cannot begin many before the first fails."""
_KNOWN_ADDRESSES: Final = 8
_V6_SITE: Final = 64
"""Bits of an IPv6 address that tell sites apart: whoever has one address has all that begin so."""


class Visitor(Protocol):
    """A connection, as far as admission is concerned.

    Attributes:
        address: where it comes from, as `address_key` says.
        user: who is logged in on it, or empty.
        has_spoken: whether its login came, so that it is us who let it wait.
        heard_at: when something came from it last, seconds.
    """

    address: str

    @property
    def user(self) -> str: ...

    @property
    def has_spoken(self) -> bool: ...

    @property
    def heard_at(self) -> float: ...

    def send_away(self) -> None:
        """End it at once."""
        ...


def address_key(address: str) -> str:
    """What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _V6_SITE), strict=False))


class Admission:
    """Counts connections, and says who is one too many.

    Args:
        limits: how many there may be.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._strangers: dict[Visitor, None] = {}
        self._strangers_at: dict[str, dict[Visitor, None]] = defaultdict(dict)
        self._devices = 0
        self._devices_at: dict[str, int] = defaultdict(int)
        self._devices_of: dict[str, dict[Visitor, None]] = defaultdict(dict)
        self._connects = Buckets(limits.connect_rate, limits.connect_burst)
        self._failures = Buckets(1 / limits.failure_s, limits.max_failures)
        self._checks: dict[str, asyncio.Semaphore] = {}
        self._turnstile = Turnstile(AT_ONCE)
        self._waiting: dict[str, int] = defaultdict(int)
        self._known: dict[str, dict[str, None]] = {}
        self._paces = Buckets(limits.packet_rate, limits.packet_burst)
        self._paces_held: WeakValueDictionary[str, Bucket] = WeakValueDictionary()

    @property
    def devices(self) -> int:
        """Connections that are logged in."""
        return self._devices

    @property
    def strangers(self) -> int:
        """Connections that are not logged in yet."""
        return len(self._strangers)

    # Connections.

    def lets_in(self, address: str, now: float) -> bool:
        """Whether one more may connect from there; where there are too many, one that says nothing goes for it."""
        return self._connects.of(address, now).take(now) and self._has_room(address)

    def _has_room(self, address: str) -> bool:
        there = self._strangers_at.get(address, {})
        if len(there) >= self._limits.max_logins_per_address:
            return self._send_away_silent(there)
        if len(self._strangers) >= self._limits.max_logins:
            return self._send_away_silent(self._strangers)
        return True

    def _send_away_silent(self, visitors: Iterable[Visitor]) -> bool:
        """Have the first of them go that has said nothing; whoever did waits for us."""
        silent = next((one for one in visitors if not one.has_spoken), None)
        if silent is None:
            return False
        self._forget_stranger(silent)
        silent.send_away()
        return True

    def _forget_stranger(self, visitor: Visitor) -> None:
        if self._strangers.pop(visitor, visitor) is None:
            there = self._strangers_at[visitor.address]
            del there[visitor]
            if not there:
                del self._strangers_at[visitor.address]

    def came(self, visitor: Visitor) -> None:
        """A connection that is not logged in yet."""
        self._strangers[visitor] = self._strangers_at[visitor.address][visitor] = None

    def left(self, visitor: Visitor) -> None:
        """A connection ended, logged in or not; again is nothing."""
        self._forget_stranger(visitor)
        of_user = self._devices_of.get(visitor.user, {})
        if of_user.pop(visitor, visitor) is not None:
            return
        if not of_user:
            del self._devices_of[visitor.user]
        self._devices -= 1
        self._devices_at[visitor.address] -= 1
        if not self._devices_at[visitor.address]:
            del self._devices_at[visitor.address]

    def fault(self, visitor: Visitor) -> str | None:
        """Why one more device may not log in from there just now."""
        limits = self._limits
        if self._devices >= limits.max_devices:
            return f"{limits.max_devices} devices are connected, and there may be no more (max_devices)"
        if self._devices_at.get(visitor.address, 0) >= limits.max_devices_per_address:
            return f"{limits.max_devices_per_address} devices are connected from there (max_devices_per_address)"
        return None

    def logged_in(self, visitor: Visitor) -> None:
        """It is a user's device by now. Where the user has too many, the one that was silent the longest goes: it is
        likely dead, and if it is not, the user's devices are the user's own business.
        """
        self._forget_stranger(visitor)
        of_user = self._devices_of[visitor.user]
        if len(of_user) >= self._limits.max_devices_per_user:
            min(of_user, key=lambda one: one.heard_at).send_away()
        of_user[visitor] = None
        self._devices += 1
        self._devices_at[visitor.address] += 1

    def pace_of(self, user: str, now: float) -> Bucket:
        """The packets that a user's devices may send, all of them together; to connect anew does not fill it."""
        pace = self._paces_held.get(user) or self._paces.of(user, now)
        self._paces_held[user] = pace
        return pace

    # Logins.

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncGenerator[None]:
        """Wait for one's turn to have a password checked: few at a time from one address, and few in all, those first
        from whose address no login was wrong lately.
        """
        checks = self._checks.setdefault(address, asyncio.Semaphore(_OF_ONE_ADDRESS))
        self._waiting[address] += 1
        try:
            async with checks:
                is_clean = self._failures.of(("address", address), time.monotonic()).is_full(time.monotonic())
                async with self._turnstile.passed(first=is_clean):
                    yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address], self._checks[address]

    def may_try(self, address: str, user: str, now: float) -> bool:
        """Whether a login from there, for this user, is looked at. Addresses that a user logged in from before are not
        held to the limit for the user: else a guesser elsewhere would lock them out.
        """
        if not self._failures.of(("address", address), now).has_any(now):
            return False
        return address in self._known.get(user, ()) or self._failures.of(("user", user), now).has_any(now)

    def failed(self, address: str, user: str, now: float) -> None:
        """A login from there was wrong."""
        keys: tuple[Hashable, ...] = (("address", address), ("user", user))
        for key in keys:
            self._failures.of(key, now).spend(1)

    def succeeded(self, address: str, user: str) -> None:
        """A login from there was right."""
        known = self._known.setdefault(user, {})
        known.pop(address, None)
        known[address] = None
        if len(known) > _KNOWN_ADDRESSES:
            del known[next(iter(known))]
