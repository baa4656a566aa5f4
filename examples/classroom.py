"""A class whose students raise their hands.

What it shows, in the six steps of such a class:

1. the teacher makes a group of the preset `meeting`, with all students in it
2. the teacher invites all of them, in the group, to raise their hands: one invitation, with a deadline, that any number
   may accept
3. a student raises a hand by accepting, or does not, by rejecting or by doing nothing
4. the teacher picks one of the hands, and invites that student to speak: another invitation in the group
5. the student accepts, and speaks. An invitation in a group is heard by all members, so everybody knows who speaks
6. the teacher ends it: the first invitation is cancelled for all who have not answered

How to run it, with a server (`make run`) and a terminal for each:

    python -m examples.classroom student ann
    python -m examples.classroom student ben
    python -m examples.classroom teacher tess ann ben

Whoever speaks sends sound and pictures in another system's room; this one only says whose turn it is.
"""

import sys
import threading
from collections.abc import Callable, Sequence

from examples.terminal import Terminal, new_parser
from ringline import RequestHandle, SignalingClient, SignalingError, SignalingListener
from ringline.events import (
    InvitationCancelled,
    InvitationDropped,
    InvitationEnded,
    InvitationEvent,
    InvitationTimeout,
    InviteeAccepted,
    InviteeRejected,
    NewInvitation,
)

RAISE_HANDS = {"class": "raise hands"}
SPEAK = {"class": "speak"}
_WITHIN_S = 10.0


class Teacher(SignalingListener):
    """The device of who teaches.

    Args:
        client: not connected yet.
        group_id: the class.
        show: tells the teacher something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, group_id: str, show: Callable[[str], None]) -> None:
        self._client = client
        self._group_id = group_id
        self._show = show
        self._lock = threading.RLock()
        self._students: tuple[str, ...] = ()
        self._question: str | None = None  # the invitation to raise hands
        self._hands: list[str] = []
        self._speaking: dict[str, str] = {}  # the student by invitation, while they are invited to speak
        client.add_listener(self)

    @property
    def hands(self) -> tuple[str, ...]:
        """Who has raised a hand and did not speak yet, the first one first."""
        with self._lock:
            return tuple(self._hands)

    def open(self, students: Sequence[str]) -> None:
        """Make the class. Waits for the server; to do it again changes nothing."""
        self._students = tuple(students)
        handle = self._client.groups.create(self._group_id, preset="meeting", name="a class", members=students)
        try:
            handle.result(_WITHIN_S)
        except SignalingError as refused:
            self._show(f"cannot open the class: {refused.name}")
        else:
            self._show(f"opens the class for {', '.join(students)}")

    def ask(self, timeout: int = 60) -> RequestHandle[None] | None:
        """Ask who wants to say something; while a question stands, another press changes nothing.

        Args:
            timeout: for how many seconds hands can be raised.
        """
        with self._lock:
            if self._question is not None:
                return None
            self._hands.clear()
            handle = self._client.invite_in_group(self._group_id, self._students, RAISE_HANDS, timeout=timeout)
            self._question = handle.invite_id
            self._show("asks who wants to speak")
            return handle

    def pick(self, student: str | None = None, timeout: int = 30) -> RequestHandle[None] | None:
        """Invite one of the hands to speak.

        Args:
            student: whom; the first where left out.
            timeout: for how many seconds.
        """
        with self._lock:
            student = student or next(iter(self._hands), None)
            if student is None or student not in self._hands:
                return None
            self._hands.remove(student)
            handle = self._client.invite_in_group(self._group_id, [student], SPEAK, timeout=timeout)
            self._speaking[handle.invite_id] = student
            self._show(f"invites {student} to speak")
            return handle

    def end(self) -> RequestHandle[None] | None:
        """Take the question back; who has not answered need not any more."""
        with self._lock:
            return None if self._question is None else self._client.cancel(self._question)

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            if event.invite_id == self._question:
                self._hands.append(event.invitee)
                self._show(f"sees the hand of {event.invitee}")
            elif event.invite_id in self._speaking:
                self._show(f"listens to {event.invitee}")

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            if event.invite_id == self._question:
                self._show(f"sees that {event.invitee} has nothing to say")
            elif event.invite_id in self._speaking:
                self._show(f"hears that {event.invitee} would rather not")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        with self._lock:
            if event.invite_id in self._speaking:
                self._show(f"hears nothing of {self._speaking[event.invite_id]}")

    def on_invitation_dropped(self, event: InvitationDropped) -> None:
        with self._lock:
            if event.invite_id == self._question or event.invite_id in self._speaking:
                self._show(f"sees that {', '.join(event.invitees)} left the class")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        with self._lock:
            self._speaking.pop(event.invite_id, None)
            if event.invite_id == self._question:
                self._question = None
                self._show("asks no longer")


class Student(SignalingListener):
    """The device of a student.

    Args:
        client: not connected yet.
        show: tells the student something; must not wait for other threads.
    """

    def __init__(self, client: SignalingClient, show: Callable[[str], None]) -> None:
        self._client = client
        self._show = show
        self._lock = threading.RLock()
        self._question: str | None = None
        self._answered = False
        self._offers: dict[str, bool] = {}  # invitations to speak; whether this student is invited
        client.add_listener(self)

    # The student's buttons.

    def raise_hand(self) -> RequestHandle[None] | None:
        """Want to say something."""
        with self._lock:
            return None if self._question is None else self._client.accept(self._question)

    def keep_down(self) -> RequestHandle[None] | None:
        """Want to say nothing."""
        with self._lock:
            return None if self._question is None else self._client.reject(self._question, reason="declined")

    def speak(self) -> RequestHandle[None] | None:
        """Take the floor that is offered."""
        with self._lock:
            return next((self._client.accept(one) for one, mine in self._offers.items() if mine), None)

    def stay_silent(self) -> RequestHandle[None] | None:
        """Do not."""
        with self._lock:
            return next((self._client.reject(one) for one, mine in self._offers.items() if mine), None)

    # What a student hears.

    def on_receive_new_invitation(self, event: NewInvitation) -> None:
        with self._lock:
            if not event.group_id or event.notice:
                return  # no class; another application of this user may know what to do
            if event.data == RAISE_HANDS and event.to_me:
                self._question, self._answered = event.invite_id, False
                self._show(f"is asked by {event.inviter} to raise a hand")
            elif event.data == SPEAK:
                self._offers[event.invite_id] = event.to_me
                if event.to_me:
                    self._show("is invited to speak")

    def on_invitee_accepted(self, event: InviteeAccepted) -> None:
        with self._lock:
            is_me = event.invitee == self._client.user
            if event.invite_id == self._question:
                self._answered |= is_me
                self._show("raises a hand" if is_me else f"sees the hand of {event.invitee}")
            elif event.invite_id in self._offers:
                self._show("speaks" if is_me else f"listens to {event.invitee}")

    def on_invitee_rejected(self, event: InviteeRejected) -> None:
        with self._lock:
            if event.invitee != self._client.user:
                return  # nobody else's business
            if event.invite_id == self._question:
                self._answered = True
                self._show("has nothing to say")
            elif event.invite_id in self._offers:
                self._show("would rather not speak")

    def on_invitation_cancelled(self, event: InvitationCancelled) -> None:
        self._too_late(event, "need not answer any more")

    def on_invitation_timeout(self, event: InvitationTimeout) -> None:
        self._too_late(event, "did not raise a hand in time")

    def on_invitation_ended(self, event: InvitationEnded) -> None:
        with self._lock:
            self._offers.pop(event.invite_id, None)
            if event.invite_id == self._question:
                self._question = None
                self._show("hears that the question is over")

    def _too_late(self, event: InvitationEvent, text: str) -> None:
        with self._lock:
            if event.invite_id == self._question and not self._answered:
                self._question = None
                self._show(text)
            elif self._offers.pop(event.invite_id, False):
                self._show("has not taken the floor")


def main() -> int:
    """Run a teacher or a student in a terminal."""
    parser = new_parser("python -m examples.classroom", "A class whose students raise their hands.")
    sides = parser.add_subparsers(dest="side", required=True)
    teacher = sides.add_parser("teacher", help="asks, and picks who speaks")
    teacher.add_argument("user", help="who teaches")
    teacher.add_argument("students", nargs="+", help="who is in the class")
    teacher.add_argument("--group", default="class-1", help="the id of the class; another one for another class")
    teacher.add_argument("--timeout", type=int, default=60, help="for how many seconds hands can be raised")
    student = sides.add_parser("student", help="raises a hand, and speaks")
    student.add_argument("user", help="who learns")
    args = parser.parse_args()

    client = SignalingClient(args.url, user=args.user)
    terminal = Terminal(client)
    if args.side == "student":
        pupil = Student(client, terminal.show)
        return terminal.run(
            {
                "r": ("raise a hand", pupil.raise_hand),
                "n": ("nothing to say", pupil.keep_down),
                "s": ("speak", pupil.speak),
            }
        )
    desk = Teacher(client, args.group, terminal.show)
    return terminal.run(
        {"a": ("ask", lambda: desk.ask(args.timeout)), "p": ("pick the first hand", desk.pick), "e": ("end", desk.end)},
        at_start=lambda: desk.open(args.students),
        at_end=desk.end,
    )


if __name__ == "__main__":
    sys.exit(main())
