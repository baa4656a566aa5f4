"""`ringline block`, `unblock` and `blocked` against a real server, and what both sides then see of a call."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Client, Listen, Run, Start, url_of
from tests.cli.process import Finished, assert_clean_error

Name = Callable[[str], str]


def test_whom_one_blocks_one_hears_nothing_of_until_they_are_unblocked(
    run: Run, listen: Listen, client: Client, name: Name
) -> None:
    alice, bob = name("alice"), name("bob")
    ear = listen(bob)

    done = run(bob, "block", alice)
    assert (done.code, done.out, done.err) == (0, [f"blocked {alice}"], [])
    refused = client(alice, "invite", bob, "--wait", "--json")
    assert refused.end() == 10
    rejected = refused.event("invitee_rejected")
    assert (rejected["invitee"], rejected["reason"], rejected["text"]) == (bob, "busy", "")
    assert refused.event("invitation_ended")["outcome"] == "rejected"

    done = run(bob, "unblock", alice)
    assert (done.code, done.out, done.err) == (0, [f"unblocked {alice}"], [])
    invited = run(alice, "invite", bob, "--json", "--id", name("call"))
    assert invited.code == 0
    assert ear.event("receive_new_invitation")["invite_id"] == name("call")
    assert [event["event"] for event in ear.events] == ["connected", "receive_new_invitation"]


def test_the_blocked_cannot_tell_it_from_a_line_that_is_busy(run: Run, client: Client, name: Name) -> None:
    """Who is blocked sees a device that rejects, the same one each time, as one who is in a call would be."""
    alice, bob = name("alice"), name("bob")
    assert run(bob, "block", alice).code == 0

    calls = [client(alice, "invite", bob, "--wait", "--json") for _ in range(2)]

    assert [call.end() for call in calls] == [10, 10]
    devices = {call.event("invitee_rejected")["device"] for call in calls}
    assert len(devices) == 1
    iid = calls[0].event("invitation_created")["invite_id"]
    assert run(alice, "show", "--json", iid).events[0]["invitees"] == {bob: "rejected"}
    stranger = run(bob, "show", iid)
    assert (stranger.code, stranger.err[0].split(":")[1].strip()[:18]) == (4, "8011 not_permitted")


def test_the_list(run: Run, name: Name) -> None:
    bob = name("bob")
    assert run(bob, "blocked").out == []

    assert run(bob, "block", "carol", "alice", "carol").out == ["blocked carol, alice"]
    assert run(bob, "block", "dave", "alice", "--json").events == [{"users": ["dave", "alice"], "done": "blocked"}]

    assert run(bob, "blocked").out == ["alice", "carol", "dave"]
    assert run(bob, "unblock", "carol", "nobody", "--json").events == [
        {"users": ["carol", "nobody"], "done": "unblocked"}
    ]
    assert run(bob, "blocked", "--json").events == [{"user": "alice"}, {"user": "dave"}]
    assert run(name("carol"), "blocked").out == []


def test_a_list_of_several_pages(run: Run, name: Name) -> None:
    bob = name("bob")
    names = [f"{number:064}" for number in range(520)]
    for at in range(0, len(names), 200):
        assert run(bob, "block", *names[at : at + 200]).code == 0

    assert run(bob, "blocked").out == names


def test_a_list_outlives_the_server(serve: Start, tmp_path: Path) -> None:
    for command, expected in ((("block", "alice"), ["blocked alice"]), (("blocked",), ["alice"])):
        server = serve("--data", str(tmp_path / "data"))
        done = Finished(command[0], "--as", "bob", "--url", url_of(server), *command[1:])
        assert (done.code, done.out) == (0, expected)
        assert server.interrupt() in (0, 130)


def test_a_list_that_is_full(serve: Start) -> None:
    login = ("--as", "bob", "--url", url_of(serve("--memory", "--max-blocked", "2")))
    assert Finished("block", *login, "alice", "carol").code == 0

    full = Finished("block", *login, "dave")

    assert full.code == 4
    assert_clean_error(full)
    assert full.err[0].startswith("refused: 7008 too_many_requests")
    assert Finished("block", *login, "alice").code == 0  # is on it already
    assert Finished("blocked", *login).out == ["alice", "carol"]


@pytest.mark.parametrize(
    ("names", "words"),
    [(("bob",), "users must not name oneself"), (("a/b",), "users must not contain"), (("",), "must have 1 to 64")],
)
def test_whom_one_cannot_block(url: str, names: tuple[str, ...], words: str) -> None:
    done = Finished("block", "--as", "bob", "--url", url, *names)

    assert (done.code, done.out) == (2, [])
    assert_clean_error(done)
    assert words in done.err[0]


@pytest.mark.parametrize("command", ["block", "unblock"])
def test_commands_need_a_name(command: str) -> None:
    done = Finished(command, "--as", "bob")

    assert done.code == 2
    assert_clean_error(done)
    assert "NAME" in done.err[0]
    assert done.err[1] == f"See ringline {command} --help"


def test_no_broker() -> None:
    done = Finished("block", "--as", "bob", "--url", "mqtt://127.0.0.1:1", "--connect-timeout", "0.5", "alice")

    assert done.code == 5
    assert_clean_error(done)


def test_the_help_names_them() -> None:
    shown = Finished("--help").out
    for command in ("block", "unblock", "blocked"):
        assert [line for line in shown if line.split()[:1] == [command]]
        assert Finished(command, "--help").code == 0
