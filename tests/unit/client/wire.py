"""A client without a network, whose server is the test."""

from collections.abc import Callable
from typing import Any

import pytest

from ringline import SignalingClient
from ringline.protocol.answers import Answer, encode_answer
from ringline.protocol.requests import decode_request
from ringline.protocol.shapes import Request
from tests.unit.client.world import TOPICS


class Wire(SignalingClient):
    """A client whose server is the test."""

    def __init__(self, **more: Any) -> None:
        super().__init__("mqtt://127.0.0.1:1", user="ann", device="d1", **more)
        self._core.subscribed(0.0)
        [(_, sync)] = self._core.drain().messages
        self.answer(Answer(re=decode_request(sync).id))
        self._core.drain()

    def sent(self) -> list[Request]:
        """What it sends now."""
        return [decode_request(payload) for _, payload in self._core.drain().messages]

    def answer(self, answer: Answer) -> None:
        self._core.received(TOPICS.answers("ann", "d1"), encode_answer(answer), 0.0)

    def _flush(self) -> None:
        """Leave it to `sent`, but settle."""

    def settle(self) -> None:
        super()._flush()


def told_at_once(client: Wire, call: Callable[[], object], kind: type[Exception], words: str) -> None:
    """Whoever asks wrongly is told so in these words, and nothing is sent."""
    with pytest.raises(kind) as raised:
        call()
    assert words in str(raised.value)
    assert client.sent() == []
