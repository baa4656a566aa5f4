"""What all have in common that bring an application's requests to the server."""

from collections.abc import Callable
from typing import Any, TypeVar

from ringline.handles import RequestHandle
from ringline.protocol.shapes import Request

_T = TypeVar("_T")
Send = Callable[[Request, RequestHandle[Any]], None]
"""Brings a request to the server, and its answer to the handle."""


class Requester:
    """Makes requests of one device.

    Args:
        user: whose.
        device: this installation.
        send: brings a request to the server.
    """

    def __init__(self, user: str, device: str, send: Send) -> None:
        self.user = user
        self.device = device
        self._send = send

    def _ask(self, request: Request, handle: RequestHandle[_T]) -> RequestHandle[_T]:
        self._send(request, handle)
        return handle
