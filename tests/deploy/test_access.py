"""The access rules of each broker, evaluated as that broker would: everybody has what they need, and nobody more.

That the evaluators are faithful is read from the brokers' sources and documentation, not tried: none of them runs here.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.access import PREFIX, SHARE, TOPICS, WORKER, Rules, faults
from tests.deploy.aws import AwsRules
from tests.deploy.emqx import EmqxRules
from tests.deploy.hivemq import HivemqRules
from tests.deploy.vernemq import VernemqRules

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
AWS_POLICIES: Final = ("aws-iot/user-policy.json", "aws-iot/worker-policy.json")
BROKERS: Final[dict[str, tuple[Callable[..., Rules], tuple[str, ...]]]] = {
    "emqx": (EmqxRules.parse, ("emqx/acl.conf",)),
    "vernemq": (VernemqRules.parse, ("vernemq/vmq.acl",)),
    "hivemq": (HivemqRules.parse, ("hivemq/credentials.xml",)),
    "aws-iot": (AwsRules.parse, AWS_POLICIES),
}

CANNOT_SAY: Final = {
    "vernemq": rf"{WORKER} may publish {PREFIX}/u/{WORKER}/req",
    "aws-iot": rf"{WORKER} (may publish|hears) {PREFIX}/probe/[^/ ]+/.*",
}
"""What is granted too since a broker cannot say it more exactly: VerneMQ's patterns hold for the worker's account, and
AWS's `*` does not stop at a level.
"""


def texts_of(broker: str) -> list[str]:
    """Its files, with the share's name in its place."""
    return [re.sub(r"\bSHARE\b", SHARE, (DEPLOY / name).read_text()) for name in BROKERS[broker][1]]


def rules_of(broker: str, old: str = "", new: str = "") -> Rules:
    texts = [text.replace(old, new) if old else text for text in texts_of(broker)]
    return BROKERS[broker][0](*texts)


def unexpected(broker: str, rules: Rules) -> list[str]:
    known = CANNOT_SAY.get(broker)
    return [fault for fault in faults(rules) if known is None or not re.fullmatch(known, fault)]


@pytest.mark.parametrize("broker", BROKERS)
def test_everybody_has_what_they_need_and_nobody_more(broker: str) -> None:
    assert unexpected(broker, rules_of(broker)) == []


@pytest.mark.parametrize("broker", ["vernemq", "hivemq", "aws-iot"])  # EMQX's rules do not see the share's name
def test_a_worker_takes_requests_through_the_secret_share_alone(broker: str) -> None:
    rules = rules_of(broker)
    assert rules.may_subscribe(WORKER, f"$share/{SHARE}/{TOPICS.requests('+')}")
    for taken in (f"$share/other/{TOPICS.requests('+')}", TOPICS.requests("+"), TOPICS.requests("ann")):
        assert not rules.may_subscribe(WORKER, taken)


@pytest.mark.parametrize("broker", CANNOT_SAY)
def test_what_a_broker_cannot_say_is_so(broker: str) -> None:
    assert any(re.fullmatch(CANNOT_SAY[broker], fault) for fault in faults(rules_of(broker)))


HEARS: Final = f"ann hears {TOPICS.events('bob')} through {TOPICS.events('+')}"
TAKES: Final = f"ann takes requests through $share/{SHARE}/{TOPICS.requests('+')}"
RETAINS: Final = f"ann may have {TOPICS.requests('ann')} retained"
THING: Final = "/${iot:Connection.Thing.ThingName}/"
WRONG: Final = (
    ("emqx", "u/${username}/evt", "u/+/evt", HEARS),
    ("emqx", "u/${username}/req", "u/+/req", f"ann may publish {TOPICS.requests('bob')}"),
    ("emqx", "{deny, all}.", "{allow, all}.", f"mallory may publish {TOPICS.requests('ann')}"),
    ("emqx", '{username, "ringline-worker"}, subscribe', "all, subscribe", TAKES),
    ("emqx", "{publish, [{retain, false}]}", "publish", RETAINS),
    ("emqx", ', "ringline/v1/u/+/d/+"]', "]", f"the worker cannot publish {TOPICS.answers('ann', 'phone')}"),
    ("emqx", '{deny, {username, "ringline-worker"}, all, all}.', "", f"{WORKER} may publish {TOPICS.requests(WORKER)}"),
    ("vernemq", "%u/evt", "+/evt", HEARS),
    ("vernemq", "topic read $share", "pattern read $share", TAKES),
    ("vernemq", "pattern read ringline/v1/g/+/evt", "", "ann is refused a group's topic"),
    ("vernemq", "user ringline-worker", "user ann", f"ann may publish {TOPICS.events('bob')}"),
    ("hivemq", "${{username}}/evt", "+/evt", HEARS),
    ("hivemq", "<retain>NOT_RETAINED</retain>", "", RETAINS),
    ("hivemq", "<id>user</id>\n            </roles>", "<id>worker</id>\n            </roles>", TAKES),
    ("hivemq", f">{SHARE}<", ">other<", f"the worker is refused $share/{SHARE}/{TOPICS.requests('+')}"),
    ("aws-iot", f"{THING}evt", "/*/evt", HEARS),
    ("aws-iot", f'topicfilter/ringline/v1/u{THING}evt"', 'topicfilter/$share/*"', TAKES),
    ("aws-iot", '"iot:Publish"', '["iot:Publish", "iot:RetainPublish"]', RETAINS),
    ("aws-iot", "topic/ringline/v1/u/*/req", "topic/x", f"the worker does not receive {TOPICS.requests('ann')}"),
)


@pytest.mark.parametrize(("broker", "old", "new", "fault"), WRONG)
def test_a_wrong_rule_is_found(broker: str, old: str, new: str, fault: str) -> None:
    assert any(old in text for text in texts_of(broker))
    assert fault in faults(rules_of(broker, old, new))


@pytest.mark.parametrize("broker", ["emqx", "hivemq"])
@pytest.mark.parametrize("name", ["+", "#", "+/evt", ""])
def test_a_name_that_is_a_wildcard_gets_nothing(broker: str, name: str) -> None:
    rules = rules_of(broker)
    assert not rules.may_publish(name, TOPICS.requests("ann"))
    heard = (TOPICS.events("ann"), TOPICS.events("+"), TOPICS.answers("ann", "phone"), TOPICS.group_events("team"))
    assert not any(rules.may_subscribe(name, one) for one in heard)


def test_on_emqx_the_rule_about_names_is_what_keeps_them_out() -> None:
    rules = rules_of("emqx", '{deny, {username, {re, "[+#/]|^[$]"}}, all, all}.', "")
    assert rules.may_subscribe("+", TOPICS.events("ann"))


def test_on_vernemq_nothing_does_as_its_page_says() -> None:
    assert rules_of("vernemq").may_subscribe("+", TOPICS.events("ann"))
    page = (DEPLOY / "vernemq/README.md").read_text()
    assert "`+` or `#`" in page


def test_on_aws_a_policy_is_within_its_limit_and_lets_ours_connect() -> None:
    for text in texts_of("aws-iot"):
        assert len(re.sub(r"\s", "", text)) <= 2_048  # documented: policy document size, without white space
    rules = AwsRules.parse(*texts_of("aws-iot"))
    assert rules.may_connect(WORKER, "ringline0123456789abcd")
    assert not rules.may_connect(WORKER, "ann")
    assert rules.may_connect("ann", "whatever the service assigns")
    assert not rules.may_connect("mallory", "ringline0123456789abcd")
