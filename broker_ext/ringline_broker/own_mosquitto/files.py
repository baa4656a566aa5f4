"""The configuration of a private Mosquitto. Users and their secrets stay, all else is written at each start."""

import os
import pwd
import secrets
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

from ringline.protocol.topics import Topics
from ringline_broker.deployment.mosquitto import (
    SECURITY,
    WORKER,
    BadDeployment,
    Site,
    config_file,
    find_plugin,
    read_admin,
    read_worker,
    write,
    write_admin,
    write_secret,
)
from ringline_broker.deployment.mosquitto_texts import CONFIG, DYNAMIC_SECURITY, PLAIN_LISTENER, TLS_LISTENER
from ringline_broker.own_mosquitto.certificate import Certificate, copy_of, keep
from ringline_broker.stores.lock import FileLock

_LOOPBACK: Final = "127.0.0.1"
_ANYBODY: Final = Template("""\
# Anybody on this machine may log in, as anybody; a name has its own topics.
allow_anonymous true
acl_file $acl""")
_ACL: Final = Template("""\
pattern write $requests
pattern read $events
pattern read $answers

user $worker
topic read $$share/#
topic read $all_requests
topic write $all_events
topic write $all_answers
topic readwrite $probes
""")


class Logins(Enum):
    """Who may log in: anybody under any name, or the users that `ringline user` adds."""

    ANYBODY = "anybody"
    USERS = "users"


@dataclass(frozen=True, slots=True)
class Listens:
    """One listener for clients.

    Attributes:
        host: its address.
        port: its port.
        is_encrypted: whether it is for TLS.
    """

    host: str
    port: int
    is_encrypted: bool = False


class Wanted(NamedTuple):
    """What the configuration is for.

    Attributes:
        folder: where it is written to.
        listeners: for clients.
        own_port: for the worker, on loopback.
        logins: who may log in.
        prefix: what all topics start with.
        max_devices: connections each listener takes.
        certificate: of the listeners that are encrypted.
    """

    folder: Path
    listeners: tuple[Listens, ...]
    own_port: int
    logins: Logins
    prefix: str
    max_devices: int
    certificate: Certificate | None


class Login(NamedTuple):
    """How the worker logs in, and what the broker is started with."""

    config: Path
    user: str
    password: str
    share: str


def hold(folder: Path) -> FileLock:
    """Keep every other server from the folder, made where missing: its broker would start again with their files.

    Raises:
        StoreInUse: one has it; the message names it.
        StoreUnavailable: it cannot be locked.
        BadDeployment: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as failed:
        raise BadDeployment(f"cannot make {folder}: {failed.strerror}") from failed
    return FileLock(folder)


def prepare(wanted: Wanted) -> Login:
    """Write the configuration, into a folder that is held; the users of an earlier start stay.

    Raises:
        BadDeployment: a file cannot be written or read, or the dynamic-security plugin is missing.
        CannotListen: there is no certificate where there should be one, or not its key.
    """
    folder = wanted.folder.absolute()
    try:
        if wanted.certificate is not None:
            keep(wanted.certificate, folder)
        if wanted.logins is Logins.USERS:
            login, access = _with_users(wanted, folder)
        else:
            login, access = _with_anybody(wanted, folder)
        login.config.write_text(_config(wanted, access))
    except OSError as failed:
        raise BadDeployment(f"cannot write {failed.filename or folder}: {failed.strerror}") from failed
    return login


def _with_users(wanted: Wanted, folder: Path) -> tuple[Login, str]:
    plugin = find_plugin()
    if plugin is None:
        raise BadDeployment("--logins needs mosquitto_dynamic_security.so, which comes with Mosquitto 2: install it")
    url = f"mqtt://{_LOOPBACK}:{wanted.own_port}"
    if not (folder / SECURITY).exists():
        site = Site(folder, _LOOPBACK, wanted.own_port, url, plugin, prefix=wanted.prefix, account=_account())
        serve = "ringline serve --broker mosquitto --logins"
        write(site, (serve, f"{serve} (it is its own worker)", "ringline user add NAME --mosquitto DIR"), force=True)
    admin = read_admin(folder)
    if admin.prefix != wanted.prefix:
        raise BadDeployment(f"the users in {folder} are of --prefix {admin.prefix}: give that, or another --data")
    write_admin(folder, replace(admin, url=url, cafile=None))
    share, password = read_worker(folder)
    access = DYNAMIC_SECURITY.substitute(plugin=plugin, security=folder / SECURITY)
    return Login(config_file(folder), WORKER, password, share), access


def _with_anybody(wanted: Wanted, folder: Path) -> tuple[Login, str]:
    """Who may log in as anybody must not be the worker: its name and share are new at each start."""
    topics, worker, share = Topics(wanted.prefix), f"{WORKER}-{secrets.token_hex(16)}", secrets.token_hex(16)
    acl = folder / "acl"
    write_secret(acl, _ACL.substitute(
        requests=topics.requests("%u"), events=topics.events("%u"), answers=topics.answers("%u", "+"), worker=worker,
        all_requests=topics.requests("+"), all_events=topics.events("+"), all_answers=topics.answers("+", "+"),
        probes=f"{wanted.prefix}/probe/+",
    ))  # fmt: skip
    return Login(config_file(folder), worker, "", share), _ANYBODY.substitute(acl=acl)


def _config(wanted: Wanted, access: str) -> str:
    copy = copy_of(wanted.folder)
    listeners = [_listener(one, copy, wanted.max_devices) for one in wanted.listeners]
    listeners.append(PLAIN_LISTENER.substitute(host=_LOOPBACK, port=wanted.own_port))
    return CONFIG.substitute(access=access, user=_account(), listener="\n\n".join(listeners))


def _listener(one: Listens, copy: Path, max_devices: int) -> str:
    template = TLS_LISTENER if one.is_encrypted else PLAIN_LISTENER
    text = template.substitute(host=one.host, port=one.port, certfile=copy, keyfile=copy)
    return f"{text}\nmax_connections {max_devices}"


def _account() -> str:
    """Whom the broker runs as: as we do, who may read the certificates and own the folder."""
    return pwd.getpwuid(os.geteuid()).pw_name
