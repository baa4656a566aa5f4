"""What a request returns at once: a handle on its answer."""

import threading
from typing import TYPE_CHECKING, Any, Generic

from ringline.errors import SignalingError
from ringline.events import InvitationState
from ringline.protocol.errors import NO_ANSWER

if TYPE_CHECKING:  # type checkers have it; Python itself knows no defaults before 3.13
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=InvitationState | None)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


class RequestHandle(Generic[T_co]):
    """A request on its way, and what its answer brings: `RequestHandle[None]` where it is simply done.

    Attributes:
        invite_id: the invitation it is about, of a new one too, before any answer; "" where it is about a group.
        group_id: the group it is about, of a new one too, before any answer; "" where it is about an invitation.
    """

    def __init__(self, invite_id: str = "", group_id: str = "") -> None:
        self.invite_id = invite_id
        self.group_id = group_id
        self._done = threading.Event()
        self._result: Any = None
        self._error: SignalingError | None = None

    @property
    def done(self) -> bool:
        """Whether the answer has come, or the client has given up."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the answer. In a callback this keeps other callbacks waiting, and nothing else.

        Args:
            timeout: seconds; None waits until the client itself gives up (10 minutes, an invite its own timeout).

        Returns:
            What was asked for; None for requests that are simply done.

        Raises:
            SignalingError: refused, given up, or no answer within the timeout (`no_answer`; the client goes on trying).
        """
        if not self._done.wait(timeout):
            raise SignalingError(NO_ANSWER.code, NO_ANSWER.name, f"no answer within {timeout} s")
        if self._error is not None:
            raise self._error
        result: T_co = self._result
        return result

    def settle(self, result: object, error: SignalingError | None) -> None:
        """For the client: the answer is here."""
        self._result, self._error = result, error
        self._done.set()
