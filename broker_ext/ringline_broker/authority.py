"""A private authority for a site, in a folder: the server's certificate, the devices' certificates, the revocations.

| file | what |
|---|---|
| authority.pem, authority.key | the authority; devices get the certificate, the key stays here |
| server.pem, server.key | the server's certificate and its key |
| devices/USER.pem | a device's certificate and its key, to be moved to the device |
| issued/SERIAL.pem | every certificate that a device was ever given, without its key |
| revoked.pem | the revocation list; it holds until the next one, whatever the date in it |
"""

import fcntl
import ipaddress
import os
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringline.protocol.topics import id_fault
from ringline_broker.certificates import BadCertificate, common_name, hosts_of, parsed, read_certificates
from ringline_broker.files import make_file, replace_file

AUTHORITY_FOR: Final = timedelta(days=3_652)
ISSUED_FOR: Final = timedelta(days=825)
"""The longest that every common client accepts of a server."""
BACKDATED: Final = timedelta(hours=1)
"""So that a device whose clock is slow takes a certificate at once."""

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate of the authority's, or its own.

    Attributes:
        kind: `authority`, `server` or `device`.
        name: of a device its user, of a server its hosts, with commas between.
        serial: the serial number.
        until: the last moment at which it is valid.
        revoked: whether the authority has revoked it.
    """

    kind: str
    name: str
    serial: int
    until: datetime
    revoked: bool


class Authority:
    """A site's authority.

    Args:
        folder: where it is; see `create` for a new one.

    Attributes:
        folder: likewise.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, hosts: Sequence[str], now: datetime) -> "Authority":
        """Make an authority, a server's certificate and an empty revocation list.

        Args:
            folder: where to; made where missing.
            hosts: names and addresses that clients reach the server under.
            now: the time.

        Raises:
            BadCertificate: a host is none, there is an authority in the folder, or it cannot be written to.
        """
        _names(hosts)
        key, name = ec.generate_private_key(ec.SECP256R1()), _subject("Ringline authority")
        builder = _builder(name, name, key.public_key(), now, now + AUTHORITY_FOR)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        certificate = _signed(builder, key.public_key(), key)
        _write_new(folder / "authority.key", _key_pem(key))
        _write_new(folder / "authority.pem", _pem(certificate))
        made = cls(folder)
        made._write_list((), 1, now)
        made.issue_server(hosts, now)
        return made

    def issue_server(self, hosts: Sequence[str], now: datetime) -> datetime:
        """Issue the server's certificate, in place of the one before. Its key stays, where there is one.

        Args:
            hosts: names and addresses that clients reach the server under.
            now: the time.

        Returns:
            Until when it is valid.

        Raises:
            BadCertificate: a host is none, or a file cannot be read or written.
        """
        names = _names(hosts)
        path = self.folder / "server.key"
        key = _read_key(path) if path.exists() else ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue("Ringline server", key, ExtendedKeyUsageOID.SERVER_AUTH, now, names)
        if not path.exists():
            _write_new(path, _key_pem(key))
        _write(self.folder / "server.pem", _pem(certificate))
        return certificate.not_valid_after_utc

    def hosts(self) -> list[str]:
        """The hosts of the server's certificate.

        Raises:
            BadCertificate: there is none.
        """
        return hosts_of(self.folder / "server.pem")

    def issue_device(self, user: str, now: datetime, path: Path | None = None) -> Path:
        """Issue a certificate with which devices log in as a user. A user may have several.

        Args:
            user: the user's name.
            now: the time.
            path: the file for certificate and key; `devices/USER.pem` in the folder where left out.

        Returns:
            The file.

        Raises:
            BadCertificate: the name is none, the file is there already, or a file cannot be read or written.
        """
        if (fault := id_fault(user)) is not None:
            raise BadCertificate(f"the user's name {fault}")
        path = path or self.folder / "devices" / file_name(user)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(user, key, ExtendedKeyUsageOID.CLIENT_AUTH, now)
        record = self.folder / "issued" / f"{certificate.serial_number:x}.pem"
        _write_new(record, _pem(certificate))  # first: what is out can be revoked
        try:
            _write_new(path, _pem(certificate) + _key_pem(key))
        except BadCertificate:
            record.unlink(missing_ok=True)  # nobody got it
            raise
        return path

    def revoke(self, user: str, now: datetime, serial: int | None = None) -> list[int]:
        """Revoke a user's certificates; those that the folder still has the key of are removed.

        Args:
            user: the user's name.
            now: the time.
            serial: the one to revoke; all where left out.

        Returns:
            The serial numbers that were not revoked before.

        Raises:
            BadCertificate: the authority issued none like that, or a file cannot be read or written.
        """
        with self._held():
            theirs = {one.serial for one in self.issued() if (one.kind, one.name) == ("device", user)}
            wanted = theirs if serial is None else theirs & {serial}
            if not wanted:
                which = "no certificate" if serial is None else f"no certificate {serial:x}"
                raise BadCertificate(f"{which} of user {user} was issued by the authority in {self.folder}")
            before = self._read_list()
            fresh = wanted - {entry.serial_number for entry in before}
            if fresh:
                number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
                dated = [_revocation(serial, now) for serial in fresh]
                self._write_list([*before, *dated], number, now)
        path = self.folder / "devices" / file_name(user)
        if path.exists() and read_certificates(path)[0].serial_number in wanted:
            path.unlink()
        return sorted(fresh)

    def issued(self) -> list[Issued]:
        """The authority's own certificate, the server's, and all that devices were ever given.

        Raises:
            BadCertificate: a file cannot be read.
        """
        authority = self._certificate()
        revoked = {entry.serial_number for entry in self._read_list()}
        found = [_described("authority", "", authority, revoked)]
        server = self.folder / "server.pem"
        if server.exists():
            found.append(_described("server", ",".join(hosts_of(server)), read_certificates(server)[0], revoked))
        devices = [read_certificates(path)[0] for path in (self.folder / "issued").glob("*.pem")]
        theirs = [_described("device", common_name(certificate), certificate, revoked) for certificate in devices]
        return found + sorted(theirs, key=lambda one: (one.name, one.until, one.serial))

    def _certificate(self) -> x509.Certificate:
        path = self.folder / "authority.pem"
        if not path.exists():
            raise BadCertificate(f"there is no authority in {self.folder}; make one with `ringline cert init`")
        return read_certificates(path)[0]

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        purpose: x509.ObjectIdentifier,
        now: datetime,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        authority, signer = self._certificate(), _read_key(self.folder / "authority.key")
        if now >= authority.not_valid_after_utc:
            raise BadCertificate(f"the authority in {self.folder} has expired; make another in another folder")
        until = min(now + ISSUED_FOR, authority.not_valid_after_utc)
        builder = _builder(_subject(name), authority.subject, key.public_key(), now, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return _signed(builder, authority.public_key(), signer)

    def _read_list(self) -> x509.CertificateRevocationList:
        return parsed(self.folder / "revoked.pem", x509.load_pem_x509_crl, "revocation list")

    def _write_list(self, entries: Iterable[x509.RevokedCertificate], number: int, now: datetime) -> None:
        authority, signer = self._certificate(), _read_key(self.folder / "authority.key")
        builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
        builder = builder.last_update(now).next_update(max(authority.not_valid_after_utc, now + ISSUED_FOR))
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        vouched = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        signed = builder.add_extension(vouched, critical=False).sign(signer, hashes.SHA256())
        _write(self.folder / "revoked.pem", signed.public_bytes(serialization.Encoding.PEM))

    @contextmanager
    def _held(self) -> Generator[None]:
        """The folder, held against another who revokes at the same time."""
        self._certificate()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def file_name(user: str) -> str:
    """The name of the file that has a user's certificate, safe whatever the user is called."""
    return quote(user, safe="") + ".pem"


# Parts of certificates.


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name):
        raise BadCertificate(f"{host!r} is no host: give a name or an address, without a port")
    return x509.DNSName(name)


def _names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    if not hosts:
        raise BadCertificate("a server's certificate needs a host")
    return x509.SubjectAlternativeName([_host(host) for host in hosts])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - BACKDATED).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _signed(
    builder: x509.CertificateBuilder, authority: object, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    if signer.public_key() != authority:
        raise BadCertificate("authority.key is not the key of authority.pem")
    vouched = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return builder.add_extension(vouched, critical=False).sign(signer, hashes.SHA256())


def _revocation(serial: int, now: datetime) -> x509.RevokedCertificate:
    return x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()


def _described(kind: str, name: str, certificate: x509.Certificate, revoked: set[int]) -> Issued:
    serial = certificate.serial_number
    return Issued(kind, name, serial, certificate.not_valid_after_utc, serial in revoked)


# Files.


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = parsed(path, lambda pem: serialization.load_pem_private_key(pem, None), "unencrypted key")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadCertificate(f"{path} has no key of an elliptic curve in it, as `ringline cert` makes them")
    return key


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that must not be there."""
    _write(path, content, make_file)


def _write(path: Path, content: bytes, how: Callable[[Path, bytes], None] = replace_file) -> None:
    """Write a file, and its folder where missing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        how(path, content)
    except FileExistsError as there:
        text = f"{path} exists, and nothing is overwritten: move it away first, or choose another place"
        raise BadCertificate(text) from there
    except OSError as failed:
        raise BadCertificate(f"cannot write {path}: {failed.strerror}") from failed
