"""A site's authority: what it issues holds where it should and nowhere else, and its files stay whole and its own."""

import fcntl
import os
import re
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringline_broker.authority import AUTHORITY_FOR, ISSUED_FOR, Authority, Issued, file_name
from ringline_broker.certificates import BadCertificate, hosts_of, revoked_serials, user_of
from tests.support.certificates import shake_hands

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "certs", ["localhost", "127.0.0.1"], NOW)


def server_context(authority: Authority) -> ssl.SSLContext:
    """A server that lets in whoever has a certificate of the authority, and checks it as strictly as can be."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.folder / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(authority.folder / "server.pem", authority.folder / "server.key")
    return context


def client_context(authority: Authority, certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.folder / "authority.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(certificate, key)
    return context


def serials(authority: Authority) -> frozenset[int]:
    return revoked_serials(authority.folder / "authority.pem", authority.folder / "revoked.pem")


def of_devices(authority: Authority) -> list[Issued]:
    return [one for one in authority.issued() if one.kind == "device"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_device_and_the_server_trust_one_another(authority: Authority, host: str) -> None:
    device = authority.issue_device("alice", NOW)

    peer = shake_hands(server_context(authority), client_context(authority, device), host)

    assert peer is not None
    assert peer["subject"] == ((("commonName", "alice"),),)


def test_a_server_is_only_what_it_was_certified_for(authority: Authority) -> None:
    device = authority.issue_device("alice", NOW)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(server_context(authority), client_context(authority, device), "example.org")


def test_the_servers_certificate_logs_nobody_in(authority: Authority) -> None:
    folder = authority.folder

    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        shake_hands(server_context(authority), client_context(authority, folder / "server.pem", folder / "server.key"))


def test_a_device_cannot_pass_for_the_server(authority: Authority) -> None:
    device = authority.issue_device("localhost", NOW)
    context = server_context(authority)
    context.load_cert_chain(device)

    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        shake_hands(context, client_context(authority, device))


def test_a_device_cannot_certify_others(authority: Authority, tmp_path: Path) -> None:
    """Neither its certificate's rights nor the length of the chain allow it."""
    device = authority.issue_device("mallory", NOW)
    forged = Authority.create(tmp_path / "forged", ["localhost"], NOW)
    pem = device.read_bytes()
    (forged.folder / "authority.pem").write_bytes(pem)
    (forged.folder / "authority.key").write_bytes(pem[pem.index(b"-----BEGIN PRIVATE") :])
    victim = forged.issue_device("alice", NOW)
    victim.write_bytes(victim.read_bytes() + pem[: pem.index(b"-----BEGIN PRIVATE")])

    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(server_context(authority), client_context(authority, victim))


def test_a_strangers_authority_logs_nobody_in(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "stranger", ["localhost"], NOW).issue_device("alice", NOW)

    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(server_context(authority), client_context(authority, stranger))


def test_certificates_end(tmp_path: Path) -> None:
    then = NOW - ISSUED_FOR
    authority = Authority.create(tmp_path / "certs", ["localhost"], then)
    expired = authority.issue_device("alice", then - DAY)
    held = authority.issue_device("bob", then + DAY)
    authority.issue_server(["localhost"], NOW)

    with pytest.raises(ssl.SSLError, match="certificate has expired"):
        shake_hands(server_context(authority), client_context(authority, expired))
    assert shake_hands(server_context(authority), client_context(authority, held)) is not None


def test_how_long_they_hold(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "certs", ["localhost"], NOW)
    late = NOW + AUTHORITY_FOR - DAY
    authority.issue_device("alice", NOW)
    authority.issue_device("bob", late)

    until = {one.name or one.kind: one.until for one in authority.issued()}

    assert until == {
        "authority": NOW + AUTHORITY_FOR, "localhost": NOW + ISSUED_FOR, "alice": NOW + ISSUED_FOR,
        "bob": NOW + AUTHORITY_FOR,
    }  # fmt: skip
    with pytest.raises(BadCertificate, match="has expired; make another in another folder"):
        authority.issue_device("carol", late + DAY)


@pytest.mark.parametrize(
    "user", ["a", "x" * 64, "Ω" * 32, "Zoë, the 2nd=CN", "..", ".", "a%2Fb", "a\\b", " ", "*", "-rf"]
)
def test_any_user_may_have_a_certificate(authority: Authority, user: str) -> None:
    device = authority.issue_device(user, NOW)

    assert device.parent == authority.folder / "devices"
    assert user_of(device) == user
    peer = shake_hands(server_context(authority), client_context(authority, device))
    assert peer is not None
    assert peer["subject"] == ((("commonName", user),),)
    authority.revoke(user, NOW)
    assert not device.exists()


def test_no_two_users_share_a_file() -> None:
    users = ["a b", "a+b", "a%20b", "a%2520b", "ä", "Ä", "a.pem", "a", "a\\b", "a*"]
    names = {file_name(user) for user in users}

    assert len(names) == len(users)
    assert all(re.fullmatch(r"[A-Za-z0-9%.]+\.pem", name) for name in names), "no shell or file system minds them"


@pytest.mark.parametrize("user", ["", "a/b", "../x", "$a", "x" * 65, "a\nb", "a\0b", "\ud800"])
def test_who_can_have_none(authority: Authority, user: str) -> None:
    with pytest.raises(BadCertificate, match="the user's name"):
        authority.issue_device(user, NOW)
    assert of_devices(authority) == []


@pytest.mark.parametrize("host", ["", "a b", "mqtts://a", "a:8883", "-a", "a..b", "x" * 64, "*", "a.*", "\u2603" * 70])
def test_what_is_no_host(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadCertificate, match="is no host"):
        Authority.create(tmp_path / "certs", [host], NOW)
    assert not (tmp_path / "certs").exists()


def test_hosts(authority: Authority) -> None:
    hosts = ["bell", "bell.example.org", "*.example.org", "bücher.example", "192.0.2.1", "2001:db8::1", "a_b"]

    authority.issue_server(hosts, NOW)

    assert authority.hosts() == [*hosts[:3], "xn--bcher-kva.example", *hosts[4:]]
    with pytest.raises(BadCertificate, match="needs a host"):
        authority.issue_server([], NOW)


def test_files_are_the_owners_alone(authority: Authority) -> None:
    authority.issue_device("alice", NOW)
    authority.revoke("alice", NOW)
    authority.issue_device("alice", NOW)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in authority.folder.rglob("*") if path.is_file()}
    folders = [authority.folder, *(path for path in authority.folder.iterdir() if path.is_dir())]

    assert {name for name in modes if len(name) < 20} == {
        "authority.pem", "authority.key", "server.pem", "server.key", "revoked.pem", "alice.pem",
    }  # fmt: skip
    assert set(modes.values()) == {0o600}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


def test_nothing_is_overwritten(authority: Authority, tmp_path: Path) -> None:
    device = authority.issue_device("alice", NOW)
    before = {path: path.read_bytes() for path in authority.folder.rglob("*.*")}
    other = tmp_path / "mine"
    other.write_text("mine")

    with pytest.raises(BadCertificate, match="exists, and nothing is overwritten"):
        Authority.create(authority.folder, ["localhost"], NOW)
    with pytest.raises(BadCertificate, match=r"alice\.pem exists"):
        authority.issue_device("alice", NOW)
    with pytest.raises(BadCertificate, match="mine exists"):
        authority.issue_device("bob", NOW, other)

    assert {path: path.read_bytes() for path in authority.folder.rglob("*.*")} == before
    assert other.read_text() == "mine"
    assert device in before


def test_who_is_too_late_for_a_file_overwrites_nothing(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to be between the look and the writing."""
    path, link = authority.folder / "devices" / "alice.pem", os.link

    def after_the_other(source: str, target: Path) -> None:
        if target == path:
            path.write_text("the other's")
        link(source, target)

    monkeypatch.setattr(os, "link", after_the_other)
    with pytest.raises(BadCertificate, match="exists"):
        authority.issue_device("alice", NOW)

    assert path.read_text() == "the other's"
    assert of_devices(authority) == [], "nobody has got it"


def test_a_file_that_cannot_be_replaced_stays(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in authority.folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadCertificate, match=r"cannot write .*server\.pem: No space left"):
        authority.issue_server(["example.org"], NOW)

    assert {path: path.read_bytes() for path in authority.folder.iterdir()} == before


def test_renewing_the_servers_certificate(authority: Authority) -> None:
    key, certificate = authority.folder / "server.key", authority.folder / "server.pem"
    first_key, first = key.read_bytes(), certificate.read_bytes()

    assert authority.issue_server(authority.hosts(), NOW + DAY) == NOW + DAY + ISSUED_FOR

    assert (key.read_bytes(), certificate.read_bytes() == first) == (first_key, False)
    assert hosts_of(certificate) == ["localhost", "127.0.0.1"]
    key.unlink()
    authority.issue_server(["localhost"], NOW)
    assert key.read_bytes() != first_key
    assert shake_hands(
        server_context(authority), client_context(authority, authority.issue_device("alice", NOW)))  # fmt: skip


def test_revoking_takes_all_of_a_users_certificates(authority: Authority, tmp_path: Path) -> None:
    kept, moved = authority.issue_device("alice", NOW), authority.issue_device("alice", NOW, tmp_path / "phone.pem")
    bob = authority.issue_device("bob", NOW)
    theirs = {one.serial for one in of_devices(authority) if one.name == "alice"}
    assert serials(authority) == frozenset()

    assert set(authority.revoke("alice", NOW)) == theirs

    assert len(theirs) == 2
    assert serials(authority) == theirs
    assert {(one.name, one.revoked) for one in of_devices(authority)} == {("alice", True), ("bob", False)}
    assert (kept.exists(), moved.exists(), bob.exists()) == (False, True, True)
    assert authority.revoke("alice", NOW) == []
    authority.issue_device("alice", NOW)
    assert len(authority.revoke("alice", NOW)) == 1
    assert len(serials(authority)) == 3


def test_revoking_one_certificate(authority: Authority, tmp_path: Path) -> None:
    authority.issue_device("alice", NOW, tmp_path / "phone.pem")
    (phone,) = of_devices(authority)
    tablet = authority.issue_device("alice", NOW)

    assert authority.revoke("alice", NOW, phone.serial) == [phone.serial]

    assert serials(authority) == {phone.serial}
    assert tablet.exists()


def test_revoking_what_was_never_issued(authority: Authority) -> None:
    authority.issue_device("alice", NOW)
    (alice,) = of_devices(authority)

    with pytest.raises(BadCertificate, match="no certificate of user bob"):
        authority.revoke("bob", NOW)
    with pytest.raises(BadCertificate, match=f"no certificate {alice.serial:x} of user bob"):
        authority.revoke("bob", NOW, alice.serial)
    with pytest.raises(BadCertificate, match=r"no certificate of user \.\./server"):
        authority.revoke("../server", NOW)
    assert serials(authority) == frozenset()


def test_two_who_revoke_at_once_lose_none(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one waits for its turn, the other revokes."""
    for user in ("alice", "bob"):
        authority.issue_device(user, NOW)
    lock = fcntl.flock

    def after_the_other(folder: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        authority.revoke("bob", NOW)
        lock(folder, operation)

    monkeypatch.setattr(fcntl, "flock", after_the_other)
    authority.revoke("alice", NOW)

    assert {one.name for one in of_devices(authority) if one.revoked} == {"alice", "bob"}


def test_serial_numbers_are_random(authority: Authority) -> None:
    for number in range(8):
        authority.issue_device(f"user{number}", NOW)
    numbers = [one.serial for one in authority.issued()]

    assert len(set(numbers)) == 10
    assert all(number.bit_length() > 100 for number in numbers)


def test_a_folder_without_an_authority(tmp_path: Path) -> None:
    nothing = Authority(tmp_path)

    for what in (
        nothing.issued, lambda: nothing.issue_device("alice", NOW), lambda: nothing.issue_server(["a"], NOW),
        lambda: nothing.revoke("alice", NOW),
    ):  # fmt: skip
        with pytest.raises(BadCertificate, match=r"there is no authority in .*ringline cert init"):
            what()
    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_none(authority: Authority, tmp_path: Path) -> None:
    key = authority.folder / "authority.key"
    other = Authority.create(tmp_path / "other", ["localhost"], NOW)
    for content, says in (
        (b"hello", "no unencrypted key in it"),
        ((other.folder / "authority.key").read_bytes(), "is not the key of authority.pem"),
    ):
        key.write_bytes(content)
        with pytest.raises(BadCertificate, match=says):
            authority.issue_device("alice", NOW)
    assert of_devices(authority) == []
