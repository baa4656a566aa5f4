"""What every broker's access rules have to come to: a user their own topics, a worker what it needs, nobody else."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, product
from typing import Final, Protocol

from ringline.protocol.topics import Topics
from tests.deploy.matching import delivers, is_filter

TOPICS: Final = Topics()
PREFIX: Final = TOPICS.prefix
SHARE: Final = "the-share"
USERS: Final = ("ann", "bob")
WORKER: Final = "ringline-worker"
STRANGER: Final = "mallory"
"""Without an account: on most brokers the login keeps such a one out, before any rule."""


class Rules(Protocol):
    """A broker's access rules, as the broker evaluates them."""

    def may_publish(self, user: str, topic: str, *, retain: bool = False) -> bool: ...

    def may_subscribe(self, user: str, topic_filter: str) -> bool: ...

    def may_receive(self, user: str, topic: str) -> bool:
        """Whether what a granted subscription brings is let through."""
        ...


REQUESTS: Final = f"$share/{SHARE}/{TOPICS.requests('+')}"
PROBE: Final = f"{PREFIX}/probe/5f1c"


def faults(rules: Rules) -> Iterator[str]:
    """What is wrong with them; nothing where they are right."""
    return chain(_denied(rules), _published(rules), _heard(rules))


def _denied(rules: Rules) -> Iterator[str]:
    """Who is denied what they need."""
    for user in USERS:
        if not rules.may_publish(user, TOPICS.requests(user)):
            yield f"{user} cannot send a request"
        for topic in (TOPICS.events(user), TOPICS.answers(user, "phone")):
            if not (rules.may_subscribe(user, topic) and rules.may_receive(user, topic)):
                yield f"{user} does not hear {topic}"
        if not rules.may_subscribe(user, TOPICS.group_events("team")):
            yield f"{user} is refused a group's topic"
    for said in (*(TOPICS.events(user) for user in USERS), TOPICS.answers("ann", "phone"), PROBE):
        if not rules.may_publish(WORKER, said):
            yield f"the worker cannot publish {said}"
    for wanted in (REQUESTS, PROBE, f"$share/9ab3/{PROBE}"):
        if not rules.may_subscribe(WORKER, wanted):
            yield f"the worker is refused {wanted}"
    for heard in (TOPICS.requests("ann"), PROBE):
        if not rules.may_receive(WORKER, heard):
            yield f"the worker does not receive {heard}"


def _published(rules: Rules) -> Iterator[str]:
    """Who may publish what is not theirs, or have it retained."""
    for user, topic in product((*USERS, WORKER, STRANGER), universe()):
        is_granted = rules.may_publish(user, topic)
        if is_granted and not _is_own_to_publish(user, topic):
            yield f"{user} may publish {topic}"
        if rules.may_publish(user, topic, retain=True):
            yield f"{user} may have {topic} retained"


def _is_own_to_publish(user: str, topic: str) -> bool:
    if user != WORKER:
        return user in USERS and topic == TOPICS.requests(user)
    about = (TOPICS.events("+"), TOPICS.answers("+", "+"), f"{PREFIX}/probe/+")
    return any(delivers(one, topic) for one in about)


def _heard(rules: Rules) -> Iterator[str]:
    """Who hears what is not for them through any subscription there is, or takes requests away from the workers."""
    said = [topic for topic in universe() if any(rules.may_publish(one, topic) for one in (*USERS, WORKER))]
    said += [topic for topic in universe() if topic.startswith("$")] + [TOPICS.requests(user) for user in USERS]
    for user, topic_filter in product((*USERS, STRANGER, WORKER), filters()):
        if not rules.may_subscribe(user, topic_filter):
            continue
        brought = [topic for topic in said if delivers(topic_filter, topic)]
        yield from (
            f"{user} hears {topic} through {topic_filter}"
            for topic in brought
            if rules.may_receive(user, topic) and not _is_own_to_hear(user, topic)
        )
        if user != WORKER and any(topic.endswith("/req") for topic in brought):
            yield f"{user} takes requests through {topic_filter}"


def _is_own_to_hear(user: str, topic: str) -> bool:
    if user == WORKER:
        return any(delivers(one, topic) for one in (TOPICS.requests("+"), f"{PREFIX}/probe/+"))
    return user in USERS and any(delivers(one, topic) for one in (TOPICS.events(user), TOPICS.answers(user, "+")))


@cache
def universe() -> tuple[str, ...]:
    """Topics of the protocol, of neighbours, and of brokers themselves."""
    return tuple(_universe())


def _universe() -> Iterator[str]:
    head = PREFIX.split("/")
    for names in product(("u", "g", "probe", "x"), (*USERS, WORKER, "team"), ("req", "evt", "d")):
        yield "/".join([*head, *names])
        yield "/".join([*head, *names, "phone"])
    yield from (PROBE, f"{PREFIX}/probe", f"{PREFIX}/u/ann/evt/", f"/{PREFIX}/u/bob/evt", "ringline/v2/u/bob/evt")
    yield from ("$SYS/broker/version", "$SYS/brokers/one/clients/two/connected", "$CONTROL/dynamic-security/v1")
    yield from (f"$delayed/1/{PREFIX}/u/bob/evt", f"$share/{SHARE}/{PREFIX}/u/bob/req",
                "$aws/events/presence/connected/x")  # fmt: skip


@cache
def filters() -> tuple[str, ...]:
    """Every filter that can be made of the words of these topics and of wildcards, plain and shared in several ways."""
    return tuple(_filters())


def _filters() -> Iterator[str]:
    yield from ("$SYS/#", "$SYS/broker/+", "$CONTROL/#", "$CONTROL/dynamic-security/v1", "$aws/#", "+/#", "/#")
    heads = (PREFIX, re.sub("[^/]+", "+", PREFIX))
    levels = (("u", "g", "probe", "+", "#"), ("ann", "bob", "5f1c", "+", "#"), ("req", "evt", "d", "+", "#"),
              ("phone", "+", "#"))  # fmt: skip
    every = (words for size in range(1, len(levels) + 1) for words in product(heads, *levels[:size]))
    made = filter(is_filter, ("#", f"{PREFIX}/#", *("/".join(words) for words in every)))
    for text in made:
        yield from (special + text for special in ("", f"$share/{SHARE}/", "$share/x/"))
    for special in ("$queue/", "$exclusive/"):
        yield from (special + text for text in ("#", TOPICS.requests("+"), TOPICS.events("bob"), TOPICS.events("+")))
