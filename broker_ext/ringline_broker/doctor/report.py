"""What a check found, and how checks are run: each with a bound, and none stopped by another's failure."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from ringline.protocol.errors import RinglineError
from ringline_broker.service.ports import Unusable

_LOOK: Final = "look in the log of the other end"


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIPPED = "skipped"


class Found(NamedTuple):
    """What a check found.

    Attributes:
        verdict: how it stands.
        text: what was found.
        remedy: what to do about it; empty where all is well.
    """

    verdict: Verdict
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and by which check.

    Attributes:
        area, check: the area and the name of the check.
        verdict, text, remedy: as of Found.
    """

    area: str
    check: str
    verdict: Verdict
    text: str
    remedy: str = ""


class Check(NamedTuple):
    """One check.

    Attributes:
        area: what it looks at: broker, permissions, workers, store or machine.
        name: of the check, unique in its area.
        work: looks; it may raise Skipped, or a RinglineError or OSError, which is a failure.
        bound_s: seconds that it may take.
    """

    area: str
    name: str
    work: Callable[[], Awaitable[Found]]
    bound_s: float = 20.0


class Skipped(Exception):
    """A check cannot run; the message says why, or how it could."""


def ok(text: str) -> Found:
    """All is well."""
    return Found(Verdict.OK, text)


def warn(text: str, remedy: str) -> Found:
    """It works, and could be better or safer."""
    return Found(Verdict.WARN, text, remedy)


def fail(text: str, remedy: str) -> Found:
    """It does not work, or is not safe."""
    return Found(Verdict.FAIL, text, remedy)


async def run(check: Check) -> Finding:
    """Run a check to its end or its bound."""
    found = await _found(check)
    return Finding(check.area, check.name, *found)


async def _found(check: Check) -> Found:
    try:
        async with asyncio.timeout(check.bound_s):
            return await check.work()
    except Skipped as why:
        return Found(Verdict.SKIPPED, str(why))
    except TimeoutError:
        return fail(f"not done within {check.bound_s:g} s", "see whether the machine at the other end is overloaded")
    except Unusable as failed:
        return fail(failed.what, failed.remedy or _LOOK)
    except RinglineError as failed:
        return fail(str(failed), _LOOK)
    except OSError as failed:
        return fail(failed.strerror or str(failed), "see whether the other end runs, and is reached from here")
    except Exception as fault:  # noqa: BLE001 - a fault of one check stops no other
        return fail(f"the check itself failed, {type(fault).__name__}: {fault}", "report it, with this line")
