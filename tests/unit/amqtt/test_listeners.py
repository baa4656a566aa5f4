"""TCP, TLS and WebSocket by configuration, with the real client; and what is said where a listener cannot be opened."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.bindings.amqtt.listening import CannotListen, tls_context
from ringline_broker.server import Server, ServerConfig
from tests.attacks.raw_mqtt import Attacker, connect_packet
from tests.support.certificates import Certificates
from tests.support.running import Ring, free_port

SCHEMES = {"mqtt": "default", "ws": "ws", "mqtts": "mqtts", "wss": "wss"}
"""Each URL scheme, and the name that its listener has here."""


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def config(files: Certificates) -> ServerConfig:
    return ServerConfig(
        listeners={
            "default": Listener(port=0),
            "ws": Listener(port=0, websocket=True),
            "mqtts": Listener(port=0, certfile=files.certfile, keyfile=files.keyfile),
            "wss": Listener(port=0, websocket=True, certfile=files.certfile, keyfile=files.keyfile),
        }
    )


def _url(ring: Ring, scheme: str) -> str:
    return f"{scheme}://localhost:{ring.server.ports()[SCHEMES[scheme]]}"


def test_a_call_goes_from_every_kind_of_listener_to_every_other(config: ServerConfig, files: Certificates) -> None:
    with Ring(config=config) as ring:
        devices = [
            ring.device(scheme, url=_url(ring, scheme), tls=files.trusting() if scheme in ("mqtts", "wss") else None)
            for scheme in SCHEMES
        ]
        for caller in devices:
            others = [one for one in devices if one is not caller]
            call = caller.client.invite([one.user for one in others], {"big": b"x" * 8_000})
            for one in others:
                heard = one.heard.wait("receive_new_invitation", invite_id=call.invite_id)
                assert heard.data == {"big": b"x" * 8_000}
            caller.client.cancel(call.invite_id)  # or the next call would cross with this one
            for one in devices:
                one.heard.wait("invitation_ended", invite_id=call.invite_id)


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_a_client_that_does_not_trust_the_certificate_says_so(
    scheme: str, config: ServerConfig, files: Certificates
) -> None:
    with Ring(config=config) as ring:
        alice = ring.device("alice", url=_url(ring, scheme), tls=files.distrusting(), connect=False)
        alice.client.connect()
        assert "certificate verify failed" in alice.heard.wait("disconnected").reason
        assert ring.on_loop(lambda: ring.server.counts()["requests"]) == 0


def test_a_client_that_asks_for_another_host_says_so(config: ServerConfig, files: Certificates) -> None:
    with Ring(config=config) as ring:
        url = _url(ring, "mqtts").replace("localhost", "127.0.0.2")
        alice = ring.device("alice", url=url, tls=files.trusting(), connect=False)
        alice.client.connect()
        # it listens on 127.0.0.1 alone, so this one is not reached at all
        assert "cannot reach 127.0.0.2" in alice.heard.wait("disconnected").reason


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_who_speaks_without_tls_to_a_tls_listener_harms_nobody(
    scheme: str, config: ServerConfig, files: Certificates
) -> None:
    with Ring(config=config) as ring:
        port = ring.server.ports()[scheme]
        with Attacker.tcp(port) as plain:
            plain.send(connect_packet("alice", "") if scheme == "mqtts" else b"GET /mqtt HTTP/1.1\r\n\r\n")
            assert plain.is_ended()
        open_ = Attacker.tcp if scheme == "mqtts" else Attacker.websocket
        with open_(port, files.trusting()) as bob:
            assert bob.connect("bob") == 0
            assert bob.messages() == []


def test_tls_is_of_this_decade_and_asks_for_no_client_certificate(files: Certificates) -> None:
    context = tls_context(files.certfile, files.keyfile)
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def _cannot_listen(listeners: dict[str, Listener]) -> str:
    async def start() -> str:
        server = Server(ServerConfig(listeners=listeners))
        with pytest.raises(CannotListen) as failed:
            await server.start()
        await server.stop()
        return str(failed.value)

    return asyncio.run(start())


@pytest.mark.parametrize("websocket", [False, True])
def test_a_port_in_use_is_said_in_a_line_and_leaves_nothing_open(
    websocket: bool, caplog: pytest.LogCaptureFixture
) -> None:
    opened = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        listeners = {"default": Listener(port=opened), "more": Listener(port=taken, websocket=websocket)}
        assert _cannot_listen(listeners) == f"cannot listen on 127.0.0.1:{taken}: Address already in use"
    with socket.create_server(("127.0.0.1", opened)):
        pass
    assert "Traceback" not in caplog.text


def test_an_address_that_is_not_this_machines_is_said_in_a_line() -> None:
    said = _cannot_listen({"default": Listener(host="192.0.2.1", port=0)})
    assert said == "cannot listen on 192.0.2.1:0: Cannot assign requested address"
    assert "cannot listen on no.such.host.invalid:0: " in _cannot_listen(
        {"default": Listener(host="no.such.host.invalid", port=0)}
    )


def test_certificates_that_are_none_are_said_in_a_line(files: Certificates, tmp_path: Path) -> None:
    def said(certfile: Path, keyfile: Path | None) -> str:
        return _cannot_listen({"default": Listener(port=0), "tls": Listener(certfile=certfile, keyfile=keyfile)})

    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("hello")
    other = tmp_path / "other.key"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))
    assert said(missing, files.keyfile) == f"cannot read {missing}: No such file or directory"
    assert said(files.certfile, missing) == f"cannot read {missing}: No such file or directory"
    assert said(tmp_path, None) == f"cannot read {tmp_path}: Is a directory"
    no_pair = "are no certificate and its unencrypted key: "
    for certfile, keyfile in ((text, files.keyfile), (files.certfile, other), (files.certfile, None)):
        assert no_pair in said(certfile, keyfile)


def test_a_key_with_a_password_is_said(files: Certificates, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as pem

    key = pem.load_pem_private_key(files.keyfile.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(CannotListen, match="unencrypted key"):
        tls_context(files.certfile, locked)


def test_one_file_may_have_both(files: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(files.certfile.read_bytes() + files.keyfile.read_bytes())
    config = ServerConfig(listeners={"default": Listener(port=0, certfile=both)})
    with Ring(config=config) as ring, Attacker.tcp(ring.server.port, files.trusting()) as alice:
        assert alice.connect("alice") == 0
