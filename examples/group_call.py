"""A call of several people, one of whom comes late.

What it shows:

- the call rings several members of a group at once; each who accepts enters the same room, and the rest go on ringing
- the group's attribute `call` says that a call runs, in which room and who is in it. So whoever was away, or rejected
  first, sees that it does
- who comes late asks those in the call to let them in: an invitation to all of them in the group, which the first who
  accepts settles
- who enters or leaves changes the attribute with optimistic concurrency (`attributes.py`); the last one deletes it, and
  of two who want to start a call at once one finds the other's

How to run it, with a server (`make run`) and a terminal for each:

    python -m examples.group_call ann ben cleo dave
    python -m examples.group_call ben
    python -m examples.group_call cleo
    python -m examples.group_call dave

The first makes the group of all four. A phone that dies in a call stays in the attribute: an application takes it out
when the room, which another system keeps, loses it.
"""

import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from examples.attributes import change_attributes
from examples.terminal import Terminal, new_parser
from ringline import FIRST, GroupListener, RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.data import Value
from ringline.events import (
    InvitationCancelled,
    InvitationEnded,
    InvitationEvent,
    InvitationTaken,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    NewInvitation,
)
from ringline.group_events import GroupAttributeChanged

_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """What the attribute `call` says.

    Attributes:
        room: where they meet.
        callers: who is in it, in the order they came.
    """

    room: str
    callers: tuple[str, ...]

    @classmethod
    def read(cls, attributes: Mapping[str, Value]) -> "Running | None":
        """The running call, if there is one. Any member can write anything, so look before you use it."""
        match attributes.get("call"):
            case {"room": str() as room, "callers": [*callers]} if all(isinstance(one, str) for one in callers):
                return cls(room, tuple(callers))
            case _:
                return None

    def change(self) -> dict[str, Value]:
        """The attribute that says so; without callers it goes."""
        return {"call": {"room": self.room, "callers": list(self.callers)} if self.callers else None}


class GroupPhone(SignalingListener, GroupListener):
    """One device of a member.

    Args:
        client: not connected yet.
        group_id: the group.
        show: tells the user something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, group_id: str, show: Callable[[str], None]) -> None:
        self._client = client
        self._group_id = group_id
        self._show = show
        self._lock = threading.RLock()
        self._room: str | None = None  # where this device is
        self._calling: str | None = None  # the invitation that this device made
        self._ringing: dict[str, str] = {}  # the room by invitation
        self._knocking: dict[str, str] = {}  # who wants to come in by invitation
        self._asked: dict[str, str] = {}  # the room that this device wants to be let into by invitation
        client.add_listener(self)
        client.add_group_listener(self)

    @property
    def room(self) -> str | None:
        """The room that this device is in."""
        with self._lock:
            return self._room

    # The user's buttons. Those that wait for the server say so.

    def found(self, members: Sequence[str]) -> None:
        """Make the group. Waits; to do it again changes nothing."""
        handle = self._client.groups.create(self._group_id, preset="work", name="friends", members=members)
        try:
            handle.result(_WITHIN_S)
        except SignalingError as refused:
            self._show(f"cannot make the group: {refused.name}")
        else:
            self._show(f"makes the group of {', '.join((self._client.user, *members))}")

    def look(self) -> Running | None:
        """See whether a call runs. Waits."""
        running = Running.read(self._client.groups.info(self._group_id).result(_WITHIN_S).attributes)
        self._show("sees no call" if running is None else f"sees a call of {', '.join(running.callers)}")
        return running

    def start(self, others: Sequence[str], room: str, timeout: int = 30) -> None:
        """Ring others, unless a call runs. Waits.

        Args:
            others: whom.
            room: where to meet.
            timeout: for how many seconds to ring.
        """
        changed = self._change(lambda running: Running(room, (self._client.user,)) if running is None else None)
        if changed is False:
            self._show("finds a call that runs already")
        if not changed:
            return
        with self._lock:
            self._room = room
            handle = self._client.invite_in_group(self._group_id, others, {"room": room}, timeout=timeout)
            self._calling = handle.invite_id
            self._show(f"calls {', '.join(others)}, room {room}")
        try:
            handle.result(_WITHIN_S)
        except SignalingError as refused:
            self._show(f"cannot call: {refused.name}")
            self.leave()

    def accept(self) -> RequestHandle[None] | None:
        """Take the call that rings."""
        with self._lock:
            return next((self._client.accept(invite_id) for invite_id in self._ringing), None)

    def reject(self) -> RequestHandle[None] | None:
        """Do not."""
        with self._lock:
            return next((self._client.reject(invite_id, reason="declined") for invite_id in self._ringing), None)

    def ask_in(self, timeout: int = 30) -> RequestHandle[None] | None:
        """Ask those in the running call to be let in. Waits until it is known who they are."""
        running = self.look()
        if running is None:
            return None
        with self._lock:
            # Of the callers some may have left the group meanwhile: `partial` leaves them out.
            handle = self._client.invite_in_group(
                self._group_id, running.callers, {"join": running.room}, timeout=timeout, answers=FIRST, partial=True
            )
            self._asked[handle.invite_id] = running.room
            return handle

    def let_in(self) -> RequestHandle[None] | None:
        """Let in who has asked first."""
        with self._lock:
            return next((self._client.accept(invite_id) for invite_id in self._knocking), None)

    def leave(self) -> None:
        """Leave the room. Waits."""
        with self._lock:
            room, self._room = self._room, None
        if room is None:
            return
        me = self._client.user
        self._change(lambda running: _without(running, me) if running is not None and running.room == room else None)
        self._show(f"leaves room {room}")

    # What a member hears.

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            if not event.to_me or event.group_id != self._group_id or not isinstance(event.data, dict):
                return
            match event.data:
                case {"room": str() as room} if self._room is None:
                    self._ringing[event.invite_id] = room
                    self._client.ringing(event.invite_id)
                    self._show(f"rings: {event.inviter} calls")
                case {"room": str()}:
                    self._client.reject(event.invite_id, reason="busy")
                case {"join": str() as room} if self._room == room:
                    self._knocking[event.invite_id] = event.inviter
                    self._show(f"hears {event.inviter} knock")
                case _:
                    pass

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            mine = event.invitee == self._client.user
            room = self._asked.get(event.invite_id)
            if mine and event.invite_id in self._ringing:
                if event.this_device:
                    room = self._ringing[event.invite_id]
                else:
                    self._show("stops ringing: answered on another device")
                del self._ringing[event.invite_id]
            elif event.invite_id in self._knocking and mine:
                self._show(f"lets {self._knocking.pop(event.invite_id)} in")
        if room is not None:
            self._enter(room)

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            if event.invitee == self._client.user and self._ringing.pop(event.invite_id, None) is not None:
                self._show("stops ringing: rejected")

    def on_invitation_taken(self, event: InvitationTaken) -> None:
        with self._lock:
            if event.invite_id in self._knocking:
                self._show(f"hears that {event.by} lets {self._knocking.pop(event.invite_id)} in")

    def on_invitation_cancelled(self, event: InvitationCancelled) -> None:
        self._stop(event, "stops ringing: cancelled")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        self._stop(event, "stops ringing: missed a call")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        self._stop(event, f"stops ringing: {event.outcome}")
        with self._lock:
            self._knocking.pop(event.invite_id, None)
            self._asked.pop(event.invite_id, None)
            if event.invite_id == self._calling and event.outcome != "accepted":
                self._show("hears that nobody comes")

    def on_group_attribute_changed(self, event: GroupAttributeChanged) -> None:
        if event.group_id != self._group_id or event.this_device:
            return
        if "call" in event.deleted:
            self._show("sees that the call is over")
        elif (running := Running.read(event.changed)) is not None:
            self._show(f"sees {', '.join(running.callers)} in the call")

    def _enter(self, room: str) -> None:
        # Not with the lock held: this waits, and buttons are pressed meanwhile.
        me = self._client.user
        entered = self._change(
            lambda running: _with(running, me) if running is not None and running.room == room else None
        )
        if entered:
            with self._lock:
                self._room = room
            self._show(f"enters room {room}")
        elif entered is False:
            self._show("comes too late: the call is over")

    def _change(self, decide: Callable[[Running | None], Running | None]) -> bool | None:
        """Change what the attribute says; where the decision is None it stays.

        Returns:
            Whether it is changed; None where that failed, which is shown.
        """

        def changes(attributes: Mapping[str, Value]) -> Mapping[str, Value]:
            decided = decide(Running.read(attributes))
            return {} if decided is None else decided.change()

        try:
            return change_attributes(self._client, self._group_id, changes)
        except SignalingError as failed:
            self._show(f"cannot tell the group: {failed.name}")
            return None

    def _stop(self, event: InvitationEvent, text: str) -> None:
        with self._lock:
            if self._ringing.pop(event.invite_id, None) is not None:
                self._show(text)


def _with(running: Running, user: str) -> Running:
    return Running(running.room, (*(one for one in running.callers if one != user), user))


def _without(running: Running, user: str) -> Running:
    return Running(running.room, tuple(one for one in running.callers if one != user))


def main() -> int:
    """Run one phone in a terminal."""
    parser = new_parser("python -m examples.group_call", "A call of several people, one of whom comes late.")
    parser.add_argument("--group", default="friends", help="the id of the group")
    parser.add_argument("user", help="whose phone it is")
    parser.add_argument("others", nargs="*", help="whom to call; makes the group with them first")
    args = parser.parse_args()

    client = SignalingClient(args.url, user=args.user)
    terminal = Terminal(client)
    phone = GroupPhone(client, args.group, terminal.show)

    def start() -> None:
        if args.others:
            phone.start(args.others, secrets.token_hex(4))

    return terminal.run(
        {
            "c": ("call", start),
            "a": ("accept", phone.accept),
            "r": ("reject", phone.reject),
            "j": ("join late", phone.ask_in),
            "l": ("let in", phone.let_in),
            "h": ("hang up", phone.leave),
        },
        at_start=(lambda: phone.found(args.others)) if args.others else None,
        at_end=phone.leave,
    )


if __name__ == "__main__":
    sys.exit(main())
