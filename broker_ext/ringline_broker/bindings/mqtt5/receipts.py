"""PUBACKs in the order in which the messages came, in whatever order those are settled."""

from collections import deque
from collections.abc import Callable

import mqtt5


class _Receipt:
    __slots__ = ("is_settled", "packet_id")

    def __init__(self, packet_id: int) -> None:
        self.packet_id = packet_id
        self.is_settled = False


class Receipts:
    """What came on one connection and was not settled, or not acknowledged yet.

    Args:
        write: sends PUBACKs.
        may_write: whether to acknowledge now what is settled. Where not, the broker's window closes, and nothing more
            comes until `flush` finds that it may.
        settled: told whenever something was settled.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        may_write: Callable[[], bool] = lambda: True,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._write = write
        self._may_write = may_write
        self._settled = settled
        self._owed: deque[_Receipt] = deque()
        self.unsettled = 0
        """Messages that came and are not settled."""

    @property
    def owed(self) -> int:
        """Messages that the broker has no PUBACK of."""
        return len(self._owed)

    def take(self, packet_id: int | None) -> Callable[[], None]:
        """Note a message; at QoS 0 it has no packet id and is only counted.

        Returns:
            What settles it; a second call does nothing.
        """
        receipt = _Receipt(packet_id or 0)
        if packet_id is not None:
            self._owed.append(receipt)
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
        owed = self._owed
        if not owed or not owed[0].is_settled or not self._may_write():
            return
        acks = b""
        while owed and owed[0].is_settled:
            acks += mqtt5.PubAckPacket(owed.popleft().packet_id).write()
        self._write(acks)

    def forget(self) -> None:
        """The connection is gone: what is settled from now on is told nobody."""
        self._owed.clear()
