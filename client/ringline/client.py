"""The client: a thin shell around the core, with a thread for the network and one for callbacks."""

import secrets
import ssl
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from ringline.arguments import (
    checked_flag,
    checked_id,
    checked_int,
    checked_prefix,
    checked_some_users,
    checked_str,
    checked_text,
    checked_users,
)
from ringline.blocklist import Blocklist
from ringline.calling import Caller
from ringline.connection import Address, Network
from ringline.core.callbacks import Callback
from ringline.core.core import Core, Counts
from ringline.data import Value, pack_data
from ringline.errors import SignalingError
from ringline.events import Disconnected, InvitationState
from ringline.group_listener import GroupListener
from ringline.groups import Groups, new_id, new_request_id
from ringline.handles import RequestHandle
from ringline.listener import SignalingListener
from ringline.protocol.errors import CLOSED
from ringline.protocol.limits import (
    MAX_INT,
    MAX_INVITEES,
    MAX_REASON_BYTES,
    MAX_REQUEST_BYTES,
    MAX_TEXT_BYTES,
    MAX_TIMEOUT_S,
)
from ringline.protocol.messages import (
    DEFAULT_TIMEOUT_S,
    Accept,
    Cancel,
    Get,
    Invite,
    Modify,
    OnInvitation,
    Reject,
    Ringing,
    encode_request,
)
from ringline.protocol.shapes import Request
from ringline.protocol.topics import DEFAULT_PREFIX, Topics

FIRST: Final = 1
"""For `answers`: the first to accept takes it."""
NONE: Final = 0
"""For `answers`: a notice, over when made."""


class SignalingClient:
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
        self.user = checked_id("user", user or address.user or "")
        self.device = checked_id("device", device or secrets.token_hex(4))
        if since is not None:
            checked_int("since", since, 0, MAX_INT)
        self._core = Core(self.user, self.device, Topics(checked_prefix(prefix)), since)
        self.groups = Groups(self.device, self._request)
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

    def invite(  # noqa: PLR0913 - an invitation has many
        self,
        invitees: Sequence[str],
        data: Value = None,
        *,
        timeout: int = DEFAULT_TIMEOUT_S,
        answers: int | None = None,
        audience: str = "",
        online_only: bool = False,
        invite_id: str | None = None,
        group_id: str = "",
        partial: bool = False,
    ) -> RequestHandle[None]:
        """Ring somebody.

        Args:
            invitees: user ids, at least one, not oneself.
            data: any MessagePack value that packs to at most 8,192 bytes.
            timeout: whole seconds to the deadline, 0 to 86,400; 0 for none.
            answers: how many may accept before the rest are settled as taken: FIRST, a number, None for all; NONE makes
                a notice, which is over when made.
            audience: `parties` lets every party hear every event.
            online_only: only devices that are online now; if there is none it ends at once as `offline`.
            invite_id: chosen here where left out, 96 random bits.
            group_id: the group it is made in: all members hear of it, and only members can be invited.
            partial: in a group, leave out invitees who are no members; the invitation is refused otherwise.

        Returns:
            A handle whose invite_id is known at once.

        Raises:
            TypeError, ValueError: an argument is of a wrong type or out of its limits.
        """
        users = checked_some_users("invitees", invitees)
        if self.user in users:
            raise ValueError("invitees must not name the inviter")
        checked_int("timeout", timeout, 0, MAX_TIMEOUT_S)
        if answers is not None:
            checked_int("answers", answers, 0, MAX_INVITEES)
        if checked_str("audience", audience) not in ("", "parties"):
            raise ValueError(f"audience must be '' or 'parties', not {audience!r}")
        iid = new_id() if invite_id is None else checked_id("invite_id", invite_id)
        request = Invite(
            id=new_request_id(), dev=self.device, iid=iid, to=users, timeout=timeout, data=pack_data(data),
            answers=answers, audience=audience, online_only=checked_flag("online_only", online_only),
            gid=checked_id("group_id", group_id) if group_id != "" else "", partial=checked_flag("partial", partial),
        )  # fmt: skip
        return self._ask(request)

    def invite_in_group(
        self,
        group_id: str,
        invitees: Sequence[str],
        data: Value = None,
        *,
        timeout: int = DEFAULT_TIMEOUT_S,
        answers: int | None = None,
        online_only: bool = False,
        invite_id: str | None = None,
        partial: bool = False,
    ) -> RequestHandle[None]:
        """Ring members of a group; all others hear of it. The arguments are those of `invite`."""
        return self.invite(
            invitees, data, timeout=timeout, answers=answers, online_only=online_only, invite_id=invite_id,
            group_id=checked_id("group_id", group_id), partial=partial,
        )  # fmt: skip

    def ringing(self, invite_id: str) -> RequestHandle[None]:
        """Tell the inviter that this device really alerts its user now. Sent once, never answered."""
        return self._ask(Ringing(id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id)))

    def accept(self, invite_id: str, data: Value = None) -> RequestHandle[None]:
        """Accept for this user; the first device to answer decides for all of them."""
        iid = checked_id("invite_id", invite_id)
        return self._ask(Accept(id=new_request_id(), dev=self.device, iid=iid, data=pack_data(data)))

    def reject(self, invite_id: str, data: Value = None, *, reason: str = "", text: str = "") -> RequestHandle[None]:
        """Reject for this user.

        Args:
            invite_id: which.
            data: as in invite.
            reason: a word of `protocol.reasons`, such as `busy`, or one's own of at most 32 bytes.
            text: free text, at most 256 bytes.
        """
        request = Reject(
            id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id), data=pack_data(data),
            reason=checked_text("reason", reason, MAX_REASON_BYTES), text=checked_text("text", text, MAX_TEXT_BYTES),
        )  # fmt: skip
        return self._ask(request)

    def cancel(
        self,
        invite_id: str,
        data: Value = None,
        *,
        invitees: Sequence[str] = (),
        reason: str = "",
        text: str = "",
    ) -> RequestHandle[None]:
        """Take an invitation back, or some invitees of it; who accepted stays so.

        Args:
            invite_id: which; one that was not sent yet is dropped here, and its handle fails with `withdrawn`.
            data: as in invite.
            invitees: only these; all who are pending where left out.
            reason: as in reject.
            text: as in reject.
        """
        request = Cancel(
            id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id), data=pack_data(data),
            to=checked_users("invitees", invitees), reason=checked_text("reason", reason, MAX_REASON_BYTES),
            text=checked_text("text", text, MAX_TEXT_BYTES),
        )  # fmt: skip
        return self._ask(request)

    def modify(self, invite_id: str, data: Value) -> RequestHandle[None]:
        """Replace the invitation's data, while somebody is pending."""
        iid = checked_id("invite_id", invite_id)
        return self._ask(Modify(id=new_request_id(), dev=self.device, iid=iid, data=pack_data(data)))

    def get(self, invite_id: str) -> RequestHandle[InvitationState]:
        """Ask for the present state; `result` returns it."""
        request = Get(id=new_request_id(), dev=self.device, iid=checked_id("invite_id", invite_id))
        handle = RequestHandle[InvitationState](request.iid)
        self._request(request, handle)
        return handle

    def state(self, invite_id: str, timeout: float | None = 10.0) -> InvitationState:
        """The present state; waits for it.

        Raises:
            SignalingError: refused, or no answer within `timeout` seconds.
        """
        return self.get(invite_id).result(timeout)

    def _ask(self, request: OnInvitation) -> RequestHandle[None]:
        handle = RequestHandle[None](request.iid)
        self._request(request, handle)
        return handle

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
