"""The users of a Mosquitto of `ringline deploy mosquitto`, by commands to the running broker."""

import asyncio
import shlex
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ringline.connection import Address
from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.control import connected
from ringline_broker.bindings.mosquitto.roles import name_fault
from ringline_broker.bindings.mosquitto.users import Users
from ringline_broker.bindings.mqtt5.address import BrokerAddress
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused, TlsFailed
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.deployment.mosquitto import ADMIN, WORKER, Admin, BadDeployment, read_admin, start_words
from ringline_broker.service.clock import SystemClock
from ringline_broker.service.ports import BrokerUnavailable

T = TypeVar("T")


class InMosquitto:
    """Users in the broker of a folder.

    Args:
        folder: what `ringline deploy mosquitto` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fault(self, name: str) -> str | None:
        return "is an account of the deployment itself" if name in (ADMIN, WORKER) else name_fault(name)

    def add(self, name: str, password: str) -> bool:
        if "\0" in password:
            raise Failure(ExitCode.WRONG_USE, "a password must not contain a zero byte on Mosquitto")
        return self._do(lambda users: users.add(name, password))

    def remove(self, name: str) -> bool:
        return self._do(lambda users: users.remove(name))

    def names(self) -> list[str]:
        return self._do(lambda users: users.names())

    def _do(self, work: Callable[[Users], Awaitable[T]]) -> T:
        """Do it on a connection of its own; what goes wrong is said with what to do."""
        try:
            admin = read_admin(self._folder)
            return asyncio.run(_with(admin, work))
        except BadDeployment as bad:
            raise Failure(ExitCode.FAILED, str(bad)) from bad
        except BrokerUnreachable as gone:
            start = f"start it with: {shlex.join(start_words(self._folder))}"
            raise Failure(ExitCode.NO_BROKER, f"{gone}\n{start}") from gone
        except TlsFailed as failed:
            raise Failure(ExitCode.NO_BROKER, str(failed)) from failed
        except LoginRefused as refused:
            text = (
                f"the broker refuses {ADMIN}: it does not run with the configuration in {self._folder}, or with an "
                "older one; start it anew"
            )
            raise Failure(ExitCode.REFUSED, text) from refused
        except BrokerUnavailable as refused:
            raise Failure(ExitCode.FAILED, str(refused)) from refused


async def _with(admin: Admin, work: Callable[[Users], Awaitable[T]]) -> T:
    async with connected(_address(admin), SystemClock()) as control:
        return await work(Users(control, Topics(admin.prefix)))


def _address(admin: Admin) -> BrokerAddress:
    url = Address.parse(admin.url)
    try:
        tls = ssl.create_default_context(cafile=admin.cafile) if url.tls else None
    except OSError as bad:
        raise Failure(ExitCode.FAILED, f"cannot use the authority {admin.cafile}: {bad.strerror or bad}") from bad
    return BrokerAddress(url.host, url.port, ADMIN, admin.password.encode(), tls)
