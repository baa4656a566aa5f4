"""`ringline doctor`: looks at a deployment, and says what to fix."""

import asyncio
import os
import ssl
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringline.connection import Address
from ringline.protocol.topics import DEFAULT_PREFIX, Topics, id_fault
from ringline_broker.cli.beside import broker_of, password_at, share_of, tls_beside
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.logs import start_logging
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.loops import fastest_loop
from ringline_broker.cli.printing import out, out_json, printable
from ringline_broker.settings import Settings

if TYPE_CHECKING:
    from ringline_broker.doctor.report import Finding
    from ringline_broker.doctor.store import StoreChecks
    from ringline_broker.doctor.target import Account, Target

_USERS: Final = 2


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What to look at.

    Attributes:
        broker: The broker, mqtt[s]://USER@HOST:PORT, with the worker's user; its password comes from
            RINGLINE_PASSWORD.
        store: Where invitations are kept, as the worker has it, with all options.
        share: The name of the workers' share, RINGLINE_SHARE of worker.env, to see whether the workers are in it and
            users are kept out; where left out RINGLINE_SHARE.
        user: A test user; give two, to see what each may do to the other. Their passwords come from
            RINGLINE_PASSWORD_1 and RINGLINE_PASSWORD_2.
        prefix: What all topics start with.
        cafile: For mqtts, a PEM file of authorities to trust instead of the system's.
        cert: For mqtts, the worker's certificate, a PEM file.
        key_: The key of the certificate, a PEM file; where left out, it is in the same file.
        json: JSON lines instead of text.
    """

    broker: str = "mqtt://127.0.0.1:1883"
    store: str = "redis://127.0.0.1:6379"
    share: str = ""
    user: list[str] | None = None
    prefix: str = DEFAULT_PREFIX
    cafile: Path | None = None
    cert: Path | None = None
    key_: Path | None = None
    json: bool = False


def doctor(options: DoctorOptions) -> int:
    """Look at a deployment, and say what to fix: a line a check, `ok`, `warn`, `FAIL` or `skipped`.

    It looks at the broker as a worker does, at what two test users may do, at the store, at whether workers answer, and
    at this machine. It changes nothing. While it looks who is in the workers' share, some requests of others may be
    answered a second later. It ends with 0 where nothing failed, else with 1.
    """
    start_logging("error", as_json=options.json)
    target, store = _target(options), _store(options.store)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        counts = runner.run(_examine(target, store, as_json=options.json))
    return ExitCode.FAILED if counts["FAIL"] else ExitCode.DONE


async def _examine(target: "Target", store: "StoreChecks", *, as_json: bool) -> Counter[str]:
    from ringline_broker.doctor.doctor import examine  # noqa: PLC0415 - slow, and needed here alone

    counts: Counter[str] = Counter()
    async with aclosing(examine(target, store)) as findings:
        async for finding in findings:
            counts[finding.verdict] += 1
            _print(finding, as_json=as_json)
    if as_json:
        out_json(event="examined", **{name.lower(): counts[name] for name in ("ok", "warn", "FAIL", "skipped")})
    else:
        out(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['FAIL']} failed, {counts['skipped']} skipped")
    return counts


def _print(finding: "Finding", *, as_json: bool) -> None:
    verdict, area, check = finding.verdict, finding.area, finding.check
    if as_json:
        out_json(
            event="check", area=area, check=check, verdict=verdict.lower(), found=finding.text, remedy=finding.remedy
        )
        return
    remedy = f". To do: {finding.remedy}" if finding.remedy else ""
    out(printable(f"{verdict:7} {area}, {check}: {finding.text}{remedy}"))


def _store(url: str) -> "StoreChecks":
    from ringline_broker.doctor.store import checks_of  # noqa: PLC0415 - as above

    try:
        return checks_of(url)
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, f"--store: {wrong}") from wrong


def _target(options: DoctorOptions) -> "Target":
    from ringline_broker.doctor.target import Account, Target  # noqa: PLC0415 - as above

    address = broker_of(options.broker)
    try:
        prefix = Settings(prefix=options.prefix).prefix
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, str(wrong)) from wrong
    share = share_of(options.share)
    if share and (fault := id_fault(share)) is not None:
        raise Failure(ExitCode.WRONG_USE, f"--share: the share's name {fault}")
    return Target(
        address.host, address.port, Account(address.user, password_at(address)), _tls(options, address, with_cert=True),
        _tls(options, address, with_cert=False), _users(options.user or []), share, Topics(prefix),
        is_loopback(address.host),
    )  # fmt: skip


def _tls(options: DoctorOptions, address: Address, *, with_cert: bool) -> ssl.SSLContext | None:
    """How to trust the broker; None for no TLS."""
    return tls_beside(options if with_cert else replace(options, cert=None, key_=None), address)


def _users(names: list[str]) -> "tuple[Account, ...]":
    from ringline_broker.doctor.target import Account  # noqa: PLC0415 - as above

    if names and len(set(names)) != _USERS:
        raise Failure(ExitCode.WRONG_USE, "--user: give two test users, --user NAME --user NAME, or none")
    for name in names:
        if (fault := id_fault(name)) is not None:
            raise Failure(ExitCode.WRONG_USE, f"--user: {printable(name)} {fault}")
    return tuple(Account(name, os.environ.get(f"RINGLINE_PASSWORD_{n}")) for n, name in enumerate(names, 1))
