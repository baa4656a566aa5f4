"""EMQX's acl.conf, evaluated as EMQX 5.8.9 does it: emqx_authz_rule, emqx_topic, and emqx_channel for subscriptions."""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from tests.deploy.matching import covers, plain

_TOKEN: Final = re.compile(r'\s+|%[^\n]*|(?P<text>"(?:[^"\\]|\\.)*")|(?P<atom>[a-z]\w*)|(?P<mark>[][{},.])')


class Term(NamedTuple):
    """A tuple of Erlang's; its lists are lists, strings are strings and atoms are Atom."""

    parts: tuple[Any, ...]


class Atom(str):
    """A word without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class EmqxRules:
    """The rules of a file; the first that matches decides.

    Raises:
        ValueError: (from `parse`) it is no file of Erlang terms.
    """

    rules: tuple[tuple[Any, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "EmqxRules":
        return cls(tuple(_filled(term.parts) for term in _terms(text)))

    def may_publish(self, user: str, topic: str, *, retain: bool = False) -> bool:
        return self._decide(user, "publish", topic, retain=retain)

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        return self._decide(user, "subscribe", plain(topic_filter))

    def may_receive(self, user: str, topic: str) -> bool:  # noqa: ARG002 - EMQX asks when one subscribes, and then no more
        return True

    def _decide(self, user: str, action: str, topic: str, *, retain: bool = False) -> bool:
        for verdict, who, what, topics in self.rules:
            if _is_action(what, action, retain=retain) and _is_who(who, user) and _is_topic(topics, user, topic):
                return cast("str", verdict) == "allow"
        return False


def _filled(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """`{deny, all}` is short for everything."""
    return (*parts, "all", "all") if len(parts) == 2 else parts


def _is_action(wanted: Any, action: str, *, retain: bool) -> bool:
    if isinstance(wanted, Term):
        kind, options = wanted.parts
        held = dict(one.parts for one in options)
        return bool(kind in (action, "all") and held.get("retain", "all") in ("all", str(retain).lower()))
    return bool(wanted in (action, "all"))


def _is_who(wanted: Any, user: str) -> bool:
    if not isinstance(wanted, Term):
        return bool(wanted == "all")
    kind, value = wanted.parts
    if kind != "username":
        raise ValueError(f"the evaluator does not know the condition {kind!r}")
    if isinstance(value, Term):
        return re.search(value.parts[1], user) is not None
    return bool(value == user)


def _is_topic(wanted: Any, user: str, topic: str) -> bool:
    return wanted == "all" or any(_is_one_topic(one, user, topic) for one in wanted)


def _is_one_topic(wanted: Any, user: str, topic: str) -> bool:
    if isinstance(wanted, Term):
        return bool(wanted.parts[1] == topic)
    rule = wanted.replace("${username}", user).split("/")
    if topic.startswith("$") and rule[0] in ("+", "#"):
        return False
    return covers(rule, topic.split("/"))


def _terms(text: str) -> list[Term]:
    found: list[Any] = []
    open_: list[list[Any]] = [found]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"no Erlang term at {text[at : at + 40]!r}")
        at = token.end()
        _take(token, open_)
    if len(open_) != 1 or not all(isinstance(one, Term) for one in found):
        raise ValueError("the file ends within a term")
    return cast("list[Term]", found)


def _take(token: re.Match[str], open_: list[list[Any]]) -> None:
    mark = token["mark"]
    if token["text"]:
        open_[-1].append(token["text"][1:-1].replace('\\"', '"').replace("\\\\", "\\"))
    elif token["atom"]:
        open_[-1].append(Atom(token["atom"]))
    elif mark in ("{", "["):
        open_.append([])
    elif mark in ("}", "]"):
        ended = open_.pop()
        open_[-1].append(Term(tuple(ended)) if mark == "}" else ended)
