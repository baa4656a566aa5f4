"""Whether the broker is there, lets the worker in, and does what a worker needs."""

import asyncio
import secrets
import statistics
import time
from typing import Final

import mqtt5

from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.connection import connect
from ringline_broker.bindings.mqtt5.failures import BrokerUnreachable, LoginRefused
from ringline_broker.bindings.mqtt5.outbound import Outbound
from ringline_broker.bindings.mqtt5.selftest import LEAST_PACKET_BYTES, SelfTest, self_test, size_remark
from ringline_broker.doctor.certificate import hang_up, look, speaks_tls
from ringline_broker.doctor.device import ANSWER_S, Device, is_refusal
from ringline_broker.doctor.report import Check, Found, Skipped, Verdict, fail, ok, warn
from ringline_broker.doctor.target import Account, Target
from ringline_broker.service.clock import SystemClock

AREA: Final = "broker"
_ROUND_TRIPS: Final = 20
_FEW_IN_FLIGHT: Final = 100
_SLOW_MS: Final = 50
_SHORT_KEEP_ALIVE_S: Final = 5
_VERSION_S: Final = 1.0
_OTHER_VERSION: Final = (0x01, 0x84)
"""What brokers of MQTT 3.1.1 and of MQTT 5 answer to a version that they do not speak."""


class BrokerChecks:
    """The checks of a broker; those after the login need it.

    Args:
        target: which broker.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._is_reached, self._is_trusted = False, True
        self._offer: mqtt5.ConnAckPacket | None = None
        self._found: SelfTest | None = None

    def all(self) -> tuple[Check, ...]:
        """The checks, in their order."""
        return (
            Check(AREA, "reached", self._reach),
            Check(AREA, "TLS", self._look_at_tls),
            Check(AREA, "login", self._log_in),
            Check(AREA, "shared subscriptions", self._test_shares),
            Check(AREA, "who is offline", self._tells_nobody),
            Check(AREA, "receive maximum", self._look_at_receive_max),
            Check(AREA, "packet size", self._look_at_packet_size),
            Check(AREA, "keep alive", self._look_at_keep_alive),
            Check(AREA, "session expiry", self._look_at_sessions),
            Check(AREA, "round trip", self._measure),
            Check(AREA, "anonymous login", self._try_anonymous),
            Check(AREA, "version", self._ask_version),
        )

    @property
    def lets_in(self) -> bool:
        """Whether the worker could log in."""
        return self._offer is not None

    async def _reach(self) -> Found:
        target = self._target
        try:
            async with asyncio.timeout(ANSWER_S):
                _, writer = await asyncio.open_connection(target.host, target.port)
        except TimeoutError:
            text = "let a firewall between pass the port, or correct --broker"
            return fail(f"nothing answers at {target} within {ANSWER_S:g} s", text)
        except OSError as failed:
            text = (
                "start the broker, or correct --broker (a Mosquitto without a `listener` line is there for its own "
                "machine only)"
            )
            return fail(f"no broker at {target}: {failed.strerror or failed}", text)
        await hang_up(writer)
        self._is_reached = True
        return ok(f"something listens at {target}")

    async def _look_at_tls(self) -> Found:
        self._must_be_reached()
        if self._target.tls is not None:
            found = await look(self._target, self._target.tls)
            self._is_trusted = found.verdict is not Verdict.FAIL
            return found
        if self._target.is_local:
            return ok("none, and the broker is on this machine")
        text = "give the broker a listener with TLS (Mosquitto: certfile, keyfile), and use mqtts://"
        return warn("none: passwords and calls can be read on the way", text)

    async def _log_in(self) -> Found:
        self._must_be_trusted()
        clock, bounds = SystemClock(), LinkBounds(answer_s=ANSWER_S)
        outbound = Outbound(bounds.max_messages, bounds.max_bytes, clock.monotonic_ms)
        try:
            connection = await connect(self._target.address, bounds, outbound, _settle, clock)
        except LoginRefused as refused:
            if refused.code in _OTHER_VERSION:
                return fail("the broker speaks no MQTT 5", "use one that does, as Mosquitto, EMQX or HiveMQ")
            return fail(f"refused for {self._who()} (reason 0x{refused.code:02x})", _LOGIN_REMEDY)
        except BrokerUnreachable:
            if self._target.tls is None and await speaks_tls(self._target):
                return fail("the broker speaks TLS on this port, and was asked without", "use mqtts:// in --broker")
            raise
        self._offer = connection.offer
        connection.close()
        return ok(f"as {self._who()}, with MQTT 5")

    async def _test_shares(self) -> Found:
        self._must_be_in()
        self._found = found = await self_test(self._target.address, self._target.topics, SystemClock())
        if found.faults:
            return fail("; ".join(found.faults), f"Mosquitto: {_WORKER_RIGHTS}; EMQX: {_EMQX_SHARES}")
        return ok("each message comes exactly once to one of two members, and wildcards are taken")

    async def _tells_nobody(self) -> Found:
        self._must_be_in()
        if self._found is None:
            raise Skipped("the test of shared subscriptions did not end")
        if self._found.tells_nobody:
            return ok("the broker says when nobody heard a message (PUBACK 0x10)")
        text = "nothing needs it; nobody is told who is offline. Mosquitto, EMQX and HiveMQ say it over MQTT 5"
        return warn("the broker does not say when nobody heard a message (PUBACK 0x10)", text)

    async def _look_at_receive_max(self) -> Found:
        most = self._must_be_in().receive_max
        if most >= _FEW_IN_FLIGHT:
            return ok(f"{most} messages at once")
        text = "raise it to 1000 (Mosquitto: max_inflight_messages; EMQX: mqtt.max_inflight)"
        return warn(f"the broker takes {most} unacknowledged messages at once from a worker", text)

    async def _look_at_packet_size(self) -> Found:
        most = self._must_be_in().max_packet_size
        if most is not None and most < LEAST_PACKET_BYTES:
            text = f"allow at least {LEAST_PACKET_BYTES} (Mosquitto: max_packet_size; EMQX: mqtt.max_packet_size)"
            return fail(f"the broker takes packets of {most} bytes", text)
        if (remark := size_remark(most)) is not None:
            return warn(remark, "Mosquitto: max_packet_size 65536; EMQX: mqtt.max_packet_size; HiveMQ: max-packet-size")
        return ok(f"{most} bytes")

    async def _look_at_keep_alive(self) -> Found:
        given, asked = self._must_be_in().server_keep_alive, LinkBounds().keep_alive_s
        if given is None:
            return ok(f"{asked} s, as the worker asks")
        if 0 < given < _SHORT_KEEP_ALIVE_S:
            text = f"let a worker have {asked} s (Mosquitto: max_keepalive; EMQX: mqtt.server_keepalive)"
            return warn(f"the broker sets {given} s, and cuts off a worker that is busy for longer", text)
        return ok(f"the broker sets {given} s")

    async def _look_at_sessions(self) -> Found:
        kept = self._must_be_in().session_expiry_interval
        if not kept:
            return ok("a worker's session ends with its connection")
        text = "let clients have an expiry of 0 (EMQX: mqtt.session_expiry_interval is for those that ask for none)"
        return warn(f"the broker keeps a worker's session for {kept} s, and its share of the requests with it", text)

    async def _measure(self) -> Found:
        self._must_be_in()
        target, took_ms = self._target, list[float]()
        topic = target.topics.events(f"doctor-{secrets.token_hex(12)}")
        async with Device(target.host, target.port, target.worker, target.tls) as device:
            for _ in range(_ROUND_TRIPS):
                began = time.perf_counter()
                await device.publish(topic, b"")
                took_ms.append(1_000 * (time.perf_counter() - began))
        median, worst = statistics.median(took_ms), max(took_ms)
        text = f"{median:.2f} ms from PUBLISH to PUBACK (median of {_ROUND_TRIPS}; the slowest {worst:.2f} ms)"
        if median < _SLOW_MS:
            return ok(text)
        return warn(text, "bring workers and broker closer together, or see what keeps the broker busy")

    async def _try_anonymous(self) -> Found:
        self._must_be_trusted()
        target = self._target
        try:
            async with Device(target.host, target.port, Account(), target.user_tls):
                text = "allow users with a password only (Mosquitto: allow_anonymous false; EMQX: add an authenticator)"
                return fail("anybody may log in without a name", text)
        except LoginRefused:
            return ok("refused")
        except BrokerUnreachable:
            self._must_be_in()  # else it is not known why
            return ok("refused without an answer")

    async def _ask_version(self) -> Found:
        self._must_be_in()
        target = self._target
        async with Device(target.host, target.port, target.worker, target.tls) as device:
            said = [await device.subscribe(topic) for topic in ("$SYS/broker/version", "$SYS/brokers/+/version")]
            may_hear = not all(map(is_refusal, said))
            if may_hear and await device.until(lambda: bool(device.heard), _VERSION_S):
                return ok(device.heard[0].payload.decode(errors="replace"))
        return ok("the broker does not tell the worker, which needs no $SYS")

    def _who(self) -> str:
        return "nobody (no user name)" if self._target.worker.name is None else f"{self._target.worker.name!r}"

    def _must_be_reached(self) -> None:
        if not self._is_reached:
            raise Skipped("the broker is not reached")

    def _must_be_trusted(self) -> None:
        self._must_be_reached()
        if not self._is_trusted:
            raise Skipped("there is no TLS with the broker")

    def _must_be_in(self) -> mqtt5.ConnAckPacket:
        if self._offer is None:
            raise Skipped("there is no login")
        return self._offer


def _settle(_topic: str, _payload: bytes, settle: object) -> None:
    """Nothing is subscribed to, so nothing comes."""
    del settle


_LOGIN_REMEDY: Final = (
    "correct the user in --broker and RINGLINE_PASSWORD, or let the broker have it (Mosquitto: password_file or "
    "mosquitto_ctrl dynsec; EMQX: an authenticator)"
)
_WORKER_RIGHTS: Final = (
    "give the worker's user the rights that `ringline deploy mosquitto` writes, {prefix}/probe/+ among them"
)
_EMQX_SHARES: Final = "mqtt.shared_subscription and mqtt.wildcard_subscription must be true"
