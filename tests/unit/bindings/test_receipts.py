"""PUBACKs leave in the order in which the messages came, in whatever order those are settled."""

from hypothesis import given
from hypothesis import strategies as st

from ringline_broker.bindings.framing import puback
from ringline_broker.bindings.receipts import Receipts


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
        assert b"".join(written) == b"".join(puback(one) for one in packet_ids[:done] if one is not None)
    assert all(written), "nothing empty is sent"


def test_what_one_settles_leaves_in_one_piece() -> None:
    written: list[bytes] = []
    receipts = Receipts(written.append)
    first, *others = [receipts.take(packet_id) for packet_id in (1, 2, 3)]
    for settle in others:
        settle()
    assert written == []
    first()
    assert written == [b"".join(map(puback, (1, 2, 3)))]


class Written:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.may = True
        self.receipts = Receipts(self._write, may_write=lambda: self.may)

    def _write(self, data: bytes) -> None:
        assert len(data) % 4 == 0
        self.ids += [int.from_bytes(data[at + 2 : at + 4], "big") for at in range(0, len(data), 4)]


def test_settled_in_any_order_acknowledged_in_order() -> None:
    written = Written()
    settle = {packet_id: written.receipts.take(packet_id) for packet_id in (5, 6, 7)}
    settle[6]()
    assert written.ids == []
    settle[5]()
    settle[5]()
    assert written.ids == [5, 6]
    assert (written.receipts.unsettled, written.receipts.owed) == (1, 1)
    settle[7]()
    assert written.ids == [5, 6, 7]


def test_qos_0_is_counted_and_not_acknowledged() -> None:
    written = Written()
    plain, sure = written.receipts.take(None), written.receipts.take(8)
    assert (written.receipts.owed, written.receipts.unsettled) == (1, 2)
    sure()
    plain()
    plain()
    assert written.ids == [8]
    assert (written.receipts.owed, written.receipts.unsettled) == (0, 0)


def test_nothing_is_acknowledged_while_the_worker_is_behind() -> None:
    written = Written()
    written.may = False
    written.receipts.take(1)()
    written.receipts.flush()
    assert written.ids == []
    assert (written.receipts.owed, written.receipts.unsettled) == (1, 0)
    written.may = True
    written.receipts.flush()
    assert written.ids == [1]


def test_nothing_is_acknowledged_on_a_connection_that_is_gone() -> None:
    written = Written()
    settle = written.receipts.take(1)
    written.receipts.forget()
    settle()
    assert written.ids == []
    assert (written.receipts.unsettled, written.receipts.owed) == (0, 0)
