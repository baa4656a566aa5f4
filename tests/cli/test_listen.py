"""`ringline listen`."""

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Client, Listen, Run, Start, url_of
from tests.cli.process import Finished, assert_clean_error
from tests.support.running import free_port

Name = Callable[[str], str]


def test_it_shows_and_only_rings(client: Client, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"))
    call = client(name("alice"), "invite", name("bob"), "--wait", "--json")

    ringing = call.event("invitee_ringing")
    assert ringing["device"] == bob.event("connected")["device"]
    assert call.interrupt() == 130

    bob.event("invitation_ended")
    assert [event["event"] for event in bob.events] == [
        "connected", "receive_new_invitation", "invitation_cancelled", "invitation_ended",
    ]  # fmt: skip
    assert bob.interrupt() == 0
    assert bob.err == []


def test_lines_for_people(client: Client, run: Run, name: Name) -> None:
    bob = client(name("bob"), "listen", "--device", "phone")
    bob.line("connected as")
    call = run(name("alice"), "invite", name("bob"), "--data", '{"room": 7}', "--id", name("call"))
    assert call.code == 0
    bob.line("ringing")
    assert run(name("alice"), "modify", "--data", '"later"', name("call")).code == 0
    bob.line("modified")
    assert run(name("bob"), "accept", "--device", "desk", name("call")).code == 0
    bob.line("ended")

    assert [line[9:] for line in bob.out] == [
        f"connected as {name('bob')}, device phone",
        f'ringing: {name("alice")} invites you (id {name("call")}, 30 s left) data: {{"room": 7}}',
        f'modified (id {name("call")}) data: "later"',
        f"accepted by {name('bob')} on device desk (id {name('call')})",
        f"ended: accepted (id {name('call')})",
    ]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in bob.out)


def test_it_answers_many(run: Run, listen: Listen, name: Name) -> None:
    bob = listen(name("bob"), "--answer", "accept")

    for caller in ("alice", "carol", "dave"):
        assert run(name(caller), "invite", name("bob"), "--wait").code == 0

    assert bob.interrupt() == 0


def test_it_says_what_it_missed(run: Run, listen: Listen, name: Name, url: str) -> None:
    """Two devices of bob: what one answers, the other hears."""
    other = listen(name("bob"))
    listen(name("bob"), "--answer", "busy")

    assert run(name("alice"), "invite", name("bob"), "--wait").code == 10

    rejected = other.event("invitee_rejected")
    assert (rejected["this_device"], rejected["reason"]) == (False, "busy")
    assert Finished("listen", "--url", url).code == 2


def test_what_strangers_send_cannot_reach_the_terminal(client: Client, run: Run, name: Name) -> None:
    bob = client(name("bob"), "listen")
    bob.line("connected as")

    data = r'{"\u001b[2J": "\u0007\u009b\u202e"}'
    assert run(name("alice"), "invite", name("bob"), "--data", data).code == 0

    line = bob.line("ringing")
    assert line.isprintable()
    assert r"\u001b[2J" in line
    assert r"\u009b\u202e" in line


def test_it_ends_when_nobody_reads_any_more(run: Run, start: Start, url: str, name: Name) -> None:
    program = ("sh", "-c", '"$0" -m ringline "$@" | head -n 1', sys.executable)
    bob = start("listen", "--as", name("bob"), "--url", url, program=program)
    bob.line("connected as")

    assert run(name("alice"), "invite", name("bob")).code == 0

    assert bob.end() == 0
    assert bob.err == []


def test_letters_that_the_terminal_does_not_know(client: Client, run: Run, name: Name) -> None:
    bob = client(name("bob"), "listen", env={"PYTHONIOENCODING": "ascii"})
    bob.line("connected as")

    assert run(name("alice"), "invite", name("bob"), "--data", '"電話"').code == 0

    assert r'data: "\u96fb\u8a71"' in bob.line("ringing")


def test_it_waits_for_a_broker_and_comes_back_to_it(start: Start, name: Name) -> None:
    port = str(free_port())
    url = f"mqtt://127.0.0.1:{port}"
    bob = start("listen", "--as", name("bob"), "--url", url, "--answer", "accept")
    assert "no broker: cannot reach 127.0.0.1" in bob.err_line("no broker")
    bob.err_line("Start one with `ringline serve`")

    for _ in range(2):
        server = start("serve", "--port", port, "--memory")
        server.line("listens on")
        call = start("invite", name("bob"), "--as", name("alice"), "--url", url, "--wait", "--connect-timeout", "20")
        assert call.end() == 0
        server.signal(signal.SIGTERM)
        assert server.end() == 0

    assert sum("connected as" in line for line in bob.out) == 2
    bob.line("disconnected: ")
    assert bob.interrupt() == 0


def test_a_refused_login_ends_it(serve: Start, start: Start, users_file: Path) -> None:
    server = serve("--memory", "--users", str(users_file))

    ear = start("listen", "--as", "bob", "--url", url_of(server))

    assert ear.end() == 4
    assert_clean_error(ear)
    assert "the broker refused the login" in ear.err[0]
