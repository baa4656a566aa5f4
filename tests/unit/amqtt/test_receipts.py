"""PUBACKs leave in the order in which the messages came, in whatever order those are settled."""

from hypothesis import given
from hypothesis import strategies as st

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.receipts import Receipts


@given(st.lists(st.none() | st.integers(1, 65_535), max_size=20), st.data())
def test_acknowledged_in_order_as_soon_as_order_allows(packet_ids: list[int | None], data: st.DataObject) -> None:
    written: list[bytes] = []
    receipts = Receipts(written.append)
    settles = [receipts.take(packet_id) for packet_id in packet_ids]
    assert len(receipts) == len(packet_ids)
    settled: set[int] = set()
    for which in data.draw(st.permutations(range(len(packet_ids)))):
        settles[which]()
        settles[which]()
        settled.add(which)
        done = next((n for n in range(len(packet_ids)) if n not in settled), len(packet_ids))
        assert len(receipts) == len(packet_ids) - done
        assert b"".join(written) == b"".join(mqtt311.puback(one) for one in packet_ids[:done] if one is not None)
    assert all(written), "nothing empty is sent"


def test_what_one_settles_leaves_in_one_piece() -> None:
    written: list[bytes] = []
    receipts = Receipts(written.append)
    first, *others = [receipts.take(packet_id) for packet_id in (1, 2, 3)]
    for settle in others:
        settle()
    assert written == []
    first()
    assert written == [b"".join(map(mqtt311.puback, (1, 2, 3)))]
