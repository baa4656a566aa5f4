"""What the roles on Mosquitto allow: topic by topic, and nothing else."""

import pytest

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.roles import (
    CONTROL_ANSWERS,
    CONTROL_TOPIC,
    RECEIVE,
    SEND,
    SUBSCRIBE,
    SUBSCRIBE_PATTERN,
    Acl,
    Role,
    Roles,
    name_fault,
)

ROLES = Roles(Topics("p"))


def allowed(role: Role, kind: str) -> set[str]:
    return {acl.topic for acl in role.acls if acl.kind == kind}


def test_a_user_has_their_own_topics_and_hears_the_groups_they_are_in() -> None:
    role = ROLES.user("alice", ("g",))
    assert role.name == "p/u/alice"
    assert allowed(role, SEND) == {"p/u/alice/req"}
    assert allowed(role, RECEIVE) == {"p/u/alice/evt", "p/u/alice/d/+", "p/g/g/evt"}
    assert (allowed(role, SUBSCRIBE), allowed(role, SUBSCRIBE_PATTERN)) == ({"p/u/alice/evt"}, {"p/u/alice/d/+"})
    assert ROLES.groups_in(role.as_json()) == {"g"}
    assert ROLES.groups_in(ROLES.user("g").as_json()) == frozenset()


def test_everyone_may_subscribe_to_groups_and_hears_nothing_by_it() -> None:
    role = ROLES.everyone()
    assert allowed(role, SUBSCRIBE_PATTERN) == {"p/g/+/evt"}
    assert allowed(role, RECEIVE) | allowed(role, SEND) | allowed(role, SUBSCRIBE) == set()


@pytest.mark.parametrize("has_group_topics", [False, True])
def test_a_worker_has_its_share_and_what_it_publishes_on(has_group_topics: bool) -> None:
    role = ROLES.worker("secret", has_group_topics=has_group_topics)
    groups = {"p/g/+/evt"} if has_group_topics else set[str]()
    assert allowed(role, SEND) == {"p/u/+/evt", "p/u/+/d/+", "p/probe/+"} | groups
    assert allowed(role, RECEIVE) == {"p/u/+/req", "p/probe/+"}
    assert allowed(role, SUBSCRIBE) == {"$share/secret/p/u/+/req"}
    assert allowed(role, SUBSCRIBE_PATTERN) == {"p/probe/+", "$share/+/p/probe/+"}


def test_only_one_role_reaches_the_plugin() -> None:
    control = ROLES.control()
    assert {acl.topic for acl in control.acls} == {CONTROL_TOPIC, CONTROL_ANSWERS, "#"}
    others = (ROLES.user("alice"), ROLES.everyone(), ROLES.worker("secret", has_group_topics=True))
    assert not any("CONTROL" in acl.topic for role in others for acl in role.acls)


def test_a_role_is_known_again_and_a_changed_one_is_not() -> None:
    role = ROLES.user("alice")
    assert role.is_like(role.as_json())
    wider = Role(role.name, role.acls | {Acl(SEND, "p/#")})
    assert not role.is_like(wider.as_json())
    told = role.as_json()
    told["acls"][0]["allow"] = False
    assert not role.is_like(told)
    assert not role.is_like({})


@pytest.mark.parametrize(("name", "says"), [("a/b", "contain /"), ("%u", "% on Mosquitto"), ("", "must have 1")])
def test_names_that_would_mean_something_else(name: str, says: str) -> None:
    assert says in str(name_fault(name))
    assert name_fault("alice") is None
