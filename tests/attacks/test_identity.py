"""Who a connection is: by password or by certificate, and no longer than that holds."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.users import UsersFile, new_hasher
from ringline_broker.server import ServerConfig
from ringline_broker.settings import ConnectionLimits
from tests.attacks.raw_mqtt import CONNACK, Attacker, Ended, connect_packet
from tests.support.running import Ring

BAD_CREDENTIALS = 4


class Site:
    """An authority of one's own, and what it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = trustme.CA()
        self.authority_file = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.authority_file))
        self.renew_server()

    def renew_server(self) -> None:
        """Another certificate for the server, in the same file."""
        self.authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(self.server_file))

    @property
    def server_file(self) -> Path:
        return self._folder / "server.pem"

    def context(self, user: str | None, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """A device's, with a certificate of this user where one is named."""
        context = ssl.create_default_context(cafile=self.authority_file)
        if user is not None:
            (authority or self.authority).issue_cert("device", common_name=user).configure_cert(context)
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextmanager
def serving(site: Site, users: Path | None = None, **limits: int) -> Generator[Ring]:
    listeners = {
        "default": Listener(port=0, certfile=site.server_file),
        "wss": Listener(port=0, websocket=True, certfile=site.server_file),
        "plain": Listener(port=0),
    }
    config = ServerConfig(listeners, users=users, authority=site.authority_file, connections=ConnectionLimits(**limits))
    with Ring(config=config) as ring:
        yield ring


def _login(ring: Ring, context: ssl.SSLContext | None, user: str | None, password: str | None = None) -> int | None:
    """The CONNACK's code; None where the connection ends without one."""
    port = ring.server.ports()["plain" if context is None else "default"]
    try:
        with Attacker.tcp(port, context) as one:
            one.send(connect_packet(user, password))
            return one.expect(CONNACK).body[1]
    except (Ended, ssl.SSLError, ConnectionError):
        return None


def test_a_certificate_is_its_user_and_nobody_else(site: Site) -> None:
    with serving(site) as ring:
        alice = site.context("alice")
        assert _login(ring, alice, "alice") == 0
        assert _login(ring, alice, None) == 0, "who it is stands in the certificate"
        assert _login(ring, alice, "alice", "whatever") == 0
        assert _login(ring, alice, "bob") == BAD_CREDENTIALS
        assert _login(ring, alice, "bob", "whatever") == BAD_CREDENTIALS
        assert _login(ring, site.context(None), "alice") is None
        assert _login(ring, site.context("alice", trustme.CA()), "alice") is None, "of another authority"
        assert _login(ring, None, "alice") == BAD_CREDENTIALS, "without TLS there is no certificate"


@pytest.mark.parametrize("name", ["a/b", "#", "$SYS", " \t"])
def test_a_certificate_that_names_no_user_is_nobody(site: Site, name: str) -> None:
    with serving(site) as ring:
        assert _login(ring, site.context(name), None) in (BAD_CREDENTIALS, None)


def test_beside_certificates_passwords_are_for_who_has_none(site: Site, tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users")
    users.write({"carol": new_hasher().hash("carol's password")})
    with serving(site, users.path) as ring:
        assert _login(ring, site.context("alice"), "alice") == 0
        assert _login(ring, site.context(None), "carol", "carol's password") == 0
        assert _login(ring, None, "carol", "carol's password") == 0
        assert _login(ring, site.context(None), "alice", "") == BAD_CREDENTIALS
        assert _login(ring, site.context("alice"), "carol", "carol's password") == BAD_CREDENTIALS


def test_the_same_holds_over_websockets(site: Site) -> None:
    with serving(site) as ring:
        port = ring.server.ports()["wss"]
        with Attacker.websocket(port, site.context("alice")) as alice:
            alice.send(connect_packet("bob", None))
            assert alice.expect(CONNACK).body[1] == BAD_CREDENTIALS
        with Attacker.websocket(port, site.context("alice")) as alice:
            alice.send(connect_packet("alice", None))
            assert alice.expect(CONNACK).body[1] == 0
            assert alice.messages() == []


def _served(ring: Ring, context: ssl.SSLContext) -> bytes:
    with Attacker.tcp(ring.server.ports()["default"], context) as one:
        served = one.wire.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(served, bytes)
        return served


def test_a_renewed_certificate_is_served_and_nobody_is_dropped(site: Site) -> None:
    with serving(site) as ring, Attacker.tcp(ring.server.ports()["default"], site.context("alice")) as alice:
        assert alice.connect("alice") == 0
        before = _served(ring, site.context("bob"))
        site.renew_server()
        assert _served(ring, site.context("bob")) == before, "until it is told"
        ring.on_loop(ring.server.reload)
        assert _served(ring, site.context("bob")) != before
        assert alice.messages() == []


def test_a_broken_certificate_changes_nothing(site: Site) -> None:
    with serving(site) as ring:
        before = _served(ring, site.context("bob"))
        site.server_file.write_text("nonsense")
        with pytest.raises(Exception, match=r"server\.pem"):
            ring.on_loop(ring.server.reload)
        assert _served(ring, site.context("bob")) == before


def test_another_authority_is_trusted_after_a_reload_and_the_one_before_is_not(site: Site) -> None:
    with serving(site) as ring:
        other = trustme.CA()
        stranger = site.context("alice", other)
        assert _login(ring, stranger, "alice") is None
        alice = Attacker.tcp(ring.server.ports()["default"], site.context("alice"))
        assert alice.connect("alice") == 0
        other.cert_pem.write_to_path(str(site.authority_file))
        ring.on_loop(ring.server.reload)
        assert _login(ring, stranger, "alice") == 0
        assert alice.is_ended(), "who was let in by the one before"
        alice.cut()
        site.authority_file.unlink()
        site.authority.cert_pem.write_to_path(str(site.authority_file))  # what the next line's device trusts
        assert _login(ring, site.context("alice"), "alice") is None


def test_a_removed_user_is_cut_off(tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users")
    hashed = {name: new_hasher().hash(f"{name}'s password") for name in ("alice", "bob", "carol")}
    users.write(hashed)
    config = ServerConfig(users=users.path)
    with Ring(config=config) as ring:
        alice, bob, carol = (Attacker.tcp(ring.port) for _ in range(3))
        with alice, bob, carol:
            for name, one in (("alice", alice), ("bob", bob), ("carol", carol)):
                assert one.connect(name, f"{name}'s password") == 0
            users.write({"bob": hashed["bob"], "carol": new_hasher().hash("another password")})
            assert alice.is_ended(), "removed"
            assert carol.is_ended(), "has another password"
            assert bob.messages() == []


def test_strangers_are_turned_away_before_their_handshake(site: Site) -> None:
    """What a handshake costs is for who has a place."""
    with serving(site, connect_burst=3, connect_rate=1) as ring:
        context = site.context("alice")
        codes = [_login(ring, context, "alice") for _ in range(6)]
        assert codes[:3] == [0, 0, 0]
        assert None in codes[3:]
