"""A doorbell that rings a household.

What it shows:

- one invitation to several users, `answers = FIRST`: the first who answers gets it
- all other phones stop at that moment, because the server says so. The doorbell has no part in it: it may have lost its
  power the moment after it was pressed

How to run it, with a server (`make run`) and a terminal for each:

    python -m examples.doorbell phone alice
    python -m examples.doorbell phone bob
    python -m examples.doorbell doorbell front-door alice bob

Press the doorbell, kill it (kill -9), and answer on a phone: the other one stops.
"""

import sys
import threading
from collections.abc import Callable, Sequence

from examples.terminal import Terminal, new_parser
from ringline import FIRST, RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.events import (
    InvitationCancelled,
    InvitationCreated,
    InvitationEnded,
    InvitationEvent,
    InvitationTaken,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    NewInvitation,
)


class Doorbell(SignalingListener):
    """The button at the door.

    Args:
        client: not connected yet.
        household: the users to ring.
        show: tells who stands at the door something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, household: Sequence[str], show: Callable[[str], None]) -> None:
        self._client = client
        self._household = tuple(household)
        self._show = show
        self._lock = threading.RLock()
        self._invite_id: str | None = None
        client.add_listener(self)

    def press(self, timeout: int = 30) -> None:
        """Ring the household; while it rings, another press changes nothing.

        Waits until the server has the invitation.

        Args:
            timeout: for how many seconds to ring.
        """
        with self._lock:
            if self._invite_id is not None:
                return
            handle = self._client.invite(self._household, {"door": self._client.user}, timeout=timeout, answers=FIRST)
            self._invite_id = handle.invite_id
        try:
            handle.result()
        except SignalingError as failed:
            with self._lock:
                if self._invite_id == handle.invite_id:
                    self._invite_id = None
                    self._show(f"cannot ring: {failed.name}")

    def on_invitation_created(self, event: InvitationCreated) -> None:
        with self._lock:
            if event.invite_id == self._invite_id:
                self._show(f"rings {', '.join(event.invitees)}")

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            if event.invite_id == self._invite_id:
                self._invite_id = None
                self._show(f"hears that {event.invitee} answers")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        with self._lock:
            if event.invite_id == self._invite_id:
                self._invite_id = None
                self._show(f"hears that nobody answers: {event.outcome}")


class HousePhone(SignalingListener):
    """A phone of somebody who lives there.

    Args:
        client: not connected yet.
        show: tells the user something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, show: Callable[[str], None]) -> None:
        self._client = client
        self._show = show
        self._lock = threading.RLock()
        self._ringing: dict[str, str] = {}  # the door by invite_id, longest ringing first
        client.add_listener(self)

    @property
    def ringing(self) -> tuple[str, ...]:
        """The doors it rings for."""
        with self._lock:
            return tuple(self._ringing.values())

    def answer(self) -> RequestHandle | None:
        """Answer the door that has rung longest. It is ours when the server says so: somebody may have been quicker."""
        with self._lock:
            return next((self._client.accept(invite_id) for invite_id in self._ringing), None)

    def reject(self) -> RequestHandle | None:
        """Leave that door to the others."""
        with self._lock:
            return next((self._client.reject(invite_id, reason="declined") for invite_id in self._ringing), None)

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            door = event.data.get("door") if isinstance(event.data, dict) else None
            if event.notice or not isinstance(door, str):
                return  # no doorbell; another application of this user may know what to do
            self._ringing[event.invite_id] = door
            self._client.ringing(event.invite_id)
            self._show(f"rings: {door}")

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            door = self._ringing.get(event.invite_id)
            self._stop(event, f"talks to {door}" if event.this_device else "stops ringing: answered on another device")

    def on_invitation_taken(self, event: InvitationTaken) -> None:
        self._stop(event, f"stops ringing: {event.by} answered")

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        self._stop(event, f"stops ringing: rejected {'here' if event.this_device else 'on another device'}")

    def on_invitation_cancelled(self, event: InvitationCancelled) -> None:
        self._stop(event, "stops ringing: cancelled")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        self._stop(event, "stops ringing: nobody answered")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        self._stop(event, f"stops ringing: {event.outcome}")

    def _stop(self, event: InvitationEvent, text: str) -> None:
        with self._lock:
            if self._ringing.pop(event.invite_id, None) is not None:
                self._show(text)


def main() -> int:
    """Run a doorbell or a phone in a terminal."""
    parser = new_parser("python -m examples.doorbell", "A doorbell that rings a household.")
    devices = parser.add_subparsers(dest="device", required=True)
    bell = devices.add_parser("doorbell", help="the button at the door")
    bell.add_argument("user", help="the doorbell's own user id")
    bell.add_argument("household", nargs="+", help="the users to ring")
    bell.add_argument("--press", action="store_true", help="press it once at the start")
    bell.add_argument("--timeout", type=int, default=30, help="for how many seconds to ring")
    phone = devices.add_parser("phone", help="the phone of somebody who lives there")
    phone.add_argument("user", help="whose phone it is")
    args = parser.parse_args()

    client = SignalingClient(args.url, user=args.user)
    terminal = Terminal(client)
    if args.device == "phone":
        house_phone = HousePhone(client, terminal.show)
        return terminal.run({"a": ("answer", house_phone.answer), "r": ("reject", house_phone.reject)})
    doorbell = Doorbell(client, args.household, terminal.show)

    def press() -> None:
        doorbell.press(args.timeout)

    return terminal.run({"p": ("press", press)}, at_start=press if args.press else None)


if __name__ == "__main__":
    sys.exit(main())
