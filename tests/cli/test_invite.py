"""`ringline invite`: every way an invitation can end has an exit code."""

import json
import re
from collections.abc import Callable

import pytest

from tests.cli.conftest import Client, Listen, Run
from tests.cli.process import Finished, assert_clean_error

Name = Callable[[str], str]


def test_accepted(client: Client, listen: Listen, name: Name) -> None:
    listen(name("bob"), "--answer", "accept")

    call = client(name("alice"), "invite", name("bob"), "--wait")

    assert call.end() == 0
    assert re.search(rf"^\d\d:\d\d:\d\d inviting {name('bob')} \(id [0-9a-f]{{24}}\)$", call.out[0])
    assert any(f"accepted by {name('bob')}" in line for line in call.out)
    assert "ended: accepted" in call.out[-1]
    assert call.err == []


@pytest.mark.parametrize(("policy", "reason"), [("reject", "declined"), ("busy", "busy")])
def test_rejected(run: Run, listen: Listen, name: Name, policy: str, reason: str) -> None:
    listen(name("bob"), "--answer", policy)

    call = run(name("alice"), "invite", name("bob"), "--wait", "--json")

    assert call.code == 10
    assert call.event("invitee_rejected")["reason"] == reason
    assert call.events[-1]["outcome"] == "rejected"


def test_timed_out(run: Run, name: Name) -> None:
    call = run(name("alice"), "invite", name("bob"), "--wait", "--timeout", "1", "--json")

    assert call.code == 11
    assert call.event("invitation_timeout")["invitees"] == [name("bob")]


def test_cancelled_by_another_device_of_the_inviter(client: Client, run: Run, name: Name) -> None:
    call = client(name("alice"), "invite", name("bob"), "--wait", "--json")
    invite_id = call.event("invitation_created")["invite_id"]

    assert run(name("alice"), "cancel", invite_id).code == 0

    assert call.end() == 12
    assert call.event("invitation_cancelled")["this_device"] is False


def test_nobody_online(run: Run, name: Name) -> None:
    call = run(name("alice"), "invite", name("bob"), "--wait", "--online-only")

    assert call.code == 13
    assert "ended: offline" in call.out[-1]


def test_online_only_rings_who_is_online(run: Run, listen: Listen, name: Name) -> None:
    listen(name("bob"), "--answer", "accept")

    assert run(name("alice"), "invite", name("bob"), "--wait", "--online-only").code == 0


def test_ctrl_c_cancels_and_the_callee_hears_it(client: Client, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"))
    call = client(name("alice"), "invite", name("bob"), "--wait", "--json")
    call.event("invitee_ringing")

    assert call.interrupt() == 130

    assert bob.event("invitation_cancelled")["inviter"] == name("alice")
    assert bob.event("invitation_ended")["outcome"] == "cancelled"
    assert call.events[-1]["outcome"] == "cancelled"
    assert call.err == []


def test_without_wait_it_prints_the_id(run: Run, name: Name) -> None:
    call = run(name("alice"), "invite", name("bob"))
    assert call.code == 0
    (invite_id,) = call.out

    state = run(name("bob"), "show", invite_id, "--json")

    assert state.code == 0
    assert state.events[0]["inviter"] == name("alice")


def test_without_wait_it_prints_the_id_as_json(run: Run, name: Name) -> None:
    call = run(name("alice"), "invite", name("bob"), "--json", "--id", name("call"))

    assert call.code == 0
    assert call.events == [{"invite_id": name("call")}]


def test_data_arrives_as_it_was_given(run: Run, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"))
    data = {"room": "blå", "raw": {"$bytes": "AP8="}, "n": [1, 2.5, None, True]}

    assert run(name("alice"), "invite", name("bob"), "--data", json.dumps(data)).code == 0

    assert bob.event("receive_new_invitation")["data"] == data


def test_the_first_to_accept_takes_it(run: Run, listen: Listen, name: Name) -> None:
    carol = listen(name("carol"))
    listen(name("bob"), "--answer", "accept")

    call = run(name("alice"), "invite", name("bob"), name("carol"), "--answers", "first", "--wait")

    assert call.code == 0
    assert carol.event("invitation_taken")["by"] == name("bob")


def test_any_acceptance_is_success(run: Run, listen: Listen, name: Name) -> None:
    listen(name("bob"), "--answer", "accept")
    listen(name("carol"), "--answer", "reject")

    call = run(name("alice"), "invite", name("bob"), name("carol"), "--wait", "--json")

    assert call.code == 0
    assert call.event("invitee_rejected")["invitee"] == name("carol")


def test_a_number_of_answers(run: Run, listen: Listen, name: Name) -> None:
    listen(name("bob"), "--answer", "accept")
    listen(name("carol"), "--answer", "accept")
    dave = listen(name("dave"))

    call = run(name("alice"), "invite", *map(name, ("bob", "carol", "dave")), "--answers", "2", "--wait")

    assert call.code == 0
    assert dave.event("invitation_taken")["invitees"] == [name("dave")]


def test_a_notice_is_over_when_made(run: Run, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"), "--answer", "accept")

    call = run(name("alice"), "invite", name("bob"), "--answers", "none", "--wait")

    assert call.code == 0
    assert bob.event("receive_new_invitation")["notice"] is True
    bob.event("invitation_ended", outcome="notice")
    assert run(name("alice"), "invite", name("bob"), "--wait").code == 0
    assert "answer_refused" not in [event["event"] for event in bob.events], "it answered the notice"


def test_everybody_hears_everything_if_asked_to(run: Run, listen: Listen, name: Name) -> None:
    carol = listen(name("carol"))
    listen(name("bob"), "--answer", "accept")

    assert run(name("alice"), "invite", name("bob"), name("carol"), "--audience", "parties").code == 0

    carol.event("invitee_accepted", invitee=name("bob"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "USER"),
        (("bob", "--data", "{"), "--data is no JSON"),
        (("bob", "--data", '{"$bytes": "?"}'), "base64"),
        (("bob", "--answers", "some"), "--answers must be"),
        (("bob", "--answers", "0"), "--answers must be"),
        (("bob", "--timeout", "soon"), "--timeout"),
        (("bob", "--no-such-flag"), "--no-such-flag"),
        (("bob", "--audience", "world"), "--audience"),
    ],
)
def test_wrong_use_needs_no_server(arguments: tuple[str, ...], says: str) -> None:
    call = Finished("invite", *arguments, "--as", "alice", "--url", "mqtt://127.0.0.1:1")

    assert call.code == 2
    assert_clean_error(call)
    assert says in call.err[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a/b",), "invitees must not contain"),
        (("bob", "--timeout", "-1"), "timeout must be 0 to 86400"),
        (("bob", "--timeout", "86401"), "timeout must be 0 to 86400"),
        (("bob", "--data", json.dumps("x" * 9_000)), "at most 8192"),
        (("bob", "--id", "$x"), "invite_id must not start"),
    ],
)
def test_what_the_client_refuses_is_wrong_use_too(url: str, name: Name, arguments: tuple[str, ...], says: str) -> None:
    call = Finished("invite", *arguments, "--as", name("alice"), "--url", url)

    assert call.code == 2
    assert_clean_error(call)
    assert says in call.err[0]


def test_what_the_server_refuses(run: Run, name: Name) -> None:
    assert run(name("alice"), "invite", name("bob"), "--id", name("taken")).code == 0

    again = run(name("alice"), "invite", name("carol"), "--id", name("taken"), "--wait")

    assert again.code == 4
    assert_clean_error(again)
    assert "8012 already_exists" in again.err[0]


def test_a_repeat_by_the_same_device_rings_once(run: Run, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"))
    same = ("invite", name("bob"), "--id", name("call"), "--device", "doorbell")

    assert run(name("alice"), *same).code == 0
    assert run(name("alice"), *same).code == 0

    assert run(name("alice"), "cancel", name("call")).code == 0
    bob.event("invitation_ended")
    assert [event["event"] for event in bob.events].count("receive_new_invitation") == 1
