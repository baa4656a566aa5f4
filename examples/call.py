"""A call from one user to another.

What it shows:

- the caller puts the id of a room into the invitation's data; the callee's phone rings; who accepts enters that room
- a phone that is taken rejects with the reason `busy`
- hanging up sends the other side a record, `{"call_end": seconds, "room": …}`, as a notice: an invitation that nobody
  has to answer
- the caller gives up, or nobody answers: both sides hear of it from the server, and neither keeps a timer
- a user with several devices: all of them ring, one answers, the others stop

How to run it, with a server (`make run`) and two terminals:

    python -m examples.call callee bob
    python -m examples.call caller alice bob

What moves the sound and the pictures in the room is another system's business; copy `Phone`, and put it in where this
one only shows a line of text.
"""

import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from examples.terminal import Terminal, new_parser
from ringline import NONE, RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.data import Value
from ringline.events import (
    InvitationCancelled,
    InvitationCreated,
    InvitationEnded,
    InvitationEvent,
    InvitationMissed,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    InviteeRinging,
    NewInvitation,
)


class State(Enum):
    """What a phone is doing."""

    IDLE = "idle"
    DIALLING = "dialling"
    RINGING = "ringing"
    IN_CALL = "in a call"


@dataclass(slots=True)
class Call:
    """The one call that a phone has.

    Attributes:
        invite_id: the invitation it began with; events of any other are not about this call.
        peer: the user on the other side.
        room: where the two meet; a new one for each call.
        state: how far it has come.
        since: when the room was entered, by the phone's clock.
        given_up: the user has hung up, but an answer may already be on its way.
        rings: the other side said that it rings there.
    """

    invite_id: str
    peer: str
    room: str
    state: State
    since: float = 0.0
    given_up: bool = False
    rings: bool = False


class Phone(SignalingListener):
    """One device of a user, for one call at a time.

    The user's buttons are methods, and what the server says are callbacks, on the client's thread; hence the lock. A
    button only asks: the phone enters a room or stops ringing when the server says so, since another device, the other
    side or the deadline may have been quicker.

    Args:
        client: not connected yet, so that nothing is missed.
        show: tells the user something; called with the lock held, so it must not wait for other threads.
        clock: seconds, for the length of calls.
    """

    def __init__(
        self, client: SignalingClient, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._show = show
        self._clock = clock
        self._lock = threading.RLock()
        self._call: Call | None = None
        client.add_listener(self)

    @property
    def state(self) -> State:
        """What the phone is doing."""
        with self._lock:
            return State.IDLE if self._call is None else self._call.state

    # The user's buttons.

    def dial(self, callee: str, room: str, timeout: int = 30) -> None:
        """Ring somebody.

        Waits until the server has the invitation (and no longer than its timeout), so keep it off a user interface's
        own thread.

        Args:
            callee: whom.
            room: where to meet.
            timeout: for how many seconds to ring.
        """
        with self._lock:
            if self._call is not None:
                raise RuntimeError(f"the phone is {self._call.state.value}")
            handle = self._client.invite([callee], {"room": room}, timeout=timeout)
            call = self._call = Call(handle.invite_id, callee, room, State.DIALLING)
            self._show(f"dials {callee}, room {room}")
        try:
            handle.result()
        except SignalingError as failed:
            with self._lock:
                if self._call is call:
                    self._end("gives up" if call.given_up else f"cannot call {callee}: {failed.name}")

    def accept(self) -> None:
        """Take the call that rings."""
        with self._lock:
            if self._call is not None and self._call.state is State.RINGING:
                self._client.accept(self._call.invite_id)

    def hang_up(self) -> RequestHandle | None:
        """End it, whatever it is: stop dialling, reject what rings, leave the room.

        Returns:
            The request that this took, for a program that wants to see it done before it exits.
        """
        with self._lock:
            call = self._call
            if call is None:
                return None
            if call.state is State.IN_CALL:
                return self._leave(call)
            call.given_up = True
            if call.state is State.DIALLING:
                return self._client.cancel(call.invite_id, reason="changed_mind")
            return self._client.reject(call.invite_id, reason="declined")

    # What the callee hears.

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            if event.notice:
                self._hear_record(event.inviter, event.data)
                return
            room = _room(event.data)
            if room is None or event.invitees != (self._client.user,):
                return  # no call of this kind. To reject it would reject it for the user's other devices too
            call = self._call
            if call is None:
                self._call = Call(event.invite_id, event.inviter, room, State.RINGING)
                self._client.ringing(event.invite_id)
                self._show(f"rings: {event.inviter} calls")
            elif event.crossing and call.state is State.DIALLING and call.peer == event.inviter and not call.given_up:
                # Both dialled at once. This invitation stands, the client takes ours back, and both want to talk.
                self._call = Call(event.invite_id, event.inviter, room, State.RINGING)
                self._client.accept(event.invite_id)
                self._show(f"takes the call of {event.inviter}, who dials too")
            else:
                self._client.reject(event.invite_id, reason="busy")
                self._show(f"rejects a call of {event.inviter}: busy")

    def on_invitation_missed(self, event: InvitationMissed) -> None:
        with self._lock:
            if event.part == "notified":  # the other side hung up while this device was not connected
                self._hear_record(event.inviter, event.data)
            elif not event.answered_elsewhere and _room(event.data) is not None:
                self._show(f"missed a call of {event.inviter}")

    # What the caller hears.

    def on_invitation_created(self, event: InvitationCreated) -> None:
        with self._lock:
            call = self._unanswered(event)
            if call is not None and call.peer in event.offline:
                self._show(f"{call.peer} is not online just now")

    def on_invitee_ringing(self, event: InviteeRinging) -> None:
        with self._lock:
            call = self._unanswered(event)
            if call is not None and not call.rings:  # each of the callee's devices says so
                call.rings = True
                self._show(f"hears it ring at {call.peer}'s")

    # What both hear.

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            call = self._unanswered(event)
            if call is None:
                return
            if call.state is State.RINGING and not event.this_device:
                self._end("stops ringing: answered on another device")
                return
            call.state, call.since = State.IN_CALL, self._clock()
            self._show(f"enters room {call.room} with {call.peer}")
            if call.given_up:
                self._leave(call)

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            call = self._unanswered(event)
            if call is None:
                return
            if call.state is State.DIALLING:
                self._end(f"hears that {call.peer} rejected: {event.reason}")
            else:
                self._end(f"stops ringing: rejected {'here' if event.this_device else 'on another device'}")

    def on_invitation_cancelled(self, event: InvitationCancelled) -> None:
        self._end_unanswered(event, "gives up", "stops ringing: {peer} gave up")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        self._end_unanswered(event, "hears that {peer} did not answer", "stops ringing: missed a call of {peer}")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        self._end_unanswered(event, f"stops dialling: {event.outcome}", f"stops ringing: {event.outcome}")

    # All of it with the lock held.

    def _unanswered(self, event: InvitationEvent) -> Call | None:
        """The call that an event is about, while it dials or rings."""
        call = self._call
        is_it = call is not None and call.invite_id == event.invite_id and call.state is not State.IN_CALL
        return call if is_it else None

    def _end_unanswered(self, event: InvitationEvent, to_caller: str, to_callee: str) -> None:
        with self._lock:
            call = self._unanswered(event)
            if call is not None:
                self._end((to_caller if call.state is State.DIALLING else to_callee).format(peer=call.peer))

    def _end(self, text: str) -> None:
        self._call = None
        self._show(text)

    def _leave(self, call: Call) -> RequestHandle:
        seconds = round(self._clock() - call.since)
        self._end(f"hangs up after {seconds} s")
        # Without a timeout, so that it is tried for ten minutes should the connection be gone just now.
        return self._client.invite([call.peer], {"call_end": seconds, "room": call.room}, timeout=0, answers=NONE)

    def _hear_record(self, sender: str, data: Value) -> None:
        call = self._call
        seconds = data.get("call_end") if isinstance(data, dict) else None
        # It may come before we hear of the acceptance: between two invitations no order is promised.
        if call is not None and call.peer == sender and call.room == _room(data) and isinstance(seconds, int):
            self._end(f"hears that {sender} hung up after {seconds} s")


def _room(data: Value) -> str | None:
    """The room that data names. Anybody can send anything, so look before you use it."""
    room = data.get("room") if isinstance(data, dict) else None
    return room if isinstance(room, str) else None


def main() -> int:
    """Run one phone in a terminal."""
    parser = new_parser("python -m examples.call", "A call from one user to another.")
    sides = parser.add_subparsers(dest="side", required=True)
    caller = sides.add_parser("caller", help="rings somebody, and ends with the call")
    caller.add_argument("user", help="who calls")
    caller.add_argument("callee", help="who is called")
    caller.add_argument("--room", default=secrets.token_hex(4), help="where to meet; random where left out")
    caller.add_argument("--timeout", type=int, default=30, help="for how many seconds to ring")
    callee = sides.add_parser("callee", help="waits for calls")
    callee.add_argument("user", help="who is called")
    args = parser.parse_args()

    client = SignalingClient(args.url, user=args.user)
    terminal = Terminal(client)

    def show(text: str) -> None:
        terminal.show(text)
        if args.side == "caller" and phone.state is State.IDLE:
            terminal.leave()

    phone = Phone(client, show)
    keys = {"h": ("hang up", phone.hang_up)}
    if args.side == "callee":
        return terminal.run({"a": ("accept", phone.accept), **keys}, at_end=phone.hang_up)
    return terminal.run(keys, at_start=lambda: phone.dial(args.callee, args.room, args.timeout), at_end=phone.hang_up)


if __name__ == "__main__":
    sys.exit(main())
