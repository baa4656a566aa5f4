"""What every client command needs: who logs in and where, and a connection or a clear word why there is none."""

import getpass
import os
import queue
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from ringline.client import SignalingClient
from ringline.connection import LOST, Address
from ringline.errors import SignalingError
from ringline.events import Connected, Disconnected
from ringline.group_listener import GroupListener
from ringline.handles import RequestHandle
from ringline.listener import SignalingListener
from ringline.protocol.errors import NO_ANSWER, NOT_CONNECTED
from ringline.protocol.topics import DEFAULT_PREFIX
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.logs import start_logging
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.printing import printable

T = TypeVar("T")

DEFAULT_URL: Final = "mqtt://127.0.0.1:1883"
ANSWER_WITHIN_S: Final = 15.0
"""How long a one-shot command waits for the server's answer; the client repeats its request four times in that time."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Who logs in, and where.

    Attributes:
        url: The broker, mqtt[s]|ws[s]://user@host:port; where left out RINGLINE_URL, else mqtt://127.0.0.1:1883. The
            password comes from RINGLINE_PASSWORD, else you are asked.
        as_: Log in under this name without a password; for brokers on this machine.
        device: The name of this installation among the user's, random where left out.
        cafile: For mqtts and wss, a PEM file of authorities to trust instead of the system's.
        cert: For mqtts and wss, this device's certificate instead of a password, a PEM file; the user is the one it
            names, where neither the URL nor --as names one.
        key_: The private key of the certificate, a PEM file; where left out, it is in the same file.
        prefix: What the server's topics start with.
        json: JSON lines instead of text.
    """

    url: str = ""
    as_: str = ""
    device: str = ""
    cafile: Path | None = None
    cert: Path | None = None
    key_: Path | None = None
    prefix: str = DEFAULT_PREFIX
    json: bool = False


@dataclass(frozen=True, slots=True)
class OneShotOptions(ClientOptions):
    """The same for a command that ends by itself.

    Attributes:
        connect_timeout: Seconds after which no broker is reached.
    """

    connect_timeout: float = 5.0


class Forwarder(SignalingListener, GroupListener):
    """Hands every callback, of invitations and of groups, to one function, with its name less the `on_`."""

    def __init__(self, hear: Callable[[str, Any], None]) -> None:
        self._hear = hear
        for method in dir(self):
            if method.startswith("on_"):
                setattr(self, method, partial(self._forward, method.removeprefix("on_")))

    def _forward(self, name: str, event: Any) -> None:  # noqa: ANN401 - any event
        try:
            self._hear(name, event)
        except BrokenPipeError:
            # nobody reads the output any more: as good as Ctrl-C, and sent so that it wakes the main thread
            signal.pthread_kill(threading.main_thread().ident or threading.get_ident(), signal.SIGINT)


def new_client(options: ClientOptions, listener: Forwarder) -> SignalingClient:
    """A client, not yet connected.

    Raises:
        Failure: the options make no sense.
    """
    start_logging("warning", as_json=options.json)
    url = options.url or os.environ.get("RINGLINE_URL") or DEFAULT_URL
    try:
        address = Address.parse(url)
        user = _user(options, address)
        return SignalingClient(
            url, user=user, password=password_of(options, address, user), device=options.device or None,
            listener=listener, group_listener=listener, tls=tls_of(options, address), prefix=options.prefix,
        )  # fmt: skip
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, str(wrong)) from wrong


class TlsOptions(Protocol):
    """Options of a command that connects somewhere."""

    @property
    def cafile(self) -> Path | None: ...

    @property
    def cert(self) -> Path | None: ...

    @property
    def key_(self) -> Path | None: ...


def tls_of(
    options: TlsOptions, address: Address, secure: str = "--url mqtts://HOST:PORT, or wss"
) -> ssl.SSLContext | None:
    """What the options say of TLS; None for an address without.

    Args:
        options: of the command.
        address: what it connects to.
        secure: how the command is told of an address with TLS.

    Raises:
        Failure: a file is not what it should be, or is for nothing.
    """
    if options.key_ is not None and options.cert is None:
        raise Failure(ExitCode.WRONG_USE, "--key is the key of a certificate: give --cert too")
    if not address.tls:
        for flag, file in (("--cert", options.cert), ("--cafile", options.cafile)):
            if file is not None:
                raise Failure(ExitCode.WRONG_USE, f"{flag} is for connections over TLS: use {secure}")
        return None
    try:
        context = ssl.create_default_context(cafile=options.cafile)
    except OSError as bad:
        raise Failure(ExitCode.WRONG_USE, f"cannot use --cafile {options.cafile}: {bad.strerror or bad}") from bad
    if options.cert is not None:
        try:
            context.load_cert_chain(options.cert, options.key_, password="")  # no terminal is asked for one
        except OSError as bad:
            text = f"cannot use --cert {options.cert}, a certificate and its unencrypted key: {bad.strerror or bad}"
            raise Failure(ExitCode.WRONG_USE, text) from bad
    return context


def _user(options: ClientOptions, address: Address) -> str:
    if options.as_:
        if not is_loopback(address.host) or address.password is not None:
            text = "--as is for brokers on this machine, and URLs without a password; use --url mqtt://USER@HOST:PORT"
            raise Failure(ExitCode.WRONG_USE, text)
        return options.as_
    if address.user is not None:
        return address.user
    if options.cert is not None:
        return _certified(options.cert)
    text = "say who logs in: --as NAME on this machine, else --url mqtt://NAME@HOST:PORT or RINGLINE_URL"
    raise Failure(ExitCode.WRONG_USE, text)


def _certified(file: Path) -> str:
    from ringline_broker.certificates import BadCertificate, user_of  # noqa: PLC0415 - slow, and needed here alone

    try:
        return user_of(file)
    except BadCertificate as bad:
        raise Failure(ExitCode.WRONG_USE, f"--cert: {bad}") from bad


def password_of(options: ClientOptions, address: Address, user: str) -> str | None:
    """The password: from the URL, from the environment, or from whoever sits at the terminal; None for none, as with a
    certificate.
    """
    if address.password is not None or options.cert is not None:
        return address.password
    if (known := os.environ.get("RINGLINE_PASSWORD")) is not None:
        return known
    if options.as_ or not sys.stdin.isatty():
        return None
    return getpass.getpass(f"Password of {printable(user)}: ")


@contextmanager
def connected(options: OneShotOptions, hear: Callable[[str, Any], None] | None = None) -> Generator[SignalingClient]:
    """A client that is connected and up to date; closed at the end.

    Args:
        options: who and where.
        hear: told of every callback, on the client's own thread.

    Raises:
        Failure: the login is refused, or no broker answers in time.
    """
    life: queue.SimpleQueue[Connected | Disconnected] = queue.SimpleQueue()

    def listen(name: str, event: Any) -> None:  # noqa: ANN401 - any event
        if isinstance(event, Connected | Disconnected):
            life.put(event)
        if hear is not None:
            hear(name, event)

    client = new_client(options, Forwarder(listen))
    client.connect()
    # a client that fails here ends with the process: to close it could mean to wait for its attempt to connect
    _wait_connected(life, client.user, options.connect_timeout)
    try:
        yield client
    finally:
        client.close()


def _wait_connected(life: "queue.SimpleQueue[Connected | Disconnected]", user: str, timeout: float) -> None:
    reason = "it does not answer"
    deadline = time.monotonic() + timeout
    while True:
        try:
            event = life.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Failure(ExitCode.NO_BROKER, no_broker(reason)) from None
        if isinstance(event, Connected):
            return
        if is_refused(event):
            raise Failure(ExitCode.REFUSED, refused(user, event))
        reason = event.reason


def is_refused(event: Disconnected) -> bool:
    """Whether a broker answered, and does not want this user."""
    return event.reason.startswith("the broker refused")


def refused(user: str, event: Disconnected) -> str:
    """What to do about a refusal."""
    user = printable(user)
    where = f"RINGLINE_PASSWORD, or is asked for with --url mqtt://{user}@HOST:PORT"
    return f"{printable(event.reason)}\nThe user is {user}; the password comes from {where}"


def no_broker(reason: str) -> str:
    """What to do where no broker is reached, or one that hangs up before it says why."""
    todo = "Start one with `ringline serve`, or say with --url where it is"
    if reason.startswith(LOST):
        todo = "Over TLS it may want another certificate, or one at all: see --cert, and `ringline cert list`"
    return f"no broker: {printable(reason)}\n{todo}"


def asked(options: OneShotOptions, request: Callable[[SignalingClient], RequestHandle[T]]) -> T:
    """Connect, and ask one thing.

    Args:
        options: who and where.
        request: makes the request.

    Returns:
        The answer.

    Raises:
        Failure: there is none, or a refusal.
    """
    with connected(options) as client:
        with checked():
            handle = request(client)
        return settled(handle)


def settled(handle: RequestHandle[T]) -> T:
    """The answer to a request.

    Raises:
        Failure: it was refused, or none came in time.
    """
    try:
        return handle.result(ANSWER_WITHIN_S)
    except SignalingError as error:
        if error.name in (NO_ANSWER.name, NOT_CONNECTED.name):
            raise Failure(ExitCode.NO_BROKER, f"the server did not answer: {error.text}") from error
        who = "\nusers: " + printable(", ".join(error.who)) if error.who else ""
        raise Failure(ExitCode.REFUSED, f"refused: {printable(str(error))}{who}") from error


@contextmanager
def checked() -> Generator[None]:
    """Arguments that the client refuses are wrong use of the command.

    Raises:
        Failure: one is.
    """
    try:
        yield
    except (TypeError, ValueError) as wrong:
        raise Failure(ExitCode.WRONG_USE, printable(str(wrong))) from wrong
