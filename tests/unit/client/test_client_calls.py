"""Whoever calls a client wrongly is told at once, in words that say which argument and why. No network is needed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ringline import SignalingClient, SignalingError, SignalingListener
from ringline.protocol.limits import MAX_DATA_BYTES, MAX_INVITEES

Call = Callable[[Any], object]


@pytest.fixture
def client() -> Iterator[Any]:
    """Not connected, so nothing is sent."""
    with_nobody = SignalingClient("mqtt://127.0.0.1:1", user="ann", device="d1")
    yield with_nobody
    with_nobody.close()


WRONG_TYPES: list[tuple[str, Call, str]] = [
    ("invitees: nothing", lambda c: c.invite(None), "invitees must be a list of user ids, not NoneType"),
    ("invitees: a number", lambda c: c.invite(7), "invitees must be a list of user ids, not int"),
    ("invitees: a name", lambda c: c.invite("bob"), "invitees must be a list of user ids, not one string"),
    ("invitees: bytes", lambda c: c.invite(b"bob"), "invitees must be a list of user ids, not one string"),
    ("invitees: numbers", lambda c: c.invite([1]), "invitees must be a string, not int"),
    ("timeout: half", lambda c: c.invite(["bob"], timeout=1.5), "timeout must be a whole number, not float"),
    ("timeout: text", lambda c: c.invite(["bob"], timeout="5"), "timeout must be a whole number, not str"),
    ("timeout: true", lambda c: c.invite(["bob"], timeout=True), "timeout must be a whole number, not bool"),
    ("timeout: none", lambda c: c.invite(["bob"], timeout=None), "timeout must be a whole number, not NoneType"),
    ("answers: text", lambda c: c.invite(["bob"], answers="first"), "answers must be a whole number, not str"),
    ("audience: a list", lambda c: c.invite(["bob"], audience=["x"]), "audience must be a string, not list"),
    ("online_only: text", lambda c: c.invite(["bob"], online_only="no"), "online_only must be True or False, not str"),
    ("invite_id: a number", lambda c: c.invite(["bob"], invite_id=5), "invite_id must be a string, not int"),
    ("data: a set", lambda c: c.invite(["bob"], {1}), "can not serialize 'set' object"),
    ("ringing", lambda c: c.ringing(None), "invite_id must be a string, not NoneType"),
    ("accept", lambda c: c.accept(5), "invite_id must be a string, not int"),
    ("accept: data", lambda c: c.accept("i", object()), "can not serialize 'object' object"),
    ("reject", lambda c: c.reject(b"i"), "invite_id must be a string, not bytes"),
    ("reject: reason", lambda c: c.reject("i", reason=None), "reason must be a string, not NoneType"),
    ("reject: text", lambda c: c.reject("i", text=7), "text must be a string, not int"),
    ("reject: data", lambda c: c.reject("i", object()), "can not serialize 'object' object"),
    ("cancel", lambda c: c.cancel(["i"]), "invite_id must be a string, not list"),
    ("cancel: invitees", lambda c: c.cancel("i", invitees="b"), "must be a list of user ids, not one string"),
    ("cancel: none", lambda c: c.cancel("i", invitees=None), "invitees must be a list of user ids, not NoneType"),
    ("cancel: reason", lambda c: c.cancel("i", reason=b"x"), "reason must be a string, not bytes"),
    ("cancel: text", lambda c: c.cancel("i", text=b"x"), "text must be a string, not bytes"),
    ("cancel: data", lambda c: c.cancel("i", object()), "can not serialize 'object' object"),
    ("modify", lambda c: c.modify(5, 1), "invite_id must be a string, not int"),
    ("modify: data", lambda c: c.modify("i", object()), "can not serialize 'object' object"),
    ("get", lambda c: c.get(5), "invite_id must be a string, not int"),
    ("state", lambda c: c.state(5), "invite_id must be a string, not int"),
]  # fmt: skip

WRONG_VALUES: list[tuple[str, Call, str]] = [
    ("nobody", lambda c: c.invite([]), "invitees must name at least one user"),
    ("oneself", lambda c: c.invite(["bob", "ann"]), "invitees must not name the inviter"),
    ("too many", lambda c: c.invite([f"u{i}" for i in range(MAX_INVITEES + 1)]), "at most 300 users"),
    ("a topic", lambda c: c.invite(["b/b"]), "invitees must not contain / "),
    ("no name", lambda c: c.invite([""]), "invitees must have 1 to 64 bytes, has 0"),
    ("a long name", lambda c: c.invite(["é" * 33]), "invitees must have 1 to 64 bytes, has 66"),
    ("a system topic", lambda c: c.invite(["$SYS"]), "invitees must not start with"),
    ("a control character", lambda c: c.invite(["b\nb"]), "invitees must not contain"),
    ("half a character", lambda c: c.invite(["\ud800"]), "invitees is not valid UTF-8"),
    ("timeout below", lambda c: c.invite(["bob"], timeout=-1), "timeout must be 0 to 86400, not -1"),
    ("timeout above", lambda c: c.invite(["bob"], timeout=86_401), "timeout must be 0 to 86400, not 86401"),
    ("answers below", lambda c: c.invite(["bob"], answers=-1), "answers must be 0 to 300, not -1"),
    ("answers above", lambda c: c.invite(["bob"], answers=301), "answers must be 0 to 300, not 301"),
    ("audience", lambda c: c.invite(["bob"], audience="all"), "audience must be '' or 'parties', not 'all'"),
    ("invite_id", lambda c: c.invite(["bob"], invite_id="a+b"), "invite_id must not contain"),
    ("data", lambda c: c.invite(["bob"], bytes(MAX_DATA_BYTES)), "data packs to 8195 bytes; at most 8192"),
    ("data: a number", lambda c: c.accept("i", 2**64), "data cannot be packed"),
    ("all too large", lambda c: c.invite([f"{i:064}" for i in range(200)], bytes(8_000)), "at most 16384 bytes"),
    ("ringing", lambda c: c.ringing(""), "invite_id must have 1 to 64 bytes, has 0"),
    ("accept", lambda c: c.accept("#"), "invite_id must not contain"),
    ("reject", lambda c: c.reject(""), "invite_id must have 1 to 64 bytes"),
    ("reason", lambda c: c.reject("i", reason="x" * 33), "reason must have at most 32 bytes"),
    ("reason: bytes count", lambda c: c.reject("i", reason="é" * 17), "reason must have at most 32 bytes"),
    ("reason: half a character", lambda c: c.reject("i", reason="\ud800"), "reason is not valid UTF-8"),
    ("text", lambda c: c.reject("i", text="x" * 257), "text must have at most 256 bytes"),
    ("text: half a character", lambda c: c.cancel("i", text="\udfff"), "text is not valid UTF-8"),
    ("cancel", lambda c: c.cancel(""), "invite_id must have 1 to 64 bytes"),
    ("cancel: a topic", lambda c: c.cancel("i", invitees=["a#"]), "invitees must not contain"),
    ("cancel: reason", lambda c: c.cancel("i", reason="x" * 33), "reason must have at most 32 bytes"),
    ("modify", lambda c: c.modify("", 1), "invite_id must have 1 to 64 bytes"),
    ("modify: data", lambda c: c.modify("i", "x" * 9_000), "data packs to 9003 bytes"),
    ("get", lambda c: c.get("a/b"), "invite_id must not contain"),
    ("state", lambda c: c.state("a/b"), "invite_id must not contain"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG_TYPES])
def test_a_wrong_type(client: Any, call: Call, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        call(client)
    assert client._handles == {}
    assert client._core.next_wakeup() is None


@pytest.mark.parametrize(("call", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG_VALUES])
def test_a_wrong_value(client: Any, call: Call, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call(client)
    assert client._handles == {}
    assert client._core.next_wakeup() is None


MADE_WRONGLY: list[tuple[str, Call, type[Exception], str]] = [
    ("no user", lambda _: SignalingClient(), ValueError, "user must have 1 to 64 bytes, has 0"),
    ("user: a number", lambda bad: SignalingClient(user=bad(5)), TypeError, "user must be a string, not int"),
    ("user: a topic", lambda _: SignalingClient(user="a/b"), ValueError, "user must not contain"),
    ("user in the URL", lambda _: SignalingClient("mqtt://a%2Fb@h"), ValueError, "user must not contain"),
    ("device", lambda _: SignalingClient(user="a", device="a+"), ValueError, "device must not contain"),
    ("device: a number", lambda bad: SignalingClient(user="a", device=bad(5)), TypeError, "device must be a string"),
    ("password", lambda bad: SignalingClient(user="a", password=bad(5)), TypeError, "password must be a string"),
    ("url: a number", lambda bad: SignalingClient(bad(5), user="a"), TypeError, "url must be a string, not int"),
    ("url: nothing", lambda _: SignalingClient("", user="a"), ValueError, "not a broker's URL"),
    ("url: another kind", lambda _: SignalingClient("http://h", user="a"), ValueError, "not a broker's URL"),
    ("url: a port", lambda _: SignalingClient("mqtt://h:99999", user="a"), ValueError, "Port out of range"),
    ("prefix", lambda _: SignalingClient(user="a", prefix="a/#"), ValueError, "prefix must be a topic"),
    ("prefix: none", lambda _: SignalingClient(user="a", prefix=""), ValueError, "prefix must be a topic"),
    ("prefix: a number", lambda bad: SignalingClient(user="a", prefix=bad(5)), TypeError, "prefix must be a string"),
    ("since: text", lambda bad: SignalingClient(user="a", since=bad("5")), TypeError, "since must be a whole number"),
    ("since: below", lambda _: SignalingClient(user="a", since=-1), ValueError, "since must be 0 to"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "kind", "words"), [pytest.param(*row[1:], id=row[0]) for row in MADE_WRONGLY]
)
def test_a_client_made_wrongly(make: Call, kind: type[Exception], words: str) -> None:
    def bad(value: Any) -> Any:
        return value

    with pytest.raises(kind, match=re.escape(words)):
        make(bad)


def test_what_is_right_at_the_limit(client: Any) -> None:
    client.invite([f"u{i}" for i in range(MAX_INVITEES)], timeout=0, answers=300)
    client.invite(["é" * 32], timeout=86_400, answers=0, audience="parties", online_only=True, invite_id="x" * 64)
    client.reject("i", bytes(MAX_DATA_BYTES - 3), reason="é" * 16, text="é" * 128)
    client.cancel("j", invitees=("bob", "bob"))
    client.invite({"bob": 1}.keys())
    assert len(client._handles) == 5


def test_a_handle_knows_its_invitation_at_once(client: Any) -> None:
    handle = client.invite(["bob"])
    assert len(handle.invite_id) == 16
    assert not handle.done
    assert client.accept("i").invite_id == "i"


def test_what_waits_when_a_client_is_closed_fails_as_closed(client: Any) -> None:
    handle = client.accept("i")
    client.close()
    client.close()
    with pytest.raises(SignalingError) as raised:
        handle.result(0)
    assert raised.value.name == "closed"


def test_a_closed_client_takes_no_more(client: Any) -> None:
    client.close()
    calls: list[Call] = [lambda c: c.invite(["bob"]), lambda c: c.accept("i"), lambda c: c.connect()]
    for call in calls:
        with pytest.raises(SignalingError) as raised:
            call(client)
        assert raised.value.name == "closed"


def test_waiting_no_longer_than_asked(client: Any) -> None:
    with pytest.raises(SignalingError) as raised:
        client.state("i", timeout=0)
    assert raised.value.name == "no_answer"
    assert client.wait_connected(0) is False


def test_listeners_come_and_go(client: Any) -> None:
    listener = SignalingListener()
    client.add_listener(listener)
    client.remove_listener(listener)
    client.remove_listener(listener)
    assert client._caller.listeners == ()


def test_two_devices_have_two_names() -> None:
    one, other = SignalingClient(user="ann"), SignalingClient("mqtt://ann:pw@h")
    assert (one.user, other.user) == ("ann", "ann")
    assert one.device != other.device
    assert one.subscriptions[1] == f"ringline/v1/u/ann/d/{one.device}"
    one.close()
    other.close()
