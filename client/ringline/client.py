"""The client: a thin shell around the core, with a thread for the network and one for callbacks."""

import secrets
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Self

from ringline.arguments import checked_id, checked_int, checked_prefix, checked_str
from ringline.blocklist import Blocklist
from ringline.calling import Caller
from ringline.connection import Address, Network
from ringline.core.callbacks import Callback
from ringline.core.core import Core, Counts
from ringline.errors import SignalingError
from ringline.events import Disconnected
from ringline.group_listener import GroupListener
from ringline.groups import Groups
from ringline.handles import RequestHandle
from ringline.invitations import Invitations
from ringline.listener import SignalingListener
from ringline.protocol.errors import CLOSED
from ringline.protocol.limits import MAX_INT, MAX_REQUEST_BYTES
from ringline.protocol.requests import encode_request
from ringline.protocol.shapes import Request
from ringline.protocol.topics import DEFAULT_PREFIX, Topics


class SignalingClient(Invitations):
    """One device of one user.

    Args:
        url: `mqtt[s]|ws[s]://[user[:password]@]host[:port]`.
        user: who logs in; may be in the URL instead.
        password: may be in the URL instead.
        device: this installation's name, random where left out. Make it once and keep it: answers given before a
            restart are then known as this device's.
        listener: heard from the start; more can be added.
        group_listener: likewise, of groups; may be the same object.
        tls: for mqtts and wss, a TLS context; the system's authorities where left out. To log in with a certificate:
            `tls = ssl.create_default_context(cafile="authority.pem")`, then `tls.load_cert_chain("device.pem")`,
            where `user` is whom the certificate names.
        prefix: what the server's topics start with.
        since: what `client.since` was when an earlier run ended; what ended meanwhile is then heard as missed.

    Attributes:
        groups: requests about groups.
        blocklist: requests about whom this user does not let ring.

    Raises:
        ValueError: an id, the URL or the prefix is none.
        ImportError: paho-mqtt is not installed.
    """

    def __init__(  # noqa: PLR0913 - a client has many
        self,
        url: str = "mqtt://127.0.0.1:1883",
        *,
        user: str | None = None,
        password: str | None = None,
        device: str | None = None,
        listener: SignalingListener | None = None,
        group_listener: GroupListener | None = None,
        tls: ssl.SSLContext | None = None,
        prefix: str = DEFAULT_PREFIX,
        since: int | None = None,
    ) -> None:
        address = Address.parse(checked_str("url", url))
        user = checked_id("user", user or address.user or "")
        super().__init__(user, checked_id("device", device or secrets.token_hex(4)), self._request)
        if since is not None:
            checked_int("since", since, 0, MAX_INT)
        self._core = Core(self.user, self.device, Topics(checked_prefix(prefix)), since)
        self.groups = Groups(self.user, self.device, self._request)
        self.blocklist = Blocklist(self.user, self.device, self._request)
        self._caller = Caller(listener, group_listener)
        self._handles: dict[bytes, RequestHandle[Any]] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._up_to_date = threading.Event()
        secret = None if password is None else checked_str("password", password)
        self._network = Network(address, self.user, secret or address.password, tls, self)
        self._started = False

    # Life.

    def connect(self) -> Self:
        """Begin to connect, and stay connected until closed; returns at once."""
        with self._lock:
            if self._closed:
                raise SignalingError.local(CLOSED)
            if not self._started:
                self._started = True
                self._caller.start()
                self._network.start()
        return self

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until connected and up to date.

        Args:
            timeout: seconds.

        Returns:
            Whether it is.
        """
        return self._up_to_date.wait(timeout)

    def close(self) -> None:
        """Disconnect, fail what has no answer (`closed`), and end both threads. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._core.close()
            self._flush()
        if not self._started:
            return
        self._network.close(5.0)
        self._caller.stop(5.0)

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_listener(self, listener: SignalingListener) -> None:
        """Let a listener hear callbacks from now on."""
        self._caller.listeners = (*self._caller.listeners, listener)

    def remove_listener(self, listener: SignalingListener) -> None:
        """Let a listener hear no more; one that was never added is no fault."""
        self._caller.listeners = tuple(one for one in self._caller.listeners if one is not listener)

    def add_group_listener(self, listener: GroupListener) -> None:
        """Let a listener hear of groups from now on."""
        self._caller.group_listeners = (*self._caller.group_listeners, listener)

    def remove_group_listener(self, listener: GroupListener) -> None:
        """Let a listener hear of groups no more; one that was never added is no fault."""
        self._caller.group_listeners = tuple(one for one in self._caller.group_listeners if one is not listener)

    @property
    def since(self) -> int | None:
        """The largest server time seen, epoch milliseconds; keep it for the next run."""
        return self._core.since

    @property
    def counts(self) -> Counts:
        """What happened in this run: retries, repeats dropped, syncs, gaps."""
        return self._core.counts

    # Requests.

    def _request(self, request: Request, handle: RequestHandle[Any]) -> None:
        size = len(encode_request(request))
        if size > MAX_REQUEST_BYTES:
            raise ValueError(f"the request has {size} bytes; at most {MAX_REQUEST_BYTES} bytes are allowed")
        with self._lock:
            if self._closed:
                raise SignalingError.local(CLOSED)
            self._handles[request.id] = handle
            self._core.request(request, time.monotonic())
            self._flush()
        self._network.nudge()

    # What the network thread calls.

    @property
    def subscriptions(self) -> tuple[str, str]:
        """The topics this device subscribes to."""
        return self._core.subscriptions

    def on_subscribed(self) -> None:
        """For the network: connected and subscribed."""
        with self._lock:
            self._core.subscribed(time.monotonic())
            self._flush()

    def on_group_subscribed(self, topic: str, ok: bool) -> None:  # noqa: FBT001 - as the broker says it
        """For the network: the broker let this device subscribe to a group's topic, or did not."""
        with self._lock:
            self._core.group_subscribed(topic, ok, time.monotonic())
            self._flush()

    def on_message(self, topic: str, payload: bytes) -> None:
        """For the network: a message came."""
        with self._lock:
            self._core.received(topic, payload, time.monotonic())
            self._flush()

    def on_lost(self, reason: str, retry_in: float | None) -> None:
        """For the network: not connected."""
        with self._lock:
            self._up_to_date.clear()
            self._core.disconnected(time.monotonic())
            self._flush()
            self._caller.put(Callback("on_disconnected", Disconnected(reason=reason, retry_in=retry_in)))

    def on_time(self) -> float | None:
        """For the network: time passed; after how many seconds to call again."""
        with self._lock:
            now = time.monotonic()
            self._core.tick(now)
            self._flush()
            wanted = self._core.next_wakeup()
            return None if wanted is None else max(0.0, wanted - now)

    def _flush(self) -> None:
        """Do what the core asks for. With the lock held, so that nothing overtakes."""
        out = self._core.drain()
        self._network.unsubscribe(out.unsubscribe)
        self._network.subscribe(out.subscribe)
        for topic, payload in out.messages:
            self._network.publish(topic, payload)
        for settled in out.settled:
            handle = self._handles.pop(settled.request_id, None)
            if handle is not None:
                handle.settle(settled.result, settled.error)
        for callback in out.callbacks:
            if callback.method == "on_connected":
                self._up_to_date.set()
            self._caller.put(callback)
