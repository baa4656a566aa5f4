"""`ringline accept`, `reject`, `cancel`, `modify` and `show`."""

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Client, Listen
from tests.cli.process import Finished, Ringline, assert_clean_error

Name = Callable[[str], str]


class Call:
    """An open invitation of alice to bob, whose `invite --wait` runs."""

    def __init__(self, client: Client, name: Name, url: str) -> None:
        self.alice, self.bob, self.url = name("alice"), name("bob"), url
        self.process: Ringline = client(self.alice, "invite", self.bob, "--wait", "--json", "--data", '"first"')
        self.id: str = self.process.event("invitation_created")["invite_id"]

    def command(self, user: str, command: str, *arguments: str) -> Finished:
        return Finished(command, "--as", user, "--url", self.url, *arguments, self.id)


@pytest.fixture
def call(client: Client, name: Name, url: str) -> Call:
    return Call(client, name, url)


def test_accept(call: Call) -> None:
    done = call.command(call.bob, "accept", "--data", '{"sdp": 1}', "--device", "phone")

    assert (done.code, done.out, done.err) == (0, [f"accepted {call.id}"], [])
    assert call.process.end() == 0
    accepted = call.process.event("invitee_accepted")
    assert (accepted["device"], accepted["data"]) == ("phone", {"sdp": 1})


def test_reject(call: Call) -> None:
    done = call.command(call.bob, "reject", "--reason", "busy", "--text", "in a call", "--json")

    assert (done.code, done.events) == (0, [{"invite_id": call.id, "done": "rejected"}])
    assert call.process.end() == 10
    rejected = call.process.event("invitee_rejected")
    assert (rejected["reason"], rejected["text"]) == ("busy", "in a call")


def test_cancel(call: Call) -> None:
    done = call.command(call.alice, "cancel", "--reason", "changed_mind")

    assert (done.code, done.out) == (0, [f"cancelled {call.id}"])
    assert call.process.end() == 12
    assert call.process.event("invitation_cancelled")["reason"] == "changed_mind"


def test_cancel_for_one_invitee(client: Client, name: Name, url: str) -> None:
    call = client(name("alice"), "invite", name("bob"), name("carol"), "--wait", "--json")
    invite_id = call.event("invitation_created")["invite_id"]

    login = ("--as", name("alice"), "--url", url)
    assert Finished("cancel", *login, "--invitee", name("bob"), invite_id).code == 0

    assert call.event("invitation_cancelled")["invitees"] == [name("bob")]
    parts = Finished("show", *login, "--json", invite_id).events[0]["invitees"]
    assert parts == {name("bob"): "cancelled", name("carol"): "pending"}


def test_modify(call: Call, listen: Listen) -> None:
    bob = listen(call.bob)

    done = call.command(call.alice, "modify", "--data", '{"video": true}')

    assert (done.code, done.out) == (0, [f"modified {call.id}"])
    assert bob.event("invitation_modified")["data"] == {"video": True}


def test_show(call: Call) -> None:
    done = call.command(call.bob, "show")

    assert done.code == 0
    assert done.out[0].split() == ["id", call.id]
    assert done.out[1].startswith("state     open, ")
    assert done.out[2].split() == ["inviter", call.alice]
    assert done.out[3] == f"invitees  {call.bob}: pending"
    assert done.out[4].split() == ["data", '"first"']


def test_show_as_json(call: Call) -> None:
    (state,) = call.command(call.alice, "show", "--json").events

    assert state["invite_id"] == call.id
    assert state["invitees"] == {call.bob: "pending"}
    assert state["data"] == "first"
    assert 0 < state["time_left"] <= 30
    assert state["outcome"] is None


def test_show_what_is_over(call: Call) -> None:
    assert call.command(call.bob, "accept").code == 0

    done = call.command(call.alice, "show")

    assert done.out[1] == "state     accepted"
    assert done.out[3] == f"invitees  {call.bob}: accepted"


def test_who_comes_too_late_is_refused(call: Call) -> None:
    assert call.command(call.bob, "reject").code == 0

    late = call.command(call.bob, "accept")

    assert late.code == 4
    assert_clean_error(late)
    assert late.err[0].startswith("refused: 8010 invitation_over")


def test_strangers_are_refused(call: Call, name: Name) -> None:
    for command, more in (("accept", ()), ("reject", ()), ("cancel", ()), ("modify", ("--data", "1")), ("show", ())):
        refused = call.command(name("mallory"), command, *more)

        assert refused.code == 4, command
        assert_clean_error(refused)
        assert refused.err[0].startswith("refused: 8011 not_permitted"), command


def test_an_unknown_id_is_refused(url: str, name: Name) -> None:
    refused = Finished("show", "--as", name("alice"), "--url", url, "no-such-call")

    assert refused.code == 4
    assert refused.err[0].startswith("refused: 8010 unknown_invitation")


def test_an_id_that_begins_with_a_dash(url: str, name: Name) -> None:
    alice, bob = ("--as", name("alice"), "--url", url), ("--as", name("bob"), "--url", url)
    assert Finished("invite", *alice, "--id", "-x-", name("bob")).code == 0

    without = Finished("accept", *bob, "-x-")
    assert without.code == 2
    assert_clean_error(without)

    assert Finished("modify", *alice, "--data", "2", "--", "-x-").code == 0
    assert Finished("accept", *bob, "--", "-x-").out == ["accepted -x-"]
    assert Finished("show", *alice, "--json", "--", "-x-").events[0]["outcome"] == "accepted"


@pytest.mark.parametrize("command", ["accept", "reject", "cancel", "modify", "show"])
def test_commands_need_an_id(command: str) -> None:
    done = Finished(command, "--as", "alice", *(["--data", "1"] if command == "modify" else []))

    assert done.code == 2
    assert_clean_error(done)
    assert "ID" in done.err[0]
    assert done.err[1] == f"See ringline {command} --help"


def test_as_a_process(call: Call, client: Client) -> None:
    shown = client(call.bob, "show", call.id, "--json")
    assert shown.end() == 0
    assert json.loads(shown.out[0])["invite_id"] == call.id
    assert client(call.bob, "accept", call.id).end() == 0
    assert call.process.end() == 0
