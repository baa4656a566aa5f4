"""What a broker may refuse or do to a worker, in words that say what to do about it."""

import ssl
from typing import Final

from ringline_broker.service.ports import Unusable


class BrokerFailure(Unusable):
    """The broker cannot be used."""

    lasts = False
    """Whether trying again soon is of no use: somebody has to mend something first."""


class BrokerUnreachable(BrokerFailure):
    """Nobody answers there, or what answers breaks off."""


class TlsFailed(BrokerFailure):
    """The broker and the worker do not trust each other."""

    lasts = True


class LoginRefused(BrokerFailure):
    """The broker answered CONNECT with a refusal.

    Attributes:
        code: the reason code of its CONNACK.
    """

    def __init__(self, code: int, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.code = code
        self.lasts = code not in _PASSES


class SubscribeRefused(BrokerFailure):
    """The broker does not let the worker have a topic filter.

    Attributes:
        code: the reason code of its SUBACK.
    """

    lasts = True

    def __init__(self, code: int, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.code = code


class BrokerUnfit(BrokerFailure):
    """The broker does not do what a worker needs; the message lists what."""

    lasts = True


_PASSES: Final = frozenset({0x80, 0x88, 0x89, 0x97, 0x9F})
"""Refusals that an overload or a start explains."""

_WHO: Final = (
    "check the user in --broker, and RINGLINE_PASSWORD (`ringline deploy mosquitto` wrote the password into worker.env)"
)
_RIGHTS: Final = "give the worker's user the permissions that deploy/ lists for this broker"
_SHARE: Final = (
    "the share's name must be the one that the broker lets the worker have, RINGLINE_SHARE of worker.env where "
    f"`ringline deploy mosquitto` wrote it; beside another broker {_RIGHTS}"
)
_CONTROL: Final = (
    "a worker may manage permissions where `ringline deploy mosquitto --group-topics` wrote the site, and this one was "
    "written without: leave out --permissions and --group-topics, or write it anew"
)
_NOT_AUTHORIZED: Final = 0x87

_ADVICE: Final[dict[int, str]] = {
    0x10: "nobody subscribes to the topic",
    0x80: "look in the broker's log",
    0x81: "look for a proxy between worker and broker that changes what passes",
    0x82: "report it, with the broker's name and version",
    0x83: "look in the broker's log",
    0x84: "the broker must speak MQTT 5",
    0x85: "the broker must allow client ids of up to 23 letters and digits",
    0x86: _WHO,
    0x87: _RIGHTS,
    0x88: "wait for the broker to come up",
    0x89: "the broker is overloaded; the worker tries again",
    0x8A: "the broker has banned this user or address",
    0x8B: "the broker is shutting down; the worker tries again",
    0x8C: "the broker must allow login by user name and password",
    0x8D: "worker or network were too slow for the keep alive; look at the worker's CPU",
    0x8E: "another client has taken the worker's random client id; look who does that",
    0x8F: "the broker's own rules for topics must allow Ringline's",
    0x90: "the broker's own rules for topics must allow Ringline's",
    0x93: "report it: the worker sent more than the broker's receive maximum",
    0x95: "raise the broker's maximum packet size to 64 KiB",
    0x96: "raise the broker's limit on messages a second for the worker",
    0x97: "raise the broker's quota for the worker",
    0x98: "somebody has ended the connection at the broker, or changed the worker's permissions",
    0x99: "look in the broker's log",
    0x9C: "give the worker the address of the broker it is to use",
    0x9D: "give the worker the broker's new address",
    0x9E: "a worker needs shared subscriptions: allow them, or use another broker",
    0x9F: "raise the broker's limit on connections a second",
    0xA0: "the broker limits how long a connection lasts; the worker connects again",
    0xA2: "a worker needs wildcard subscriptions: allow them",
}


def describe(code: int, reason: str | None = None) -> str:
    """A reason code in words: its number, what the broker says of it, and what to do."""
    return f"{name_of(code, reason)}: {advice(code)}"


def name_of(code: int, reason: str | None = None) -> str:
    """A reason code: its number, and what the broker says of it."""
    return f"reason 0x{code:02x}" + (f" ({reason!r})" if reason else "")


def advice(code: int) -> str:
    """What to do about a reason code."""
    return _ADVICE.get(code, "look in the broker's log")


def login_refused(where: str, code: int, reason: str | None) -> LoginRefused:
    """A refusal of CONNECT, in words. Mosquitto calls a wrong password what others call a lack of permissions."""
    what = f"the broker at {where} refuses the login, {name_of(code, reason)}"
    return LoginRefused(code, what, _WHO if code == _NOT_AUTHORIZED else advice(code))


def subscribe_refused(wanted: str, code: int) -> SubscribeRefused:
    """A refusal of a topic filter, in words."""
    remedy = advice(code)
    if code == _NOT_AUTHORIZED and wanted.startswith("$CONTROL/"):
        remedy = _CONTROL
    elif code == _NOT_AUTHORIZED and wanted.startswith("$share/") and wanted.endswith("/req"):
        remedy = _SHARE
    return SubscribeRefused(code, f"the broker refuses {wanted!r}, {name_of(code)}", remedy)


def tls_failed(where: str, failed: ssl.SSLError) -> TlsFailed:
    """A handshake that failed, in words."""
    if isinstance(failed, ssl.SSLCertVerificationError):
        what, remedy = f"the broker's certificate is not trusted: {failed.verify_message.rstrip('.')}", to_trust(failed)
    else:
        what, remedy = failed.reason or str(failed), "check its certificate, the authority and the port"
    return TlsFailed(f"no TLS with the broker at {where}: {what}", remedy)


def to_trust(untrusted: ssl.SSLCertVerificationError) -> str:
    """What to do about a certificate that is not trusted."""
    if "expired" in untrusted.verify_message:
        return "renew it (`ringline cert server`), and restart the broker"
    if "match" in untrusted.verify_message:
        return "use in --broker a name that it is for, or make one for this name (`ringline cert server`)"
    return "give its authority with --cafile FILE"
