"""What every part of the reference model needs."""

from ringline_broker.service.ports import StoreUnavailable


class MemoryBase:
    """A store that can be closed."""

    def __init__(self) -> None:
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
