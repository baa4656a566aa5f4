"""What `ringline serve` says when it is ready."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from ringline import __version__
from ringline.protocol.topics import DEFAULT_PREFIX
from ringline_broker.bindings.amqtt.users import UsersFile
from ringline_broker.cli.config import ServeOptions
from ringline_broker.cli.printing import out, out_json
from ringline_broker.settings import Settings

_SCHEMES = {"port": "mqtt", "tls_port": "mqtts", "ws_port": "ws", "wss_port": "wss"}


def announce(options: ServeOptions, settings: Settings, ports: dict[str, int]) -> None:
    """Say that the server is ready.

    Args:
        options: what it was started with.
        settings: likewise.
        ports: the port that each option opened.
    """
    urls = {name: _url(_SCHEMES[name], options.host, port) for name, port in ports.items()}
    if options.json:
        out_json(event="listening", pid=os.getpid(), urls=list(urls.values()), ports=ports)
        return
    users = None if options.users is None else sorted(UsersFile(options.users).read())
    out(f"ringline {__version__} listens on {', '.join(urls.values())}")
    out(_who(options.users, users))
    out("invitations are kept in memory only" if options.memory else f"invitations are kept in {options.data}")
    if users is None or len(users) > 1:
        out("try it in two other terminals:")
        callee, caller = ("bob", "alice") if users is None else users[:2]
        for name, rest in ((callee, "--answer accept"), (caller, "--wait")):
            words = [command(), *(["listen"] if name == callee else ["invite", callee])]
            out("  " + " ".join((*words, *_login(name, urls["port"], options, settings), rest)))
    out("Ctrl-C ends it")


def command() -> str:
    """What this command was started as, so that it can be pasted into another terminal in the same folder."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_shown(Path(sys.executable))} -m ringline"
    if shutil.which(started.name) == str(started.absolute()):
        return started.name
    return _shown(started)


def _shown(program: Path) -> str:
    here = Path.cwd()
    absolute = program.absolute()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))


def _url(scheme: str, host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}"


def _who(file: Path | None, users: list[str] | None) -> str:
    if file is None:
        return "any name may log in, without a password: give --users FILE to change that"
    if not users:
        return f"nobody may log in yet: {command()} user add NAME --users {shlex.quote(str(file))}"
    return f"{len(users)} user{'s' * (len(users) != 1)} of {file} may log in"


def _login(name: str, url: str, options: ServeOptions, settings: Settings) -> list[str]:
    """The options that log a user in; no more of them than are needed."""
    words: list[str] = []
    if options.users is not None:
        scheme, _, place = url.partition("://")
        words += ["--url", shlex.quote(f"{scheme}://{quote(name, safe='')}@{place}")]
    else:
        words += ["--as", shlex.quote(name)]
        if url != "mqtt://127.0.0.1:1883":
            words += ["--url", url]
    if settings.prefix != DEFAULT_PREFIX:
        words += ["--prefix", shlex.quote(settings.prefix)]
    return words
