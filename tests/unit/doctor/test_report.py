"""Checks end within their bound, and none stops another."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable
from ringline_broker.doctor.backlog import Backlog, judge
from ringline_broker.doctor.report import Check, Found, Skipped, ok, run


def verdict(work: Callable[[], Awaitable[Found]], bound_s: float = 5.0) -> tuple[str, str, str]:
    found = asyncio.run(run(Check("store", "a check", work, bound_s)))
    assert (found.area, found.check) == ("store", "a check")
    return found.verdict, found.text, found.remedy


async def well() -> Found:
    return ok("well")


async def endless() -> Found:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (Skipped("there is no login"), ("skipped", "there is no login", "")),
        (BrokerUnreachable("no TLS: broken; so", "look; do: this"), ("FAIL", "no TLS: broken; so", "look; do: this")),
        (BrokerUnreachable("broke: [E] reset"), ("FAIL", "broke: [E] reset", "look in the log of the other end")),
        (OSError(104, "reset"), ("FAIL", "reset", "see whether the other end runs, and is reached from here")),
        (KeyError("x"), ("FAIL", "the check itself failed, KeyError: 'x'", "report it, with this line")),
    ],
)
def test_what_a_check_raises(error: Exception, found: tuple[str, str, str]) -> None:
    async def raising() -> Found:
        raise error

    assert verdict(raising) == found


def test_a_check_that_is_well() -> None:
    assert verdict(well) == ("ok", "well", "")


def test_a_check_that_does_not_end() -> None:
    assert verdict(endless, 0.01)[:2] == ("FAIL", "not done within 0.01 s")


def test_what_waits_for_a_moment_is_no_backlog() -> None:
    assert judge(Backlog(3, 1, 200)).verdict == "ok"
    assert judge(Backlog(3, 1, 60_000)).verdict == "warn"
