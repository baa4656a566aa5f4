"""What a device says of a connection that somebody ended: as much as is known of why."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ringline.client import SignalingClient
from tests.support.bound import BOUND_S
from tests.support.certificates import Certificates
from tests.support.recorder import Recorder

Treat = Callable[[socket.socket], None]


def _close(device: socket.socket) -> None:
    device.recv(4_096)


def _reset(device: socket.socket) -> None:
    device.recv(4_096)
    device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _once(listening: socket.socket, treat: Treat) -> None:
    with listening, listening.accept()[0] as device:
        device.settimeout(BOUND_S)
        treat(device)


def _told(treat: Treat, scheme: str = "mqtt", tls: ssl.SSLContext | None = None) -> str:
    """What a device says first whom a broker treats so."""
    listening = socket.create_server(("127.0.0.1", 0))
    broker = threading.Thread(target=_once, args=(listening, treat), daemon=True)
    broker.start()
    heard = Recorder()
    url = f"{scheme}://localhost:{listening.getsockname()[1]}"
    with SignalingClient(url, user="ann", tls=tls, listener=heard) as client:
        client.connect()
        reason = heard.wait("disconnected").reason
    broker.join(BOUND_S)
    assert isinstance(reason, str)
    return reason


def test_the_other_end_closes_without_a_word() -> None:
    assert _told(_close) == "the connection was lost: the broker closed it, or the network did"


def test_the_network_has_a_word() -> None:
    assert "the connection was lost: " in (said := _told(_reset))
    assert "reset by peer" in said


def test_a_certificate_is_refused_after_the_handshake(tmp_path: Path) -> None:
    """As TLS 1.3 does it."""
    files = Certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.certfile)
    context.load_cert_chain(files.certfile, files.keyfile)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(device: socket.socket) -> None:
        with context.wrap_socket(device.dup(), server_side=True, do_handshake_on_connect=False) as wrapped:
            wrapped.settimeout(BOUND_S)
            with suppress(ssl.SSLError):
                wrapped.do_handshake()
        while device.recv(4_096):  # what arrives at a closed socket resets the connection, and the refusal is not read
            pass

    assert "certificate required" in _told(refuse, "mqtts", files.trusting())
