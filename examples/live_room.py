"""A live room: a few sit at microphones, everybody listens.

What it shows:

- the room is a group of the preset `live`, which anybody may join; its seats are attributes of the group, `seat-1` with
  the user who sits there. So whoever comes late knows who sits where, and no server of one's own keeps it
- a listener asks for a seat: an invitation to the host, in the group; the host lets them in by accepting
- the host offers a seat: an invitation to a listener, who accepts
- a seat is taken with optimistic concurrency (`attributes.py`): the attributes are written only if nobody changed them
  meanwhile, so two who take a seat at once never both have it, and one never sits on two
- leaving a seat, and being taken off one, delete the attribute; the host does it for who left the room

How to run it, with a server (`make run`) and a terminal for each:

    python -m examples.live_room host hana
    python -m examples.live_room listener leo
    python -m examples.live_room listener lou
"""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

from examples.attributes import change_attributes
from examples.terminal import Terminal, new_parser
from ringline import GroupListener, RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.data import Value
from ringline.events import (
    InvitationEnded,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    NewInvitation,
)
from ringline.group_events import GroupAttributeChanged, GroupState, MemberEnter, MemberLeave

_WITHIN_S: Final = 10.0


class Visitor(SignalingListener, GroupListener):
    """What the host's device and a listener's have in common: both see the seats, and both may sit on one.

    Args:
        client: not connected yet.
        group_id: the room.
        show: tells the user something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, group_id: str, show: Callable[[str], None]) -> None:
        self._client = client
        self._group_id = group_id
        self._show = show
        self._lock = threading.RLock()
        self._seats: dict[str, str] = {}
        self._version = -1  # of the attributes that are known
        client.add_listener(self)
        client.add_group_listener(self)

    @property
    def seats(self) -> dict[str, str]:
        """Who sits where."""
        with self._lock:
            return dict(self._seats)

    def look(self) -> str:
        """See who sits where, for who came late; waits for the server.

        Returns:
            Whose room it is.
        """
        info = self._client.groups.info(self._group_id).result(_WITHIN_S)
        self._see(info.attributes, info.attributes_version)
        return info.owner

    def sit(self, seat: str) -> None:
        """Sit down, unless somebody else was quicker; waits for the server."""
        me = self._client.user

        def take(seats: Mapping[str, Value]) -> Mapping[str, Value]:
            return {} if seat in seats or me in seats.values() else {seat: me}

        self._change(take, f"finds {seat} taken")

    def leave(self) -> None:
        """Stand up; waits for the server."""
        me = self._client.user
        self._change(lambda seats: {seat: None for seat, user in seats.items() if user == me}, "sits nowhere")

    def _change(self, decide: Callable[[Mapping[str, Value]], Mapping[str, Value]], else_show: str) -> None:
        # Not with the lock held: callbacks come meanwhile.
        try:
            if not change_attributes(self._client, self._group_id, decide):
                self._show(else_show)
        except SignalingError as failed:
            self._show(f"cannot change the seats: {failed.name}")

    def on_group_attribute_changed(self, event: GroupAttributeChanged) -> None:
        with self._lock:
            if event.group_id != self._group_id or event.version <= self._version:
                return
            self._version = event.version
            for seat in event.deleted:
                self._stood_up(self._seats.pop(seat, ""), seat, by=event.by)
            for seat, user in event.changed.items():
                if isinstance(user, str):  # any member can write anything, so look before you use it
                    self._seats[seat] = user
                    self._show(f"sits on {seat}" if user == self._client.user else f"sees {user} on {seat}")

    def on_group_state(self, event: GroupState) -> None:
        """This device was away for long: here is how the room stands now."""
        if event.group_id == self._group_id:
            self._see(event.info.attributes, event.info.attributes_version)

    def _stood_up(self, user: str, seat: str, *, by: str | None) -> None:
        if user != self._client.user:
            self._show(f"sees {seat} free")
        elif by == user:
            self._show(f"leaves {seat}")
        else:
            self._show(f"is taken off {seat} by {by}")

    def _see(self, attributes: Mapping[str, Value], version: int) -> None:
        with self._lock:
            if version > self._version:
                self._version = version
                self._seats = {seat: user for seat, user in attributes.items() if isinstance(user, str)}
                for seat, user in sorted(self._seats.items()):
                    self._show(f"sees {user} on {seat}")


class Host(Visitor):
    """The device of who has the room. Arguments as of Visitor, and `seats`: how many there are."""

    def __init__(self, client: SignalingClient, group_id: str, show: Callable[[str], None], seats: int = 2) -> None:
        super().__init__(client, group_id, show)
        self._names = tuple(f"seat-{number}" for number in range(1, seats + 1))
        self._audience: list[str] = []
        self._asking: dict[str, str] = {}  # who asks by invitation, the first one first
        self._offered: dict[str, str] = {}  # whom by invitation

    @property
    def asking(self) -> tuple[str, ...]:
        """Who asks for a seat, the first one first."""
        with self._lock:
            return tuple(self._asking.values())

    def open(self) -> None:
        """Make the room. Waits for the server; to do it again changes nothing."""
        try:
            self._client.groups.create(self._group_id, preset="live", name="a live room").result(_WITHIN_S)
        except SignalingError as refused:
            self._show(f"cannot open the room: {refused.name}")
        else:
            self._show("opens the room")
            self.look()

    def let_in(self) -> RequestHandle[None] | None:
        """Let the one who asked first have the seat."""
        with self._lock:
            return next((self._client.accept(invite_id) for invite_id in self._asking), None)

    def turn_down(self) -> RequestHandle[None] | None:
        """Do not."""
        with self._lock:
            return next((self._client.reject(invite_id, reason="declined") for invite_id in self._asking), None)

    def offer(self, user: str | None = None, seat: str | None = None, timeout: int = 30) -> RequestHandle[None] | None:
        """Offer a seat.

        Args:
            user: whom; where left out, who came first of those who have none.
            seat: which; the first that is free where left out.
            timeout: for how many seconds.
        """
        with self._lock:
            user = user or next((one for one in self._audience if one not in self._seats.values()), None)
            seat = seat or next((one for one in self._names if one not in self._seats), None)
            if user is None or seat is None:
                return None
            handle = self._client.invite_in_group(self._group_id, [user], {"seat": seat}, timeout=timeout)
            self._offered[handle.invite_id] = user
            self._show(f"offers {seat} to {user}")
            return handle

    def clear(self, seat: str | None = None) -> None:
        """Take whoever sits there off a seat; the first taken one where left out. Waits for the server."""
        wanted = seat or next(iter(sorted(self.seats)), "")
        self._change(lambda seats: {wanted: None} if wanted in seats else {}, "finds that seat free")

    def on_member_enter(self, event: MemberEnter) -> None:
        with self._lock:
            if event.group_id == self._group_id:
                self._audience += event.users
                self._show(f"sees {', '.join(event.users)} come in")

    def on_member_leave(self, event: MemberLeave) -> None:
        if event.group_id != self._group_id:
            return
        with self._lock:
            self._audience = [user for user in self._audience if user not in event.users]
            self._show(f"sees {', '.join(event.users)} go")
            left = [seat for seat, user in self._seats.items() if user in event.users]
        for seat in left:
            self.clear(seat)

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            seat = _seat(event.data)
            if event.to_me and event.group_id == self._group_id and seat is not None:
                self._asking[event.invite_id] = event.inviter
                self._show(f"hears that {event.inviter} asks for {seat}")

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            if event.invite_id in self._offered:
                self._show(f"hears that {event.invitee} would rather listen")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        with self._lock:
            if event.invite_id in self._offered:
                self._show(f"hears nothing of {self._offered[event.invite_id]}")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        with self._lock:
            self._asking.pop(event.invite_id, None)
            self._offered.pop(event.invite_id, None)


class Listener(Visitor):
    """The device of who listens, and perhaps speaks. Arguments as of Visitor."""

    def __init__(self, client: SignalingClient, group_id: str, show: Callable[[str], None]) -> None:
        super().__init__(client, group_id, show)
        self._host = ""
        self._asked: dict[str, str] = {}  # the seat by invitation
        self._offers: dict[str, str] = {}  # likewise

    def enter(self) -> None:
        """Come in; waits for the server."""
        try:
            self._client.groups.join(self._group_id).result(_WITHIN_S)
            self._show("comes in")
            self._host = self.look()
        except SignalingError as refused:
            self._show(f"cannot come in: {refused.name}")

    def go(self) -> RequestHandle[None]:
        """Leave the room."""
        return self._client.groups.quit(self._group_id)

    def ask(self, seat: str, timeout: int = 30) -> RequestHandle[None] | None:
        """Ask the host for a seat.

        Args:
            seat: which.
            timeout: for how many seconds.
        """
        with self._lock:
            if not self._host:
                return None
            handle = self._client.invite_in_group(self._group_id, [self._host], {"seat": seat}, timeout=timeout)
            self._asked[handle.invite_id] = seat
            self._show(f"asks for {seat}")
            return handle

    def take_offer(self) -> RequestHandle[None] | None:
        """Take the seat that is offered."""
        with self._lock:
            return next((self._client.accept(invite_id) for invite_id in self._offers), None)

    def decline_offer(self) -> RequestHandle[None] | None:
        """Do not."""
        with self._lock:
            return next((self._client.reject(invite_id, reason="declined") for invite_id in self._offers), None)

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            seat = _seat(event.data)
            # All of the room hear what is asked and offered; only who is meant has anything to answer.
            if event.to_me and event.group_id == self._group_id and event.inviter == self._host and seat is not None:
                self._offers[event.invite_id] = seat
                self._show(f"is offered {seat}")

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            seat = self._asked.get(event.invite_id)
            if seat is None and event.invitee == self._client.user and event.this_device:
                seat = self._offers.get(event.invite_id)
        if seat is not None:
            self.sit(seat)

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            if event.invite_id in self._asked:
                self._show(f"may not have {self._asked[event.invite_id]}")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        with self._lock:
            self._asked.pop(event.invite_id, None)
            self._offers.pop(event.invite_id, None)


def _seat(data: Value) -> str | None:
    """The seat that data names. Anybody can send anything, so look before you use it."""
    seat = data.get("seat") if isinstance(data, dict) else None
    return seat if isinstance(seat, str) else None


def main() -> int:
    """Run a host or a listener in a terminal."""
    parser = new_parser("python -m examples.live_room", "A live room with seats at microphones.")
    parser.add_argument("--group", default="live-room", help="the id of the room")
    sides = parser.add_subparsers(dest="side", required=True)
    host = sides.add_parser("host", help="has the room")
    host.add_argument("user", help="whose room it is")
    host.add_argument("--seats", type=int, default=2, help="how many there are")
    listener = sides.add_parser("listener", help="listens, and perhaps speaks")
    listener.add_argument("user", help="who listens")
    listener.add_argument("--seat", default="seat-1", help="which seat to ask for")
    args = parser.parse_args()

    client = SignalingClient(args.url, user=args.user)
    terminal = Terminal(client)
    if args.side == "host":
        room = Host(client, args.group, terminal.show, args.seats)
        return terminal.run(
            {
                "l": ("let in who asks", room.let_in),
                "d": ("do not", room.turn_down),
                "o": ("offer a seat", room.offer),
                "c": ("clear a seat", room.clear),
            },
            at_start=room.open,
        )
    guest = Listener(client, args.group, terminal.show)
    return terminal.run(
        {
            "a": (f"ask for {args.seat}", lambda: guest.ask(args.seat)),
            "t": ("take the seat offered", guest.take_offer),
            "l": ("leave the seat", guest.leave),
        },
        at_start=guest.enter,
        at_end=guest.go,
    )


if __name__ == "__main__":
    sys.exit(main())
