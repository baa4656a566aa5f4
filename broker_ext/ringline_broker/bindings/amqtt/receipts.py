"""PUBACKs in the order in which the PUBLISH packets came (section 4.6), in whatever order those are settled."""

from collections import deque
from collections.abc import Callable

from ringline_broker.bindings.amqtt import mqtt311


class _Receipt:
    __slots__ = ("is_settled", "packet_id")

    def __init__(self, packet_id: int | None) -> None:
        self.packet_id = packet_id
        self.is_settled = False


class Receipts:
    """What one device published and was not told yet that it has been dealt with.

    Args:
        write: sends PUBACKs.
        settled: told whenever something was settled.
    """

    def __init__(self, write: Callable[[bytes], None], settled: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._settled = settled
        self._waiting: deque[_Receipt] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, packet_id: int | None) -> Callable[[], None]:
        """Note a message; at QoS 0 it has no packet id and is only counted.

        Returns:
            What settles it; a second call does nothing.
        """
        receipt = _Receipt(packet_id)
        self._waiting.append(receipt)

        def settle() -> None:
            receipt.is_settled = True
            self._flush()
            self._settled()

        return settle

    def _flush(self) -> None:
        waiting = self._waiting
        acks = b""
        while waiting and waiting[0].is_settled:
            packet_id = waiting.popleft().packet_id
            if packet_id is not None:
                acks += mqtt311.puback(packet_id)
        if acks:
            self._write(acks)
