"""How topics match, by MQTT and by each broker's own rules."""

from itertools import pairwise, zip_longest


def delivers(topic_filter: str, topic: str) -> bool:
    """Whether a subscription brings a topic (MQTT 5 section 4.7), a shared one too."""
    words, names = plain(topic_filter).split("/"), topic.split("/")
    if names[0].startswith("$") and words[0] in ("+", "#"):
        return False
    for word, name in zip_longest(words, names):
        if word == "#":
            return True
        if word is None or name is None or word not in ("+", name):
            return False
    return True


def is_filter(text: str) -> bool:
    """Whether a broker takes it as a topic filter at all: `#` stands last, `+` and `#` fill their level."""
    words = text.split("/")
    hashes = all(this != "#" for this, _ in pairwise(words))
    return hashes and all(word in ("+", "#") or not set(word) & set("+#") for word in words)


def shared(topic_filter: str) -> tuple[str | None, str]:
    """The share's name and the filter behind it; None where it is not shared."""
    if not topic_filter.startswith("$share/"):
        return None, topic_filter
    name, _, behind = topic_filter.removeprefix("$share/").partition("/")
    return name, behind


def plain(topic_filter: str) -> str:
    """What a filter is about, without what makes the subscription shared, queued or exclusive."""
    for special in ("$queue/", "$exclusive/"):
        topic_filter = topic_filter.removeprefix(special)
    return shared(topic_filter)[1]


def covers(rule: list[str], words: list[str]) -> bool:
    """Whether a rule's filter matches what is asked for, word by word, as Erlang brokers do it: `+` takes any word, a
    wildcard too.
    """
    for mine, asked in zip_longest(rule, words):
        if mine == "#":
            return True
        if mine is None or asked is None or mine not in ("+", asked):
            return False
    return True
