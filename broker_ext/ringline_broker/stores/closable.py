"""What every part of every store has: it can be closed."""

from ringline_broker.service.ports import StoreUnavailable


class Closable:
    """Something that is open until it is closed."""

    def __init__(self) -> None:
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
