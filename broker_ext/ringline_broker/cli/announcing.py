"""What `ringline serve` says when it is ready."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ringline import __version__
from ringline.protocol.topics import DEFAULT_PREFIX
from ringline_broker.bindings.amqtt.users import UsersFile
from ringline_broker.cli.config import PLAIN, ServeOptions
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.monitored import shown_at
from ringline_broker.cli.pasting import command, quoted
from ringline_broker.cli.printing import out, out_json
from ringline_broker.cli.reaching import authority_of, certified_host, from_here, url_of
from ringline_broker.settings import Settings

_SCHEMES = {"port": "mqtt", "tls_port": "mqtts", "ws_port": "ws", "wss_port": "wss"}


@dataclass(frozen=True, slots=True)
class _Login:
    """One who may log in, and the file that says so, where it is a certificate's."""

    user: str
    file: Path | None = None


def announce(options: ServeOptions, settings: Settings, ports: dict[str, int], http: str | None) -> None:
    """Say that the server is ready.

    Args:
        options: what it was started with.
        settings: likewise.
        ports: the port that each option opened.
        http: where metrics and health are shown, if they are.
    """
    urls = [url_of(_SCHEMES[name], options.host, port) for name, port in ports.items()]
    if options.json:
        out_json(event="listening", pid=os.getpid(), urls=urls, ports=ports, http=http)
        return
    logins = _logins(options)
    out(f"ringline {__version__} listens on {', '.join(urls)}")
    for line in _who(options, logins):
        out(line)
    out("invitations are kept in memory only" if options.memory else f"invitations are kept in {options.data}")
    if http is not None:
        out(shown_at(http))
    if len(logins) > 1:
        out("try it in two other terminals:")
        callee, caller = logins[:2]
        for login, what, rest in (
            (callee, ["listen"], "--answer accept"),
            (caller, ["invite", shlex.quote(callee.user)], "--wait"),
        ):
            out("  " + " ".join((command(), *what, *_words(login, options, settings, ports), rest)))
    out("Ctrl-C ends it")


def _logins(options: ServeOptions) -> list[_Login]:
    """Those of whom it is known that they may log in; with neither users nor certificates, two of all names."""
    if options.users is not None:
        return [_Login(user) for user in sorted(UsersFile(options.users).read())]
    if options.logins:
        return []  # the broker knows, and is not asked
    if options.client_ca is None:
        return [_Login("bob"), _Login("alice")]
    from ringline_broker.certificates import user_of  # noqa: PLC0415 - slow, and needed here alone

    files = sorted((options.client_ca.parent / "devices").glob("*.pem"))  # as `ringline cert` leaves them
    return [_Login(user_of(file), file) for file in files]


def _who(options: ServeOptions, logins: list[_Login]) -> list[str]:
    lines: list[str] = []
    if options.users is not None:
        name = quoted(options.users)
        many = f"{len(logins)} user{'s' * (len(logins) != 1)} of {options.users} may log in"
        lines.append(many if logins else f"nobody may log in yet: {command()} user add NAME --users {name}")
    if options.client_ca is not None:
        folder = quoted(options.client_ca.parent)
        lines.append(f"devices with a certificate of {options.client_ca} may log in, as the user it names")
        if options.users is None and len(logins) <= 1:
            lines.append(f"make one with: {command()} cert device NAME --dir {folder}")
    if options.logins:
        folder = quoted(options.data / "mosquitto")
        lines.append(f"who may log in is said with: {command()} user add NAME --mosquitto {folder}")
    if options.broker == "mosquitto":
        return lines or ["any name may log in, without a password: give --logins to change that"]
    return lines or ["any name may log in, without a password: give --users FILE to change that"]


def _words(login: _Login, options: ServeOptions, settings: Settings, ports: dict[str, int]) -> list[str]:
    """The options that log a user in; no more of them than are needed."""
    name = "port" if "port" in ports else next(name for name in ports if name not in PLAIN)
    host = from_here(options.host) if name in PLAIN else certified_host(options.tls_cert, options.host)
    url = url_of(_SCHEMES[name], host, ports[name])
    words: list[str] = []
    if login.file is None and options.users is None and is_loopback(host):
        words += ["--as", shlex.quote(login.user)]
        words += ["--url", url] * (url != "mqtt://127.0.0.1:1883")
    else:
        scheme, _, place = url.partition("://")
        who = f"{quote(login.user, safe='')}@" * (login.file is None)
        words += ["--url", shlex.quote(f"{scheme}://{who}{place}")]
    if name not in PLAIN and options.tls_cert is not None and (authority := authority_of(options.tls_cert)) is not None:
        words += ["--cafile", quoted(authority)]
    if login.file is not None:
        words += ["--cert", quoted(login.file)]
    if settings.prefix != DEFAULT_PREFIX:
        words += ["--prefix", shlex.quote(settings.prefix)]
    return words
