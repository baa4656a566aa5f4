"""PUBACKs in the order in which the messages came (MQTT 3.1.1 section 4.6), in whatever order those are settled."""

from collections import deque
from collections.abc import Callable

from ringline_broker.bindings.framing import puback


class _Receipt:
    __slots__ = ("is_settled", "packet_id")

    def __init__(self, packet_id: int | None) -> None:
        self.packet_id = packet_id
        self.is_settled = False


class Receipts:
    """What came on one connection, and was not settled and acknowledged in its turn yet; its `len` is how many.

    Args:
        write: sends PUBACKs.
        settled: told whenever something was settled.
        may_write: whether to acknowledge now what is settled. Where not, the other end's window closes, and nothing
            more comes until `flush` finds that it may.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        settled: Callable[[], None] = lambda: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._write = write
        self._settled = settled
        self._may_write = may_write
        self._waiting: deque[_Receipt] = deque()
        self.unsettled = 0
        """Messages that came and are not settled."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def owed(self) -> int:
        """Messages that the other end has no PUBACK of."""
        return sum(receipt.packet_id is not None for receipt in self._waiting)

    def take(self, packet_id: int | None) -> Callable[[], None]:
        """Note a message; at QoS 0 it has no packet id and is only counted.

        Returns:
            What settles it; a second call does nothing.
        """
        receipt = _Receipt(packet_id)
        self._waiting.append(receipt)
        self.unsettled += 1

        def settle() -> None:
            if receipt.is_settled:
                return
            receipt.is_settled = True
            self.unsettled -= 1
            self.flush()
            self._settled()

        return settle

    def flush(self) -> None:
        """Acknowledge what is settled."""
        waiting = self._waiting
        if not waiting or not waiting[0].is_settled or not self._may_write():
            return
        acks = b""
        while waiting and waiting[0].is_settled:
            packet_id = waiting.popleft().packet_id
            if packet_id is not None:
                acks += puback(packet_id)
        if acks:
            self._write(acks)

    def forget(self) -> None:
        """The connection is gone: what is settled from now on is told nobody."""
        self._waiting.clear()
