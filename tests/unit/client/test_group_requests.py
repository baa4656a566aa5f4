"""Requests about groups: one unanswered a group, answered on the device's topic, with what each asks for."""

from collections.abc import Iterator
from typing import Any

import pytest

from ringline import GroupListener, SignalingClient, SignalingError, SignalingListener
from ringline.core.lanes import GIVE_UP_S
from ringline.group_events import GroupPage, MemberEnter, MemberPage
from ringline.protocol.answers import Answer, Refusal
from ringline.protocol.codec import pack
from ringline.protocol.events import event_map
from ringline.protocol.group_requests import (
    AnswerApplication,
    Count,
    CreateGroup,
    GetGroup,
    ListApplications,
    ListGroups,
    ListMembers,
    OnGroup,
    SetAttributes,
    SetGroupInfo,
)
from ringline.protocol.group_states import MEMBER, MemberState
from ringline.protocol.requests import Invite
from tests.unit.client.group_play import GID, connected, count, entered, member, state
from tests.unit.client.wire import Wire, told_at_once
from tests.unit.client.world import START, TOPICS, new_id


def _get(gid: str = GID) -> GetGroup:
    return GetGroup(id=new_id(), dev="d1", gid=gid)


@pytest.fixture
def client() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


# Lanes.


def test_one_group_s_requests_wait_for_one_another_and_for_no_other_group() -> None:
    ann = connected()
    first, second, third = _get(), _get(), _get("g2")
    for request in (first, second, third):
        ann.request(request)
    assert [request.id for request in ann.outgoing] == [first.id, third.id]
    ann.answer(Answer(re=first.id, group=state(1)))
    assert ann.outgoing[-1].id == second.id


def test_an_invitation_and_a_group_of_the_same_id_do_not_wait_for_one_another() -> None:
    ann = connected()
    ann.request(_get("same"))
    ann.request(Invite(id=new_id(), dev="d1", iid="same", to=("bob",)))
    assert len(ann.outgoing) == 2


def test_an_invitation_called_sync_is_not_in_the_sync_s_way() -> None:
    ann = connected()
    ann.request(Invite(id=new_id(), dev="d1", iid="sync", to=("bob",)))
    ann.lose()
    ann.connect()
    assert {request.op for request in ann.outgoing} == {"invite", "sync"}


def test_it_is_repeated_and_given_up_like_others() -> None:
    ann = connected()
    asked = ann.request(_get())
    ann.sent.clear()
    ann.wait(10)
    assert [at - START for at, _ in ann.sent] == [1, 3, 7]
    ann.wait(GIVE_UP_S)
    assert ann.error(asked) == "no_answer"


def test_an_event_is_no_answer() -> None:
    ann = member()
    request = Count(id=new_id(), dev="d1", gid=GID, key="k", add=1)
    ann.request(request)
    ann.hear_in(GID, type(count(11))(gid=GID, n=11, p=10, by="ann", dev="d1", re=request.id, key="k", value=1))
    assert ann.settled == {}
    assert ann.heard[0][1].this_device
    ann.answer(Answer(re=request.id, n=11))
    assert ann.error(request.id) is None
    assert ann.core.next_wakeup() is None


def test_a_refusal_names_the_users_at_fault() -> None:
    ann = connected()
    asked = ann.request(_get())
    ann.answer(Answer(re=asked, err=Refusal(code=10004, name="not_members", who=("bob", "cid"))))
    error = ann.settled[asked].error
    assert error is not None
    assert (error.name, error.who) == ("not_members", ("bob", "cid"))


def test_an_answer_that_lacks_what_was_asked_for_is_an_error() -> None:
    ann = connected()
    unread = ListMembers(id=new_id(), dev="d1", gid="g3")
    for request in (_get(), CreateGroup(id=new_id(), dev="d1", gid="g2", preset="public"), unread):
        ann.request(request)
        ann.answer(Answer(re=request.id, members=({"role": "owner"},)))
        assert ann.error(request.id) == "bad_parameter"


def test_closing_fails_them() -> None:
    ann = connected()
    asked = ann.request(_get())
    ann.core.close()
    ann._drain()
    assert ann.error(asked) == "closed"


# What each returns.


def test_a_new_group_s_id_is_known_at_once_and_its_state_later(client: Wire) -> None:
    handle = client.groups.create(preset="work", name="n", custom={"k": [1]}, members=["bob"], max_members=5)
    assert len(handle.group_id) == 16
    assert handle.invite_id == ""
    [request] = client.sent()
    assert isinstance(request, CreateGroup)
    assert (request.gid, request.to, request.custom, request.most) == (handle.group_id, ("bob",), {"k": b"\x91\x01"}, 5)
    shown = state(1, handle.group_id, created=5_500, custom={"k": b"\x91\x01"}, admins=("bob",))
    client.answer(Answer(re=request.id, group=shown, n=1))
    client.settle()
    info = handle.result(0)
    assert (info.group_id, info.owner, info.admins, info.custom, info.created) == (
        handle.group_id, "zoe", ("bob",), {"k": [1]}, 5.5,
    )  # fmt: skip


@pytest.mark.parametrize("pending", [False, True])
def test_join(client: Wire, pending: bool) -> None:
    handle = client.groups.join("g", "please")
    [request] = client.sent()
    client.answer(Answer(re=request.id, pending=pending))
    client.settle()
    assert handle.result(0) is not pending


def test_pages(client: Wire) -> None:
    members = client.groups.members("g", "admin", b"cursor")
    applications = client.groups.applications("g2")
    mine = client.groups.mine(b"c")
    listed, applied, groups = client.sent()
    assert isinstance(listed, ListMembers)
    assert isinstance(applied, ListApplications)
    assert isinstance(groups, ListGroups)
    assert (listed.role, listed.next, groups.next) == ("admin", b"cursor", b"c")
    bob = MemberState(user="bob", role="admin", card="B", custom={"k": b"\x01"}, joined=1_500, muted=7)
    client.answer(Answer(re=listed.id, members=(MEMBER.to_map(bob),), more=True, next=b"more"))
    client.answer(Answer(re=applied.id, members=(MEMBER.to_map(MemberState(user="max", text="hi")),)))
    client.answer(Answer(re=groups.id, groups={"b": 1, "a": 2}, more=True, next=b"n"))
    client.settle()
    page = members.result(0)
    assert isinstance(page, MemberPage)
    [one] = page.members
    assert (one.user, one.role, one.card, one.custom, one.joined, one.muted) == ("bob", "admin", "B", {"k": 1}, 1.5, 7)
    assert page.next == b"more"
    [one] = applications.result(0).members
    assert (one.user, one.role, one.text) == ("max", "", "hi")
    assert mine.result(0) == GroupPage(groups=("a", "b"), next=b"n")


def test_what_is_left_out_is_not_sent(client: Wire) -> None:
    client.groups.set_info("g", name="", max_members=0)
    client.groups.set_attributes("g2", {"k": None}, delete=("x",), expected=3)
    client.groups.refuse_application("g3", "max", "no")
    info, attributes, answer = client.sent()
    assert isinstance(info, SetGroupInfo)
    assert (info.name, info.introduction, info.most, info.custom, info.join) == ("", None, 0, None, None)
    assert isinstance(attributes, SetAttributes)
    assert (attributes.put, attributes.drop, attributes.clear, attributes.at) == ({"k": b""}, ("x",), False, 3)
    assert isinstance(answer, AnswerApplication)
    assert (answer.user, answer.ok, answer.text) == ("max", False, "no")


def test_every_other_request_is_simply_done(client: Wire) -> None:
    groups = client.groups
    handles = [
        groups.dismiss("g0"), groups.quit("g1"), groups.add("g2", ["bob"]), groups.remove("g3", ["bob"], ban=5),
        groups.set_role("g4", "bob", "admin"), groups.transfer("g5", "bob"), groups.set_my_info("g6", card="A"),
        groups.mute("g7", "bob", 60), groups.mute_all("g8", on=True), groups.add_to_counter("g9", "k"),
        groups.set_counter("g10", "k", -3), groups.accept_application("g11", "max"),
    ]  # fmt: skip
    for at, request in enumerate(client.sent()):
        assert isinstance(request, OnGroup)
        assert request.gid == f"g{at}" == handles[at].group_id
        client.answer(Answer(re=request.id, n=5))
    client.settle()
    for handle in handles:
        handle.result(0)  # raises where it failed


def test_inviting_in_a_group(client: Wire) -> None:
    handle = client.invite_in_group("g", ["bob"], 7, partial=True, timeout=5)
    [request] = client.sent()
    assert isinstance(request, Invite)
    assert (request.gid, request.partial, request.to, request.timeout) == ("g", True, ("bob",), 5)
    assert (handle.invite_id, handle.group_id) == (request.iid, "")
    client.invite(["bob"])
    [request] = client.sent()
    assert isinstance(request, Invite)
    assert (request.gid, request.partial) == ("", False)


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("group_id", lambda g: g.join("a/b"), ValueError, "group_id must not contain"),
    ("preset", lambda g: g.create(preset="party"), ValueError, "preset must be one of 'work', 'public'"),
    ("join_option", lambda g: g.set_info("g", join_option=""), ValueError, "join_option must be one of"),
    ("name", lambda g: g.create(name="x" * 101), ValueError, "name must have at most 100 bytes, has 101"),
    ("name: a number", lambda g: g.set_info("g", name=5), TypeError, "name must be a string, not int"),
    ("custom", lambda g: g.create(custom=[]), TypeError, "custom must be a map, not list"),
    ("custom: a key", lambda g: g.create(custom={"": 1}), ValueError, "a key of custom must have 1 to 64 bytes"),
    ("custom: large", lambda g: g.set_my_info("g", custom={"k": "x" * 600}), ValueError, "custom['k'] packs to 603"),
    ("custom: many", lambda g: g.create(custom=dict.fromkeys(map(str, range(17)))), ValueError, "at most 16 keys"),
    ("custom: a set", lambda g: g.create(custom={"k": {1}}), TypeError, "can not serialize 'set'"),
    ("attribute", lambda g: g.set_attributes("g", {"k": bytes(5_000)}), ValueError, "put['k'] packs to 5003 bytes"),
    ("all too large", lambda g: g.set_attributes("g", {k: bytes(4_090) for k in "abcde"}), ValueError, "16384 bytes"),
    ("no change", lambda g: g.set_attributes("g"), ValueError, "put, delete or clear must say what to change"),
    ("delete", lambda g: g.set_attributes("g", delete="k"), TypeError, "delete must be a list of keys, not str"),
    ("nobody", lambda g: g.add("g", []), ValueError, "users must name at least one user"),
    ("role", lambda g: g.set_role("g", "bob", "owner"), ValueError, "role must be one of 'admin', 'member'"),
    ("seconds", lambda g: g.mute("g", "bob", -1), ValueError, "seconds must be 0 to"),
    ("on", lambda g: g.mute_all("g", 1), TypeError, "on must be True or False, not int"),
    ("by", lambda g: g.add_to_counter("g", "k", 1.5), TypeError, "by must be a whole number, not float"),
    ("next", lambda g: g.members("g", next="x"), TypeError, "next must be bytes, not str"),
    ("members", lambda g: g.create(members="bob"), TypeError, "members must be a list of user ids, not one string"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG])
def test_who_asks_wrongly_is_told_at_once(client: Wire, call: Any, kind: type[Exception], words: str) -> None:
    told_at_once(client, lambda: call(client.groups), kind, words)


def test_a_closed_client_takes_no_more() -> None:
    client = Wire()
    client.close()
    with pytest.raises(SignalingError):
        client.groups.info("g")


# Listeners.


class _Both(SignalingListener, GroupListener):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_member_enter(self, event: MemberEnter) -> None:
        self.heard.append(event)


def test_a_listener_hears_of_groups_once_though_it_listens_to_both() -> None:
    both, other, gone = _Both(), _Both(), _Both()
    client = SignalingClient("mqtt://127.0.0.1:1", user="ann", listener=both, group_listener=both)
    for listener in (other, gone):
        client.add_group_listener(listener)
    for _ in range(2):
        client.remove_group_listener(gone)
    client.on_message(TOPICS.events("ann"), pack([event_map(entered(5, 4))]))
    client._caller.start()
    client._caller.stop(10.0)
    assert [len(one.heard) for one in (both, other, gone)] == [1, 1, 0]
    client.close()
