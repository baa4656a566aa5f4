"""What a client raises."""

from ringline.events import InvitationState
from ringline.protocol.errors import BY_NAME, ErrorCode, Fault, RinglineError


class SignalingError(RinglineError):
    """A request was refused, or could not be brought to the server.

    Attributes:
        code: the number in the error registry (8010, 8011 …).
        name: the name in the error registry (`invitation_over`, `not_permitted` …).
        text: what is wrong, for a person.
        field: the field at fault, by its wire key.
        state: the invitation's present state, where the server told it.
        who: the users at fault, where it is some of several.
        retry_after: seconds after which the same request may succeed, where the server said so (7008) and it was too
            long for the client to wait by itself; None otherwise.
    """

    def __init__(
        self,
        code: int,
        name: str,
        text: str,
        field: str | None = None,
        state: InvitationState | None = None,
        who: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code} {name}: {text}" if field is None else f"{code} {name}: {field} {text}")
        self.code = code
        self.name = name
        self.text = text
        self.field = field
        self.state = state
        self.who = who
        self.retry_after = retry_after

    @classmethod
    def local(cls, row: ErrorCode) -> "SignalingError":
        """An error that this side found."""
        return cls(row.code, row.name, row.meaning)

    @property
    def fault(self) -> Fault:
        """Whose fault it is; a name this version does not know is the caller's."""
        row = BY_NAME.get(self.name)
        return Fault.CALLER if row is None else row.fault
