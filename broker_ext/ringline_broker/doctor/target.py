"""The deployment that is looked at."""

import ssl
from dataclasses import dataclass, field

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mqtt5.address import BrokerAddress


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in.

    Attributes:
        name: the user; None for nobody.
        password: its password, if it needs one.
    """

    name: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """A broker, and who may log in there.

    Attributes:
        host, port: where it is.
        worker: the worker's account.
        tls: how the worker trusts the broker, with its certificate where it has one; None for no TLS.
        user_tls: the same without a certificate, as users come.
        users: two test users, or none.
        share: the name of the workers' share; empty where it was not given.
        topics: the prefix.
        is_local: whether the broker is on this machine.
    """

    host: str
    port: int
    worker: Account = field(default_factory=Account)
    tls: ssl.SSLContext | None = None
    user_tls: ssl.SSLContext | None = None
    users: tuple[Account, ...] = ()
    share: str = field(default="", repr=False)
    topics: Topics = field(default_factory=Topics)
    is_local: bool = True

    @property
    def address(self) -> BrokerAddress:
        """As the worker's connection takes it."""
        password = None if self.worker.password is None else self.worker.password.encode()
        return BrokerAddress(self.host, self.port, self.worker.name, password, self.tls)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
