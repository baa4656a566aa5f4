import pytest
from hypothesis import given

from ringline.protocol.topics import Topics, id_fault
from tests.unit.protocol.strategies import IDS

TOPICS = Topics()


@pytest.mark.parametrize(
    "good",
    ["a", "alice", "a b", "a.b-c_d~e", "a$", "€" * 21, "\U0001f514" * 16, "x" * 64, "a\u00a0b", "..", "%2F"],
)
def test_ids(good: str) -> None:
    assert id_fault(good) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "1 to 64 bytes, has 0"),
        ("x" * 65, "1 to 64 bytes, has 65"),
        ("€" * 22, "1 to 64 bytes, has 66"),
        ("$SYS", "start with $"),
        ("$", "start with $"),
        ("a/b", "must not contain"),
        ("+", "must not contain"),
        ("a#", "must not contain"),
        ("a\0", "must not contain"),
        ("a\nb", "must not contain"),
        ("\x1f", "must not contain"),
        ("\x7f", "must not contain"),
        ("\x80", "must not contain"),
        ("\x9f", "must not contain"),
        ("a\ud800", "UTF-8"),
    ],
)
def test_no_ids(bad: str, why: str) -> None:
    assert why in (id_fault(bad) or "")


def test_the_three_topics_of_a_user() -> None:
    assert TOPICS.requests("alice") == "ringline/v1/u/alice/req"
    assert TOPICS.events("alice") == "ringline/v1/u/alice/evt"
    assert TOPICS.answers("alice", "d1") == "ringline/v1/u/alice/d/d1"


def test_the_topic_of_a_group() -> None:
    assert TOPICS.group_events("team-7") == "ringline/v1/g/team-7/evt"
    assert Topics("site/7/ring").group_of("site/7/ring/g/team-7/evt") == "team-7"


@given(group=IDS, user=IDS)
def test_a_group_is_read_from_its_topic_and_is_nobodys_own(group: str, user: str) -> None:
    topic = TOPICS.group_events(group)
    assert TOPICS.group_of(topic) == group
    assert not TOPICS.may_subscribe(user, topic)
    assert TOPICS.requester(topic) is None


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "ringline/v1/g//evt",
        "ringline/v1/g/evt",
        "ringline/v1/g/+/evt",
        "ringline/v1/g/#",
        "ringline/v1/g/a/b/evt",
        "ringline/v1/g/$a/evt",
        "ringline/v1/g/team-7/req",
        "ringline/v1/g/team-7/evt/",
        "ringline/v1/u/alice/evt",
        "ringline/v2/g/team-7/evt",
        "x/ringline/v1/g/team-7/evt",
        "$share/x/ringline/v1/g/team-7/evt",
        f"ringline/v1/g/{'x' * 65}/evt",
    ],
)
def test_no_topics_of_a_group(topic: str) -> None:
    assert TOPICS.group_of(topic) is None


def test_the_prefix_is_a_setting() -> None:
    topics = Topics("site/7/ring")
    assert topics.requests("alice") == "site/7/ring/u/alice/req"
    assert topics.requester("site/7/ring/u/alice/req") == "alice"
    assert topics.requester("ringline/v1/u/alice/req") is None


@given(user=IDS, device=IDS)
def test_who_asks_is_read_from_the_topic(user: str, device: str) -> None:
    assert TOPICS.requester(TOPICS.requests(user)) == user
    assert TOPICS.may_subscribe(user, TOPICS.events(user))
    assert TOPICS.may_subscribe(user, TOPICS.answers(user, device))


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "ringline/v1/u//req",
        "ringline/v1/u/alice/evt",
        "ringline/v1/u/alice/d/req",
        "ringline/v1/u/alice/bob/req",
        "ringline/v1/u/+/req",
        "ringline/v1/u/$a/req",
        "ringline/v1/g/alice/req",
        "ringline/v1/u/alice/req/req",
        "ringline/v2/u/alice/req",
        "x/ringline/v1/u/alice/req",
        "ringline/v1/u/req",
        f"ringline/v1/u/{'x' * 65}/req",
    ],
)
def test_no_request_topics(topic: str) -> None:
    assert TOPICS.requester(topic) is None


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/v1/u/alice/evt",
        "ringline/v1/u/+/evt",
        "ringline/v1/u/alice/#",
        "ringline/v1/u/alice/+",
        "ringline/v1/u/alice/d/+",
        "ringline/v1/u/alice/d/#",
        "ringline/v1/u/alice/d/",
        "ringline/v1/u/alice/d/a/b",
        "ringline/v1/u/alice/d",
        "ringline/v1/u/alice/req",
        "ringline/v1/u/bob/evt",
        "ringline/v1/u/bob/d/d1",
        "ringline/v1/u/alice/evt/",
        "ringline/v1/g/team-7/evt",
        "ringline/v1/g/+/evt",
        "$share/x/ringline/v1/u/alice/evt",
        f"ringline/v1/u/alice/d/{'x' * 65}",
    ],
)
def test_filters_a_user_may_not_have(topic_filter: str) -> None:
    assert not TOPICS.may_subscribe("alice", topic_filter)
