"""What a store's URL says."""

import ssl
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus

_PORTS: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}
_NUMBERS: Final = {"shards": (1, 1, 1_024), "wait": (0, 0, 16), "wait_ms": (500, 1, 60_000)} | {
    "timeout_ms": (1_000, 50, 60_000)
}
"""Options that are numbers: what they are when nothing is said, and from where to where they go."""
_TEXTS: Final = (
    "prefix", "sentinel_username", "sentinel_password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile",
    "ssl_check_hostname",
)  # fmt: skip


_NOT_ENCODED: Final = "in the store's URL a password has %2F for /, and %3F for ?; what follows the host has %40 for @"
_SHOWN: Final = frozenset({*_NUMBERS, *_TEXTS} - {"sentinel_password"})


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Login(NamedTuple):
    """A name and a password; a password without a name is the default user's."""

    username: str = ""
    password: str = ""

    def command(self) -> tuple[str, ...] | None:
        """How to log in, or None where there is no need."""
        if not self.password:
            return None
        return ("AUTH", self.username, self.password) if self.username else ("AUTH", self.password)


@dataclass(frozen=True, slots=True)
class Options:
    """How a redis store is reached, and what it promises.

    Attributes:
        kind: empty for one server, else `sentinel` or `cluster`.
        addresses: of the server, the sentinels, or some nodes of the cluster.
        service: what the sentinels call the server.
        db: number of the database.
        login: to the servers that have the data.
        sentinel_login: to the sentinels.
        tls: how connections are encrypted, or None.
        shards: how many slots the data is spread over.
        wait: how many replicas must have what is answered.
        wait_ms: how long they may take.
        timeout_ms: how long a server may take to connect to, or to answer.
        prefix: what all keys begin with.
    """

    kind: str
    addresses: tuple[Address, ...]
    service: str = ""
    db: int = 0
    login: Login = field(default=Login(), repr=False)
    sentinel_login: Login = field(default=Login(), repr=False)
    tls: ssl.SSLContext | None = None
    shards: int = 1
    wait: int = 0
    wait_ms: int = 500
    timeout_ms: int = 1_000
    prefix: str = "ringline"


def is_redis(url: str) -> bool:
    """Whether this is the URL of a redis store."""
    return url.partition("://")[0] in _SCHEMES


def without_passwords(url: str) -> str:
    """A URL as it may be shown: without who logs in, and with those options alone that are known and no password."""
    scheme, separator, rest = url.partition("://")
    place, _, query = rest.partition("?")
    options = [one for one in query.split("&") if unquote_plus(one.partition("=")[0]) in _SHOWN]
    return f"{scheme}{separator}{place.rpartition('@')[2]}{'?' * bool(options)}{'&'.join(options)}"


_SCHEMES: Final = {f"redis{s}{kind and '+' + kind}": (kind, bool(s)) for kind in _PORTS for s in ("", "s")}


def parse(url: str) -> Options:
    """Read a URL; `open_store` says what it may be.

    Raises:
        ValueError: it is none, or has an option that there is not; the message has no password in it.
    """
    scheme, _, rest = url.partition("://")
    kind, encrypted = _SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, _, hosts = authority.rpartition("@")
    if "@" in path:
        raise ValueError(_NOT_ENCODED)
    texts = _texts(query)
    numbers = {name: _number(name, texts.get(name)) for name in _NUMBERS}
    service, db = path.partition("/")[::2] if kind == "sentinel" else ("", path)
    if kind == "sentinel" and not service:
        raise ValueError("the store's URL must name the service: redis+sentinel://HOST,HOST/SERVICE")
    if kind == "cluster" and db not in ("", "0"):
        raise ValueError("a cluster has database 0 only")
    if db and not db.isdecimal():
        raise ValueError(f"the database must be a number, not {db!r}")
    return Options(
        kind=kind,
        addresses=tuple(_address(host, _PORTS[kind]) for host in hosts.split(",")),
        service=unquote(service),
        db=int(db or 0),
        login=_login(user),
        sentinel_login=Login(texts.get("sentinel_username", ""), texts.get("sentinel_password", "")),
        tls=_tls(texts) if encrypted else None,
        prefix=texts.get("prefix", "ringline"),
        **numbers,
    )


def _texts(query: str) -> dict[str, str]:
    texts = dict(parse_qsl(query, keep_blank_values=True))
    for name in texts:
        if "@" in name:
            raise ValueError(_NOT_ENCODED)
        if name not in _TEXTS and name not in _NUMBERS:
            raise ValueError(f"no such option of a redis store: {name!r}; there are {', '.join([*_NUMBERS, *_TEXTS])}")
    if not texts.get("prefix", "x") or set("{}") & set(texts.get("prefix", "")):
        raise ValueError("prefix must not be empty, nor have { or } in it")
    return texts


def _number(name: str, text: str | None) -> int:
    default, least, most = _NUMBERS[name]
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name} must be a number from {least} to {most}, not {text!r}")
    return int(text)


def _address(text: str, default_port: int) -> Address:
    host, bracket, port = text.partition("]")
    if bracket:
        host, port = host.removeprefix("["), port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host or (port and not port.isdecimal()):
        raise ValueError(f"the store's URL has no host and port where it says {text!r}")
    return Address(host, int(port or default_port))


def _login(text: str) -> Login:
    username, colon, password = text.partition(":")
    if text and not colon:
        raise ValueError("the store's URL must have a colon before the password: redis://:PASSWORD@HOST")
    return Login(unquote(username), unquote(password))


def _tls(texts: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=texts.get("ssl_ca_certs"))
        if "ssl_certfile" in texts:
            context.load_cert_chain(texts["ssl_certfile"], texts.get("ssl_keyfile"))
    except OSError as bad:
        raise ValueError(f"a certificate of the store's URL cannot be read: {bad}") from bad
    context.check_hostname = texts.get("ssl_check_hostname", "true").lower() not in ("false", "no", "0")
    return context
