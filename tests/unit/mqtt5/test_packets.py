"""A stream of bytes becomes packets, whatever its pieces, and no more is kept than the limit; what is done without the
codec comes out as with it.
"""

import tracemalloc
from itertools import product

import mqtt5
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringline_broker.bindings.framing import Malformed
from ringline_broker.bindings.mqtt5.packets import Oversize, Packet, PacketReader, PubAck, Publish, publish

QOS_1 = mqtt5.QoS.AT_LEAST_ONCE
SENT = mqtt5.PublishPacket("a/b", b"x" * 300, qos=QOS_1, packet_id=258, user_properties=[("k", "v" * 200)]).write()


def fed(reader: PacketReader, data: bytes) -> list[Packet]:
    reader.feed(data)
    return list(reader.packets())


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_packets_come_whole_whatever_the_pieces(size: int) -> None:
    packets = (mqtt5.PubAckPacket(9), mqtt5.PublishPacket("c", b""), mqtt5.PingRespPacket())
    stream = SENT + b"".join(packet.write() for packet in packets)
    reader = PacketReader(1_000)
    came = [packet for at in range(0, len(stream), size) for packet in fed(reader, stream[at : at + size])]
    assert came[0] == Publish("a/b", b"x" * 300, 258)
    assert came[1] == PubAck(9, 0)
    assert came[2] == Publish("c", b"", None)
    assert isinstance(came[3], mqtt5.PingRespPacket)
    assert len(came) == 4


def test_whoever_takes_one_packet_only_gets_the_next_later() -> None:
    reader = PacketReader(1_000)
    reader.feed(SENT + mqtt5.PubAckPacket(9).write() + SENT[:7])
    for packet in reader.packets():
        assert isinstance(packet, Publish)
        break
    assert list(reader.packets()) == [PubAck(9, 0)]
    assert fed(reader, SENT[7:]) == [Publish("a/b", b"x" * 300, 258)]


LARGE = mqtt5.PublishPacket("a/b", b"x" * 5_000, qos=QOS_1, packet_id=259, user_properties=[("k", "v" * 200)]).write()
LARGE_AT_QOS_0 = mqtt5.PublishPacket("c", b"x" * 5_000).write()


@pytest.mark.parametrize("size", [1, 2, 7, 600, 100_000])
def test_a_message_over_the_limit_is_read_past_and_everything_around_it_is_read(size: int) -> None:
    stream = SENT + LARGE + LARGE_AT_QOS_0 + SENT + LARGE + mqtt5.PubAckPacket(9).write()
    reader = PacketReader(len(SENT) - 3)
    came = [packet for at in range(0, len(stream), size) for packet in fed(reader, stream[at : at + size])]
    sent, large = Publish("a/b", b"x" * 300, 258), Oversize("a/b", len(LARGE) - 3, 259)
    assert came == [sent, large, Oversize("c", len(LARGE_AT_QOS_0) - 3, None), sent, large, PubAck(9, 0)]


def test_a_message_at_the_limit_is_none_over_it() -> None:
    assert fed(PacketReader(len(SENT) - 3), SENT) == [Publish("a/b", b"x" * 300, 258)]
    assert fed(PacketReader(len(SENT) - 4), SENT) == [Oversize("a/b", len(SENT) - 3, 258)]


def test_of_a_message_that_is_read_past_nothing_is_kept() -> None:
    """The largest there is, with the longest topic, in pieces of 64 KiB."""
    reader, piece, most = PacketReader(65_536), bytes(65_536), 0
    head = b"\x32\xff\xff\xff\x7f\xff\xff" + b"t" * 65_535 + b"\x01\x02"
    tracemalloc.start()
    try:
        assert fed(reader, head[:40_000]) == []
        assert fed(reader, head[40_000:]) == []
        left = 268_435_455 - (len(head) - 5)
        while left > len(piece):
            assert fed(reader, piece) == []
            left -= len(piece)
            most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    came = fed(reader, piece[:left] + SENT)
    assert came == [Oversize("t" * 65_535, 268_435_455, 258), Publish("a/b", b"x" * 300, 258)]
    assert most < 300_000


def test_whoever_takes_one_packet_only_gets_what_was_read_past_later() -> None:
    reader = PacketReader(1_000)
    reader.feed(SENT + LARGE + SENT)
    assert next(reader.packets()) == Publish("a/b", b"x" * 300, 258)
    assert next(reader.packets()) == Oversize("a/b", len(LARGE) - 3, 259)
    assert fed(reader, LARGE[:2_000]) == [Publish("a/b", b"x" * 300, 258)]
    reader.feed(LARGE[2_000:] + SENT)
    assert next(reader.packets()) == Oversize("a/b", len(LARGE) - 3, 259)
    assert list(reader.packets()) == [Publish("a/b", b"x" * 300, 258)]


def test_any_other_packet_over_the_limit_is_refused_before_it_has_come() -> None:
    with pytest.raises(Malformed, match="a packet of 384 bytes; the limit is 383"):
        fed(PacketReader(383), b"\x90\x80\x03")


def read_by_the_codec(packet: bytes) -> PubAck | None:
    """None where it is none."""
    try:
        ack, size = mqtt5.read(memoryview(packet))
    except ValueError:
        return None
    assert isinstance(ack, mqtt5.PubAckPacket)
    return PubAck(ack.packet_id, int(ack.reason_code), ack.reason_str) if size == len(packet) else None


@pytest.mark.parametrize("first", [0x40, 0x41, 0x42, 0x48])
def test_a_puback_is_read_as_the_codec_reads_it(first: int) -> None:
    good = (b"", b"\0", b"\5\x1f\0\2no", b"\3\x1f\0\0")
    bad = (b"\1", b"\0\0", b"\x80", b"\x80\0", b"\6\x1f\0\2no", b"\2\x23\0")
    with_code = (b"\1\2" + bytes((code,)) + rest for code, rest in product(range(256), good + bad))
    bodies = [b"", b"\1", b"\1\2", b"\0\0", *with_code]
    read = 0
    for body in bodies:
        packet = bytes((first, len(body))) + body
        expected = read_by_the_codec(packet)
        if expected is None:
            with pytest.raises(Malformed):
                fed(PacketReader(1_000), packet)
        else:
            assert fed(PacketReader(1_000), packet) == [expected]
            read += 1
    assert read == (2 + 9 * len(good) if first == 0x40 else 0), "there are nine codes"


@given(
    topic=st.text(st.characters(codec="utf-8", exclude_characters="+#"), min_size=1, max_size=200),
    payload=st.binary(max_size=300) | st.integers(16_000, 17_000).map(bytes),
    packet_id=st.integers(1, 65_535),
    expiry_s=st.none() | st.integers(0, 0xFFFF_FFFF),
)
@example(topic="t", payload=bytes(127 - 6), packet_id=1, expiry_s=None)
@example(topic="t", payload=bytes(128 - 6), packet_id=1, expiry_s=None)
@example(topic="t", payload=bytes(127 - 11), packet_id=256, expiry_s=0)
@example(topic="t", payload=bytes(128 - 11), packet_id=256, expiry_s=0)
@example(topic="t", payload=bytes(16_383 - 6), packet_id=1, expiry_s=None)
@example(topic="t", payload=bytes(16_384 - 6), packet_id=1, expiry_s=None)
@example(topic="t", payload=bytes(2_097_151 - 6), packet_id=1, expiry_s=None)
@example(topic="t", payload=bytes(2_097_152 - 6), packet_id=65_535, expiry_s=None)
@example(topic="t" * 65_535, payload=b"", packet_id=65_535, expiry_s=0xFFFF_FFFF)
def test_a_message_is_written_as_the_codec_writes_it(
    topic: str, payload: bytes, packet_id: int, expiry_s: int | None
) -> None:
    expected = mqtt5.PublishPacket(
        topic, payload, qos=QOS_1, packet_id=packet_id, message_expiry_interval=expiry_s
    ).write()  # fmt: skip
    assert publish(topic, payload, packet_id, expiry_s) == expected


def test_strings_that_a_user_broke_break_nothing() -> None:
    """A broker that does not look passes on properties and topics that are no UTF-8; the codec panics at them."""
    good = mqtt5.PublishPacket("t", b"p", user_properties=[("key", "value")]).write()
    broken = good.replace(b"value", b"\xff\xfe\xfd!!")
    topic = mqtt5.PublishPacket("u/eve/req", b"p").write().replace(b"eve", b"\xff\xfe\xfd")
    came = fed(PacketReader(1_000), broken + topic)
    assert came[0] == Publish("t", b"p", None)
    assert isinstance(came[1], Publish)
    with pytest.raises(UnicodeEncodeError):
        came[1].topic.encode()


# the codec's panic leaves what it could not raise: its own, and told by what it does raise
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_codec_that_panics_is_a_malformed_packet(capfd: pytest.CaptureFixture[str]) -> None:
    reason = mqtt5.DisconnectPacket(
        reason_code=mqtt5.DisconnectReasonCode.QUOTA_EXCEEDED, reason_str="much"
    ).write().replace(b"much", b"\xff\xfe\xfd\xfc")  # fmt: skip
    with pytest.raises(Malformed, match="UTF-8"):
        fed(PacketReader(1_000), reason)
    capfd.readouterr()  # the codec prints its panic


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x30\x80\x80\x80\x80\x01", "more than four bytes"),
        (b"\x34\x05\x00\x01a\x00\x01\x00", "QoS 2"),
        (b"\x36\x05\x00\x01a\x00\x01\x00", "QoS 3"),
        (b"\x32\x06\x00\x01a\x00\x00\x00", "less in it"),  # packet id 0
        (b"\x30\x03\x00\x00\x00", "less in it"),  # no topic
        (b"\x30\x00", "less in it"),
        (b"\x30\x01\x00", "less in it"),
        (b"\x30\x03\x00\x05a", "less in it"),
        (b"\x30\x04\x00\x01a\x7f", "less in it"),
        (b"\x30\x05\x00\x01a\xff\x7f", "less in it"),
        (b"\x30\x04\x00\x01a\x80", "less in it"),
        (b"\x00\x00", "PacketType"),
        (b"\x20\x02\x00\x01", "no MQTT 5"),
        (b"\x34\x80\x10\x00\x01a", "QoS 2"),  # these four are over the limit
        (b"\x32\x80\x10\x00\x01a\x00\x00", "less in it"),
        (b"\x32\x80\x10\x00\x00\x00\x01", "less in it"),
        (b"\x32\x80\x10\xff\xff", "less in it"),
        (b"\x40\x03\x00\x05\x77", "PubAckReasonCode"),
        (b"\x42\x02\x00\x05", "flags"),
        (b"\xd0\x01\x00", "length"),
    ],
)
def test_what_is_no_mqtt_5_is_refused(stream: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        fed(PacketReader(1_000), stream)


def test_garbage_raises_nothing_else() -> None:
    for seed in range(20_000):
        garbage = seed.to_bytes(3, "big") * 4
        for kind in (0x20, 0x30, 0x32, 0x40, 0x90, 0xB0, 0xD0):
            try:
                fed(PacketReader(1_000), bytes((kind, len(garbage))) + garbage)
            except Malformed:
                continue
