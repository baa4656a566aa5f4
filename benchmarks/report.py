"""Makes docs/benchmarks.md of a result. Every number on the page comes from there."""

import textwrap
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from benchmarks import figures as fig
from benchmarks.figures import Figure
from benchmarks.result import Result
from benchmarks.safety import ANY_NAME, BLOCKED, LOGINS, NO_LIMITS, PROTECTED
from benchmarks.systems import (
    BESIDE,
    MOSQUITTO,
    NAMES,
    OURS,
    OURS_IN_MEMORY,
    STOCK,
    WORKER_REDIS,
    WORKERS_REDIS,
)

NOTHING: Final = "-"
WIDTH: Final = 120
_RATIOS: Final = ((OURS, STOCK), (OURS_IN_MEMORY, STOCK), (OURS, MOSQUITTO), (STOCK, MOSQUITTO))


def page(result: Result) -> str:
    """The page: of the sections those of which something was measured."""
    there = {key for figures in result.samples.values() for key in figures}
    sections = [section for section, figures in _SECTIONS if there & {figure.key for figure in figures}]
    return "\n\n".join(section(result) for section in (_head, _method, *sections, _machine, _servers)) + "\n"


def _head(result: Result) -> str:
    intro = _paragraph(
        "What a call costs: through Ringline, and as two bare messages through a broker that decides nothing, keeps "
        f"nothing and times nothing out. Measured on {result.date} in the {result.form.name} form, which took "
        f"{_duration(result.seconds)}."
    )
    if result.form.name == "toy":
        intro = f"**The toy form: it shows that everything runs, and its figures mean nothing.**\n\n{intro}"
    return f"""# Benchmarks

<!-- Written by `make bench ARGS=--write` from what it measured; do not edit. -->

{intro}

```sh
make bench
make bench ARGS='--full --write'
```

The first repeats it in the short form; the second in the full form, and rewrites this page. `make bench ARGS=--help`
tells the rest.

**Only ratios of figures that one run measured side by side compare.** Another machine, another day or a busy neighbour
changes every figure here. A figure is the median of its rounds, with the least and the greatest in brackets."""


def _method(result: Result) -> str:
    form = result.form
    rounds = (
        f"Rounds: {form.rounds} of calls, {form.rate_rounds} of latency, {form.safe_rounds} of calls with each "
        f"protection, {form.login_rounds} of logins, {form.others_rounds} among others, {form.open_rounds} with open "
        "invitations."
    )
    runs = f"A run measures {form.calls:,} calls, after {form.warm_up:,} that warm it up and do not count."
    lines = [
        *result.notes,
        "Every run has a fresh server process, and a load generator in a process of its own.",
        f"A round runs each system once, so that what slows the machine down meets all. {rounds}",
        f"{form.users:,} users with a device each call one another, {form.outstanding:,} calls outstanding. {runs}",
        f"Latency is measured apart, at {form.rate:g} calls a second, {form.rate_calls:,} calls a run.",
        "A call is an invite and an accept without data, QoS 1. It ends when both parties have heard of both.",
        "A bare call is the same two payloads, peer to peer. It ends when the caller has the accept.",
        "Devices subscribe to the same two topics everywhere.",
        "Limits are off or out of reach, but where it says so: so few users at one address call more than people do.",
    ]
    return f"## How it is measured\n\n{_bullets(lines)}"


def _calls(result: Result) -> str:
    there = [name for name in NAMES if name in result.samples]
    left_out = [name for name in NAMES if name not in there]
    missing = f"\n\nNot measured: {'; '.join(left_out)}." if left_out else ""
    ratios = [
        (f"{one} : {other}", _ratio(_median(result, one, fig.CPU_US), _median(result, other, fig.CPU_US)))
        for one, other in _RATIOS
    ]
    return (
        f"## Calls\n\n{_table(result, there, fig.CALLS)}{missing}\n\n{_meanings(fig.CALLS)}\n\n"
        f"### CPU a call, as ratios\n\n{_rows(['', 'ratio'], ratios)}"
    )


def _beside(result: Result) -> str:
    intro = _paragraph(
        "Where the CPU of a call goes in the runs above, with workers beside Mosquitto. All processes are on the "
        "server's core. The store is on disk: sqlite's transactions are there before anything is answered, redis's "
        "file is at most a second behind. The broker has more to do, too: it takes in and delivers six messages for a "
        "call through a worker, and two for a bare one."
    )
    rows = [
        (f"{one} : {other}", _ratio(_median(result, one, fig.CPU_US), _median(result, other, fig.CPU_US)))
        for one in BESIDE
        for other in (MOSQUITTO, OURS)
    ]
    workers = (_median(result, name, fig.WORKER_US) for name in (WORKERS_REDIS, WORKER_REDIS))
    rows.append(("two workers : one worker, CPU of the workers alone", _ratio(*workers)))
    return (
        f"## Beside a broker\n\n{intro}\n\n{_table(result, [*BESIDE, MOSQUITTO], (fig.CPU_US, *fig.BESIDE))}\n\n"
        f"{_meanings(fig.BESIDE)}\n\n### Beside a broker, as ratios\n\n{_rows(['', 'ratio'], rows)}"
    )


def _safety(result: Result) -> str:
    intro = _paragraph(
        "Ours, with sqlite, under the load of the calls above: with no limits; with limits on everything, of which "
        "this load meets none; over TLS, with no limits; and with no limits, but a blocklist of "
        f"{BLOCKED} users, none of whom calls, for every user. What cannot be turned off is in all of them: what each "
        "user has in the store is counted, and the packets of each are."
    )
    return (
        f"## What safety costs\n\n{intro}\n\n{_table(result, PROTECTED, fig.SAFE)}\n\n{_meanings(fig.SAFE)}\n\n"
        f"### Protected calls, as ratios\n\n{_ratios(result, PROTECTED, NO_LIMITS, fig.SAFE_CPU_US)}"
    )


def _logins(result: Result) -> str:
    intro = _paragraph(
        "One device after the other logs in, with nothing else connected, and goes without subscribing: under any "
        "name; with a password that was right before; with one that is checked with argon2id as the library recommends "
        "it; with a certificate, which is checked in the handshake of TLS; and the handshake alone, of a server that "
        "asks for no certificate. Keys are of the curve P-256, as `ringline cert` makes them."
    )
    return (
        f"## Logins\n\n{intro}\n\n{_table(result, LOGINS, fig.LOGIN)}\n\n{_meanings(fig.LOGIN)}\n\n"
        f"### Logins, as ratios\n\n{_ratios(result, LOGINS, ANY_NAME, fig.LOGIN_US)}"
    )


def _among(result: Result) -> str:
    few, many = (fig.others_subject(of(result.form.others)) for of in (min, max))
    intro = _paragraph(
        "What one device does, one thing at a time, while so many others are connected, subscribed and silent, must "
        "not depend on how many they are. The server looks after each connection twice a second; that is counted too."
    )
    rows = [
        (f"{figure.title}, most others : least", _ratio(_median(result, many, figure), _median(result, few, figure)))
        for figure in fig.AMONG
    ]
    return (
        f"## Among others\n\n{intro}\n\n{_table(result, list(dict.fromkeys((few, many))), fig.AMONG)}\n\n"
        f"{_meanings(fig.AMONG)}\n\n### Among others, as ratios\n\n{_rows(['', 'ratio'], rows)}"
    )


def _ratios(result: Result, subjects: Sequence[str], base: str, figure: Figure) -> str:
    """Each to the first of them."""
    found = [
        (f"{one} : {base}", _ratio(_median(result, one, figure), _median(result, base, figure)))
        for one in subjects
        if one != base
    ]
    return _rows(["", "ratio"], found)


def _open(result: Result) -> str:
    form = result.form
    intro = _paragraph(
        "Ours, with sqlite, holding so many invitations that nobody answers. Every run starts on a copy of what a "
        "server left that was killed with so many open: for the start as it was left, for the rest with the log of "
        "sqlite folded in. The files are in the page cache. Calls are measured after as many that warm the server up. "
        "For the lag, "
        f"{form.deadlines:,} more come due at random moments over {form.spread_s} s."
    )
    few, many = (
        _median(result, fig.open_subject(count), fig.OPEN_CPU_US) for count in (min(form.open), max(form.open))
    )
    subjects = [fig.open_subject(count) for count in form.open]
    return (
        f"## Open invitations\n\n{intro}\n\n{_table(result, subjects, fig.OPEN)}\n\n{_meanings(fig.OPEN)}\n\n"
        f"### Calls among open invitations, as a ratio\n\n"
        f"{_rows(['', 'ratio'], [('CPU a call, most open : least open', _ratio(many, few))])}"
    )


def _burst(result: Result) -> str:
    count = result.form.burst
    note = _meanings(fig.BURST) if count else f"Not measured in the {result.form.name} form."
    subject = fig.burst_subject(count) if count else NOTHING
    return f"## All due at once\n\n{_table(result, [subject], fig.BURST)}\n\n{note}"


def _client(result: Result) -> str:
    table = _table(result, [fig.CLIENT_SUBJECT], fig.CLIENT)
    return f"## The client on a device\n\n{table}\n\n{_meanings(fig.CLIENT)}"


def _machine(result: Result) -> str:
    return f"## The machine\n\n{_rows(['', 'is'], result.machine.items())}"


def _servers(result: Result) -> str:
    systems = [f"**{name}**: {'; '.join(words)}." for name, words in result.settings.items()]
    return f"## The servers\n\nHow each said that it was set up:\n\n{_bullets(systems)}"


_SECTIONS: Final = (
    (_calls, fig.CALLS),
    (_beside, fig.CALLS),
    (_safety, fig.SAFE),
    (_logins, fig.LOGIN),
    (_among, fig.AMONG),
    (_open, fig.OPEN),
    (_burst, fig.OPEN),
    (_client, fig.CLIENT),
)
"""With the figures that each is about."""


def _table(result: Result, subjects: Sequence[str], figures: Iterable[Figure]) -> str:
    rows = [[figure.title, *(_cell(result, subject, figure) for subject in subjects)] for figure in figures]
    return _rows(["", *subjects], rows)


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *rows))


def _cell(result: Result, subject: str, figure: Figure) -> str:
    samples = result.samples.get(subject, {}).get(figure.key)
    if not samples:
        return NOTHING
    middle, least, most = (figure.text(value) for value in (median(samples), min(samples), max(samples)))
    return middle if len(samples) == 1 else f"{middle} ({least.removesuffix(f' {figure.unit}')} to {most})"


def _meanings(figures: Iterable[Figure]) -> str:
    """What they mean; figures that mean the same share a line."""
    titles: dict[str, list[str]] = {}
    for figure in figures:
        titles.setdefault(figure.meaning, []).append(f"*{figure.title}*")
    return _bullets(f"{' and '.join(names)}: {meaning}" for meaning, names in titles.items())


def _median(result: Result, subject: str, figure: Figure) -> float:
    return median(result.samples.get(subject, {}).get(figure.key) or [0.0])


def _ratio(one: float, other: float) -> str:
    return f"{one / other:.2f}" if one and other else NOTHING


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _paragraph(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(_paragraph(f"- {line}", "  ") for line in lines)
