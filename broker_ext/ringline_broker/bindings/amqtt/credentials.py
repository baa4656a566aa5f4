"""Who somebody is, and what shows it: a password, a device's certificate, or nothing where any name may log in."""

import logging
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple

from ringline.protocol.topics import id_fault
from ringline_broker.bindings.amqtt.users import PasswordCheck

log = logging.getLogger(__name__)

Peer = dict[str, Any]
"""A certificate as `ssl` gives it: one that an authority of ours vouches for."""


class Login(NamedTuple):
    """What a connection says of itself; `certificate` is what its TLS handshake has shown."""

    user: str | None
    password: bytes
    certificate: Peer | None = None


class Identity(NamedTuple):
    """Who a connection is.

    Attributes:
        user: the user.
        password: the hash that the password fitted, where it was one.
        serial: the number of the certificate, where it was one.
        issuer: who vouches for that.
        until: when that ends, epoch seconds.
    """

    user: str
    password: str | None = None
    serial: int | None = None
    issuer: Any = None
    until: float | None = None


class Trust(NamedTuple):
    """What of certificates counts.

    Attributes:
        revoked: the numbers of those that do not.
        issuers: the names of those who may vouch for them.
    """

    revoked: frozenset[int]
    issuers: frozenset[Any]


class Authority:
    """Devices' certificates of one authority.

    Args:
        authority: its certificate, PEM.
        revoked: its list of those revoked, PEM; None where there is none.

    Raises:
        BadCertificate: a file cannot be read, or is none of these.
    """

    def __init__(self, authority: Path, revoked: Path | None) -> None:
        self.path = authority
        self._list = revoked
        self._trust = self.read()

    def read(self) -> Trust:
        """The files as they are now, not in force yet.

        Raises:
            BadCertificate: one cannot be read.
        """
        from ringline_broker.certificates import check_authority, revoked_serials  # noqa: PLC0415 - slow, and seldom needed

        check_authority(self.path)
        revoked = frozenset[int]() if self._list is None else revoked_serials(self.path, self._list)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(self.path)
        return Trust(revoked, frozenset(one["subject"] for one in context.get_ca_certs()))

    def use(self, trust: Trust) -> None:
        """Put it in force."""
        self._trust = trust

    def identify(self, certificate: Peer) -> Identity | None:
        """Who this is; None where it is revoked, or names no user."""
        names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
        if len(names) != 1 or id_fault(names[0]) is not None:
            log.warning("a certificate of the authority names no user: %s", names[:2])
            return None
        serial = int(certificate["serialNumber"], 16)
        until = ssl.cert_time_to_seconds(certificate["notAfter"])
        identity = Identity(names[0], None, serial, certificate["issuer"], until)
        return identity if self.holds(identity) else None

    def holds(self, identity: Identity) -> bool:
        """Whether the certificate still counts."""
        is_over = identity.until is not None and time.time() >= identity.until
        return identity.issuer in self._trust.issuers and identity.serial not in self._trust.revoked and not is_over


class Credentials:
    """Tells who may log in: with a password, with a certificate, with either; anybody where there is neither.

    Args:
        passwords: how passwords are checked.
        authority: who vouches for certificates.
    """

    def __init__(self, passwords: PasswordCheck | None, authority: Authority | None) -> None:
        self._passwords = passwords
        self._authority = authority

    def knows(self, login: Login) -> bool:
        """Whether it is known at no cost that this login is right: a certificate, or the password it had before."""
        if self._passwords is None or login.certificate is not None or login.user is None:
            return True
        return self._passwords.knows(login.user, login.password)

    async def identify(self, login: Login) -> Identity | None:
        """Who this is; None where the login is wrong."""
        if login.certificate is not None and self._authority is not None:
            identity = self._authority.identify(login.certificate)
            return None if identity is None or login.user not in (None, identity.user) else identity
        if login.user is None or id_fault(login.user) is not None:
            return None
        if self._passwords is None:
            return None if self._authority is not None else Identity(login.user)
        hashed = await self._passwords.check(login.user, login.password)
        return None if hashed is None else Identity(login.user, hashed)

    def may_stay(self, identity: Identity) -> bool:
        """Whether who logged in before could do so again: not once the user, or that password, was removed, nor once
        the certificate was revoked or is over.
        """
        if identity.serial is not None:
            return self._authority is not None and self._authority.holds(identity)
        return identity.password is None or (
            self._passwords is not None and self._passwords.is_in_force(identity.user, identity.password)
        )

    def reload(self) -> None:
        """Read users and revocations again.

        Raises:
            BadCertificate, BadUsersFile: one cannot be read; all that was known before stays in force.
        """
        trust = None if self._authority is None else self._authority.read()
        users = None if self._passwords is None else self._passwords.read()
        if self._authority is not None and trust is not None:
            self._authority.use(trust)
        if self._passwords is not None and users is not None:
            self._passwords.use(users)

    def look(self) -> None:
        """Read the users again, where their file has changed."""
        if self._passwords is not None:
            self._passwords.look()

    def close(self) -> None:
        """End the threads."""
        if self._passwords is not None:
            self._passwords.close()

