"""PUBACKs go out in order, and not while the worker is behind."""

from ringline_broker.bindings.mqtt5.receipts import Receipts


class Written:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.may = True
        self.receipts = Receipts(self._write, lambda: self.may)

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
