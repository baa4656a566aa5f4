"""What a request returns at once: a handle on its answer."""

import threading

from ringline.errors import SignalingError
from ringline.events import InvitationState
from ringline.protocol.errors import NO_ANSWER


class RequestHandle:
    """A request on its way.

    Attributes:
        invite_id: the invitation it is about; of a new one too, before any answer.
    """

    def __init__(self, invite_id: str) -> None:
        self.invite_id = invite_id
        self._done = threading.Event()
        self._state: InvitationState | None = None
        self._error: SignalingError | None = None

    @property
    def done(self) -> bool:
        """Whether the answer has come, or the client has given up."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> InvitationState | None:
        """Wait for the answer. In a callback this keeps other callbacks waiting, and nothing else.

        Args:
            timeout: seconds; None waits until the client itself gives up (10 minutes, an invite its own timeout).

        Returns:
            The state that `get` asked for; None for other requests, which are done.

        Raises:
            SignalingError: refused, given up, or no answer within the timeout (`no_answer`; the client goes on trying).
        """
        if not self._done.wait(timeout):
            raise SignalingError(NO_ANSWER.code, NO_ANSWER.name, f"no answer within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._state

    def settle(self, state: InvitationState | None, error: SignalingError | None) -> None:
        """For the client: the answer is here."""
        self._state, self._error = state, error
        self._done.set()
