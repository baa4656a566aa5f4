"""Invitations that nobody answers: they stay open, or come due, and how late they do is measured."""

import time

from benchmarks.load import Load, events, new_iid, req_topic
from benchmarks.orders import Order
from benchmarks.wire import LoadDevice


class Openings(Load):
    """Opens invitations; one has come to its end once it is open."""

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._timeouts: dict[str, int] = {}

    def begin(self) -> None:
        caller, callee = self.two_users()
        iid, timeout = new_iid(), self.timeout()
        self._timeouts[iid] = timeout
        payload = self.request("invite", iid, to=[self.user(callee)], timeout=timeout)
        self.send(caller, req_topic(self.user(caller)), payload)

    def timeout(self) -> int:
        """For the next one, whole seconds."""
        return self.order.timeout_s

    def heard(self, device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        for event in events(topic, payload):
            if event["ev"] == "invited" and event["by"] == device.user:
                self.opened(event["iid"], event["ts"])

    def opened(self, iid: str, _ts: int, /) -> None:
        """The inviter knows that it is open, and since when."""
        del self._timeouts[iid]
        self.end()
        self.begin_next()


class Deadlines(Openings):
    """Opens all within a second, then hears them time out: due at random moments spread over so many seconds.

    The lag is that between the due time by the server's clock and the party's hearing of it by ours: the same clock, on
    one machine.
    """

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._due_ms: dict[str, int] = {}
        self._heard_once: set[str] = set()

    async def drive(self, count: int) -> None:
        await self.begin_at(sorted(self.random.random() for _ in range(count)))

    def timeout(self) -> int:
        return self.order.timeout_s + self.random.randrange(self.order.spread_s)

    def opened(self, iid: str, ts: int, /) -> None:
        self._due_ms[iid] = ts + self._timeouts.pop(iid) * 1000

    def heard(self, device: LoadDevice, topic: bytes, payload: bytes, /) -> None:
        now_ms = time.time() * 1000
        super().heard(device, topic, payload)
        for event in events(topic, payload):
            if event["ev"] == "timed_out" and event["iid"] in self._due_ms:
                self._timed_out(event["iid"], now_ms)

    def _timed_out(self, iid: str, now_ms: float) -> None:
        self.tally.lag_ms.append(now_ms - self._due_ms[iid])
        if iid not in self._heard_once:
            self._heard_once.add(iid)
            return
        self._heard_once.remove(iid)
        del self._due_ms[iid]
        self.end()


class Burst(Deadlines):
    """Opens them as fast as it can, all due within the same second."""

    def __init__(self, order: Order, port: int) -> None:
        super().__init__(order, port)
        self._began = time.monotonic()

    async def drive(self, count: int) -> None:
        self._began = time.monotonic()
        await Load.drive(self, count)

    def timeout(self) -> int:
        return max(1, self.order.timeout_s - int(time.monotonic() - self._began))

    def opened(self, iid: str, ts: int, /) -> None:
        super().opened(iid, ts)
        self.begin_next()
