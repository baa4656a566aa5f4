"""What the page says of blocklists, played: real cores around a real extension."""

from typing import Any

from ringline.protocol.blocklist_requests import Block, Unblock
from ringline.protocol.group_requests import CreateGroup
from ringline.protocol.requests import Accept, Get, Invite, OnInvitation
from ringline_broker.engine.step import Deadline
from tests.docs.callbacks import callbacks
from tests.docs.stage import Stage

IID, GID = "i1", "g1"
MADE = ["on_invitation_created"]
BUSY = ["on_invitee_rejected"]
ENDED = ["on_invitation_ended"]


class Scene(Stage):
    """A stage whose users ask with fewer words."""

    def __init__(self, *users: str, is_whole: bool = False) -> None:
        super().__init__(*users, is_whole=is_whole)
        self._asked = 0

    def _next_id(self) -> bytes:
        self._asked += 1
        return self._asked.to_bytes(8, "big")

    def lists(self, user: str, kind: type[Block | Unblock], *names: str) -> None:
        self.ask(user, kind(id=self._next_id(), dev="one", users=names))

    def asks(self, user: str, kind: type[OnInvitation], iid: str = IID, **fields: Any) -> None:
        self.ask(user, kind(id=self._next_id(), dev="one", iid=iid, **fields))

    def groups(self, user: str, *members: str) -> None:
        self.ask(user, CreateGroup(id=self._next_id(), dev="one", gid=GID, preset="meeting", to=members))
        self.heard.clear()

    def of(self, user: str) -> list[str]:
        """All that a user's first device heard."""
        return [heard.callback for heard in self.heard if (heard.user, heard.device) == (user, "one")]


def _blocking(*others: str, is_whole: bool = False) -> Scene:
    """Bob does not let ann ring."""
    scene = Scene("ann", "bob", *others, is_whole=is_whole)
    scene.lists("bob", Block, "ann")
    return scene


def test_the_inviter_hears_a_busy_line_and_the_invitee_nothing() -> None:
    scene = _blocking()
    scene.asks("ann", Invite, to=("bob",))
    assert scene.callbacks("invited", "ann") == MADE
    assert scene.callbacks("rejected", "ann") == [*BUSY, *ENDED]
    assert (scene.told("rejected", "ann").reason, scene.told("rejected", "ann").invitee) == ("busy", "bob")
    scene.go("bob")
    scene.come("bob")
    assert scene.of("bob") == ["on_connected"]


def test_the_others_ring_and_the_deadline_is_theirs() -> None:
    scene = _blocking("cat")
    scene.asks("ann", Invite, to=("bob", "cat"))
    scene.pass_time(30_000)
    scene.act(Deadline(IID))
    assert scene.of("cat") == ["on_receive_new_invitation", "on_invitation_timeout", *ENDED]
    assert scene.of("ann") == [*MADE, *BUSY, "on_invitation_timeout", *ENDED]
    assert scene.told("timed_out", "ann").invitees == ("cat",)
    assert scene.of("bob") == []


def test_with_all_parties_as_audience_too_they_hear_nothing() -> None:
    scene = _blocking("cat")
    scene.asks("ann", Invite, to=("bob", "cat"), audience="parties")
    scene.asks("cat", Accept)
    assert scene.of("bob") == []
    assert BUSY[0] in scene.of("cat")


def test_nor_can_they_ask_or_answer() -> None:
    scene = _blocking("cat")
    scene.asks("ann", Invite, to=("bob", "cat"))
    scene.asks("bob", Get)
    scene.asks("bob", Accept)
    assert scene.of("bob") == []
    scene.asks("cat", Accept)
    assert scene.of("ann") == [*MADE, *BUSY, "on_invitee_accepted", *ENDED]


def test_a_notice_arrives_for_the_others_and_says_nothing_of_it() -> None:
    scene = _blocking("cat")
    scene.asks("ann", Invite, to=("bob", "cat"), answers=0)
    assert scene.of("ann") == [*MADE, *ENDED]
    assert scene.of("cat") == ["on_receive_new_invitation", *ENDED]
    assert scene.of("bob") == []


def test_what_is_open_already_stays_so() -> None:
    scene = Scene("ann", "bob")
    scene.asks("ann", Invite, to=("bob",))
    scene.lists("bob", Block, "ann")
    scene.asks("bob", Accept)
    assert scene.of("bob") == ["on_receive_new_invitation", "on_invitee_accepted", *ENDED]


def test_it_holds_until_they_are_taken_off_and_one_way_only() -> None:
    scene = _blocking()
    scene.asks("bob", Invite, "i2", to=("ann",))
    assert scene.of("ann") == ["on_receive_new_invitation"]
    scene.lists("bob", Unblock, "ann")
    scene.asks("ann", Invite, to=("bob",))
    assert "on_receive_new_invitation" in scene.of("bob")


def test_in_a_group_members_hear_a_busy_line() -> None:
    scene = _blocking("cat", "dan")
    scene.groups("ann", "bob", "cat", "dan")
    scene.asks("ann", Invite, to=("bob", "cat"), gid=GID)
    for user in ("cat", "dan"):
        assert scene.callbacks("rejected", user) == BUSY
        assert scene.told("rejected", user).reason == "busy"
        assert scene.told("invited", user).to_me == (user == "cat")
    assert scene.callbacks("invited", "ann") == MADE


def test_in_a_group_their_own_devices_do_not_ring() -> None:
    scene = _blocking("cat", is_whole=True)
    scene.groups("ann", "bob", "cat")
    scene.asks("ann", Invite, to=("bob", "cat"), gid=GID)
    assert scene.of("cat") == ["on_receive_new_invitation", *BUSY]
    assert scene.of("bob") == ["on_invitation_missed"]


def test_the_table_says_so() -> None:
    rows = callbacks().splitlines()
    assert [row for row in rows if "blocklist" in row and "`busy`" in row and "no device of that invitee" in row]
    assert [row for row in rows if "in a group: the same" in row and "`on_invitation_missed` instead" in row]
