"""Who may do what, as roles of the dynamic-security plugin. No I/O.

Everything is denied that no role allows. The plugin of Mosquitto 2.0 knows no placeholder for a user's name, so every
user has a role of their own, of literal topics.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ringline.protocol.topics import Topics, id_fault

SEND: Final = "publishClientSend"
RECEIVE: Final = "publishClientReceive"
SUBSCRIBE: Final = "subscribeLiteral"
SUBSCRIBE_PATTERN: Final = "subscribePattern"
UNSUBSCRIBE_PATTERN: Final = "unsubscribePattern"

CONTROL_TOPIC: Final = "$CONTROL/dynamic-security/v1"
"""Where the plugin takes commands."""
CONTROL_ANSWERS: Final = f"{CONTROL_TOPIC}/response"
"""Where it answers, everybody at once."""

DENIED: Final = {SEND: False, RECEIVE: False, "subscribe": False, "unsubscribe": False}
"""What nobody may whom no role allows it."""


class Acl(NamedTuple):
    """One thing that a role allows: its kind, and the topic or filter."""

    kind: str
    topic: str


class Role(NamedTuple):
    """A role, under its name in the plugin."""

    name: str
    acls: frozenset[Acl]

    def as_json(self) -> dict[str, Any]:
        """As the plugin reads it, in commands and in its file."""
        acls = [{"acltype": acl.kind, "topic": acl.topic, "allow": True} for acl in sorted(self.acls)]
        return {"rolename": self.name, "acls": acls}

    def is_like(self, told: Mapping[str, Any]) -> bool:
        """Whether the plugin has it as it should be.

        Args:
            told: the role as the plugin told it.
        """
        acls = told.get("acls", [])
        has = frozenset(Acl(acl["acltype"], acl["topic"]) for acl in acls)
        return has == self.acls and all(acl["allow"] for acl in acls)


class Roles:
    """The roles of one deployment; all their names start with its prefix.

    Args:
        topics: the prefix.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._prefix = topics.prefix
        self.users_head = f"{self._prefix}/u/"
        """What the name of each user's own role starts with."""
        self.lock = f"{self._prefix}/lock"
        """The name of a role that gives nothing: while it is there, whoever made it changes the users' roles."""

    def worker(self, share: str, *, has_group_topics: bool) -> Role:
        """What a worker needs: requests through the share, events and answers out, and its self-test."""
        topics, probe = self._topics, f"{self._prefix}/probe/+"
        requests, answers = topics.requests("+"), topics.answers("+", "+")
        sends = [topics.events("+"), answers, probe] + [topics.group_events("+")] * has_group_topics
        return _role(
            f"{self._prefix}/worker",
            (Acl(SEND, topic) for topic in sends),
            (Acl(RECEIVE, topic) for topic in (requests, probe)),
            (Acl(SUBSCRIBE, f"$share/{share}/{requests}"),),
            (Acl(SUBSCRIBE_PATTERN, topic) for topic in (probe, f"$share/+/{probe}")),
            (Acl(UNSUBSCRIBE_PATTERN, "#"),),
        )

    def gives_group_topics(self, told: Mapping[str, Any]) -> bool:
        """Whether a worker's role is one where groups have topics.

        Args:
            told: the role as the plugin told it.
        """
        acls = told.get("acls", [])
        return (SEND, self._topics.group_events("+")) in [(acl["acltype"], acl["topic"]) for acl in acls]

    def control(self) -> Role:
        """To manage permissions: whoever has it may give anything to anybody."""
        return _role(
            f"{self._prefix}/control",
            (Acl(SEND, CONTROL_TOPIC), Acl(RECEIVE, CONTROL_ANSWERS), Acl(SUBSCRIBE, CONTROL_ANSWERS)),
            (Acl(UNSUBSCRIBE_PATTERN, "#"),),
        )

    def everyone(self) -> Role:
        """What all users have in common: to subscribe to groups' topics, and to end what they subscribed to.

        Subscribing is not hearing. A client that is refused a group's topic takes it that the user is no member, so
        it is granted always, and what comes on it is granted with the group.
        """
        return _role(
            f"{self._prefix}/everyone",
            (Acl(SUBSCRIBE_PATTERN, self._topics.group_events("+")), Acl(UNSUBSCRIBE_PATTERN, "#")),
        )

    def user(self, user: str, groups: Iterable[str] = ()) -> Role:
        """A user's own topics: requests out, events and answers in; and the topics of groups in."""
        events, answers = self._topics.events(user), self._topics.answers(user, "+")
        return _role(
            f"{self.users_head}{user}",
            (Acl(SEND, self._topics.requests(user)), Acl(RECEIVE, events), Acl(RECEIVE, answers)),
            (Acl(SUBSCRIBE, events), Acl(SUBSCRIBE_PATTERN, answers)),
            (Acl(RECEIVE, self._topics.group_events(gid)) for gid in groups),
        )

    def groups_in(self, told: Mapping[str, Any]) -> frozenset[str]:
        """The groups whose topics a role opens.

        Args:
            told: the role as the plugin told it.
        """
        groups = (self._topics.group_of(acl["topic"]) for acl in told.get("acls", []) if acl["acltype"] == RECEIVE)
        return frozenset(gid for gid in groups if gid is not None)


def _role(name: str, *acls: Iterable[Acl]) -> Role:
    return Role(name, frozenset(acl for some in acls for acl in some))


def name_fault(name: str) -> str | None:
    """Say what is wrong with a user or group id on Mosquitto, or None where it is fine.

    Raises nothing. Beside what no id may have, a `%`: from Mosquitto 2.1 on, `%u` and `%c` in a role stand for
    whoever is looked at, so a user called `%c` could be anybody.
    """
    return id_fault(name) or ("must not contain % on Mosquitto" if "%" in name else None)
