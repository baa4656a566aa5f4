"""`ringline group`: every command against a real server, its lines for people and for scripts, and its refusals."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ringline_broker.cli.group import app
from tests.cli.conftest import Listen, Start, url_of
from tests.cli.process import Finished, Ringline, assert_clean_error

Name = Callable[[str], str]
COMMANDS = (
    "create", "dismiss", "set", "me", "list", "info", "join", "quit", "add", "remove", "members", "role", "transfer",
    "mute", "mute-all", "applications", "accept", "refuse", "attr", "count",
)  # fmt: skip


class Village:
    """Users of this test alone, and a group that is theirs."""

    def __init__(self, url: str, name: Name) -> None:
        self.url, self.name, self.id = url, name, name("group")

    def run(self, user: str, command: str, *arguments: str, gid: str | None = None) -> Finished:
        login = ("--as", self.name(user), "--url", self.url)
        return Finished("group", command, *login, *([] if command == "list" else [gid or self.id]), *arguments)

    def ok(self, user: str, command: str, *arguments: str) -> list[str]:
        """What it prints for people, with the names of this test as they were given."""
        done = self.run(user, command, *arguments)
        assert (done.code, done.err) == (0, []), done.err
        return [self._plain(line) for line in done.out]

    def json(self, user: str, command: str, *arguments: str) -> list[dict[str, Any]]:
        done = self.run(user, command, *arguments, "--json")
        assert (done.code, done.err) == (0, []), done.err
        return done.events

    def refused(self, user: str, command: str, *arguments: str) -> list[str]:
        """What it says of the refusal."""
        done = self.run(user, command, *arguments)
        assert (done.code, done.out) == (4, []), done.out
        assert_clean_error(done)
        return [self._plain(line) for line in done.err]

    def _plain(self, line: str) -> str:
        return line.replace(self.name(""), "")


@pytest.fixture
def village(url: str, name: Name) -> Village:
    return Village(url, name)


def test_the_life_of_a_group(village: Village) -> None:
    bob, carol = village.name("bob"), village.name("carol")
    created = village.ok(
        "alice", "create", "--preset", "meeting", "--name", "the choir", "--introduction", "we sing", "--notification",
        "at eight", "--face-url", "http://x/y", "--max", "40", "--join", "approval", "--member", bob, "--member", carol,
    )  # fmt: skip
    assert created == ["created group"]
    assert village.ok("alice", "list") == ["group"]
    assert village.json("bob", "list") == [{"group_id": village.id}]

    shown = village.ok("bob", "info")
    when = next(line for line in shown if line.startswith("created   "))
    assert [line for line in shown if line != when] == [
        "id        group",
        "preset    meeting",
        "name      the choir",
        "about     we sing",
        "notice    at eight",
        "face      http://x/y",
        "owner     alice",
        "members   3 of 40",
        "join      approval",
        "you       member",
    ]
    assert village.ok("alice", "set", "--name", "", "--join", "invite", "--max", "9") == ["changed group"]
    assert village.ok("bob", "me", "--card", "Bob from the bass") == ["you are Bob from the bass in group"]
    assert village.ok("carol", "me", "--card", "") == ["you have no card in group any more"]
    (info,) = village.json("bob", "info")
    assert (info["name"], info["introduction"]) == ("", "we sing")
    assert (info["join_option"], info["max_members"]) == ("invite", 9)
    assert (info["owner"], info["role"], info["attributes"]) == (village.name("alice"), "member", {})

    assert village.ok("alice", "role", bob, "admin") == ["bob is an administrator of group"]
    assert village.ok("alice", "transfer", carol) == ["carol owns group"]
    assert village.ok("carol", "role", bob, "member") == ["bob is a member of group"]
    assert village.ok("carol", "dismiss") == ["dismissed group"]
    assert village.ok("carol", "list") == []
    assert village.refused("carol", "info")[0].startswith("refused: 10010 unknown_group")


def test_who_is_in_it(village: Village) -> None:
    bob, carol, dave = map(village.name, ("bob", "carol", "dave"))
    assert village.json("alice", "create", "--preset", "public") == [{"group_id": village.id, "done": "created"}]
    assert village.ok("bob", "join", "--text", "let me in") == ["applied to group; whoever leads it decides"]
    assert village.json("carol", "join") == [{"group_id": village.id, "done": "applied"}]
    (applies, other) = village.ok("alice", "applications")
    assert applies.startswith("bob: applies since 20")
    assert applies.endswith(', says "let me in"')
    assert other.startswith("carol: applies since 20")
    assert [one["user"] for one in village.json("alice", "applications")] == [bob, carol]
    assert village.ok("alice", "accept", bob, "--text", "welcome") == ["bob is a member of group"]
    assert village.ok("alice", "refuse", carol, "--text", "full") == ["refused carol in group"]
    assert village.ok("alice", "applications") == []
    assert village.ok("alice", "add", carol, dave) == ["added carol, dave to group"]

    assert village.ok("alice", "mute", bob, "60") == ["bob may not invite in group for 60 s"]
    lines = village.ok("dave", "members")
    assert [line.partition(" since ")[0] for line in lines] == [
        "alice: owner", "bob: member", "carol: member", "dave: member",
    ]  # fmt: skip
    assert lines[1].endswith(("muted for 60 s", "muted for 59 s"))
    assert village.ok("alice", "mute", bob, "0") == ["bob may invite in group"]
    assert [one["user"] for one in village.json("dave", "members", "--role", "owner")] == [village.name("alice")]
    assert {one["role"] for one in village.json("dave", "members", "--role", "member")} == {"member"}
    assert village.ok("alice", "mute-all", "on") == ["only the owner and administrators may invite in group"]
    assert village.json("alice", "info")[0]["all_muted"] is True
    assert "muted     all members" in village.ok("alice", "info")
    assert village.ok("alice", "mute-all", "off") == ["all may invite in group"]

    removed = village.ok("alice", "remove", carol, dave, "--reason", "away", "--ban", "60")
    assert removed == ["removed carol, dave from group"]
    assert village.refused("carol", "join")[1] == "users: carol"
    assert village.json("bob", "quit") == [{"group_id": village.id, "done": "quit"}]
    assert [one["user"] for one in village.json("alice", "members")] == [village.name("alice")]


def test_attributes_and_counters(village: Village) -> None:
    village.ok("alice", "create", "--preset", "meeting", "--member", village.name("bob"))
    assert village.ok("bob", "attr") == ["version 0"]
    assert village.ok("bob", "attr", "seat-1=bob", 'call:={"room": 7, "raw": {"$bytes": "AP8="}}') == [
        "changed attributes of group"
    ]
    (before,) = village.json("alice", "attr")
    assert before["attributes"] == {"seat-1": "bob", "call": {"room": 7, "raw": {"$bytes": "AP8="}}}
    version = str(before["version"])
    assert village.ok("alice", "attr", "seat-2=a=b", "--delete", "call", "--expected", version) == [
        "changed attributes of group"
    ]
    assert village.ok("bob", "attr")[:-1] == ['seat-1 = "bob"', 'seat-2 = "a=b"']
    late = village.refused("bob", "attr", "seat-3=bob", "--expected", version)
    assert late[0].startswith("refused: 10056 attributes_changed")
    assert village.json("bob", "attr", "only=this", "--clear") == [{"group_id": village.id, "done": "set"}]
    assert village.json("bob", "attr")[0]["attributes"] == {"only": "this"}

    assert village.ok("bob", "count", "likes") == ["0"]
    assert village.ok("bob", "count", "likes", "--by", "5") == ["added 5 to likes of group"]
    assert village.ok("alice", "count", "likes", "--by", "-2") == ["added -2 to likes of group"]
    assert village.json("bob", "count", "likes") == [{"group_id": village.id, "key": "likes", "value": 3}]
    assert village.json("bob", "count", "likes", "--set", "40") == [{"group_id": village.id, "done": "counted"}]
    assert village.ok("alice", "info")[-2:] == ['attribute only = "this"', "counter   likes = 40"]


def test_refusals_name_the_users_they_are_about(village: Village) -> None:
    village.ok("alice", "create", "--preset", "public", "--member", village.name("bob"))
    strangers = [village.name(user) for user in ("eve", "fay", "gil", "hal", "ida", "joe")]
    done = Finished(
        "invite", "--as", village.name("alice"), "--url", village.url, "--group", village.id, village.name("bob"),
        *strangers,
    )  # fmt: skip
    assert done.code == 4
    assert_clean_error(done)
    assert done.err[0].startswith("refused: 10004 not_members")
    assert done.err[1] == f"users: {', '.join(strangers)}"


def test_refusals(village: Village) -> None:
    bob, carol = village.name("bob"), village.name("carol")
    village.ok("alice", "create", "--preset", "public", "--member", bob)
    assert village.refused("bob", "create")[0].startswith("refused: 10021 group_exists")
    assert village.refused("alice", "quit")[0].startswith("refused: 10009 owner_cannot_quit")
    assert village.refused("alice", "role", carol, "admin")[0].startswith("refused: 10004 not_members")
    for command, arguments in (
        ("dismiss", ()), ("add", (carol,)), ("remove", (bob,)), ("role", (bob, "admin")), ("transfer", (bob,)),
        ("set", ("--name", "x")), ("mute", (bob, "1")), ("mute-all", ("on",)), ("applications", ()),
        ("accept", (carol,)), ("refuse", (carol,)), ("members", ()), ("attr", ("a=b",)), ("count", ("a", "--by", "1")),
        ("me", ("--card", "x")), ("quit", ()),
    ):  # fmt: skip
        refused = village.refused("carol", command, *arguments)
        assert refused[0].startswith("refused: 10007 group_not_permitted"), command
    for looks in (("attr",), ("count", "a")):
        assert village.refused("carol", *looks)[0].endswith("see what it holds; join it first")
    for command in ("info", "join", "quit", "dismiss"):
        done = village.run("alice", command, gid=village.name("no-such-group"))
        assert done.code == 4
        assert done.err[0].startswith("refused: 10010 unknown_group"), command


def test_lists_follow_all_pages(village: Village) -> None:
    """Six hundred members with long names are more than one message may hold."""
    users = [village.name(f"{number:03}-{'x' * 40}") for number in range(600)]
    village.ok("alice", "create", "--preset", "meeting")
    for start in range(0, len(users), 200):
        village.ok("alice", "add", *users[start : start + 200])
    members = village.json("alice", "members", "--role", "member")
    assert [one["user"] for one in members] == users


def test_an_id_that_begins_with_a_dash(village: Village) -> None:
    login = ("--as", village.name("alice"), "--url", village.url)
    gid = "-" + village.id
    assert Finished("group", "create", *login, gid).code == 2
    assert Finished("group", "create", *login, "--", gid).out == [f"created {gid}"]
    assert Finished("group", "attr", *login, "--", gid, "-k=v").code == 0
    assert Finished("group", "attr", *login, "--json", "--", gid).events[0]["attributes"] == {"-k": "v"}


def test_what_strangers_wrote_cannot_reach_the_terminal(village: Village) -> None:
    nasty = "\x1b[2J\u202e"
    village.ok("alice", "create", "--name", nasty)
    village.ok("alice", "me", "--card", nasty)
    village.ok("alice", "attr", f"a={nasty}")
    for command in ("info", "members", "attr"):
        assert all(line.isprintable() for line in village.ok("alice", command))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = Finished("group", command, "--help")

    assert done.code == 0
    assert done.out[0].startswith(f"Usage: ringline group {command} [OPTIONS]")
    assert not [line for line in done.out if len(line) > 80]


def test_help_lists_every_command() -> None:
    done = Finished("group", "--help")

    assert done.code == 0
    assert {info.name for info in app.registered_commands} == set(COMMANDS)
    assert all(any(line.startswith(f"  {name} ") for line in done.out) for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create",), "ID"),
        (("create", "g", "--preset", "club"), "--preset"),
        (("create", "g", "--join", "never"), "--join"),
        (("set", "g"), "say what to change: --name"),
        (("me", "g"), "--card"),
        (("add", "g"), "USER"),
        (("role", "g", "bob", "owner"), "admin"),
        (("mute", "g", "bob", "long"), "SECONDS"),
        (("mute-all", "g", "maybe"), "maybe"),
        (("attr", "g", "seat"), "a change is KEY=TEXT or KEY:=JSON, not 'seat'"),
        (("attr", "g", "=x"), "a change is KEY=TEXT or KEY:=JSON, not '=x'"),
        (("attr", "g", "seat:=bob"), "seat:=bob is no JSON"),
        (("attr", "g", 'seat:={"$bytes": "?"}'), "no base64"),
        (("attr", "g", "--expected", "3"), "--expected is for changes"),
        (("count", "g", "likes", "--by", "1", "--set", "2"), "give one of them"),
        (("members", "g", "--role", "boss"), "--role"),
    ],
)
def test_wrong_use_needs_no_server(arguments: tuple[str, ...], says: str) -> None:
    done = Finished("group", *arguments, "--as", "alice", "--url", "mqtt://127.0.0.1:1")

    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "a/b"), "group_id must not contain"),
        (("create", "g", "--name", "x" * 101), "name must have at most 100 bytes"),
        (("create", "g", "--member", "a/b"), "members must not contain"),
        (("mute", "g", "bob", "--", "-1"), "seconds must be 0 to"),
        (("attr", "g", f"a={'x' * 5_000}"), "put['a'] packs to"),
        (("info", "a+b"), "group_id must not contain"),
    ],
)
def test_what_the_client_refuses_is_wrong_use_too(village: Village, arguments: tuple[str, ...], says: str) -> None:
    command, *rest = arguments
    done = Finished("group", command, "--as", village.name("alice"), "--url", village.url, *rest)

    assert done.code == 2
    assert_clean_error(done)
    assert says in done.err[0]


def test_no_broker() -> None:
    done = Finished("group", "list", "--as", "alice", "--url", "mqtt://127.0.0.1:1", "--connect-timeout", "0.2")

    assert done.code == 5
    assert_clean_error(done)


def test_listen_shows_what_happens_in_groups(village: Village, start: Start) -> None:
    ear = start("listen", "--as", village.name("bob"), "--url", village.url)
    ear.line("connected as")
    ears = start("listen", "--as", village.name("carol"), "--url", village.url, "--json")
    ears.event("connected")

    bob, carol = village.name("bob"), village.name("carol")
    village.ok("alice", "create", "--preset", "public", "--member", bob, "--member", carol)
    _line(ear, village, "bob, carol added (by alice)")
    ears.event("member_invited", group_id=village.id, users=[bob, carol])
    for command, arguments, says in (
        ("set", ("--name", "choir"), 'now name "choir" (by alice)'),
        ("attr", (f"seat-1={bob}",), 'seat-1 = "bob" (by alice)'),
        ("count", ("likes", "--by", "3"), "counter likes = 3 (by alice)"),
        ("role", (bob, "admin"), "bob made administrator (by alice)"),
        ("mute", (carol, "60"), "carol is muted for 60 s (by alice)"),
        ("mute-all", ("on",), "all members muted (by alice)"),
        ("remove", (carol, "--reason", "late"), "carol removed, late (by alice)"),
    ):
        village.ok("alice", command, *arguments)
        _line(ear, village, says)
    village.ok("dave", "join", "--text", "hello")
    _line(ear, village, 'dave applies, says "hello" (by dave)')
    village.ok("alice", "accept", village.name("dave"))
    _line(ear, village, "dave accepted (by alice)")
    village.ok("dave", "quit")
    _line(ear, village, "dave quit (by dave)")
    village.ok("alice", "dismiss")
    _line(ear, village, "dismissed (by alice)")
    assert ears.event("member_kicked")["reason"] == "late"
    assert ears.event("group_attribute_changed")["changed"] == {"seat-1": bob}
    assert not [one for one in ears.events if one["event"] == "group_dismissed"], "heard a group she was removed from"
    for process in (ear, ears):
        assert process.interrupt() == 0
        assert process.err == []


def _line(ear: Ringline, village: Village, says: str) -> None:
    """Wait for a line about the group of this test."""
    text = re.sub("alice|bob|carol|dave", lambda user: village.name(user[0]), says)
    ear.line(f"group {village.id}: .*{re.escape(text)}$")


def test_an_invitation_in_a_group_is_for_whom_it_names(village: Village, listen: Listen) -> None:
    bob, carol, eve = map(village.name, ("bob", "carol", "eve"))
    village.ok("alice", "create", "--preset", "public", "--member", bob, "--member", carol)
    asked, other = listen(bob, "--answer", "accept"), listen(carol, "--answer", "reject")
    login = ("--as", village.name("alice"), "--url", village.url, "--group", village.id)
    call = Finished("invite", *login, "--wait", "--json", bob)
    assert call.code == 0
    assert call.event("invitation_created")["group_id"] == village.id
    assert asked.event("receive_new_invitation")["to_me"] is True
    assert other.event("receive_new_invitation")["to_me"] is False
    other.event("invitation_ended", outcome="accepted")
    assert "answer_refused" not in [event["event"] for event in other.events], "it answered what is not for it"

    refused = Finished("invite", *login, bob, eve)
    assert refused.code == 4
    assert refused.err[1] == f"users: {eve}"
    partial = Finished("invite", *login, "--partial", "--wait", "--json", bob, eve)
    assert partial.code == 0
    assert partial.event("invitation_created")["invitees"] == [bob]


def test_a_member_who_leaves_need_not_answer(village: Village, start: Start) -> None:
    bob = village.name("bob")
    village.ok("alice", "create", "--preset", "public", "--member", bob)
    call = start(
        "invite", "--as", village.name("alice"), "--url", village.url, "--group", village.id, "--wait", "--json", bob
    )
    call.event("invitation_created")
    village.ok("bob", "quit")
    assert call.end() == 14
    assert call.event("invitation_dropped")["reason"] == "left"


def test_partial_needs_a_group() -> None:
    done = Finished("invite", "bob", "--partial", "--as", "alice", "--url", "mqtt://127.0.0.1:1")

    assert done.code == 2
    assert "give --group too" in done.err[0]


def test_settings_of_groups_hold(serve: Start) -> None:
    server = serve("--memory", "--max-groups", "1", "--max-work", "2", "--max-live", "1")
    login = ("--as", "alice", "--url", url_of(server))
    full = Finished("group", "create", *login, "--preset", "work", "--member", "bob", "--member", "carol", "g-1")
    assert full.code == 4
    assert "10014 group_full" in full.err[0]
    assert Finished("group", "create", *login, "--preset", "live", "g-1").code == 0
    again = Finished("group", "create", *login, "g-2")
    assert again.code == 4
    assert "7008 too_many_requests" in again.err[0]
    late = Finished("group", "join", "--as", "bob", "--url", url_of(server), "g-1")
    assert late.code == 4
    assert "10014 group_full" in late.err[0]
