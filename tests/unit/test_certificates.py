"""Certificates and revocation lists that were found: what they say, and what they may not say."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.x509.oid import NameOID

from ringline_broker.authority import Authority
from ringline_broker.certificates import BadCertificate, check_authority, hosts_of, revoked_serials, user_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site")])


class Foreign:
    """An authority that others run, with what ours never does.

    Args:
        key: what it signs with.
        folder: where its files go.
    """

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._folder, self._key = folder, key
        self.certificate = self.issue("authority.pem", NAME, key.public_key(), ca=True)

    def issue(self, file: str, name: x509.Name, key: object, *, ca: bool | None) -> Path:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(NAME).public_key(key)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        builder = builder.serial_number(7).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return self._kept(file, builder.sign(self._key, self._hash()))

    def revoke(self, file: str, *serials: int, part: bool = False) -> Path:
        builder = x509.CertificateRevocationListBuilder().issuer_name(NAME).last_update(NOW)
        builder = builder.next_update(NOW + timedelta(hours=1))
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
            builder = builder.add_revoked_certificate(entry)
        if part:
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        return self._kept(file, builder.sign(self._key, self._hash()))

    def _hash(self) -> hashes.SHA256 | None:
        return hashes.SHA256() if isinstance(self._key, ec.EllipticCurvePrivateKey) else None

    def _kept(self, file: str, made: x509.Certificate | x509.CertificateRevocationList) -> Path:
        path = self._folder / file
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path, ec.generate_private_key(ec.SECP256R1()))


def joined(folder: Path, *files: Path) -> Path:
    path = folder / "joined.pem"
    path.write_bytes(b"some words\n" + b"\n".join(file.read_bytes() for file in files))
    return path


def test_a_list_holds_whatever_its_date(foreign: Foreign) -> None:
    """`next_update` is long past: who was revoked stays so."""
    assert revoked_serials(foreign.certificate, foreign.revoke("list.pem", 3, 5)) == {3, 5}
    assert revoked_serials(foreign.certificate, foreign.revoke("list.pem")) == frozenset()


def test_every_list_of_a_file_counts(foreign: Foreign, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Foreign(tmp_path / "other", ed25519.Ed25519PrivateKey.generate())
    authorities = joined(tmp_path / "other", other.certificate, foreign.certificate)

    lists = joined(tmp_path, foreign.revoke("a.pem", 3), other.revoke("b.pem", 5), foreign.revoke("c.pem", 8))

    assert revoked_serials(authorities, lists) == {3, 5, 8}
    with pytest.raises(BadCertificate, match="was not signed by the authority"):
        revoked_serials(foreign.certificate, lists)


def test_a_list_by_another_of_the_same_name(foreign: Foreign, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Foreign(tmp_path / "other", ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(BadCertificate, match=r"was not signed by the authority in .*; give that authority's list"):
        revoked_serials(foreign.certificate, other.revoke("list.pem", 3))


def test_a_list_that_was_changed(foreign: Foreign) -> None:
    path = foreign.revoke("list.pem", 3)
    made = x509.load_pem_x509_crl(path.read_bytes())
    der = made.public_bytes(serialization.Encoding.DER)
    changed = der.replace(b"\x02\x01\x03", b"\x02\x01\x04")
    path.write_bytes(x509.load_der_x509_crl(changed).public_bytes(serialization.Encoding.PEM))

    assert changed != der
    with pytest.raises(BadCertificate, match="was not signed"):
        revoked_serials(foreign.certificate, path)


def test_a_list_by_an_authority_that_can_sign_nothing(foreign: Foreign) -> None:
    mute = foreign.issue("mute.pem", NAME, x25519.X25519PrivateKey.generate().public_key(), ca=True)

    with pytest.raises(BadCertificate, match="was not signed"):
        revoked_serials(mute, foreign.revoke("list.pem", 3))


def test_a_part_of_a_list(foreign: Foreign) -> None:
    with pytest.raises(BadCertificate, match="only a part of a revocation list"):
        revoked_serials(foreign.certificate, foreign.revoke("list.pem", 3, part=True))


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_files_that_are_none(foreign: Foreign, tmp_path: Path, content: bytes) -> None:
    bad, missing = tmp_path / "bad.pem", tmp_path / "missing.pem"
    bad.write_bytes(content)
    good = foreign.revoke("list.pem")

    for authority, crl, says in (
        (foreign.certificate, bad, "bad.pem has no revocation list in it"),
        (foreign.certificate, foreign.certificate, "authority.pem has no revocation list in it"),
        (foreign.certificate, missing, "cannot read .*missing.pem: No such file"),
        (bad, good, "bad.pem has no certificate in it"),
        (missing, good, "cannot read .*missing.pem"),
        (tmp_path, good, "Is a directory"),
    ):
        with pytest.raises(BadCertificate, match=says):
            revoked_serials(authority, crl)
    for read in (check_authority, user_of, hosts_of):
        with pytest.raises(BadCertificate, match=r"bad\.pem has no certificate in it"):
            read(bad)


def test_what_is_an_authority(foreign: Foreign, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    device = foreign.issue("device.pem", NAME, key, ca=False)

    check_authority(foreign.certificate)
    for bad in (device, foreign.issue("old.pem", NAME, key, ca=None), joined(tmp_path, foreign.certificate, device)):
        with pytest.raises(BadCertificate, match="is no authority's certificate, but that of CN=site"):
            check_authority(bad)


def test_whose_certificate_it_is(foreign: Foreign) -> None:
    def user(*names: str) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        return user_of(foreign.issue("device.pem", name, key, ca=False))

    assert user("alice") == "alice"
    for bad in ((), ("alice", "bob"), ("a/b",), ("$a",)):
        with pytest.raises(BadCertificate, match=r"device\.pem names no user"):
            user(*bad)


def test_whose_server_it_is(foreign: Foreign, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "certs", ["localhost", "::1"], NOW)

    assert hosts_of(authority.folder / "server.pem") == ["localhost", "::1"]
    assert hosts_of(foreign.certificate) == []


def test_nobody_waits_for_cryptography_who_needs_none() -> None:
    program = "import sys, ringline_broker.cli, ringline_broker.cli.running; print('cryptography' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"
