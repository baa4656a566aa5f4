"""AWS IoT policies, evaluated as the AWS IoT Core developer guide says: denied unless allowed, a Deny beats an Allow;
`*` and `?` are the wildcards and stop at no level, `+` and `#` are characters like others.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.deploy.access import USERS, WORKER

_ARN: Final = "arn:aws:iot:REGION:ACCOUNT:"
_THING: Final = "${iot:Connection.Thing.ThingName}"


@dataclass(frozen=True, slots=True)
class AwsRules:
    """The policy of users' certificates and that of workers'."""

    user: list[dict[str, Any]]
    worker: list[dict[str, Any]]

    @classmethod
    def parse(cls, user: str, worker: str) -> "AwsRules":
        return cls(json.loads(user)["Statement"], json.loads(worker)["Statement"])

    def may_publish(self, user: str, topic: str, *, retain: bool = False) -> bool:
        is_allowed = self._is_allowed(user, "iot:Publish", f"topic/{topic}")
        return is_allowed and (not retain or self._is_allowed(user, "iot:RetainPublish", f"topic/{topic}"))

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        return self._is_allowed(user, "iot:Subscribe", f"topicfilter/{topic_filter}")

    def may_receive(self, user: str, topic: str) -> bool:
        return self._is_allowed(user, "iot:Receive", f"topic/{topic}")

    def may_connect(self, user: str, client_id: str) -> bool:
        return self._is_allowed(user, "iot:Connect", f"client/{client_id}")

    def _is_allowed(self, user: str, action: str, resource: str) -> bool:
        if user not in (*USERS, WORKER):
            return False  # no certificate, or one without a policy
        about = [
            one["Effect"]
            for one in (self.worker if user == WORKER else self.user)
            if any(_fits(each, action) for each in _several(one["Action"]))
            and any(_fits(each.replace(_THING, user), _ARN + resource) for each in _several(one["Resource"]))
        ]
        return "Allow" in about and "Deny" not in about


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _fits(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile(wild, re.DOTALL)
