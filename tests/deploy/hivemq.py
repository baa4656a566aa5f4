"""HiveMQ's credentials.xml, evaluated as the File RBAC extension 4.6.16 in HiveMQ CE 2026.5 does it:
DefaultPermissionsEvaluator and PermissionTopicMatcherUtils.
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET  # our own files

from tests.deploy.matching import shared


@dataclass(frozen=True, slots=True)
class Permission:
    """What one of them grants."""

    topic: str
    activity: str
    retain: str
    shared: str
    group: str

    def grants(self, activity: str, topic: str) -> bool:
        if self.activity not in ("ALL", activity):
            return False
        if not set(self.topic) & set("+#"):
            return self.topic.rstrip("/") == (topic.rstrip("/") if len(topic) > 1 else topic)
        return self._matches(self.topic.rstrip("/").split("/"), topic.split("/"))

    @staticmethod
    def _matches(mine: list[str], asked: list[str]) -> bool:
        for word, other in zip(mine, asked, strict=False):
            if word == "#" != other:
                return True
            if word not in ("+", other):
                return False
        return len(mine) == len(asked) or (len(mine) == len(asked) + 1 and mine[-1] == "#")


@dataclass(frozen=True, slots=True)
class HivemqRules:
    """The roles of a file, and who has which. The first permission that matches grants; there are none that deny."""

    users: dict[str, list[str]]
    roles: dict[str, list[Permission]]

    @classmethod
    def parse(cls, text: str) -> "HivemqRules":
        root = ET.fromstring(text)  # noqa: S314 - our own file
        users = {_text(one, "name"): [role.text or "" for role in one.findall("roles/id")] for one in root.iter("user")}
        roles = {_text(one, "id"): [_permission(each) for each in one.iter("permission")] for one in root.iter("role")}
        assert {role for held in users.values() for role in held} <= roles.keys()
        return cls(users, roles)

    def may_publish(self, user: str, topic: str, *, retain: bool = False) -> bool:
        fits = ("ALL", "RETAINED" if retain else "NOT_RETAINED")
        return any(one.retain in fits and one.grants("PUBLISH", topic) for one in self._permissions(user))

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        group, topic = shared(topic_filter)
        fits = ("ALL", "NOT_SHARED" if group is None else "SHARED")
        return any(
            one.shared in fits and (group is None or one.group in ("#", group)) and one.grants("SUBSCRIBE", topic)
            for one in self._permissions(user)
        )

    def may_receive(self, user: str, topic: str) -> bool:  # noqa: ARG002 - it asks when one subscribes, and then no more
        return True

    def _permissions(self, user: str) -> list[Permission]:
        if set(user) & set("+#"):
            return []  # the extension does not let them in
        found = [one for role in self.users.get(user, ()) for one in self.roles[role]]
        return [_for_user(one, user) for one in found]


def _for_user(permission: Permission, user: str) -> Permission:
    topic = permission.topic.replace("${{username}}", user)
    return Permission(topic, permission.activity, permission.retain, permission.shared, permission.group)


def _permission(element: ET.Element) -> Permission:
    return Permission(
        _text(element, "topic"), _text(element, "activity", "ALL"), _text(element, "retain", "ALL"),
        _text(element, "shared-subscription", "ALL"), _text(element, "shared-group", "#"),
    )  # fmt: skip


def _text(element: ET.Element, name: str, default: str | None = None) -> str:
    text = element.findtext(name, default)
    assert text, f"{element.tag} has no {name}"
    return text.strip()
