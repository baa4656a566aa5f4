"""Attacks through a WebSocket listener."""

import os
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from ringline_broker.bindings.amqtt.binding import Listener
from ringline_broker.settings import Bounds
from tests.attacks.raw_mqtt import (
    PING,
    Attacker,
    WebSocketWire,
    connect_packet,
    device,
    length,
    password_of,
    publish_packet,
    subscribe_packet,
    text,
)
from tests.attacks.targets import TOPICS, Ours, next_request

ALICE = TOPICS.requests("alice")
LISTENERS = {"default": Listener(port=0), "ws": Listener(port=0, websocket=True)}


def _ours(bounds: Bounds | None = None) -> tuple[Ours, int]:
    ours = Ours(bounds, LISTENERS)
    return ours, ours.binding.ports()["ws"]


def _freezes(port: int, websocket_port: int, size: int = 200_000_000) -> bool:
    """S7: the header of a huge packet, a frame of one byte, and gone. Whether nobody else is served after that."""
    head = b"\x30" + length(size) + text(TOPICS.requests("mallory"))
    with Attacker.websocket(websocket_port) as mallory:
        assert mallory.connect("mallory") == 0
        with suppress(ConnectionClosed):
            mallory.send(head)
            mallory.send(b"x")
    try:
        for _ in range(30):  # it takes a moment until it sees that the connection is gone
            with Attacker.tcp(port) as alice:
                alice.send(connect_packet("alice", password_of("alice")))
                assert alice.receive(2.0).body == b"\0\0"
    except TimeoutError:
        return True
    return False


def test_s7_a_header_and_a_byte_freeze_the_broker() -> None:
    # in a process of its own: it does nothing else any more until it is killed
    program = [sys.executable, "-m", "tests.attacks.stock_process"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as stock:
        try:
            assert stock.stdout is not None
            ports = [int(port) for port in stock.stdout.readline().split()]
            assert _freezes(*ports)
        finally:
            stock.kill()
    ours, port = _ours()
    with ours:
        assert not _freezes(ours.port, port)
        assert not _freezes(ours.port, port, Bounds().packet_bytes)
        ours.wait_for_connections(0)


def test_packets_may_be_cut_across_messages_in_any_way() -> None:
    ours, port = _ours()
    with ours, Attacker.websocket(port) as alice:
        packets = [
            connect_packet("alice", password_of("alice")),
            subscribe_packet(1, (TOPICS.events("alice"), 1)),
            publish_packet(ALICE, b"invite", 1, 2),
            PING,
        ]
        for byte in b"".join(packets):
            alice.send(bytes([byte]))
        assert [alice.receive().kind for _ in packets] == [2, 9, 4, 13]
        alice.send(packets[2] * 3 + PING)
        assert [alice.receive().kind for _ in range(4)] == [4, 4, 4, 13]
        assert {next_request(ours) for _ in range(4)} == {("alice", b"invite")}


def test_text_is_no_mqtt() -> None:
    ours, port = _ours()
    with ours, Attacker.websocket(port) as alice:
        assert alice.connect("alice") == 0
        assert isinstance(alice.wire, WebSocketWire)
        alice.wire.connection.send("text")
        assert alice.is_ended()
        ours.wait_for_connections(0)


def test_empty_messages_do_not_hold_a_connection_for_ever() -> None:
    ours, port = _ours(Bounds(close_s=0.2))
    with ours, Attacker.websocket(port) as alice:
        assert alice.connect("alice") == 0
        with suppress(ConnectionClosed):
            for _ in range(200):
                alice.send(b"")
        assert alice.is_ended()
        ours.wait_for_connections(0)


def test_a_message_beyond_the_limit_ends_it() -> None:
    ours, port = _ours(Bounds(packet_bytes=1_000))
    with ours, Attacker.websocket(port) as alice:
        assert alice.connect("alice") == 0
        with suppress(ConnectionClosed):
            alice.send(publish_packet(ALICE, bytes(900)) * 3)
        assert alice.is_ended()
        ours.wait_for_connections(0)


@pytest.mark.parametrize("offered", [None, ["chat"]])
def test_only_who_speaks_mqtt_is_let_in(offered: list[str] | None) -> None:
    ours, port = _ours()
    protocols = None if offered is None else [Subprotocol(one) for one in offered]
    with ours:
        with pytest.raises((InvalidStatus, NegotiationError)):
            connect_websocket(f"ws://127.0.0.1:{port}", subprotocols=protocols)
        with device(ours.port, "alice") as alice:
            assert alice.messages() == []


def test_a_message_in_endless_pieces_is_over_in_time() -> None:
    ours, port = _ours(Bounds(connect_s=0.3))
    empty_piece = b"\x02\x80" + os.urandom(4), b"\x00\x80" + os.urandom(4)
    with ours, Attacker.websocket(port) as endless:
        assert isinstance(endless.wire, WebSocketWire)
        raw = endless.wire.connection.socket
        assert isinstance(raw, socket.socket)
        raw.sendall(empty_piece[0])
        for _ in range(20):
            if endless.is_ended(0.1):
                break
            with suppress(OSError):
                raw.sendall(empty_piece[1] * 10)
        else:
            pytest.fail("it was never cut off")
        ours.wait_for_connections(0)


def test_a_websocket_that_reads_nothing_is_cut_off() -> None:
    ours, port = _ours(Bounds(waiting_bytes=100_000))
    with ours:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.connect(("127.0.0.1", port))
        connection = connect_websocket(
            f"ws://127.0.0.1:{port}", sock=raw, subprotocols=[Subprotocol("mqtt")], max_queue=1, close_timeout=0.1
        )
        connection.send(connect_packet("bob", password_of("bob")) + subscribe_packet(1, (TOPICS.events("bob"), 1)))
        assert [connection.recv(), connection.recv()]
        sent = 0
        while ours.sessions:
            ours.event(TOPICS.events("bob"), bytes(10_000))
            sent += 1
            assert sent < 3_000
        print(f"cut off after {sent * 10_000} bytes")  # noqa: T201 - the proof is a count
        ours.wait_for_connections(0)
        connection.close()


_UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: %b\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %b\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        _UPGRADE % ("Upgrade, \udc9a\udce9".encode("utf-8", "surrogateescape"), b"mqtt"),
        _UPGRADE % (b"Upgrade", b"mqtt") + b"\x88\x80\0\0\0\0",
        _UPGRADE % (b"Upgrade", b"mqtt") + b"\x88\x82\0\0\0\0\x03\xe8" + b"\x82\x81\0\0\0\0x",
        _UPGRADE % (b"Upgrade", b"chat") + b"-Version: 13\r\nno frame at all\r\n\r\n",
    ],
    ids=["a header that is no text", "a close at once", "a close with words, and more", "a refusal and no frames"],
)
def test_a_handshake_with_its_end_in_it_leaves_nothing_behind(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Found by the fuzzer: each left a traceback, or a connection that never ended."""
    ours, port = _ours()
    with ours:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 10) as raw:
                raw.sendall(sent)
                while raw.recv(4_096):
                    pass
        ours.wait_for_connections(0)
        assert ours.loop.call(lambda: len(ours.broker._devices)) == 0
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []
