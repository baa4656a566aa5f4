"""Writes the configuration of a Mosquitto with dynamic security, and reads what manages its users."""

import base64
import contextlib
import grp
import hashlib
import json
import os
import pwd
import secrets
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ringline.protocol.errors import RinglineError
from ringline.protocol.topics import DEFAULT_PREFIX, Topics
from ringline_broker.bindings.mosquitto.roles import DENIED, Role, Roles
from ringline_broker.deployment.mosquitto_texts import (
    CONFIG,
    DYNAMIC_SECURITY,
    PLAIN_LISTENER,
    README,
    TLS_LISTENER,
    WORKER_ENV,
)

WORKER: Final = "ringline-worker"
"""The account of the workers."""
ADMIN: Final = "ringline-admin"
"""The account that manages users."""

_CONFIG: Final = "mosquitto.conf"
SECURITY: Final = Path("broker") / "dynamic-security.json"
_WORKER_ENV: Final = "worker.env"
_ADMIN: Final = "admin.json"
_README: Final = "README.md"
_PLUGIN: Final = "mosquitto_dynamic_security.so"
_PLUGIN_PLACES: Final = ("/usr/lib/*", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
_PROGRAM_PLACES: Final = ":/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
_ROUNDS: Final = 101
"""As the plugin of 2.0 itself. More would change nothing: these passwords are 256 random bits."""


class BadDeployment(RinglineError):
    """A configuration that cannot be written or read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a configuration is for.

    Attributes:
        folder: where it is written to.
        host: the address to listen on.
        port: the port.
        url: how clients on this machine reach it, without a user.
        certfile, keyfile: for TLS; both or none.
        cafile: the authority that clients trust, where it is not the system's.
        prefix: what all topics start with.
        plugin: the plugin's library.
        group_topics: whether groups get topics, which the worker opens and closes.
        account: whom the system knows as the broker, where root starts it.
    """

    folder: Path
    host: str
    port: int
    url: str
    plugin: Path
    certfile: Path | None = None
    keyfile: Path | None = None
    cafile: Path | None = None
    prefix: str = DEFAULT_PREFIX
    group_topics: bool = False
    account: str = "mosquitto"


@dataclass(frozen=True, slots=True)
class Admin:
    """How the users of a deployment are managed.

    Attributes:
        url: how the broker is reached from this machine.
        password: of the account ADMIN.
        cafile: the authority to trust, where it is not the system's.
        prefix: what all topics start with.
    """

    url: str
    password: str = field(repr=False)
    cafile: Path | None
    prefix: str


def prefix_fault(prefix: str) -> str | None:
    """Why a prefix cannot be had here, though it is a topic."""
    return "must not contain %, which stands for something to Mosquitto" if "%" in prefix else None


def find_program() -> Path | None:
    """Mosquitto itself, on PATH or where packages leave it."""
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + _PROGRAM_PLACES)
    return None if found is None else Path(found)


def find_plugin() -> Path | None:
    """The dynamic-security plugin, where Mosquitto's packages leave it."""
    found = (file for place in _PLUGIN_PLACES for file in sorted(Path("/").glob(f"{place[1:]}/{_PLUGIN}")))
    return next(found, None)


def config_file(folder: Path) -> Path:
    """What the broker is started with."""
    return folder.absolute() / _CONFIG


def start_words(folder: Path) -> tuple[str, ...]:
    """The command that starts the broker; by its path, since an ordinary user's PATH may not have it."""
    return str(find_program() or "mosquitto"), "-c", str(config_file(folder))


def worker_env(folder: Path) -> Path:
    """What workers are started with."""
    return folder / _WORKER_ENV


def write(site: Site, commands: Sequence[str], *, force: bool) -> None:
    """Write the configuration.

    Args:
        site: what it is for.
        commands: for its README, what starts the broker, starts a worker and adds a user.
        force: whether to write over one there is. Its users go with it; they stay in dynamic-security.json.old.

    Raises:
        BadDeployment: there is one, or it cannot be written.
    """
    folder = site.folder.absolute()
    try:
        owner = _owner(site.account)
        _check_access(site, owner)
        _check_free(folder, force=force)
        folder.mkdir(parents=True, exist_ok=True)
        security = folder / SECURITY
        _make_broker_folder(security.parent, owner)
        share, worker, admin = (secrets.token_hex(32) for _ in range(3))
        accounts = _accounts(site, share, worker, admin)
        if security.exists():
            security.replace(security.with_suffix(".json.old"))
        write_secret(security, json.dumps(accounts, indent=1), owner)
        write_secret(folder / _WORKER_ENV, WORKER_ENV.substitute(share=share, password=worker))
        write_admin(folder, Admin(site.url, admin, site.cafile, site.prefix))
        (folder / _CONFIG).write_text(_config(site, security))
        broker, start_worker, user = commands
        readme = README.substitute(broker=broker, worker=start_worker, user=user, account=site.account)
        (folder / _README).write_text(readme)
    except OSError as failed:
        raise BadDeployment(f"cannot write {failed.filename or folder}: {failed.strerror}") from failed


def read_admin(folder: Path) -> Admin:
    """How the users of a deployment are managed.

    Raises:
        BadDeployment: the folder has none, or it cannot be read.
    """
    file = folder / _ADMIN
    try:
        known = json.loads(file.read_text())
        cafile = known["cafile"]
        return Admin(known["url"], known["password"], None if cafile is None else Path(cafile), known["prefix"])
    except FileNotFoundError:
        text = f"{folder} has no {_ADMIN}: give the folder that `ringline deploy mosquitto` wrote to"
        raise BadDeployment(text) from None
    except (OSError, ValueError, KeyError, TypeError) as failed:
        why = failed.strerror if isinstance(failed, OSError) else "it is not as it was written"
        raise BadDeployment(f"cannot read {file}: {why}") from failed


def read_worker(folder: Path) -> tuple[str, str]:
    """The share's name, and the password of the account WORKER.

    Raises:
        BadDeployment: the file that says them is not as it was written.
        OSError: it cannot be read.
    """
    file = worker_env(folder)
    known = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    try:
        return known["RINGLINE_SHARE"], known["RINGLINE_PASSWORD"]
    except KeyError as missing:
        raise BadDeployment(f"{file} does not say {missing.args[0]}: it is not as it was written") from missing


def write_admin(folder: Path, admin: Admin) -> None:
    """Keep how users are managed. Raises OSError."""
    known = {"url": admin.url, "password": admin.password, "prefix": admin.prefix,
             "cafile": None if admin.cafile is None else str(admin.cafile.absolute())}  # fmt: skip
    write_secret(folder / _ADMIN, json.dumps(known, indent=1) + "\n")


def _check_free(folder: Path, *, force: bool) -> None:
    there = [name for name in (_CONFIG, str(SECURITY), _WORKER_ENV, _ADMIN) if (folder / name).exists()]
    if there and not force:
        raise BadDeployment(
            f"{folder} has {there[0]} already: choose another folder, or --force to write it anew, with new passwords "
            "and without the users it has"
        )


def _owner(account: str) -> tuple[int, int] | None:
    """Whose the broker's own folder has to be; None where the broker runs as whoever writes it."""
    if os.geteuid() != 0:
        return None
    try:
        known = pwd.getpwnam(account)
    except KeyError:
        text = f"the system has no user {account}: install Mosquitto first, or name another with --user"
        raise BadDeployment(text) from None
    return known.pw_uid, known.pw_gid


def _make_broker_folder(folder: Path, owner: tuple[int, int] | None) -> None:
    """Make the folder that the broker writes to; nobody else may look into it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if owner is not None:
        os.chown(folder, *owner)


def _check_access(site: Site, owner: tuple[int, int] | None) -> None:
    """See that the broker will reach its folder and be able to read its certificate.

    Raises:
        BadDeployment: it will not; the message names the folder or the file.
    """
    if owner is None or owner[0] == 0:
        return
    who = f"user {site.account}, as whom the broker runs,"
    if (closed := _closed(site.folder / "any", owner)) is not None:
        raise BadDeployment(f"{who} may not enter {closed}: choose another folder")
    for what, file in (("certificate", site.certfile), ("key", site.keyfile)):
        if file is None:
            continue
        if (closed := _closed(file, owner)) is not None:
            group, folder = _group(owner[1]), shlex.quote(str(closed))
            text = f"{who} may not enter {closed}, where its {what} is: chgrp {group} {folder} && chmod g+x {folder}"
            raise BadDeployment(text)
        if not _may(file, owner, 0o4):
            raise BadDeployment(f"{who} may not read {file}: chown {site.account} {shlex.quote(str(file.absolute()))}")


def _closed(file: Path, owner: tuple[int, int]) -> Path | None:
    """The first folder on the way to a file that this owner may not enter."""
    folders = reversed(file.absolute().parents)
    return next((folder for folder in folders if folder.exists() and not _may(folder, owner, 0o1)), None)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _may(path: Path, owner: tuple[int, int], bit: int) -> bool:
    stat = path.stat()
    shift = 6 if stat.st_uid == owner[0] else 3 if stat.st_gid == owner[1] else 0
    return bool(stat.st_mode >> shift & bit)


def _accounts(site: Site, share: str, worker: str, admin: str) -> dict[str, Any]:
    """The plugin's file: the two accounts, their roles, and that nothing else is allowed."""
    roles = Roles(Topics(site.prefix))
    works = roles.worker(share, has_group_topics=site.group_topics)
    clients = [
        _account(WORKER, worker, [works, roles.control()] if site.group_topics else [works]),
        _account(ADMIN, admin, [roles.control()]),
    ]
    all_roles = [role.as_json() for role in (works, roles.control(), roles.everyone())]
    return {"defaultACLAccess": DENIED, "clients": clients, "groups": [], "roles": all_roles}


def _account(name: str, password: str, roles: Sequence[Role]) -> dict[str, Any]:
    salt = secrets.token_bytes(12)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return {
        "username": name, "roles": [{"rolename": role.name} for role in roles], "iterations": _ROUNDS,
        "salt": base64.b64encode(salt).decode(), "password": base64.b64encode(hashed).decode(),
    }  # fmt: skip


def _config(site: Site, security: Path) -> str:
    template = PLAIN_LISTENER if site.certfile is None else TLS_LISTENER
    certfile, keyfile = ("" if file is None else file.absolute() for file in (site.certfile, site.keyfile))
    listener = template.substitute(port=site.port, host=site.host, certfile=certfile, keyfile=keyfile)
    access = DYNAMIC_SECURITY.substitute(plugin=site.plugin.absolute(), security=security)
    return CONFIG.substitute(access=access, user=site.account, listener=listener)


def write_secret(file: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Replace a file in one step; its owner alone may read it."""
    new = file.with_name(f"{file.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    if owner is not None:
        os.chown(new, *owner)
    new.replace(file)
