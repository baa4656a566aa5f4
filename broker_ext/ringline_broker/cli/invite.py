"""`ringline invite`: rings somebody and, with --wait, ends by what became of it."""

import contextlib
import queue
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import typer

from ringline.client import SignalingClient
from ringline.errors import SignalingError
from ringline.events import Connected, Disconnected, InvitationEnded, InvitationEvent
from ringline.invitations import FIRST, NONE
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.printing import out, out_json
from ringline_broker.cli.session import OneShotOptions, checked, connected, settled
from ringline_broker.cli.telling import tell
from ringline_broker.cli.values import parse_data

OUTCOMES: Final = {
    "accepted": ExitCode.DONE,
    "notice": ExitCode.DONE,
    "rejected": ExitCode.REJECTED,
    "timed_out": ExitCode.TIMED_OUT,
    "expired": ExitCode.TIMED_OUT,
    "cancelled": ExitCode.CANCELLED,
    "offline": ExitCode.OFFLINE,
    "dropped": ExitCode.DROPPED,
}
"""How an invitation ended, and how the command ends; what is not here, such as `gone`, is a failure."""
_END_AFTER_S: Final = 30.0
_CANCELLED_WITHIN_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class InviteOptions:
    """What is asked of whom.

    Attributes:
        data: What goes with it, JSON; {"$bytes": "<base64>"} for bytes.
        timeout: Seconds until it times out, 0 for never.
        answers: How many may accept before the rest need not: all, first, a number; none makes it a notice.
        audience: Who hears each event: only whom it concerns, or all parties.
        online_only: Ring only devices that are online now; if there is none it ends as offline.
        group: The group to invite in: only its members can be invited, and all of them hear of it.
        partial: With --group, leave out who is no member; it is refused otherwise.
        id: The invitation's id, random where left out. With --device, a repeat under the same id rings once.
        wait: Show what happens, and end by how it ends: 0 accepted, 10 rejected, 11 timed out, 12 cancelled, 13
            offline, 14 left the group. Ctrl-C cancels it, and ends with 130.
    """

    data: str = ""
    timeout: int = 30
    answers: str = "all"
    audience: Literal["concerned", "parties"] = "concerned"
    online_only: bool = False
    group: str = ""
    partial: bool = False
    id: str = ""
    wait: bool = False

    def __post_init__(self) -> None:
        if self.partial and not self.group:
            raise ValueError("--partial is about the members of a group: give --group too")


def invite(
    users: Annotated[list[str], typer.Argument(metavar="USER", help="Whom to invite.", show_default=False)],
    options: InviteOptions,
    client: OneShotOptions,
) -> int:
    """Invite somebody, and wait for the end if told to.

    Without --wait it prints the invitation's id once the server has it.
    """
    # no id begins with a dash, so that it can be an argument as it is
    invite_id = options.id or secrets.token_hex(12)
    story = _Story(invite_id, wanted=options.wait, as_json=client.json)
    data, answers = parse_data(options.data), _answers(options.answers)
    with connected(client, story.hear) as caller:
        try:
            with checked():
                handle = caller.invite(
                    users, data, timeout=options.timeout, answers=answers, online_only=options.online_only,
                    audience="parties" if options.audience == "parties" else "", invite_id=invite_id,
                    group_id=options.group, partial=options.partial,
                )  # fmt: skip
            settled(handle)
            if options.wait:
                return story.wait(options.timeout)
        except KeyboardInterrupt:
            _cancel(caller, story)
            return ExitCode.INTERRUPTED
    if client.json:
        out_json(invite_id=invite_id)
    else:
        out(invite_id)
    return ExitCode.DONE


class _Story:
    """What is heard of one invitation.

    Args:
        invite_id: which.
        wanted: whether to print it.
        as_json: print JSON.
    """

    def __init__(self, invite_id: str, *, wanted: bool, as_json: bool) -> None:
        self.invite_id = invite_id
        self._wanted = wanted
        self._as_json = as_json
        self._was_connected = False
        self._end: queue.SimpleQueue[str] = queue.SimpleQueue()

    def hear(self, name: str, event: Any) -> None:  # noqa: ANN401 - any event
        """A callback."""
        is_of_it = isinstance(event, InvitationEvent) and event.invite_id == self.invite_id
        if self._wanted and (is_of_it or self._is_break(event)):
            tell(name, event, as_json=self._as_json)
        if is_of_it and isinstance(event, InvitationEnded):
            self._end.put(event.outcome)

    def _is_break(self, event: object) -> bool:
        """Whether the connection breaks or comes back; the first one and its end are no news."""
        if isinstance(event, Connected):
            was_connected, self._was_connected = self._was_connected, True
            return was_connected
        return isinstance(event, Disconnected) and self._was_connected and event.retry_in is not None

    def wait(self, timeout: int) -> int:
        """Wait for the end.

        Args:
            timeout: the invitation's, in seconds; 0 for none.

        Returns:
            The exit code of the outcome.

        Raises:
            Failure: the connection is lost, and the end cannot be heard.
        """
        try:
            outcome = self._end.get(timeout=timeout + _END_AFTER_S if timeout else None)
        except queue.Empty:
            raise Failure(ExitCode.NO_BROKER, "the server is gone, so how it ended is unknown") from None
        return OUTCOMES.get(outcome, ExitCode.FAILED)

    def wait_shortly(self, seconds: float) -> None:
        """Wait for the end, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._end.get(timeout=seconds)


def _answers(text: str) -> int | None:
    words = {"all": None, "first": FIRST, "none": NONE}
    if text in words:
        return words[text]
    if not text.isdecimal() or int(text) < 1:
        raise Failure(ExitCode.WRONG_USE, f"--answers must be all, first, none or a number, not {text!r}")
    return int(text)


def _cancel(caller: SignalingClient, story: _Story) -> None:
    """Take it back, and wait shortly until the server has."""
    with contextlib.suppress(SignalingError, KeyboardInterrupt):
        caller.cancel(story.invite_id).result(_CANCELLED_WITHIN_S)
        story.wait_shortly(1.0)
