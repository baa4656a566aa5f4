"""Certificates and revocation lists as the server and devices find them: what they say, and whether they may say it.

What makes them is authority.py. Both import `cryptography`, which takes a while: import them where they are needed,
not at the top of a module.
"""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from ringline.protocol.errors import RinglineError
from ringline.protocol.topics import id_fault

T = TypeVar("T")

_LIST: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_UNREADABLE: Final = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip


class BadCertificate(RinglineError):
    """A certificate, a key or a revocation list is missing, in the way or not what it should be."""


def check_authority(path: Path) -> None:
    """See whether a file has authorities in it whose certificates can log devices in.

    Raises:
        BadCertificate: it cannot be read, or a certificate in it is none of an authority.
    """
    for certificate in read_certificates(path):
        try:
            is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_authority = False
        if not is_authority:
            name = certificate.subject.rfc4514_string()
            raise BadCertificate(f"{path} is no authority's certificate, but that of {name}; give the authority's")


def revoked_serials(authority: Path, crl: Path) -> frozenset[int]:
    """The serial numbers that an authority has revoked.

    A list holds until there is another, even after the date of its next update.

    Args:
        authority: the certificates of authorities, a PEM file.
        crl: their revocation lists, a PEM file.

    Raises:
        BadCertificate: a file cannot be read, a list is of a kind that lists not everything, or was signed by none of
            the authorities.
    """
    authorities = read_certificates(authority)
    serials: set[int] = set()
    for revocations in parsed(crl, _load_lists, "revocation list"):
        if not any(_signed_by(revocations, one) for one in authorities):
            raise BadCertificate(f"{crl} was not signed by the authority in {authority}; give that authority's list")
        if any(extension.critical for extension in revocations.extensions):
            raise BadCertificate(f"{crl} is only a part of a revocation list; give the authority's whole list")
        serials.update(entry.serial_number for entry in revocations)
    return frozenset(serials)


def user_of(path: Path) -> str:
    """The user that a device's certificate logs in: its common name.

    Raises:
        BadCertificate: the file cannot be read, or its name is no user's.
    """
    user = common_name(read_certificates(path)[0])
    if id_fault(user) is not None:
        raise BadCertificate(f"{path} names no user: its common name {id_fault(user)}")
    return user


def hosts_of(path: Path) -> list[str]:
    """The names and addresses that a server's certificate is for.

    Raises:
        BadCertificate: the file cannot be read.
    """
    extensions = read_certificates(path)[0].extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in names if isinstance(one, x509.DNSName | x509.IPAddress)]


def date_fault(path: Path, now: datetime) -> str | None:
    """Why nobody takes a certificate now: it has expired, or its time has not come; None where it is good.

    Raises:
        BadCertificate: the file cannot be read.
    """
    certificate = read_certificates(path)[0]
    if now > certificate.not_valid_after_utc:
        return f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"{path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    return None


def common_name(certificate: x509.Certificate) -> str:
    """The common name, empty where there is not just one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    Raises:
        BadCertificate: it cannot be read.
    """
    return parsed(path, _load_certificates, "certificate")


def parsed(path: Path, load: Callable[[bytes], T], what: str) -> T:
    """What a file has in it.

    Args:
        path: the file.
        load: reads its content.
        what: what that should be.

    Raises:
        BadCertificate: it cannot be read.
    """
    try:
        return load(path.read_bytes())
    except OSError as failed:
        raise BadCertificate(f"cannot read {path}: {failed.strerror}") from failed
    except _UNREADABLE as bad:
        raise BadCertificate(f"{path} has no {what} in it that can be read, as PEM") from bad


def _load_certificates(pem: bytes) -> list[x509.Certificate]:
    certificates = x509.load_pem_x509_certificates(pem)
    for certificate in certificates:
        iter(certificate.extensions)  # parsed at first sight, and it is here that they may fail
    return certificates


def _load_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    lists = [x509.load_pem_x509_crl(one) for one in _LIST.findall(pem)]
    if not lists:
        raise ValueError
    for one in lists:
        iter(one.extensions)  # as above
    return lists


def _signed_by(revocations: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    if revocations.issuer != authority.subject:
        return False
    try:
        key: Any = authority.public_key()
        return revocations.is_signature_valid(key)
    except (TypeError, UnsupportedAlgorithm):  # a key that signs nothing
        return False
