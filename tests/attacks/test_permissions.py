"""What a user may not have: others' topics, and a login with what is no user id or no password of theirs."""

from pathlib import Path

import pytest

from ringline_broker.bindings.amqtt.users import UsersFile, new_hasher
from ringline_broker.server import ServerConfig
from tests.attacks.raw_mqtt import Attacker, Ended, device, password_of, publish_packet
from tests.attacks.targets import TOPICS, Ours, next_request
from tests.support.running import Ring

PREFIX = TOPICS.prefix
ALICE, BOB = TOPICS.requests("alice"), TOPICS.events("bob")

OTHERS = [
    BOB,
    TOPICS.answers("bob", "phone"),
    TOPICS.requests("bob"),
    TOPICS.requests("mallory"),
    TOPICS.answers("mallory", "+"),
    TOPICS.answers("mallory", "#"),
    TOPICS.answers("mallory", ""),
    TOPICS.answers("mallory", "a/b"),
    TOPICS.answers("mallory", "x" * 65),
    TOPICS.answers("mallory", "../../bob/evt"),
    f"{PREFIX}/g/family/evt",
    f"{PREFIX}/u/mallory",
    f"{PREFIX}/u/mallory/",
    f"{PREFIX}/u/mallory/evt/",
    f"{PREFIX}/u/mallory/#",
    f"{PREFIX}/u/+/evt",
    f"{PREFIX}/u/#",
    f"{PREFIX}/+/+/evt",
    f"/{TOPICS.events('mallory')}",
    TOPICS.events("mallory").upper(),
    TOPICS.events("mallory") + " ",
    "#",
    "+",
    "+/#",
    "/",
    "$SYS/#",
    "$SYS/broker/version",
    f"$share/group/{TOPICS.events('mallory')}",
    f"$share/group/{BOB}",
    f"$queue/{TOPICS.events('mallory')}",
]

NO_USERS = ["", " /", "a/b", "+", "#", "a+", "bob/#", "$SYS", "$share", "a\tb", "x" * 65, "é" * 33, "a\u0085b"]


def test_nobody_subscribes_to_what_is_not_theirs(caplog: pytest.LogCaptureFixture) -> None:
    with Ours() as ours, device(ours.port, "bob", BOB) as bob, device(ours.port, "mallory") as mallory:
        assert mallory.subscribe(*OTHERS) == [0x80] * len(OTHERS)
        assert mallory.subscribe(BOB, TOPICS.events("mallory"), "#") == [0x80, 1, 0x80]
        assert ours.filters == [BOB, TOPICS.events("mallory")]
        ours.event(BOB, b"invited")
        assert bob.hears(b"invited")
        assert mallory.messages() == []
        lines = [line.getMessage() for line in caplog.records]
        assert any(f"may not subscribe to '{BOB}'" in line for line in lines)
        assert sum("may not subscribe" in line for line in lines) == 10, "and the rest is not logged"


def test_nobody_publishes_on_what_is_not_theirs(caplog: pytest.LogCaptureFixture) -> None:
    with Ours() as ours, device(ours.port, "bob", BOB) as bob, device(ours.port, "mallory") as mallory:
        for topic in (ALICE, BOB, TOPICS.answers("bob", "phone"), TOPICS.events("mallory"), "$SYS/x", "x", ALICE + "/"):
            mallory.publish(topic, b"forged")
            mallory.send(publish_packet(topic, b"forged"))
        mallory.publish(TOPICS.requests("mallory"), b"last")
        assert next_request(ours) == ("mallory", b"last")
        assert bob.messages() == []
        assert "user mallory at 127.0.0.1" in caplog.text
        assert f"may not publish on '{ALICE}'" in caplog.text
        assert f"may not publish on '{BOB}'" in caplog.text


def test_a_long_topic_is_not_logged_at_length(caplog: pytest.LogCaptureFixture) -> None:
    with Ours() as ours, device(ours.port, "mallory") as mallory, Attacker.tcp(ours.port) as stranger:
        mallory.publish("x" * 30_000, b"")
        assert mallory.subscribe("y\n" * 10_000) == [0x80]
        assert stranger.connect("z" * 20_000, "a guess") == 4
        assert caplog.records
        assert max(len(line.getMessage()) for line in caplog.records) < 400
        assert "\n" not in "".join(line.getMessage() for line in caplog.records)


def test_the_retain_flag_means_nothing() -> None:
    with Ours() as ours:
        with device(ours.port, "alice") as alice:
            alice.publish(ALICE, b"invite", retain=True)
            assert next_request(ours) == ("alice", b"invite")
            alice.publish(TOPICS.events("alice"), b"forged", retain=True)
        with device(ours.port, "alice", TOPICS.events("alice")) as alice:
            assert alice.messages() == []
            ours.event(TOPICS.events("alice"), b"invited")
            assert not alice.message().is_retained
        assert ours.broker.retained_messages == {}


@pytest.mark.parametrize("user", NO_USERS)
def test_what_is_no_user_id_cannot_log_in(user: str) -> None:
    with Ours() as ours:
        with Attacker.tcp(ours.port) as attacker:
            assert attacker.connect(user) == 4
            assert attacker.is_ended()
        ours.wait_for_connections(0)
        assert ours.sessions == 0


def test_ids_of_any_script_have_their_own_topics_and_no_others() -> None:
    with Ours() as ours, device(ours.port, "é", TOPICS.events("é")) as one:
        assert one.subscribe(TOPICS.events("e\u0301"), TOPICS.events("é ")) == [0x80, 0x80]
        one.publish(TOPICS.requests("é"), b"invite")
        assert next_request(ours) == ("é", b"invite")


def test_a_login_without_name_or_password_is_refused() -> None:
    with Ours() as ours:
        for word in ("", "a guess", password_of("bob")):
            with Attacker.tcp(ours.port) as attacker:
                assert attacker.connect("alice", word) == 4
                with pytest.raises((Ended, OSError)):
                    attacker.messages()


def test_with_a_password_file_only_its_users_get_in(tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users")
    users.write({"alice": new_hasher().hash("right")})
    with Ring(config=ServerConfig(users=users.path)) as ring:
        logins = [("alice", "right", 0), ("alice", "wrong", 4), ("bob", "right", 4), ("alice", "right", 0)]
        for user, word, code in logins:
            with Attacker.tcp(ring.port) as attacker:
                assert attacker.connect(user, word) == code
        alice = ring.device("alice", password="right")
        alice.client.invite(["bob"]).result(5)


def test_nobody_acts_as_somebody_else_through_the_whole_server() -> None:
    with Ring() as ring:
        alice, bob = ring.device("alice"), ring.device("bob")
        call = alice.client.invite(["bob"])
        bob.heard.wait("receive_new_invitation")
        with Attacker.tcp(ring.port) as mallory:
            assert mallory.connect("mallory") == 0
            mallory.publish(TOPICS.requests("bob"), b"\x80")
            mallory.publish(BOB, b"\x90")
        assert alice.client.state(call.invite_id).invitees == {"bob": "pending"}
        assert ring.server.counts()["unreadable"] == 0
        assert bob.heard.names() == ["receive_new_invitation"]


def test_a_group_is_for_its_members_and_no_longer_than_they_are() -> None:
    topic = TOPICS.group_events("family")
    with Ours() as ours, device(ours.port, "bob") as bob, device(ours.port, "mallory") as mallory:

        async def is_member(gid: str, user: str) -> bool:
            return (gid, user) == ("family", "bob")

        ours.binding.is_member = is_member
        assert bob.subscribe(topic) == [1]
        assert mallory.subscribe(topic, f"{PREFIX}/g/+/evt", f"{PREFIX}/g/#", f"{topic}/") == [0x80] * 4
        ours.event(topic, b"one")
        assert bob.hears(b"one")
        ours.loop.call(lambda: ours.binding.close_group("family", ["bob"]))
        ours.event(topic, b"two")
        ours.event(TOPICS.events("bob"), b"three")
        assert bob.messages() == []
        assert mallory.messages() == []


def test_a_topic_taken_away_while_somebody_asks_for_it_is_not_granted() -> None:
    said = [True, False]
    with Ours() as ours, device(ours.port, "bob") as bob:

        async def is_member(_gid: str, _user: str) -> bool:
            member = said.pop(0)
            if member:
                ours.binding.close_group("family", ["bob"])
            return member

        ours.binding.is_member = is_member
        assert bob.subscribe(TOPICS.group_events("family")) == [0x80]
        assert said == []
