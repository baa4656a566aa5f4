"""How the command ends: its exit codes, and the error that carries one."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell from how a command ended."""

    DONE = 0
    """Done; with `invite --wait`: somebody accepted."""
    FAILED = 1
    """Anything that has no number of its own."""
    WRONG_USE = 2
    """The command line, the environment or a file of settings makes no sense."""
    NOT_INSTALLED = 3
    """Something has to be installed first."""
    REFUSED = 4
    """The server refused the request, or the login."""
    NO_BROKER = 5
    """No broker can be reached, or none that answers."""
    REJECTED = 10
    """With `invite --wait`: everybody rejected."""
    TIMED_OUT = 11
    """With `invite --wait`: the deadline passed."""
    CANCELLED = 12
    """With `invite --wait`: somebody else cancelled it."""
    OFFLINE = 13
    """With `invite --wait --online-only`: no device was there to ring."""
    DROPPED = 14
    """With `invite --wait --group`: who was invited, or the inviter, left the group."""
    INTERRUPTED = 130
    """Ctrl-C."""


class Failure(Exception):
    """Ends the command with a message on stderr.

    Args:
        code: the exit code.
        message: one or two lines that say what to do.
    """

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
